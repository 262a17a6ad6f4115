// The GPUs that LLVM's NVPTX back end compiles for.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/expected.h"

namespace llvm {
class TargetMachine;
}  // namespace llvm

namespace rbc::cuda {

// Process-wide: LLVM's tables of NVPTX. Once, before any fork.
void InitializeNvptx();

inline constexpr const char* kTriple = "nvptx64-nvidia-cuda";
inline constexpr const char* kTriple32 = "nvptx-nvidia-cuda";
// Compiled for where nobody says which GPU it is: the oldest that today's tools take.
inline constexpr uint32_t kDefaultSm = 75;

struct Gpu {
  uint32_t sm = kDefaultSm;
  uint32_t ptx_version = 0;  // 78 is PTX 7.8
  friend bool operator==(const Gpu&, const Gpu&) = default;
};

// kInvalidArgument: an SM that is not known, or a PTX version that is not known or too low for it: LLVM would go on
// after a warning, or end the process. A version of 0 becomes the least that serves.
Expected<Gpu> CheckGpu(uint32_t sm, uint32_t ptx_version);

// GPUs whose drivers ran code with pointers of 32 bits. None does any more: PTX for them is for people to read.
// kInvalidArgument: no such SM.
Expected<Gpu> CheckGpuOf32Bits(uint32_t sm);

struct CodegenOptions {
  Gpu gpu;
  bool is_32_bit = false;
  uint8_t opt_level = 2;  // 0..3
  bool allow_contract = false;
  friend bool operator==(const CodegenOptions&, const CodegenOptions&) = default;
};

std::unique_ptr<llvm::TargetMachine> MakeTargetMachine(const CodegenOptions& options);

}  // namespace rbc::cuda
