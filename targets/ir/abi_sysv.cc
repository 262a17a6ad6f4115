// The System V x86-64 table, as clang writes it in IR. Checked against clang itself by tests/targets.
// SPDX-License-Identifier: Apache-2.0
#include "targets/ir/abi_sysv.h"

#include <algorithm>

#include "llvm/IR/DerivedTypes.h"

namespace rbc::ir {
namespace {

using Way = SysvPassing::Way;

bool IsX87(const Leaf& leaf) { return leaf.type->isX86_FP80Ty(); }
bool IsSse(const Leaf& leaf) { return leaf.type->isFloatingPointTy() && !IsX87(leaf); }

// The leaves in [from, from + 8).
std::vector<Leaf> Eightbyte(const Value& value, uint64_t from) {
  std::vector<Leaf> part;
  for (const Leaf& leaf : value.leaves) {
    if (leaf.offset < from + 8 && leaf.offset + leaf.size > from) part.push_back(leaf);
  }
  return part;
}

const Leaf* LeafAt(const std::vector<Leaf>& leaves, uint64_t offset) {
  const auto found =
      std::find_if(leaves.begin(), leaves.end(), [&](const Leaf& leaf) { return leaf.offset == offset; });
  return found == leaves.end() ? nullptr : &*found;
}

// An integer of the one member's own width if the rest of the eight bytes is padding, else of all bytes that are left.
llvm::Type* IntegerPiece(const Value& value, const std::vector<Leaf>& part, uint64_t from, llvm::LLVMContext& context) {
  const Leaf* first = LeafAt(part, from);
  if (first != nullptr && part.size() == 1 && !first->type->isFloatingPointTy() && first->size <= 8) return first->type;
  return llvm::IntegerType::get(context, 8 * std::min<uint64_t>(8, value.size - from));
}

llvm::Type* SsePiece(const std::vector<Leaf>& part, uint64_t from, llvm::LLVMContext& context) {
  auto* half = llvm::Type::getHalfTy(context);
  auto* single = llvm::Type::getFloatTy(context);
  const auto is = [&](uint64_t at, llvm::Type* type) {
    const Leaf* leaf = LeafAt(part, from + at);
    return leaf != nullptr && leaf->type == type;
  };
  if (part.size() == 1) return part[0].type;
  if (is(0, single) && is(4, single)) return llvm::FixedVectorType::get(single, 2);
  if (part.size() == 2 && is(0, half) && is(2, half)) return llvm::FixedVectorType::get(half, 2);
  return llvm::FixedVectorType::get(half, 4);
}

bool IsAggregate(const Value& value) {
  return value.type.is(types::Kind::kStruct) || value.type.is(types::Kind::kComplex) ||
         value.type.is(types::Kind::kArray);
}

bool HasX87(const Value& value) { return std::any_of(value.leaves.begin(), value.leaves.end(), IsX87); }

// The pieces of what travels in registers: at most 16 bytes, no x87 among them.
std::vector<Piece> RegisterPieces(const Value& value, llvm::LLVMContext& context) {
  std::vector<Piece> pieces;
  for (uint64_t from = 0; from < value.size; from += 8) {
    const auto part = Eightbyte(value, from);
    if (part.empty()) continue;
    const bool sse = std::all_of(part.begin(), part.end(), IsSse);
    pieces.push_back({sse ? SsePiece(part, from, context) : IntegerPiece(value, part, from, context), from});
  }
  return pieces;
}

bool IsSseType(llvm::Type* type) { return type->isFloatingPointTy() || type->isVectorTy(); }

// A scalar in its own IR type; bool travels as i1.
llvm::Type* ScalarPiece(const Value& value, llvm::LLVMContext& context) {
  return value.leaves[0].is_bool ? llvm::Type::getInt1Ty(context) : value.leaves[0].type;
}

}  // namespace

SysvPassing SysvLowering::Result(const Value& value) {
  if (value.leaves.empty()) return {};
  const bool wide = value.leaves[0].type->isIntegerTy(128);
  if (!IsAggregate(value) && !wide) return {Way::kPieces, {{ScalarPiece(value, context_), 0}}};
  if (HasX87(value)) {
    // A complex of long doubles comes back on the x87 stack, and so does a struct of one long double.
    if (value.type.is(types::Kind::kComplex))
      return {Way::kPieces, {{value.leaves[0].type, 0}, {value.leaves[1].type, 16}}};
    if (value.size == 16) return {Way::kPieces, {{value.leaves[0].type, 0}}};
  }
  if (value.size > 16) {
    --integer_left_;
    return {Way::kMemory, {}};
  }
  return {Way::kPieces, RegisterPieces(value, context_)};
}

SysvPassing SysvLowering::Overflow(const Value& value) const {
  // clang passes a small aggregate as an integer once no register is left that byval's copy could have used.
  if (integer_left_ == 0 && value.size <= 8) {
    return {Way::kPieces, {{llvm::IntegerType::get(context_, 8 * value.size), 0}}};
  }
  return {Way::kMemory, {}};
}

SysvPassing SysvLowering::Parameter(const Value& value) {
  if (value.leaves.empty()) return {};
  if (!IsAggregate(value) && HasX87(value)) return {Way::kPieces, {{value.leaves[0].type, 0}}};
  if (value.size > 16 || HasX87(value)) return {Way::kMemory, {}};
  auto pieces = RegisterPieces(value, context_);
  const unsigned sse = std::count_if(pieces.begin(), pieces.end(), [](const Piece& p) { return IsSseType(p.type); });
  const unsigned integer = pieces.size() - sse;
  const bool fits = integer <= integer_left_ && sse <= sse_left_;
  if (fits) {
    integer_left_ -= integer;
    sse_left_ -= sse;
  }
  if (IsAggregate(value)) return fits ? SysvPassing{Way::kPieces, std::move(pieces)} : Overflow(value);
  // A scalar that finds no register goes to the stack under its own type; so does a 128-bit integer.
  if (pieces.size() == 1 || !fits) pieces = {{ScalarPiece(value, context_), 0}};
  return {Way::kPieces, std::move(pieces)};
}

bool IsSamePiece(llvm::Type* found, const Piece& piece, const Value& value) {
  if (found == piece.type) return true;
  if (!IsAggregate(value)) return value.leaves[0].is_bool && found->isIntegerTy(8);
  uint64_t used = 0;  // bytes of the piece that hold data
  for (const Leaf& leaf : Eightbyte(value, piece.offset)) {
    used = std::max(used, std::min(leaf.offset + leaf.size, piece.offset + 8) - piece.offset);
  }
  const uint64_t bits = found->isPointerTy() ? 64 : found->getPrimitiveSizeInBits().getKnownMinValue();
  if (bits > 64 || bits < used * 8 || IsSseType(found) != IsSseType(piece.type)) return false;
  return found->isIntegerTy() || found->isPointerTy() || (IsSseType(found) && !found->isX86_FP80Ty());
}

}  // namespace rbc::ir
