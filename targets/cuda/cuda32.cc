// Checks that a module does not depend on the size of its pointers.
// SPDX-License-Identifier: Apache-2.0
#include "targets/cuda/cuda32.h"

#include <algorithm>
#include <string_view>

#include "llvm/ADT/SmallPtrSet.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/GetElementPtrTypeIterator.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/Intrinsics.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/Operator.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Transforms/IPO/AlwaysInliner.h"
#include "llvm/Transforms/Scalar/EarlyCSE.h"
#include "llvm/Transforms/Scalar/SROA.h"
#include "targets/cuda/nvptx.h"
#include "targets/ir/analyses.h"
#include "targets/ir/check_module.h"

namespace rbc::cuda {
namespace {

// Pointers that a compiler keeps on the stack at -O0 vanish into values.
void Simplify(llvm::Module& module) {
  ir::Analyses analyses;
  llvm::PassBuilder builder;
  analyses.Register(builder);
  llvm::ModulePassManager passes;
  passes.addPass(llvm::AlwaysInlinerPass());
  llvm::FunctionPassManager each;
  each.addPass(llvm::SROAPass(llvm::SROAOptions::ModifyCFG));
  each.addPass(llvm::EarlyCSEPass());
  passes.addPass(llvm::createModuleToFunctionPassAdaptor(std::move(each)));
  passes.run(module, analyses.modules);
}

bool HoldsPointer(llvm::Type* type) {
  if (type->isPtrOrPtrVectorTy()) return true;
  if (auto* array = llvm::dyn_cast<llvm::ArrayType>(type)) return HoldsPointer(array->getElementType());
  if (auto* aggregate = llvm::dyn_cast<llvm::StructType>(type))
    return llvm::any_of(aggregate->elements(), [](llvm::Type* member) { return HoldsPointer(member); });
  return false;
}

class WidthChecker {
 public:
  explicit WidthChecker(const llvm::Module& module) : module_(module) {}

  Status Check() {
    for (const auto& variable : module_.globals()) {
      if (HoldsPointer(variable.getValueType()))
        return ir::RefuseGlobal(variable, "a variable that holds pointers is not supported on cuda32");
      if (variable.hasInitializer() && DependsOnWidth(variable.getInitializer()))
        return ir::RefuseGlobal(variable, "an initial value computed from addresses is not supported on cuda32");
    }
    for (const auto& function : module_) {
      RBC_RETURN_IF_ERROR(CheckParameters(function));
      for (const auto& instruction : llvm::instructions(function)) RBC_RETURN_IF_ERROR(CheckInstruction(instruction));
    }
    return {};
  }

 private:
  Status CheckParameters(const llvm::Function& function) {
    for (unsigned i = 0; i < function.arg_size(); ++i) {
      for (auto* type : {function.getParamByValType(i), function.getParamStructRetType(i)}) {
        if (type != nullptr && HoldsPointer(type))
          return ir::RefuseGlobal(function, "a parameter in memory that holds pointers is not supported on cuda32");
      }
    }
    return {};
  }

  // Conversions between pointers and numbers, anywhere within a constant.
  bool DependsOnWidth(const llvm::Constant* constant) const {
    llvm::SmallPtrSet<const llvm::Constant*, 8> seen;
    llvm::SmallVector<const llvm::Constant*, 8> work = {constant};
    while (!work.empty()) {
      const auto* next = work.pop_back_val();
      if (llvm::isa<llvm::GlobalValue>(next) || !seen.insert(next).second) continue;
      if (const auto* expression = llvm::dyn_cast<llvm::ConstantExpr>(next)) {
        if (expression->getOpcode() == llvm::Instruction::PtrToInt ||
            expression->getOpcode() == llvm::Instruction::IntToPtr ||
            expression->getOpcode() == llvm::Instruction::PtrToAddr)
          return true;
        const auto* element = llvm::dyn_cast<llvm::GEPOperator>(expression);
        if (element != nullptr && !ElementProblem(*element).empty()) return true;
      }
      for (const auto& operand : next->operands()) {
        if (const auto* inner = llvm::dyn_cast<llvm::Constant>(operand)) work.push_back(inner);
      }
    }
    return false;
  }

  // Of the bytes that a constant index steps over: 32 bits of them are added as they are.
  unsigned StepBits(const llvm::ConstantInt& number, const llvm::gep_type_iterator& at) const {
    if (at.isStruct()) return 32;
    const llvm::APInt index = number.getValue().sextOrTrunc(std::max(128u, number.getBitWidth()));
    const uint64_t size = at.getSequentialElementStride(module_.getDataLayout()).getKnownMinValue();
    return (index * llvm::APInt(index.getBitWidth(), size)).getSignificantBits();
  }

  // Where the address may differ once indices have 64 bits.
  std::string ElementProblem(const llvm::GEPOperator& element) const {
    if (HoldsPointer(element.getSourceElementType()))
      return "steps over pointers in memory are not supported on cuda32";
    for (auto at = llvm::gep_type_begin(element); at != llvm::gep_type_end(element); ++at) {
      const llvm::Value* index = at.getOperand();
      if (const auto* number = llvm::dyn_cast<llvm::ConstantInt>(index)) {
        if (StepBits(*number, at) > 32) return "an offset of more than 32 bits is not supported on cuda32";
        continue;
      }
      // Of these a wider index keeps its value when it is cut to 32 bits.
      if (element.isInBounds() || element.hasNoUnsignedSignedWrap()) continue;
      return index->getType()->getScalarSizeInBits() > 32
                 ? "an index of more than 32 bits is not supported on cuda32: make it inbounds"
                 : "an index that may wrap around at 32 bits is not supported on cuda32: make it inbounds";
    }
    return {};
  }

  Status CheckInstruction(const llvm::Instruction& instruction) {
    const auto refuse = [&](std::string_view why) { return ir::RefuseInstruction(instruction, why); };
    for (const llvm::Value* operand : instruction.operands()) {
      if (const auto* constant = llvm::dyn_cast<llvm::Constant>(operand);
          constant != nullptr && DependsOnWidth(constant))
        return refuse("numbers made of pointers are not supported on cuda32");
    }
    switch (instruction.getOpcode()) {
      case llvm::Instruction::PtrToInt:
      case llvm::Instruction::PtrToAddr:
      case llvm::Instruction::IntToPtr:
        return refuse("conversions between pointers and numbers are not supported on cuda32");
      case llvm::Instruction::Load:
        return HoldsPointer(instruction.getType()) ? refuse(kNoPointersInMemory) : Status();
      case llvm::Instruction::Store:
        return HoldsPointer(instruction.getOperand(0)->getType()) ? Status(refuse(kNoPointersInMemory)) : Status();
      case llvm::Instruction::AtomicCmpXchg:
        return HoldsPointer(instruction.getOperand(1)->getType()) ? Status(refuse(kNoPointersInMemory)) : Status();
      case llvm::Instruction::AtomicRMW:
        return HoldsPointer(instruction.getType()) ? refuse(kNoPointersInMemory) : Status();
      case llvm::Instruction::Alloca:
        return HoldsPointer(llvm::cast<llvm::AllocaInst>(instruction).getAllocatedType())
                   ? Status(refuse(kNoPointersInMemory))
                   : Status();
      case llvm::Instruction::Call:
        return CheckCall(llvm::cast<llvm::CallInst>(instruction));
      case llvm::Instruction::GetElementPtr: {
        const auto why = ElementProblem(llvm::cast<llvm::GEPOperator>(instruction));
        return why.empty() ? Status() : Status(refuse(why));
      }
      default:
        return {};
    }
  }

  // Intrinsics that reach into memory for vectors of pointers, or into a pointer for its bits.
  static Status CheckCall(const llvm::CallInst& call) {
    const auto pointers = [&](const llvm::Type* type) {
      return type->getScalarType()->isPointerTy() ? Status(ir::RefuseInstruction(call, kNoPointersInMemory)) : Status();
    };
    switch (call.getIntrinsicID()) {
      case llvm::Intrinsic::masked_load:
      case llvm::Intrinsic::masked_gather:
        return pointers(call.getType());
      case llvm::Intrinsic::masked_store:
      case llvm::Intrinsic::masked_scatter:
        return pointers(call.getArgOperand(0)->getType());
      case llvm::Intrinsic::ptrmask:
        return ir::RefuseInstruction(call, "conversions between pointers and numbers are not supported on cuda32");
      default:
        return {};
    }
  }

  static constexpr std::string_view kNoPointersInMemory = "pointers in memory are not supported on cuda32";
  const llvm::Module& module_;
};

}  // namespace

Status WidenPointers(llvm::Module& module) {
  Simplify(module);
  return WidthChecker(module).Check();
}

}  // namespace rbc::cuda
