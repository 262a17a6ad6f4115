// Vector forms of libm's functions in LLVM's table of libraries.
// SPDX-License-Identifier: Apache-2.0
#include "targets/host/vector_maths.h"

#include <algorithm>
#include <vector>

#include "llvm/Analysis/LoopInfo.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/IR/Dominators.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Module.h"
#include "targets/vector_functions.h"

namespace rbc::host {
namespace {

// One type of floating point in and out: no other function of a name of libm's.
bool IsOfNumbers(const llvm::Function& function) {
  auto* type = function.getReturnType();
  return type->isFloatingPointTy() && !function.isVarArg() &&
         std::all_of(function.arg_begin(), function.arg_end(),
                     [&](const llvm::Argument& argument) { return argument.getType() == type; });
}

void LeaveErrnoAlone(llvm::Function& function) {
  function.setMemoryEffects(llvm::MemoryEffects::none());
  function.setDoesNotThrow();
  function.setWillReturn();
  for (auto* user : function.users()) {
    auto* call = llvm::dyn_cast<llvm::CallBase>(user);
    if (call == nullptr || call->getCalledFunction() != &function) continue;
    call->setMemoryEffects(llvm::MemoryEffects::none());
  }
}

bool IsMaths(llvm::Intrinsic::ID intrinsic) {
  const llvm::StringRef name = llvm::Intrinsic::getBaseName(intrinsic);
  for (const auto& function : VectorFunctions()) {
    if (llvm::StringRef(function.intrinsic).rsplit('.').first == name) return true;
  }
  return false;
}

const llvm::Function* VectorCallee(const llvm::Instruction& instruction) {
  const auto* call = llvm::dyn_cast<llvm::CallBase>(&instruction);
  if (call == nullptr || !call->getType()->isVectorTy()) return nullptr;
  return call->getCalledFunction();
}

}  // namespace

void AddVectorFunctions(llvm::TargetLibraryInfoImpl& library, const RuntimeSymbols& symbols, MathAccuracy accuracy) {
  std::vector<llvm::VecDesc> forms;
  for (const auto& function : VectorFunctions()) {
    if (function.accuracy != accuracy || symbols.Find(function.symbol) == nullptr) continue;
    const auto lanes = llvm::ElementCount::getFixed(function.lanes);
    forms.emplace_back(function.scalar, function.symbol, lanes, false, function.prefix, std::nullopt);
    if (function.intrinsic.empty()) continue;
    forms.emplace_back(function.intrinsic, function.symbol, lanes, false, function.prefix, std::nullopt);
  }
  if (!forms.empty()) library.addVectorizableFunctions(forms);
}

bool PrepareVectorMaths(llvm::Module& module, const llvm::TargetLibraryInfoImpl& library) {
  const llvm::TargetLibraryInfo info(library);
  bool found = false;
  for (auto& function : module) {
    if (!function.isDeclaration() || !info.isFunctionVectorizable(function.getName()) || !IsOfNumbers(function))
      continue;
    found |= !function.use_empty();
    if (!function.isIntrinsic()) LeaveErrnoAlone(function);
  }
  if (!found) return false;
  for (auto& function : module) {
    if (!function.isDeclaration()) function.addFnAttr("prefer-vector-width", "512");
  }
  return true;
}

void DropUnusedVectorFunctions(llvm::Module& module) {
  if (auto* kept = module.getNamedGlobal("llvm.compiler.used")) kept->eraseFromParent();
  for (auto& function : llvm::make_early_inc_range(module)) {
    if (function.isDeclaration() && function.use_empty() && IsVectorFunction(function.getName()))
      function.eraseFromParent();
  }
}

bool HasVectorMaths(llvm::Function& kernel) {
  llvm::DominatorTree tree(kernel);
  const llvm::LoopInfo loops(tree);
  for (const auto& instruction : llvm::instructions(kernel)) {
    // A loop over rows is vectorised only if it has no loop inside.
    if (loops.getLoopDepth(instruction.getParent()) > 1) continue;
    const auto* callee = VectorCallee(instruction);
    if (callee == nullptr) continue;
    if (IsVectorFunction(callee->getName())) return true;
    // Vectors of intrinsics become calls of vector functions in the back end.
    if (callee->isIntrinsic() && IsMaths(callee->getIntrinsicID())) return true;
  }
  return false;
}

}  // namespace rbc::host
