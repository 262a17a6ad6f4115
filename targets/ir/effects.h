// What calls of an optimised module leave behind.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

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

// Something but the frame's fixed places and local memory is written to: perhaps an array or memory behind a pointer
// that a call was given. `entries`: the functions that take frames; all else is reached from them. Said too often
// rather than not at all. REQUIRES: CallsOnlyPureFunctions().
bool WritesIntoArguments(const llvm::Module& module, const std::vector<std::string>& entries);

}  // namespace rbc::ir
