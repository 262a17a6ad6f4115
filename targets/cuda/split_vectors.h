// Operations of vectors that LLVM's back end for GPUs can do for elements only.
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace llvm {
class Module;
}  // namespace llvm

namespace rbc::cuda {

// Of some operations selection takes a vector apart only where the SM has no registers of pairs: from sm_100 on it ends
// the process. They become one operation for each element.
void SplitVectors(llvm::Module& module);

}  // namespace rbc::cuda
