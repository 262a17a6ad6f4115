// Lets LLVM take vector forms of libm's functions.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "targets/target.h"

namespace llvm {
class Function;
class Module;
class TargetLibraryInfoImpl;
}  // namespace llvm

namespace rbc::host {

// Tells `library` the vector functions of this accuracy that `symbols` has. None for kPrecise.
void AddVectorFunctions(llvm::TargetLibraryInfoImpl& library, const RuntimeSymbols& symbols, MathAccuracy accuracy);

// Before the optimiser: whether the module calls what has vector forms. If so, these calls leave errno alone and
// LLVM prefers the widest registers, which pay where maths is.
bool PrepareVectorMaths(llvm::Module& module, const llvm::TargetLibraryInfoImpl& library);

// After it: drops what LLVM kept for its own sake.
void DropUnusedVectorFunctions(llvm::Module& module);

// Whether rows of a map's kernel go through vector functions side by side.
bool HasVectorMaths(llvm::Function& kernel);

}  // namespace rbc::host
