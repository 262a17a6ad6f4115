// Kernels around the client's functions, as targets/cuda/launch.h describes them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/expected.h"
#include "targets/ir/declarations.h"
#include "targets/target.h"

namespace llvm {
class Module;
}  // namespace llvm

namespace rbc::cuda {

// The client's own kernel against its declaration: it returns nothing, takes one IR parameter for each of the
// signature, a struct possibly in memory (byval). It becomes an entry. kInvalidModule, kUnsupported.
Expected<EntryPoint> MakeKernelEntry(llvm::Module& module, const FunctionDeclaration& declaration, size_t index);

// A kernel that calls the function once, for each row, or between the values of a column. kUnsupported: a signature
// that such an entry cannot serve.
Expected<EntryPoint> MakeEntry(const ir::MatchedFunction& match, EntryKind kind, const FunctionDeclaration& declaration,
                               size_t index);

// A kernel of one thread that calls `function`, which takes nothing: static constructors and destructors. Its name.
std::string MakePlainEntry(llvm::Module& module, const std::string& function);

}  // namespace rbc::cuda
