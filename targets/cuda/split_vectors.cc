// Takes vectors apart.
// SPDX-License-Identifier: Apache-2.0
#include "targets/cuda/split_vectors.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/Module.h"

namespace rbc::cuda {
namespace {

bool IsSplit(const llvm::IntrinsicInst& call) {
  if (!llvm::isa<llvm::FixedVectorType>(call.getType())) return false;
  switch (call.getIntrinsicID()) {
    case llvm::Intrinsic::bswap:
    case llvm::Intrinsic::canonicalize:
    case llvm::Intrinsic::clmul:
    case llvm::Intrinsic::smul_fix:
    case llvm::Intrinsic::smul_fix_sat:
    case llvm::Intrinsic::umul_fix:
    case llvm::Intrinsic::umul_fix_sat:
      return true;
    default:
      return false;
  }
}

void Split(llvm::IntrinsicInst& call) {
  llvm::IRBuilder<> builder(&call);
  auto* vector = llvm::cast<llvm::FixedVectorType>(call.getType());
  llvm::Value* whole = llvm::PoisonValue::get(vector);
  for (unsigned i = 0; i < vector->getNumElements(); ++i) {
    llvm::SmallVector<llvm::Value*, 3> scalars;
    for (llvm::Value* argument : call.args())
      scalars.push_back(argument->getType()->isVectorTy() ? builder.CreateExtractElement(argument, i) : argument);
    auto* element = builder.CreateIntrinsic(call.getIntrinsicID(), {vector->getElementType()}, scalars);
    whole = builder.CreateInsertElement(whole, element, i);
  }
  call.replaceAllUsesWith(whole);
  call.eraseFromParent();
}

}  // namespace

void SplitVectors(llvm::Module& module) {
  for (auto& function : module) {
    for (auto& instruction : llvm::make_early_inc_range(llvm::instructions(function))) {
      if (auto* call = llvm::dyn_cast<llvm::IntrinsicInst>(&instruction); call != nullptr && IsSplit(*call))
        Split(*call);
    }
  }
}

}  // namespace rbc::cuda
