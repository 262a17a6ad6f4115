// Maths of client code: C's and LLVM's names to what a GPU has.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/expected.h"

namespace llvm {
class Module;
}  // namespace llvm

namespace rbc::cuda {

class Libdevice;

// The names under which libdevice may have the C or CUDA function `name`, the likeliest first: sinf is __nv_sinf,
// __sinf is __nv_fast_sinf, __fadd_rd is __nv_fadd_rd.
std::vector<std::string> LibdeviceNames(std::string_view name);

// Rewrites calls of maths, by intrinsic or by name, float and double, into calls of libdevice's functions, or into
// those intrinsics that GPUs compute exactly by an instruction (sqrt, floor, fma, ...). What is left LLVM's back end
// knows. Vectors are taken apart, half precision goes through float. kMissingSymbol: libdevice is needed and not there.
Status MapMath(llvm::Module& module, Libdevice& libdevice);

}  // namespace rbc::cuda
