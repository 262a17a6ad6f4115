// What a GPU or LLVM's back end for it cannot do, refused by name before it gets there.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "base/expected.h"

namespace llvm {
class Module;
}  // namespace llvm

namespace rbc::cuda {

inline constexpr uint64_t kMaxStaticShared = 48 * 1024;   // bytes of a kernel, on every device without asking for more
inline constexpr uint64_t kMaxLocalBytes = 512 * 1024;    // bytes of a thread's stack, the hardware's limit
inline constexpr uint64_t kMaxConstantBytes = 64 * 1024;  // of constant memory

// The client's module, after ir::CheckModule(): globals, aliases, initialisers, names, address spaces, intrinsics.
// kUnsupported, with function and instruction.
Status CheckDevice(const llvm::Module& module, uint32_t sm);

}  // namespace rbc::cuda
