// Recognises functions of two values that may run on whole vectors.
// SPDX-License-Identifier: Apache-2.0
#include "targets/ir/combine.h"

#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/Module.h"

namespace rbc::ir {
namespace {

// What the entry stores as its result if that is all it does, else null.
const llvm::Value* OnlyResult(const llvm::Function& call) {
  if (call.size() != 1) return nullptr;
  const llvm::Value* stored = nullptr;
  for (const auto& instruction : llvm::instructions(call)) {
    if (const auto* store = llvm::dyn_cast<llvm::StoreInst>(&instruction)) {
      if (stored != nullptr || store->getPointerOperand() != call.getArg(1) || !store->isSimple()) return nullptr;
      stored = store->getValueOperand();
    } else if (const auto* end = llvm::dyn_cast<llvm::ReturnInst>(&instruction)) {
      const auto* status = llvm::dyn_cast<llvm::ConstantInt>(end->getReturnValue());
      if (status == nullptr || !status->isZero()) return nullptr;
    } else if (instruction.mayHaveSideEffects()) {
      return nullptr;
    }
  }
  return stored;
}

// Which parameter a value is, loaded from the frame; -1: none.
int ParameterOf(const llvm::Value* value, const llvm::Function& call, const MatchedFunction& match) {
  const auto* load = llvm::dyn_cast<llvm::LoadInst>(value);
  if (load == nullptr || !load->isSimple()) return -1;
  const auto& layout = call.getParent()->getDataLayout();
  llvm::APInt offset(64, 0);
  const auto* base = load->getPointerOperand()->stripAndAccumulateConstantOffsets(layout, offset, true);
  if (base != call.getArg(0)) return -1;
  for (int i = 0; i < 2; ++i) {
    if (offset == match.frame.slots()[i].offset) return i;
  }
  return -1;
}

class Recognizer {
 public:
  Recognizer(const llvm::Function& call, const MatchedFunction& match) : call_(call), match_(match) {}

  // A value of IR covers the whole parameter, so that both are loaded as they are.
  std::optional<VectorCombine> Find(const llvm::Value* result) const {
    if (result == nullptr || !(result->getType()->isIntegerTy() || result->getType()->isFloatingPointTy())) return {};
    const auto& layout = call_.getParent()->getDataLayout();
    if (layout.getTypeAllocSize(result->getType()) != match_.result.size || match_.result.leaves.size() != 1 ||
        match_.result.leaves[0].is_bool || layout.getTypeSizeInBits(result->getType()) != 8 * match_.result.size)
      return {};
    if (const auto* binary = llvm::dyn_cast<llvm::BinaryOperator>(result)) return OfBinary(*binary);
    if (const auto* intrinsic = llvm::dyn_cast<llvm::IntrinsicInst>(result)) return OfIntrinsic(*intrinsic);
    if (const auto* select = llvm::dyn_cast<llvm::SelectInst>(result)) return OfSelect(*select);
    return {};
  }

 private:
  bool AreBoth(const llvm::Value* a, const llvm::Value* b) const {
    const int first = ParameterOf(a, call_, match_), second = ParameterOf(b, call_, match_);
    return first >= 0 && second >= 0 && first != second;
  }

  std::optional<VectorCombine> OfBinary(const llvm::BinaryOperator& binary) const {
    if (!binary.isCommutative() || !AreBoth(binary.getOperand(0), binary.getOperand(1))) return {};
    const auto opcode = binary.getOpcode();
    const auto flags = llvm::isa<llvm::FPMathOperator>(binary) ? binary.getFastMathFlags() : llvm::FastMathFlags();
    // Wrapping flags are dropped: other orders have other intermediate values.
    return VectorCombine{binary.getType(), [=](llvm::IRBuilder<>& builder, llvm::Value* left, llvm::Value* right) {
                           auto* made = builder.CreateBinOp(opcode, left, right);
                           if (auto* operation = llvm::dyn_cast<llvm::Instruction>(made);
                               operation != nullptr && llvm::isa<llvm::FPMathOperator>(operation))
                             operation->setFastMathFlags(flags);
                           return made;
                         }};
  }

  std::optional<VectorCombine> OfIntrinsic(const llvm::IntrinsicInst& intrinsic) const {
    const auto id = intrinsic.getIntrinsicID();
    switch (id) {
      case llvm::Intrinsic::smin:
      case llvm::Intrinsic::smax:
      case llvm::Intrinsic::umin:
      case llvm::Intrinsic::umax:
      case llvm::Intrinsic::minnum:
      case llvm::Intrinsic::maxnum:
      case llvm::Intrinsic::minimum:
      case llvm::Intrinsic::maximum:
        break;
      default:
        return {};
    }
    if (!AreBoth(intrinsic.getArgOperand(0), intrinsic.getArgOperand(1))) return {};
    return VectorCombine{intrinsic.getType(), [=](llvm::IRBuilder<>& builder, llvm::Value* left, llvm::Value* right) {
                           return builder.CreateBinaryIntrinsic(id, left, right);
                         }};
  }

  // a < b ? a : b and its relatives, for floating point.
  std::optional<VectorCombine> OfSelect(const llvm::SelectInst& select) const {
    const auto* compare = llvm::dyn_cast<llvm::FCmpInst>(select.getCondition());
    if (compare == nullptr || !llvm::CmpInst::isRelational(compare->getPredicate())) return {};
    const auto *a = compare->getOperand(0), *b = compare->getOperand(1);
    const bool straight = select.getTrueValue() == a && select.getFalseValue() == b;
    const bool crossed = select.getTrueValue() == b && select.getFalseValue() == a;
    if (!(straight || crossed) || !AreBoth(a, b)) return {};
    const bool a_is_left = ParameterOf(a, call_, match_) == 0;
    const auto predicate = compare->getPredicate();
    return VectorCombine{select.getType(), [=](llvm::IRBuilder<>& builder, llvm::Value* left, llvm::Value* right) {
                           auto *x = a_is_left ? left : right, *y = a_is_left ? right : left;
                           auto* chosen = builder.CreateFCmp(predicate, x, y);
                           return builder.CreateSelect(chosen, straight ? x : y, straight ? y : x);
                         }};
  }

  const llvm::Function& call_;
  const MatchedFunction& match_;
};

}  // namespace

std::optional<VectorCombine> SimpleCombine(const llvm::Function& call, const MatchedFunction& match) {
  return Recognizer(call, match).Find(OnlyResult(call));
}

}  // namespace rbc::ir
