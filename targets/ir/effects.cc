// State and outside effects of a module.
// SPDX-License-Identifier: Apache-2.0
#include "targets/ir/effects.h"

#include <set>

#include "llvm/Analysis/AliasAnalysis.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/Analysis/ValueTracking.h"
#include "llvm/IR/InstrTypes.h"
#include "llvm/IR/Instructions.h"
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

// Memory of the call's own: local, just allocated, or at a fixed place of the frame or the result. Arrays lie at places
// that the frame tells.
bool IsOwn(const llvm::Value* pointer, const llvm::DataLayout& layout, const std::set<const llvm::Function*>& entries) {
  const auto* const object = llvm::getUnderlyingObject(pointer, 0);
  if (llvm::isa<llvm::AllocaInst>(object) || llvm::isNoAliasCall(object)) return true;
  llvm::APInt offset(layout.getIndexTypeSizeInBits(pointer->getType()), 0);
  const auto* const base = pointer->stripAndAccumulateConstantOffsets(layout, offset, true);
  const auto* const argument = llvm::dyn_cast<llvm::Argument>(base);
  return argument != nullptr && entries.contains(argument->getParent());
}

// What a call writes through its arguments; functions of the module are looked at by themselves.
bool WritesOwn(const llvm::CallBase& call, const llvm::DataLayout& layout,
               const std::set<const llvm::Function*>& entries) {
  const auto* const callee = call.getCalledFunction();
  if (callee == nullptr) return false;
  if (!callee->isDeclaration()) return true;
  if (call.isLifetimeStartOrEnd() || call.onlyAccessesInaccessibleMemory()) return true;
  for (unsigned i = 0; i < call.arg_size(); ++i) {
    const auto* const argument = call.getArgOperand(i);
    if (argument->getType()->isPtrOrPtrVectorTy() && !call.onlyReadsMemory(i) && !IsOwn(argument, layout, entries))
      return false;
  }
  return true;
}

bool WritesOwn(const llvm::Instruction& instruction, const llvm::DataLayout& layout,
               const std::set<const llvm::Function*>& entries) {
  if (!instruction.mayWriteToMemory() || llvm::isa<llvm::FenceInst>(instruction)) return true;
  if (const auto* call = llvm::dyn_cast<llvm::CallBase>(&instruction)) return WritesOwn(*call, layout, entries);
  if (const auto* store = llvm::dyn_cast<llvm::StoreInst>(&instruction))
    return IsOwn(store->getPointerOperand(), layout, entries);
  const auto* const load = llvm::dyn_cast<llvm::LoadInst>(&instruction);  // volatile
  return load != nullptr;
}

}  // namespace

bool WritesIntoArguments(const llvm::Module& module, const std::vector<std::string>& entries) {
  std::set<const llvm::Function*> known;
  for (const auto& name : entries) known.insert(module.getFunction(name));
  for (const auto& function : module)
    for (const auto& block : function)
      for (const auto& instruction : block)
        if (!WritesOwn(instruction, module.getDataLayout(), known)) return true;
  return false;
}

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
