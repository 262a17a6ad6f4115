// Synthesizes the functions that run a module's static constructors and destructors.
// SPDX-License-Identifier: Apache-2.0
#include "targets/ir/constructors.h"

#include <algorithm>

#include "llvm/IR/Constants.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/Module.h"

namespace rbc::ir {
namespace {

struct Entry {
  uint64_t priority;
  llvm::Function* function;
};

// The entries of `array` in the order written; the array is removed.
Expected<std::vector<Entry>> TakeEntries(llvm::Module& module, const char* array) {
  std::vector<Entry> entries;
  auto* variable = module.getNamedGlobal(array);
  if (variable == nullptr) return entries;
  if (variable->hasInitializer() && !variable->use_empty()) {
    return {ErrorKind::kUnsupported, std::string("a function refers to '") + array + "'"};
  }
  if (variable->hasInitializer()) {
    const auto* list = llvm::dyn_cast<llvm::ConstantArray>(variable->getInitializer());
    for (unsigned i = 0; list != nullptr && i < list->getNumOperands(); ++i) {
      const auto* entry = llvm::dyn_cast<llvm::ConstantStruct>(list->getOperand(i));
      if (entry == nullptr) continue;
      const auto* priority = llvm::dyn_cast<llvm::ConstantInt>(entry->getOperand(0));
      auto* target = entry->getOperand(1)->stripPointerCasts();
      if (llvm::isa<llvm::ConstantPointerNull>(target)) continue;
      if (auto* alias = llvm::dyn_cast<llvm::GlobalAlias>(target)) target = alias->getAliaseeObject();
      auto* function = llvm::dyn_cast_or_null<llvm::Function>(target);
      if (priority == nullptr || function == nullptr || function->isDeclaration() || function->isVarArg()) {
        return {ErrorKind::kUnsupported, std::string("an entry of '") + array + "' is not a function of this module"};
      }
      entries.push_back({priority->getZExtValue(), function});
    }
  }
  variable->eraseFromParent();
  return entries;
}

std::string MakeCaller(llvm::Module& module, const char* name, const std::vector<Entry>& entries) {
  if (entries.empty()) return {};
  auto& context = module.getContext();
  auto* type = llvm::FunctionType::get(llvm::Type::getVoidTy(context), false);
  auto* caller = llvm::Function::Create(type, llvm::GlobalValue::ExternalLinkage, name, module);
  caller->addFnAttr(llvm::Attribute::NoUnwind);
  llvm::IRBuilder<> builder(llvm::BasicBlock::Create(context, "", caller));
  for (const Entry& entry : entries) {
    // Some front ends give them parameters of main(), which nobody passes here.
    std::vector<llvm::Value*> arguments;
    for (const auto& parameter : entry.function->args())
      arguments.push_back(llvm::Constant::getNullValue(parameter.getType()));
    builder.CreateCall(entry.function, arguments)->setCallingConv(entry.function->getCallingConv());
  }
  builder.CreateRetVoid();
  return caller->getName().str();
}

}  // namespace

Expected<StaticFunctions> CollectStaticFunctions(llvm::Module& module) {
  RBC_ASSIGN_OR_RETURN(auto constructors, TakeEntries(module, "llvm.global_ctors"));
  RBC_ASSIGN_OR_RETURN(auto destructors, TakeEntries(module, "llvm.global_dtors"));
  const auto by_priority = [](const Entry& a, const Entry& b) { return a.priority < b.priority; };
  std::stable_sort(constructors.begin(), constructors.end(), by_priority);
  std::stable_sort(destructors.begin(), destructors.end(), by_priority);
  std::reverse(destructors.begin(), destructors.end());
  return StaticFunctions{MakeCaller(module, "rbc.constructors", constructors),
                         MakeCaller(module, "rbc.destructors", destructors)};
}

std::vector<std::string> KeptNames(std::span<const FunctionDeclaration> functions, const StaticFunctions& statics) {
  std::vector<std::string> names;
  for (const auto& function : functions) names.push_back(function.symbol);
  for (const auto* name : {&statics.constructors, &statics.destructors})
    if (!name->empty()) names.push_back(*name);
  return names;
}

}  // namespace rbc::ir
