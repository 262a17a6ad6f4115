// Names of functions and variables in PTX.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "llvm/ADT/StringRef.h"

namespace llvm {
class Module;
}  // namespace llvm

namespace rbc::cuda {

bool IsPtxName(llvm::StringRef name);

// Dots of names that stay visible, as LLVM's back end does with the others.
void RespellVisibleNames(llvm::Module& module);

// What begins a name of the module's own that the back end does not mend.
void RespellLocalNames(llvm::Module& module);

}  // namespace rbc::cuda
