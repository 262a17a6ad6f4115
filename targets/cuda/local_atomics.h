// Atomic accesses to memory that one thread alone sees become plain ones.
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace llvm {
class Module;
}  // namespace llvm

namespace rbc::cuda {

// GPUs have no atomic operations on a thread's stack and parameters, though LLVM emits some that no assembler takes.
void LowerLocalAtomics(llvm::Module& module);

}  // namespace rbc::cuda
