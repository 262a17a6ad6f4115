// From types/ to LLVM types.
// SPDX-License-Identifier: Apache-2.0
#include "targets/ir/signature.h"

#include "llvm/IR/DataLayout.h"
#include "llvm/IR/DerivedTypes.h"
#include "llvm/Support/raw_ostream.h"
#include "types/array.h"
#include "types/data_model.h"
#include "types/frame.h"

namespace rbc::ir {
namespace {

llvm::Type* FloatType(uint32_t bits, llvm::LLVMContext& context) {
  switch (bits) {
    case 16:
      return llvm::Type::getHalfTy(context);
    case 32:
      return llvm::Type::getFloatTy(context);
    case 64:
      return llvm::Type::getDoubleTy(context);
    case 128:
      return llvm::Type::getX86_FP80Ty(context);
    default:
      return nullptr;
  }
}

// nullptr: not a scalar that a register or a memory word can hold.
llvm::Type* ScalarType(const types::Type& type, llvm::LLVMContext& context) {
  switch (type.kind()) {
    case types::Kind::kBool:
      return llvm::Type::getInt8Ty(context);
    case types::Kind::kChar:
    case types::Kind::kInt:
    case types::Kind::kUint:
      return llvm::Type::getIntNTy(context, type.bits());
    case types::Kind::kFloat:
      return FloatType(type.bits(), context);
    case types::Kind::kString:
    case types::Kind::kPointer:
      return llvm::PointerType::get(context, 0);
    default:
      return nullptr;
  }
}

Error CannotHold(const types::Type& type) {
  return Error(ErrorKind::kUnsupported, "the host target cannot hold a value of type `" + type.ToString() + "`");
}

Status AppendLeaves(const types::Type& type, uint64_t offset, llvm::LLVMContext& context, std::vector<Leaf>* leaves) {
  if (type.is(types::Kind::kStruct)) {
    RBC_ASSIGN_OR_RETURN(const auto layout, types::LayoutOfStruct(type));
    for (size_t i = 0; i < type.members().size(); ++i) {
      RBC_RETURN_IF_ERROR(AppendLeaves(type.members()[i], offset + layout.offsets[i], context, leaves));
    }
    return {};
  }
  if (type.is(types::Kind::kComplex)) {
    const auto part = types::Type::Float(type.bits() / 2);
    RBC_ASSIGN_OR_RETURN(const auto size, types::SizeOf(part));
    RBC_RETURN_IF_ERROR(AppendLeaves(part, offset, context, leaves));
    return AppendLeaves(part, offset + size, context, leaves);
  }
  RBC_ASSIGN_OR_RETURN(const auto size, types::SizeOf(type));
  auto* scalar = ScalarType(type, context);
  if (scalar == nullptr) return CannotHold(type);
  leaves->push_back({scalar, offset, size, type.is(types::Kind::kBool)});
  return {};
}

// The scalars of an IR type with their offsets; false: more than any signature has. `budget` bounds the nodes visited:
// structs of empty structs have exponentially many.
bool AppendFound(llvm::Type* type, uint64_t offset, const llvm::DataLayout& layout, std::vector<Piece>* found,
                 unsigned* budget) {
  if (*budget == 0) return false;
  --*budget;
  if (auto* aggregate = llvm::dyn_cast<llvm::StructType>(type)) {
    if (aggregate->isOpaque()) return false;
    const auto* place = layout.getStructLayout(aggregate);
    for (unsigned i = 0; i < aggregate->getNumElements(); ++i) {
      if (!AppendFound(aggregate->getElementType(i), offset + place->getElementOffset(i), layout, found, budget))
        return false;
    }
    return true;
  }
  if (auto* array = llvm::dyn_cast<llvm::ArrayType>(type)) {
    const uint64_t stride = layout.getTypeAllocSize(array->getElementType());
    if (array->getNumElements() > *budget) return false;
    for (uint64_t i = 0; i < array->getNumElements(); ++i) {
      if (!AppendFound(array->getElementType(), offset + i * stride, layout, found, budget)) return false;
    }
    return true;
  }
  found->push_back({type, offset});
  return true;
}

constexpr uint64_t kWord = 8;

Value DescribeArray(const types::Type& type, bool strides, llvm::LLVMContext& context) {
  Value value;
  value.type = type;
  value.size = types::FrameArrayBytes(type.rank());
  value.alignment = kWord;
  value.leaves.push_back({llvm::PointerType::get(context, 0), 0, kWord});
  const uint32_t numbers = type.rank() * (strides ? 2 : 1);
  for (uint32_t i = 1; i <= numbers; ++i) {
    value.leaves.push_back({llvm::Type::getInt64Ty(context), i * kWord, kWord});
  }
  return value;
}

}  // namespace

namespace {

// A struct with arrays.
Expected<Value> DescribeMembers(const types::Type& type, llvm::LLVMContext& context) {
  RBC_ASSIGN_OR_RETURN(const types::ResultLayout layout, types::LayoutOfArrays(type));
  Value value;
  value.type = type;
  value.size = layout.size;
  for (const types::FrameSlot& slot : layout.slots) {
    RBC_ASSIGN_OR_RETURN(const Value member, DescribeResult(slot.type, context));
    value.alignment = std::max(value.alignment, member.alignment);
    for (Leaf leaf : member.leaves) {
      leaf.offset += slot.offset;
      value.leaves.push_back(leaf);
    }
  }
  return value;
}

}  // namespace

Expected<Value> DescribeResult(const types::Type& type, llvm::LLVMContext& context) {
  if (types::HoldsArrays(type)) return DescribeMembers(type, context);
  if (!type.is(types::Kind::kArray)) return DescribeValue(type, context);
  Value value = DescribeArray(type, /*strides=*/true, context);
  value.leaves.push_back({llvm::PointerType::get(context, 0), value.size, kWord});
  value.size += kWord;
  return value;
}

Expected<Value> DescribeValue(const types::Type& type, llvm::LLVMContext& context) {
  Value value;
  value.type = type;
  if (type.is(types::Kind::kVoid)) return value;
  if (type.is(types::Kind::kArray)) return DescribeArray(type, !type.contiguous(), context);
  RBC_ASSIGN_OR_RETURN(const auto place, types::LayoutOf(type));
  value.size = place.size;
  value.alignment = place.alignment;
  RBC_RETURN_IF_ERROR(AppendLeaves(type, 0, context, &value.leaves));
  return value;
}

bool IsLeaf(llvm::Type* found, const Leaf& leaf) {
  return found == leaf.type || (leaf.is_bool && found->isIntegerTy(1));
}

bool HasLayoutOf(llvm::Type* found, const Value& value, const llvm::DataLayout& layout) {
  if (!found->isFirstClassType() || !found->isSized()) return false;
  std::vector<Piece> pieces;
  unsigned budget = 65536;
  if (!AppendFound(found, 0, layout, &pieces, &budget) || pieces.size() != value.leaves.size()) return false;
  for (size_t i = 0; i < pieces.size(); ++i) {
    if (pieces[i].offset != value.leaves[i].offset || !IsLeaf(pieces[i].type, value.leaves[i])) return false;
  }
  return true;
}

std::string Spell(llvm::Type* type) {
  std::string text;
  llvm::raw_string_ostream out(text);
  type->print(out, /*IsForDebug=*/false, /*NoDetails=*/true);
  if (text.size() > 200) text = text.substr(0, 200) + "...";
  return text;
}

llvm::Type* DirectType(const Value& value, llvm::LLVMContext& context) {
  switch (value.type.kind()) {
    case types::Kind::kVoid:
      return llvm::Type::getVoidTy(context);
    case types::Kind::kBool:
      return llvm::Type::getInt1Ty(context);
    case types::Kind::kComplex:
      return llvm::StructType::get(value.leaves[0].type, value.leaves[1].type);
    case types::Kind::kArray: {
      std::vector<llvm::Type*> parts;
      for (const Leaf& leaf : value.leaves) parts.push_back(leaf.type);
      return llvm::StructType::get(context, parts);
    }
    case types::Kind::kStruct: {
      std::vector<llvm::Type*> members;
      for (const auto& member : value.type.members()) {
        auto described = DescribeResult(member, context);  // as a parameter it holds no arrays
        members.push_back(described ? DirectType(*described, context) : llvm::Type::getVoidTy(context));
      }
      return llvm::StructType::get(context, members);
    }
    default:
      return value.leaves[0].type;
  }
}

}  // namespace rbc::ir
