// Takes atomicity from accesses to stack and parameters.
// SPDX-License-Identifier: Apache-2.0
#include "targets/cuda/local_atomics.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Analysis/ValueTracking.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/Module.h"
#include "llvm/Transforms/Utils/LowerAtomic.h"
#include "targets/cuda/address_space.h"

namespace rbc::cuda {
namespace {

bool IsOwn(const llvm::Value* pointer) {
  if (pointer->getType()->getPointerAddressSpace() == kLocalSpace) return true;
  llvm::SmallVector<const llvm::Value*, 4> objects;
  llvm::getUnderlyingObjects(pointer, objects);
  return llvm::all_of(objects, [](const llvm::Value* object) {
    const auto* argument = llvm::dyn_cast<llvm::Argument>(object);
    return llvm::isa<llvm::AllocaInst>(object) || (argument != nullptr && argument->hasByValAttr()) ||
           object->getType()->getPointerAddressSpace() == kLocalSpace;
  });
}

void Lower(llvm::Instruction& instruction) {
  if (auto* exchange = llvm::dyn_cast<llvm::AtomicCmpXchgInst>(&instruction);
      exchange != nullptr && IsOwn(exchange->getPointerOperand()))
    llvm::lowerAtomicCmpXchgInst(exchange);
  else if (auto* update = llvm::dyn_cast<llvm::AtomicRMWInst>(&instruction);
           update != nullptr && IsOwn(update->getPointerOperand()))
    llvm::lowerAtomicRMWInst(update);
  else if (auto* load = llvm::dyn_cast<llvm::LoadInst>(&instruction);
           load != nullptr && load->isAtomic() && IsOwn(load->getPointerOperand()))
    load->setAtomic(llvm::AtomicOrdering::NotAtomic);
  else if (auto* store = llvm::dyn_cast<llvm::StoreInst>(&instruction);
           store != nullptr && store->isAtomic() && IsOwn(store->getPointerOperand()))
    store->setAtomic(llvm::AtomicOrdering::NotAtomic);
}

}  // namespace

void LowerLocalAtomics(llvm::Module& module) {
  for (auto& function : module) {
    for (auto& instruction : llvm::make_early_inc_range(llvm::instructions(function))) {
      if (instruction.isAtomic()) Lower(instruction);
    }
  }
}

}  // namespace rbc::cuda
