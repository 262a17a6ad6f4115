// Maps maths to libdevice.
// SPDX-License-Identifier: Apache-2.0
#include "targets/cuda/math.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "llvm/ADT/StringMap.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/Module.h"
#include "targets/cuda/libdevice.h"
#include "targets/ir/check_module.h"

namespace rbc::cuda {
namespace {

using llvm::Intrinsic::ID;

// Intrinsics that the back end aborts on or gets wrong, by the name of libdevice's double function.
struct MappedIntrinsic {
  ID id;
  const char* name;
};
constexpr MappedIntrinsic kMapped[] = {
    {llvm::Intrinsic::sin, "sin"},      {llvm::Intrinsic::cos, "cos"},        {llvm::Intrinsic::tan, "tan"},
    {llvm::Intrinsic::asin, "asin"},    {llvm::Intrinsic::acos, "acos"},      {llvm::Intrinsic::atan, "atan"},
    {llvm::Intrinsic::atan2, "atan2"},  {llvm::Intrinsic::sinh, "sinh"},      {llvm::Intrinsic::cosh, "cosh"},
    {llvm::Intrinsic::tanh, "tanh"},    {llvm::Intrinsic::exp, "exp"},        {llvm::Intrinsic::exp2, "exp2"},
    {llvm::Intrinsic::exp10, "exp10"},  {llvm::Intrinsic::log, "log"},        {llvm::Intrinsic::log2, "log2"},
    {llvm::Intrinsic::log10, "log10"},  {llvm::Intrinsic::pow, "pow"},        {llvm::Intrinsic::powi, "powi"},
    {llvm::Intrinsic::ldexp, "ldexp"},  {llvm::Intrinsic::lround, "llround"}, {llvm::Intrinsic::llround, "llround"},
    {llvm::Intrinsic::lrint, "llrint"}, {llvm::Intrinsic::llrint, "llrint"},  {llvm::Intrinsic::round, "round"},
};

// Library functions that are one exact instruction: libdevice's would not be (its sqrtf can be an approximation).
struct ExactFunction {
  const char* name;  // the double one; the float one has an f behind it
  ID id;
};
constexpr ExactFunction kExact[] = {
    {"sqrt", llvm::Intrinsic::sqrt},         {"fabs", llvm::Intrinsic::fabs},
    {"floor", llvm::Intrinsic::floor},       {"ceil", llvm::Intrinsic::ceil},
    {"trunc", llvm::Intrinsic::trunc},       {"rint", llvm::Intrinsic::rint},
    {"fma", llvm::Intrinsic::fma},           {"nearbyint", llvm::Intrinsic::nearbyint},
    {"fmin", llvm::Intrinsic::minnum},       {"fmax", llvm::Intrinsic::maxnum},
    {"copysign", llvm::Intrinsic::copysign}, {"roundeven", llvm::Intrinsic::roundeven},
};

// C names that libdevice spells otherwise.
struct Renamed {
  const char* name;
  const char* libdevice;
};
constexpr Renamed kRenamed[] = {
    {"lround", "__nv_llround"},     {"lroundf", "__nv_llroundf"},
    {"lrint", "__nv_llrint"},       {"lrintf", "__nv_llrintf"},
    {"isnan", "__nv_isnand"},       {"isnanf", "__nv_isnanf"},
    {"isinf", "__nv_isinfd"},       {"isinff", "__nv_isinff"},
    {"finite", "__nv_isfinited"},   {"finitef", "__nv_finitef"},
    {"__isnan", "__nv_isnand"},     {"__isnanf", "__nv_isnanf"},
    {"__isinf", "__nv_isinfd"},     {"__isinff", "__nv_isinff"},
    {"__finite", "__nv_isfinited"}, {"__finitef", "__nv_finitef"},
    {"__signbit", "__nv_signbitd"}, {"__signbitf", "__nv_signbitf"},
    {"drem", "__nv_remainder"},     {"dremf", "__nv_remainderf"},
    {"pow10", "__nv_exp10"},        {"pow10f", "__nv_exp10f"},
    {"gamma", "__nv_lgamma"},       {"gammaf", "__nv_lgammaf"},
    {"labs", "__nv_llabs"},         {"abs", "__nv_abs"},
    {"llabs", "__nv_llabs"},
};

class MathMapper {
 public:
  MathMapper(llvm::Module& module, Libdevice& libdevice) : module_(module), libdevice_(libdevice) {}

  Status Run() {
    for (auto& function : llvm::make_early_inc_range(module_)) {
      if (!function.isDeclaration() || function.isIntrinsic()) continue;
      RBC_RETURN_IF_ERROR(MapNamed(function));
    }
    // The calls first, because the rewriting adds and removes instructions.
    std::vector<llvm::Instruction*> found;
    for (auto& function : module_) {
      for (auto& instruction : llvm::instructions(function)) {
        if (IsMapped(instruction)) found.push_back(&instruction);
      }
    }
    for (auto* instruction : found) RBC_RETURN_IF_ERROR(Map(*instruction));
    return {};
  }

 private:
  static const char* NameOf(ID id) {
    const auto* mapped =
        std::find_if(std::begin(kMapped), std::end(kMapped), [&](const auto& m) { return m.id == id; });
    return mapped == std::end(kMapped) ? nullptr : mapped->name;
  }

  static bool IsPair(ID id) {
    return id == llvm::Intrinsic::sincos || id == llvm::Intrinsic::sincospi || id == llvm::Intrinsic::modf ||
           id == llvm::Intrinsic::frexp;
  }

  static bool IsMapped(const llvm::Instruction& instruction) {
    if (instruction.getOpcode() == llvm::Instruction::FRem) return true;
    const auto* call = llvm::dyn_cast<llvm::IntrinsicInst>(&instruction);
    if (call == nullptr) return false;
    return NameOf(call->getIntrinsicID()) != nullptr || IsPair(call->getIntrinsicID());
  }

  Error NoLibrary(std::string_view name) const {
    return Error(
        ErrorKind::kMissingSymbol,
        fmt::format("'{}' needs NVIDIA's libdevice, which this farm does not have; {}", name, HowToGetLibdevice()));
  }

  // libdevice's function of this name.
  Expected<llvm::FunctionCallee> Function(const std::string& name) {
    if (LibdevicePath().empty()) return NoLibrary(name);
    auto* type = libdevice_.TypeOf(name, module_.getContext());
    if (type == nullptr) return Error(ErrorKind::kInternal, "libdevice has no " + name);
    return Declare(name, type);
  }

  // Functions without pointers compute and do nothing else: the optimiser may move, merge and drop their calls.
  llvm::FunctionCallee Declare(const std::string& name, llvm::FunctionType* type) {
    auto callee = module_.getOrInsertFunction(name, type);
    auto* function = llvm::dyn_cast<llvm::Function>(callee.getCallee());
    if (function == nullptr || !function->isDeclaration()) return callee;
    function->addFnAttr(llvm::Attribute::NoUnwind);
    function->addFnAttr(llvm::Attribute::WillReturn);
    if (llvm::none_of(type->params(), [](llvm::Type* t) { return t->isPointerTy(); }))
      function->setDoesNotAccessMemory();
    return callee;
  }

  // A declared function of C's or CUDA's name.
  Status MapNamed(llvm::Function& function) {
    if (function.use_empty() || function.getName().starts_with("__nv_")) return {};
    if (MapExact(function)) return {};
    const std::string name = function.getName().str();
    if (LibdevicePath().empty()) return {};  // CheckSymbols() will say it
    for (const auto& candidate : LibdeviceNames(name)) {
      auto* type = libdevice_.TypeOf(candidate, module_.getContext());
      if (type == nullptr) continue;
      if (type == function.getFunctionType()) {
        function.replaceAllUsesWith(Declare(candidate, type).getCallee());
        function.eraseFromParent();
        return {};
      }
    }
    return {};
  }

  // Calls of `function` become calls of an intrinsic.
  bool MapExact(llvm::Function& function) {
    auto* type = function.getReturnType();
    if (!type->isDoubleTy() && !type->isFloatTy()) return false;
    llvm::StringRef name = function.getName();
    if (type->isFloatTy() && !name.consume_back("f")) return false;
    const auto* exact =
        std::find_if(std::begin(kExact), std::end(kExact), [&](const auto& e) { return name == e.name; });
    if (exact == std::end(kExact)) return false;
    auto* intrinsic = llvm::Intrinsic::getOrInsertDeclaration(&module_, exact->id, {type});
    if (intrinsic->getFunctionType() != function.getFunctionType()) return false;
    for (auto* user : llvm::make_early_inc_range(function.users())) {
      auto* call = llvm::dyn_cast<llvm::CallInst>(user);
      if (call == nullptr || call->getCalledOperand() != &function) return false;
      llvm::IRBuilder<> builder(call);
      builder.setFastMathFlags(llvm::isa<llvm::FPMathOperator>(call) ? call->getFastMathFlags()
                                                                     : llvm::FastMathFlags());
      llvm::SmallVector<llvm::Value*, 3> arguments(call->args());
      call->replaceAllUsesWith(builder.CreateCall(intrinsic, arguments));
      call->eraseFromParent();
    }
    if (function.use_empty()) function.eraseFromParent();
    return true;
  }

  Status Map(llvm::Instruction& instruction) {
    llvm::IRBuilder<> builder(&instruction);
    auto* call = llvm::dyn_cast<llvm::IntrinsicInst>(&instruction);
    if (call != nullptr && IsPair(call->getIntrinsicID())) return MapPair(*call, builder);
    const char* name = call == nullptr ? "fmod" : NameOf(call->getIntrinsicID());
    llvm::SmallVector<llvm::Value*, 2> operands;
    if (call != nullptr)
      operands.assign(call->arg_begin(), call->arg_end());
    else
      operands.assign(instruction.op_begin(), instruction.op_end());
    RBC_ASSIGN_OR_RETURN(auto* result, EachElement(instruction, name, operands, builder));
    instruction.replaceAllUsesWith(result);
    instruction.eraseFromParent();
    return {};
  }

  // One call for each element where the operation is of vectors.
  Expected<llvm::Value*> EachElement(llvm::Instruction& at, const char* name, llvm::ArrayRef<llvm::Value*> operands,
                                     llvm::IRBuilder<>& builder) {
    auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(at.getType());
    if (vector == nullptr) return One(at, name, operands, at.getType(), builder);
    llvm::Value* whole = llvm::PoisonValue::get(vector);
    for (unsigned i = 0; i < vector->getNumElements(); ++i) {
      llvm::SmallVector<llvm::Value*, 2> scalars;
      for (auto* operand : operands) {
        scalars.push_back(operand->getType()->isVectorTy() ? builder.CreateExtractElement(operand, i) : operand);
      }
      RBC_ASSIGN_OR_RETURN(auto* element, One(at, name, scalars, vector->getElementType(), builder));
      whole = builder.CreateInsertElement(whole, element, i);
    }
    return whole;
  }

  // The precision in which a value of this type is computed: half goes through float.
  static bool IsComputable(llvm::Type* type) {
    return type->isDoubleTy() || type->isFloatTy() || type->isHalfTy() || type->isBFloatTy();
  }

  static std::string NameFor(const char* name, llvm::Type* type) {
    return std::string("__nv_") + name + (type->isDoubleTy() ? "" : "f");
  }

  Expected<llvm::Value*> One(llvm::Instruction& at, const char* name, llvm::ArrayRef<llvm::Value*> operands,
                             llvm::Type* wanted, llvm::IRBuilder<>& builder) {
    auto* type = operands[0]->getType();
    if (!IsComputable(type)) return ir::RefuseInstruction(at, "maths of this type is not supported on GPUs");
    RBC_ASSIGN_OR_RETURN(auto function, Function(NameFor(name, type)));
    auto* expected = function.getFunctionType();
    llvm::SmallVector<llvm::Value*, 2> arguments;
    for (unsigned i = 0; i < operands.size(); ++i)
      arguments.push_back(Convert(operands[i], expected->getParamType(i), builder));
    auto* result = builder.CreateCall(function, arguments);
    return Convert(result, wanted, builder);
  }

  static llvm::Value* Convert(llvm::Value* value, llvm::Type* type, llvm::IRBuilder<>& builder) {
    if (value->getType() == type) return value;
    if (type->isIntegerTy()) return builder.CreateSExtOrTrunc(value, type);
    return builder.CreateFPCast(value, type);
  }

  // Two results: libdevice gives one or both of them through pointers.
  Status MapPair(llvm::IntrinsicInst& call, llvm::IRBuilder<>& builder) {
    auto* pair = llvm::cast<llvm::StructType>(call.getType());
    auto* type = call.getArgOperand(0)->getType();
    if (type->isVectorTy() || !IsComputable(type))
      return ir::RefuseInstruction(call, "this operation on this type is not supported on GPUs");
    auto* computed = type->isDoubleTy() ? type : builder.getFloatTy();
    llvm::IRBuilder<> entry(&*call.getFunction()->getEntryBlock().getFirstInsertionPt());
    auto* argument = Convert(call.getArgOperand(0), computed, builder);
    llvm::Value *first, *second;
    switch (call.getIntrinsicID()) {
      case llvm::Intrinsic::sincos:
      case llvm::Intrinsic::sincospi: {
        auto *sine = entry.CreateAlloca(computed), *cosine = entry.CreateAlloca(computed);
        const bool of_pi = call.getIntrinsicID() == llvm::Intrinsic::sincospi;
        RBC_ASSIGN_OR_RETURN(auto function, Function(NameFor(of_pi ? "sincospi" : "sincos", computed)));
        builder.CreateCall(function, {argument, sine, cosine});
        first = builder.CreateLoad(computed, sine);
        second = builder.CreateLoad(computed, cosine);
        break;
      }
      case llvm::Intrinsic::modf: {
        auto* whole = entry.CreateAlloca(computed);
        RBC_ASSIGN_OR_RETURN(auto function, Function(NameFor("modf", computed)));
        first = builder.CreateCall(function, {argument, whole});
        second = builder.CreateLoad(computed, whole);
        break;
      }
      default: {
        auto* exponent = entry.CreateAlloca(builder.getInt32Ty());
        RBC_ASSIGN_OR_RETURN(auto function, Function(NameFor("frexp", computed)));
        first = builder.CreateCall(function, {argument, exponent});
        second = builder.CreateLoad(builder.getInt32Ty(), exponent);
        break;
      }
    }
    llvm::Value* both = llvm::PoisonValue::get(pair);
    both = builder.CreateInsertValue(both, Convert(first, pair->getElementType(0), builder), 0);
    both = builder.CreateInsertValue(both, Convert(second, pair->getElementType(1), builder), 1);
    call.replaceAllUsesWith(both);
    call.eraseFromParent();
    return {};
  }

  llvm::Module& module_;
  Libdevice& libdevice_;
};

}  // namespace

std::vector<std::string> LibdeviceNames(std::string_view name) {
  for (const auto& renamed : kRenamed) {
    if (name == renamed.name) return {renamed.libdevice};
  }
  std::vector<std::string> names;
  if (name.starts_with("__")) {
    // CUDA's __sinf is the quick one, __fadd_rn the one and only.
    const auto bare = std::string(name.substr(2));
    names.push_back("__nv_fast_" + bare);
    names.push_back("__nv_" + bare);
  } else {
    names.push_back("__nv_" + std::string(name));
  }
  return names;
}

Status MapMath(llvm::Module& module, Libdevice& libdevice) { return MathMapper(module, libdevice).Run(); }

}  // namespace rbc::cuda
