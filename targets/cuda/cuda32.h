// Modules with pointers of 32 bits, for GPUs that have none but 64.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/expected.h"

namespace llvm {
class Module;
}  // namespace llvm

namespace rbc::cuda {

inline constexpr const char* kLayout32 = "e-p:32:32-p6:32:32-p7:32:32-i64:64-i128:128-i256:256-v16:16-v32:32-n16:32:64";

// Simplifies the module under its own layout, then makes sure that nothing in it depends on the size of a pointer: no
// pointer in memory, none as a number, no offset that could wrap around at 32 bits. Afterwards it means the same under
// nvptx64's layout. kUnsupported, by function and instruction; cautious: what is not seen to be right is refused.
Status WidenPointers(llvm::Module& module);

}  // namespace rbc::cuda
