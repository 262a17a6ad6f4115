// Which arrays a function is given and leaves as they are.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "targets/target.h"

namespace llvm {
class Module;
}  // namespace llvm

namespace rbc::ir {

// Sets EntryPoint::Array::read_only of the arrays that no call of the entry writes into. What is not understood counts
// as a write into all of them. REQUIRES: `module` is optimised, its library functions have their attributes
// (CallsOnlyPureFunctions), `entries` are of kind kCall.
void FindReadOnlyArrays(const llvm::Module& module, std::vector<EntryPoint>& entries);

}  // namespace rbc::ir
