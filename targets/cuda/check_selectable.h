// What LLVM's back end for GPUs has no code for: it would end the process.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/expected.h"
#include "targets/cuda/nvptx.h"

namespace llvm {
class Module;
}  // namespace llvm

namespace rbc::cuda {

// Intrinsics, widths of integers, conversions and parameters, of a module whose maths is mapped. kUnsupported, with
// function and instruction. Asked before the optimiser, whose instructions nobody wrote, and behind it for what it
// made.
Status CheckSelectable(const llvm::Module& module, const Gpu& gpu);

}  // namespace rbc::cuda
