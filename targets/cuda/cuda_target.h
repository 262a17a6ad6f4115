// The targets "cuda" and "cuda32": NVIDIA's GPUs, or their simulation.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "targets/target.h"

namespace rbc::cuda {

void Initialize();
std::unique_ptr<Target> CreateCudaTarget(const RuntimeSymbols& symbols);
std::unique_ptr<Target> CreateCuda32Target(const RuntimeSymbols& symbols);

}  // namespace rbc::cuda
