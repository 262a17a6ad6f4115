// Matches signature and abi with an IR function type.
// SPDX-License-Identifier: Apache-2.0
#include "targets/ir/declarations.h"

#include <fmt/format.h>

#include "llvm/IR/DerivedTypes.h"
#include "llvm/IR/Function.h"
#include "llvm/IR/Module.h"
#include "targets/ir/abi_sysv.h"
#include "targets/ir/diagnostics.h"

namespace rbc::ir {
namespace {

Error Mismatch(const FunctionDeclaration& declaration, std::string_view what) {
  Error error(ErrorKind::kInvalidModule, fmt::format("'{}' does not match its signature `{}`: {}",
                                                     Bounded(declaration.symbol, 200), declaration.signature, what));
  error.function = declaration.symbol;
  return error;
}

// Walks the IR parameters while the signature's are consumed.
class Matcher {
 public:
  Matcher(const FunctionDeclaration& declaration, MatchedFunction* match)
      : declaration_(declaration),
        match_(match),
        function_(*match->function),
        context_(function_.getContext()),
        layout_(function_.getDataLayout()) {}

  Status Match() {
    switch (declaration_.abi) {
      case Abi::kDirect:
        RBC_RETURN_IF_ERROR(DirectResult());
        RBC_RETURN_IF_ERROR(DirectParameters());
        break;
      case Abi::kSysv:
        RBC_RETURN_IF_ERROR(Sysv());
        break;
      case Abi::kStatusRetptr:
        RBC_RETURN_IF_ERROR(StatusRetptr());
        break;
      default:
        return Error(ErrorKind::kUnsupported, fmt::format("'{}': this target has no such abi ({})", declaration_.symbol,
                                                          static_cast<int>(declaration_.abi)));
    }
    if (next_ != function_.arg_size()) {
      return Fail(
          fmt::format("the function takes {} IR parameters, the signature makes {}", function_.arg_size(), next_));
    }
    return {};
  }

 private:
  Error Fail(std::string_view what) const { return Mismatch(declaration_, what); }

  Error FailParameter(size_t index, llvm::Type* expected) const {
    const auto found = next_ < function_.arg_size() ? Spell(function_.getArg(next_)->getType()) : "missing";
    return Fail(fmt::format("parameter {} is expected as {}, found is {}", index + 1, Spell(expected), found));
  }

  llvm::Type* NextType() const { return next_ < function_.arg_size() ? function_.getArg(next_)->getType() : nullptr; }

  void Take(Operand::Source source, size_t parameter, Piece piece = {}) {
    match_->operands.push_back({source, static_cast<uint32_t>(parameter), piece});
    ++next_;
  }

  Error FailResult(llvm::Type* expected) const {
    return Fail(
        fmt::format("the result is expected as {}, found is {}", Spell(expected), Spell(function_.getReturnType())));
  }

  Status DirectResult() {
    auto* found = function_.getReturnType();
    const Value& result = match_->result;
    if (result.type.is(types::Kind::kVoid) ? found->isVoidTy() : HasLayoutOf(found, result, layout_)) {
      match_->returns = found->isVoidTy() ? Returns::kNothing : Returns::kValue;
      return {};
    }
    return FailResult(DirectType(result, context_));
  }

  Status DirectParameters() {
    for (size_t i = 0; i < match_->parameters.size(); ++i) RBC_RETURN_IF_ERROR(DirectParameter(i));
    return {};
  }

  // As one IR value, or, as numba flattens it, as one for each scalar.
  Status DirectParameter(size_t index) {
    const Value& value = match_->parameters[index];
    if (value.type.is(types::Kind::kArray)) return ArrayParts(index);
    auto* whole = NextType();
    if (whole != nullptr && HasLayoutOf(whole, value, layout_)) {
      Take(Operand::Source::kPiece, index, {whole, 0});
      return {};
    }
    auto* expected = DirectType(value, context_);
    if (value.leaves.size() < 2) return FailParameter(index, expected);
    for (const Leaf& leaf : value.leaves) {
      auto* found = NextType();
      if (found == nullptr || !IsLeaf(found, leaf)) return FailParameter(index, expected);
      Take(Operand::Source::kPiece, index, {found, leaf.offset});
    }
    return {};
  }

  // A pointer and numbers, each a parameter of its own.
  Status ArrayParts(size_t index) {
    for (const Leaf& leaf : match_->parameters[index].leaves) {
      if (NextType() != leaf.type) return FailParameter(index, leaf.type);
      Take(Operand::Source::kPiece, index, {leaf.type, leaf.offset});
    }
    return {};
  }

  Status StatusRetptr() {
    if (!function_.getReturnType()->isIntegerTy(32)) return FailResult(llvm::Type::getInt32Ty(context_));
    match_->returns = Returns::kStatus;
    auto* pointer = llvm::PointerType::get(context_, 0);
    if (NextType() != pointer) return Fail("the first IR parameter is not a pointer to the result");
    Take(Operand::Source::kResultPointer, 0);
    const unsigned before = next_;
    if (AllFit()) return {};
    Restart(before);
    if (IsPointer(before)) {
      // numba's CPU convention has one more pointer behind the result's.
      Take(Operand::Source::kScratch, 0);
      if (AllFit()) return {};
      Restart(before);
    }
    return DirectParameters();
  }

  bool IsPointer(unsigned argument) const {
    return argument < function_.arg_size() && function_.getArg(argument)->getType()->isPointerTy();
  }
  bool AllFit() { return DirectParameters() && next_ == function_.arg_size(); }
  // As if nothing were matched from this IR parameter on, which is also an operand each.
  void Restart(unsigned from) {
    next_ = from;
    match_->operands.resize(from);
  }

  Status Sysv() {
    SysvLowering lowering(context_);
    RBC_RETURN_IF_ERROR(SysvResult(lowering.Result(match_->result)));
    for (size_t i = 0; i < match_->parameters.size(); ++i) {
      const Value& parameter = match_->parameters[i];
      if (parameter.type.is(types::Kind::kArray)) {
        RBC_RETURN_IF_ERROR(SysvArray(i, &lowering));
      } else {
        RBC_RETURN_IF_ERROR(SysvParameter(i, lowering.Parameter(parameter)));
      }
    }
    return {};
  }

  // Each part counts as a parameter of the C prototype.
  Status SysvArray(size_t index, SysvLowering* lowering) {
    for (const Leaf& leaf : match_->parameters[index].leaves) {
      Value part;
      part.type = types::Type::Int(64);
      part.leaves = {{leaf.type, 0, leaf.size}};
      part.size = leaf.size;
      lowering->Parameter(part);
    }
    return ArrayParts(index);
  }

  llvm::Type* TypeOf(const std::vector<Piece>& pieces) const {
    if (pieces.size() == 1) return pieces[0].type;
    return llvm::StructType::get(pieces[0].type, pieces[1].type);
  }

  Status SysvResult(const SysvPassing& passing) {
    auto* found = function_.getReturnType();
    if (passing.way != SysvPassing::Way::kPieces) {
      if (!found->isVoidTy()) return FailResult(llvm::Type::getVoidTy(context_));
      if (passing.way == SysvPassing::Way::kNothing) return {};
      if (NextType() != llvm::PointerType::get(context_, 0))
        return Fail("the first IR parameter is not a pointer to the result (sret)");
      Take(Operand::Source::kResultPointer, 0);
      return {};
    }
    match_->returns = Returns::kValue;
    const Value& result = match_->result;
    if (HasLayoutOf(found, result, layout_) && result.leaves.size() == 1) return {};
    if (passing.pieces.size() == 1 && IsSamePiece(found, passing.pieces[0], result)) return {};
    const auto* pair = llvm::dyn_cast<llvm::StructType>(found);
    if (passing.pieces.size() == 2 && pair != nullptr && pair->getNumElements() == 2 &&
        layout_.getStructLayout(llvm::cast<llvm::StructType>(found))->getElementOffset(1) == passing.pieces[1].offset &&
        IsSamePiece(pair->getElementType(0), passing.pieces[0], result) &&
        IsSamePiece(pair->getElementType(1), passing.pieces[1], result)) {
      return {};
    }
    return FailResult(TypeOf(passing.pieces));
  }

  Status SysvParameter(size_t index, const SysvPassing& passing) {
    const Value& value = match_->parameters[index];
    if (passing.way == SysvPassing::Way::kNothing) return {};
    if (passing.way == SysvPassing::Way::kMemory) return SysvMemory(index);
    // A 128-bit integer is two registers' worth for clang up to 17 and one IR value after.
    if (value.leaves.size() == 1 && NextType() == value.leaves[0].type) {
      Take(Operand::Source::kPiece, index, {value.leaves[0].type, 0});
      return {};
    }
    for (const Piece& piece : passing.pieces) {
      auto* found = NextType();
      if (found == nullptr || found->isAggregateType() || !IsSamePiece(found, piece, value))
        return FailParameter(index, piece.type);
      Take(Operand::Source::kPiece, index, {found, piece.offset});
    }
    return {};
  }

  Status SysvMemory(size_t index) {
    auto* found = NextType();
    if (found == nullptr || !function_.hasParamAttribute(next_, llvm::Attribute::ByVal)) {
      return Fail(fmt::format("parameter {} is expected in memory (ptr byval), found is {}", index + 1,
                              found == nullptr ? "missing" : Spell(found)));
    }
    if (layout_.getTypeAllocSize(function_.getParamByValType(next_)) != match_->parameters[index].size) {
      return Fail(fmt::format("parameter {} in memory has {} bytes, its type has {}", index + 1,
                              layout_.getTypeAllocSize(function_.getParamByValType(next_)).getFixedValue(),
                              match_->parameters[index].size));
    }
    Take(Operand::Source::kByval, index);
    return {};
  }

  const FunctionDeclaration& declaration_;
  MatchedFunction* match_;
  llvm::Function& function_;
  llvm::LLVMContext& context_;
  const llvm::DataLayout& layout_;
  unsigned next_ = 0;  // IR parameter
};

Expected<llvm::Function*> FindDefinition(llvm::Module& module, const std::string& symbol) {
  const auto fail = [&](std::string_view why) {
    Error error(ErrorKind::kInvalidModule, fmt::format("'{}' {}", Bounded(symbol, 200), why));
    error.function = symbol;
    return error;
  };
  llvm::GlobalValue* found = module.getNamedValue(symbol);
  if (found == nullptr) return fail("is declared by the client, but the module has no such function");
  if (auto* alias = llvm::dyn_cast<llvm::GlobalAlias>(found)) found = alias->getAliaseeObject();
  auto* function = llvm::dyn_cast_or_null<llvm::Function>(found);
  if (function == nullptr) return fail("is not a function of the module");
  if (function->isDeclaration()) return fail("is declared in the module but not defined there");
  if (function->isVarArg()) return fail("takes variable arguments, which no signature has");
  return function;
}

}  // namespace

Status CheckDefined(llvm::Module& module, const std::vector<FunctionDeclaration>& declarations) {
  for (const auto& declaration : declarations) {
    if (auto function = FindDefinition(module, declaration.symbol); !function) return std::move(function).error();
  }
  return {};
}

Expected<MatchedFunction> MatchDeclaration(llvm::Module& module, const FunctionDeclaration& declaration) {
  MatchedFunction match;
  RBC_ASSIGN_OR_RETURN(const auto signature, types::Type::Parse(declaration.signature));
  RBC_ASSIGN_OR_RETURN(match.frame, types::FrameLayout::Make(signature));
  RBC_ASSIGN_OR_RETURN(match.function, FindDefinition(module, declaration.symbol));
  auto& context = module.getContext();
  RBC_ASSIGN_OR_RETURN(match.result, DescribeResult(signature.result(), context));
  for (const auto& parameter : signature.parameters()) {
    RBC_ASSIGN_OR_RETURN(auto value, DescribeValue(parameter, context));
    match.parameters.push_back(std::move(value));
  }
  RBC_RETURN_IF_ERROR(Matcher(declaration, &match).Match());
  return match;
}

}  // namespace rbc::ir
