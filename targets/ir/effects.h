// What calls of an optimised module leave behind.
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace llvm {
class Module;
class TargetLibraryInfoImpl;
}  // namespace llvm

namespace rbc::ir {

// A writable variable is left: what a call stores there the next one sees.
bool HasWritableGlobals(const llvm::Module& module);

// Every function outside of the module that it calls computes, allocates or works on memory it is given: no output,
// no hidden state such as rand()'s.
bool CallsOnlyPureFunctions(llvm::Module& module, const llvm::TargetLibraryInfoImpl& library);

}  // namespace rbc::ir
