// The one list of targets: a new kind of machine is one line here and one folder.
// SPDX-License-Identifier: Apache-2.0
#include "targets/cuda/cuda_target.h"
#include "targets/host/host_target.h"
#include "targets/target.h"

namespace rbc {
namespace {

constexpr TargetFactory kTargets[] = {
    {"host", host::Initialize, nullptr, host::CreateHostTarget},
    {"cuda", cuda::Initialize, cuda::OpenToolkit, cuda::CreateCudaTarget},
    {"cuda32", cuda::Initialize, cuda::OpenToolkit, cuda::CreateCuda32Target},
};

}  // namespace

std::span<const TargetFactory> Targets() { return kTargets; }

const TargetFactory* FindTarget(std::string_view name) {
  for (const auto& factory : kTargets) {
    if (name == factory.name) return &factory;
  }
  return nullptr;
}

}  // namespace rbc
