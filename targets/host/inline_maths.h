// exp, log and erf of eight doubles as instructions instead of calls: loops over rows keep their values in registers,
// and the steps of several functions overlap.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace llvm {
class Function;
class Module;
class TargetLibraryInfoImpl;
}  // namespace llvm

namespace rbc::host {

// Before the optimiser: whether the module calls what can be inlined on this machine. If so, each loop over rows takes
// two vectors at a time, whose instructions alternate. Needs AVX-512.
bool PrepareInlineMaths(llvm::Module& module, const llvm::TargetLibraryInfoImpl& library);

// After it: puts such code in place of the calls of libmvec's functions. At most 1, 1 and 2 ulp from the truth (a test
// measures it); infinities, NaN, zeros and denormals come out as libm's do.
void InlineVectorMaths(llvm::Module& module);

// Whether calls of this vector function are replaced so.
bool IsInlined(std::string_view symbol);

}  // namespace rbc::host
