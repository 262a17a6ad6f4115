// Refuses what selection would end the process on.
// SPDX-License-Identifier: Apache-2.0
#include "targets/cuda/check_selectable.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/Module.h"
#include "targets/ir/check_module.h"

namespace rbc::cuda {
namespace {

namespace Intrinsic = llvm::Intrinsic;

// No part of LLVM tells which intrinsics a back end lacks, so that these are the ones that were tried, each with
// integers, floating-point numbers and vectors of all widths.
constexpr Intrinsic::ID kSelectable[] = {
    // Hints and marks
    Intrinsic::allow_runtime_check, Intrinsic::allow_ubsan_check, Intrinsic::annotation, Intrinsic::arithmetic_fence,
    Intrinsic::assume, Intrinsic::codeview_annotation, Intrinsic::dbg_assign, Intrinsic::dbg_declare,
    Intrinsic::dbg_label, Intrinsic::dbg_value, Intrinsic::donothing, Intrinsic::expect,
    Intrinsic::expect_with_probability, Intrinsic::experimental_noalias_scope_decl,
    Intrinsic::experimental_widenable_condition, Intrinsic::fake_use, Intrinsic::invariant_end,
    Intrinsic::invariant_start, Intrinsic::is_constant, Intrinsic::launder_invariant_group, Intrinsic::lifetime_end,
    Intrinsic::lifetime_start, Intrinsic::objectsize, Intrinsic::prefetch, Intrinsic::ptr_annotation,
    Intrinsic::public_type_test, Intrinsic::sideeffect, Intrinsic::ssa_copy, Intrinsic::strip_invariant_group,
    Intrinsic::var_annotation,
    // Control, clocks, stack
    Intrinsic::debugtrap, Intrinsic::get_dynamic_area_offset, Intrinsic::get_rounding, Intrinsic::readcyclecounter,
    Intrinsic::readsteadycounter, Intrinsic::stackrestore, Intrinsic::stacksave, Intrinsic::trap, Intrinsic::ubsantrap,
    Intrinsic::vaend, Intrinsic::vastart,
    // Memory
    Intrinsic::experimental_memset_pattern, Intrinsic::load_relative, Intrinsic::masked_gather, Intrinsic::masked_load,
    Intrinsic::masked_scatter, Intrinsic::masked_store, Intrinsic::memcpy, Intrinsic::memcpy_inline, Intrinsic::memmove,
    Intrinsic::memset, Intrinsic::memset_inline, Intrinsic::ptrmask,
    // Integers
    Intrinsic::abs, Intrinsic::bitreverse, Intrinsic::bswap, Intrinsic::clmul, Intrinsic::ctlz, Intrinsic::ctpop,
    Intrinsic::cttz, Intrinsic::fshl, Intrinsic::fshr, Intrinsic::sadd_sat, Intrinsic::sadd_with_overflow,
    Intrinsic::scmp, Intrinsic::smax, Intrinsic::smin, Intrinsic::smul_fix, Intrinsic::smul_fix_sat,
    Intrinsic::smul_with_overflow, Intrinsic::sshl_sat, Intrinsic::ssub_sat, Intrinsic::ssub_with_overflow,
    Intrinsic::uadd_sat, Intrinsic::uadd_with_overflow, Intrinsic::ucmp, Intrinsic::umax, Intrinsic::umin,
    Intrinsic::umul_fix, Intrinsic::umul_fix_sat, Intrinsic::umul_with_overflow, Intrinsic::ushl_sat,
    Intrinsic::usub_sat, Intrinsic::usub_with_overflow,
    // Floating point
    Intrinsic::canonicalize, Intrinsic::ceil, Intrinsic::convert_from_fp16, Intrinsic::convert_to_fp16,
    Intrinsic::copysign, Intrinsic::exp2, Intrinsic::fabs, Intrinsic::floor, Intrinsic::fma, Intrinsic::fmuladd,
    Intrinsic::fptosi_sat, Intrinsic::fptoui_sat, Intrinsic::is_fpclass, Intrinsic::maximum, Intrinsic::maximumnum,
    Intrinsic::maxnum, Intrinsic::minimum, Intrinsic::minimumnum, Intrinsic::minnum, Intrinsic::nearbyint,
    Intrinsic::rint, Intrinsic::round, Intrinsic::roundeven, Intrinsic::sqrt, Intrinsic::tanh, Intrinsic::trunc,
    // Vectors
    Intrinsic::experimental_cttz_elts, Intrinsic::experimental_get_vector_length,
    Intrinsic::experimental_vector_compress, Intrinsic::experimental_vector_histogram_add,
    Intrinsic::experimental_vector_histogram_uadd_sat, Intrinsic::get_active_lane_mask, Intrinsic::stepvector,
    Intrinsic::vector_deinterleave2, Intrinsic::vector_extract, Intrinsic::vector_insert, Intrinsic::vector_interleave2,
    Intrinsic::vector_reduce_add, Intrinsic::vector_reduce_and, Intrinsic::vector_reduce_fadd,
    Intrinsic::vector_reduce_fmax, Intrinsic::vector_reduce_fmaximum, Intrinsic::vector_reduce_fmin,
    Intrinsic::vector_reduce_fminimum, Intrinsic::vector_reduce_fmul, Intrinsic::vector_reduce_mul,
    Intrinsic::vector_reduce_or, Intrinsic::vector_reduce_smax, Intrinsic::vector_reduce_smin,
    Intrinsic::vector_reduce_umax, Intrinsic::vector_reduce_umin, Intrinsic::vector_reduce_xor,
    Intrinsic::vector_reverse, Intrinsic::vector_splice_left, Intrinsic::vector_splice_right};

bool IsHalf(const llvm::Type* type) { return type->getScalarType()->isHalfTy() || type->getScalarType()->isBFloatTy(); }

// Of what is selectable, the types for which it is not. "" where all is well.
std::string_view TypeProblem(Intrinsic::ID id, llvm::Type* type) {
  const unsigned bits = type->getScalarSizeInBits();
  switch (id) {
    case Intrinsic::tanh:
    case Intrinsic::exp2:
      return type->getScalarType()->isDoubleTy() ? "this operation on this type is not supported on GPUs" : "";
    case Intrinsic::canonicalize:
      return IsHalf(type) ? "this operation on this type is not supported on GPUs" : "";
    case Intrinsic::clmul:
    case Intrinsic::smul_fix:
    case Intrinsic::smul_fix_sat:
    case Intrinsic::umul_fix:
    case Intrinsic::umul_fix_sat:
      return bits > 64 ? "this operation on this type is not supported on GPUs" : "";
    case Intrinsic::masked_store: {
      const auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(type);
      return vector != nullptr && !llvm::isPowerOf2_32(vector->getNumElements())
                 ? "masks over this number of elements are not supported on GPUs"
                 : "";
    }
    case Intrinsic::fshl:
    case Intrinsic::fshr:
      return bits > 64 && !llvm::isPowerOf2_32(bits) ? "funnel shifts of this width are not supported on GPUs" : "";
    default:
      return "";
  }
}

// Integers over 64 bits have no instructions to and from floating point, nor a library that has.
bool IsWideConversion(const llvm::Instruction& instruction) {
  const auto wide = [](const llvm::Value* value) { return value->getType()->getScalarSizeInBits() > 64; };
  switch (instruction.getOpcode()) {
    case llvm::Instruction::SIToFP:
    case llvm::Instruction::UIToFP:
      return wide(instruction.getOperand(0));
    case llvm::Instruction::FPToSI:
    case llvm::Instruction::FPToUI:
      return wide(&instruction);
    default:
      break;
  }
  const auto* call = llvm::dyn_cast<llvm::IntrinsicInst>(&instruction);
  return call != nullptr &&
         (call->getIntrinsicID() == Intrinsic::fptosi_sat || call->getIntrinsicID() == Intrinsic::fptoui_sat) &&
         wide(&instruction);
}

// Integers that end within a word of 128 bits, in it or somewhere within it.
bool HoldsOddInteger(llvm::Type* type) {
  if (auto* integer = llvm::dyn_cast<llvm::IntegerType>(type))
    return integer->getBitWidth() > 128 && integer->getBitWidth() % 64 != 0;
  return llvm::any_of(type->subtypes(), HoldsOddInteger);
}

std::string_view ParameterProblem(llvm::Type* type, const llvm::DataLayout& layout) {
  if (type->isVoidTy()) return "";
  if (!type->isSized() || layout.getTypeAllocSize(type).isZero()) return "an empty parameter is not supported on GPUs";
  const auto* integer = llvm::dyn_cast<llvm::IntegerType>(type);
  if (integer != nullptr && integer->getBitWidth() > 64 && integer->getBitWidth() < 128)
    return "a parameter of between 64 and 128 bits is not supported on GPUs";
  if (HoldsOddInteger(type)) return "a parameter over 128 bits is a multiple of 64 of them on GPUs";
  return "";
}

class SelectionChecker {
 public:
  SelectionChecker(const llvm::Module& module, const Gpu& gpu)
      : layout_(module.getDataLayout()), kernel_limit_(gpu.ptx_version < 81 ? 4352 : 32764) {}

  Status Check(const llvm::Function& function) {
    if (function.isIntrinsic()) return {};
    RBC_RETURN_IF_ERROR(CheckPrototype(function));
    for (const auto& instruction : llvm::instructions(function)) RBC_RETURN_IF_ERROR(CheckInstruction(instruction));
    return {};
  }

 private:
  Status CheckPrototype(const llvm::Function& function) {
    uint64_t bytes = 0;
    for (const auto& argument : function.args()) {
      auto* type = argument.hasByValAttr() ? argument.getParamByValType() : argument.getType();
      if (const auto why = ParameterProblem(type, layout_); !why.empty()) return ir::RefuseGlobal(function, why);
      if (argument.hasByValAttr() && argument.getParamAlign().valueOrOne() > kMaxParameterAlignment)
        return ir::RefuseGlobal(function, fmt::format("a parameter's alignment over {} is not supported on GPUs",
                                                      kMaxParameterAlignment.value()));
      bytes = llvm::alignTo(bytes, layout_.getABITypeAlign(type)) + layout_.getTypeAllocSize(type);
    }
    if (function.getCallingConv() == llvm::CallingConv::PTX_Kernel && bytes > kernel_limit_)
      return ir::RefuseGlobal(function,
                              fmt::format("a kernel's parameters take at most {} bytes, not {}", kernel_limit_, bytes));
    const auto why = ParameterProblem(function.getReturnType(), layout_);
    return why.empty() ? Status() : ir::RefuseGlobal(function, why);
  }

  Status CheckInstruction(const llvm::Instruction& instruction) {
    const auto refuse = [&](std::string_view why) { return Status(ir::RefuseInstruction(instruction, why)); };
    if (IsWideConversion(instruction))
      return refuse("conversions between floating point and integers over 64 bits are not supported on GPUs");
    if (const auto* call = llvm::dyn_cast<llvm::CallInst>(&instruction)) return CheckCall(*call);
    if ((llvm::isa<llvm::LoadInst>(instruction) && HoldsOddInteger(instruction.getType())) ||
        (llvm::isa<llvm::StoreInst>(instruction) && HoldsOddInteger(instruction.getOperand(0)->getType())))
      return refuse("an integer over 128 bits in memory is a multiple of 64 of them on GPUs");
    return {};
  }

  Status CheckCall(const llvm::CallInst& call) {
    if (call.isInlineAsm()) return {};
    if (const auto id = call.getIntrinsicID(); id != Intrinsic::not_intrinsic) return CheckIntrinsic(call, id);
    const auto* callee = llvm::dyn_cast<llvm::Function>(call.getCalledOperand()->stripPointerCastsAndAliases());
    if (callee != nullptr && callee->getFunctionType() != call.getFunctionType())
      return ir::RefuseInstruction(call, "a call with other parameters or another result than the function's");
    for (const auto& argument : call.args()) {
      if (const auto why = ParameterProblem(argument->getType(), layout_); !why.empty())
        return ir::RefuseInstruction(call, why);
    }
    const auto why = ParameterProblem(call.getType(), layout_);
    return why.empty() ? Status() : ir::RefuseInstruction(call, why);
  }

  static Status CheckIntrinsic(const llvm::CallInst& call, Intrinsic::ID id) {
    const auto name = call.getCalledFunction()->getName();
    if (name.starts_with("llvm.nvvm.")) return {};
    if (std::find(std::begin(kSelectable), std::end(kSelectable), id) == std::end(kSelectable))
      return ir::RefuseInstruction(call, fmt::format("'{}' is not supported on GPUs", std::string_view(name)));
    const bool loads = id == Intrinsic::masked_load;
    const auto why = loads              ? TypeProblem(Intrinsic::masked_store, call.getType())
                     : call.arg_empty() ? ""
                                        : TypeProblem(id, call.getArgOperand(0)->getType());
    return why.empty() ? Status() : ir::RefuseInstruction(call, why);
  }

  static constexpr llvm::Align kMaxParameterAlignment = llvm::Align::Constant<128>();
  const llvm::DataLayout& layout_;
  const uint64_t kernel_limit_;  // bytes of a kernel's parameters
};

}  // namespace

Status CheckSelectable(const llvm::Module& module, const Gpu& gpu) {
  SelectionChecker checker(module, gpu);
  for (const auto& function : module) RBC_RETURN_IF_ERROR(checker.Check(function));
  return {};
}

}  // namespace rbc::cuda
