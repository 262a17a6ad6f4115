// State and outside effects of a module.
// SPDX-License-Identifier: Apache-2.0
#include "targets/ir/effects.h"

#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/IR/Module.h"
#include "llvm/Transforms/Utils/BuildLibCalls.h"
#include "targets/vector_functions.h"

namespace rbc::ir {
namespace {

// Compiler runtime: __divti3, __muldc3, __extendhfsf2 and their like. LLVM knows none of them as a function of IR.
bool IsCompilerRuntime(llvm::StringRef name) {
  if (!name.consume_front("__")) return false;
  return name.starts_with("div") || name.starts_with("mod") || name.starts_with("udiv") || name.starts_with("umod") ||
         name.starts_with("mul") || name.starts_with("float") || name.starts_with("fix") ||
         name.starts_with("extend") || name.starts_with("trunc") || name.starts_with("pow");
}

// LLVM does not know all of them as functions of their arguments alone.
bool IsMaths(llvm::StringRef name) { return IsVectorFunction(name) || HasVectorForm(name); }

// Reads anything, writes what its arguments point to, the heap's own state and errno.
bool IsHarmless(llvm::MemoryEffects effects) {
  const auto local = llvm::MemoryEffects::argMemOnly() | llvm::MemoryEffects::inaccessibleMemOnly() |
                     llvm::MemoryEffects::errnoMemOnly() | llvm::MemoryEffects::readOnly();
  return (effects | local) == local;
}

}  // namespace

bool HasWritableGlobals(const llvm::Module& module) {
  constexpr unsigned kShared = 3;  // NVPTX's: gone with its block
  const bool on_gpu = module.getTargetTriple().isNVPTX();
  for (const auto& variable : module.globals()) {
    if (on_gpu && variable.getAddressSpace() == kShared) continue;
    if (!variable.isDeclaration() && !variable.isConstant()) return true;
  }
  return false;
}

bool CallsOnlyPureFunctions(llvm::Module& module, const llvm::TargetLibraryInfoImpl& library) {
  const llvm::TargetLibraryInfo info(library);
  for (auto& function : module) {
    if (!function.isDeclaration() || function.isIntrinsic() || function.use_empty()) continue;
    if (IsCompilerRuntime(function.getName()) || IsMaths(function.getName()) ||
        function.getName() == "rbc_free_after_call")
      continue;
    llvm::LibFunc known;
    if (!info.getLibFunc(function, known)) return false;
    llvm::inferNonMandatoryLibFuncAttrs(function, info);
    if (!IsHarmless(function.getMemoryEffects())) return false;
  }
  for (const auto& variable : module.globals()) {
    if (variable.isDeclaration() && !variable.use_empty()) return false;  // stdout, environ, ...
  }
  return true;
}

}  // namespace rbc::ir
