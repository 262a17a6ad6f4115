// Emits entry points.
// SPDX-License-Identifier: Apache-2.0
#include "targets/ir/entry_point.h"

#include <charconv>

#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/Module.h"
#include "targets/ir/prepare_module.h"

namespace rbc::ir {
namespace {

constexpr std::string_view kEntryPrefix = "rbc.call.";
constexpr uint64_t kBufferAlignment = 16;  // of frame and result

llvm::Align AlignmentAt(uint64_t alignment, uint64_t offset) {
  return llvm::commonAlignment(llvm::Align(alignment), offset);
}

class EntryBuilder {
 public:
  EntryBuilder(const MatchedFunction& match, std::string_view name)
      : match_(match),
        module_(*match.function->getParent()),
        context_(module_.getContext()),
        layout_(module_.getDataLayout()),
        builder_(context_) {
    auto* pointer = builder_.getPtrTy();
    auto* type = llvm::FunctionType::get(builder_.getInt32Ty(), {pointer, pointer}, false);
    entry_ = llvm::Function::Create(type, llvm::GlobalValue::ExternalLinkage, llvm::StringRef(name.data(), name.size()),
                                    module_);
    entry_->addFnAttr(llvm::Attribute::NoUnwind);
    entry_->addFnAttr("probe-stack", "inline-asm");
    builder_.SetInsertPoint(llvm::BasicBlock::Create(context_, "", entry_));
    frame_ = entry_->getArg(0);
    result_ = entry_->getArg(1);
  }

  std::string Build() {
    std::vector<llvm::Value*> arguments;
    for (size_t i = 0; i < match_.operands.size(); ++i) arguments.push_back(Argument(match_.operands[i], i));
    auto* call = builder_.CreateCall(match_.function, arguments);
    call->setCallingConv(match_.function->getCallingConv());
    // The extensions of small integers, byval and sret are the caller's business too.
    const auto attributes = match_.function->getAttributes();
    std::vector<llvm::AttributeSet> parameters;
    for (size_t i = 0; i < arguments.size(); ++i) parameters.push_back(attributes.getParamAttrs(i));
    call->setAttributes(llvm::AttributeList::get(context_, {}, attributes.getRetAttrs(), parameters));
    Finish(call);
    return entry_->getName().str();
  }

 private:
  llvm::Value* At(llvm::Value* base, uint64_t offset) {
    return offset == 0 ? base : builder_.CreateConstInBoundsGEP1_64(builder_.getInt8Ty(), base, offset);
  }

  llvm::AllocaInst* Scratch(uint64_t size, uint64_t alignment) {
    auto* type = llvm::ArrayType::get(builder_.getInt8Ty(), size);
    auto* memory = new llvm::AllocaInst(type, 0, nullptr, llvm::Align(alignment), "", entry_->getEntryBlock().begin());
    return memory;
  }

  // A value of `type` from memory. Any non-zero byte is a true bool. Aggregates are read scalar by scalar.
  llvm::Value* Load(llvm::Type* type, llvm::Value* base, uint64_t offset, uint64_t alignment) {
    if (auto* aggregate = llvm::dyn_cast<llvm::StructType>(type)) {
      llvm::Value* whole = llvm::PoisonValue::get(type);
      const auto* place = layout_.getStructLayout(aggregate);
      for (unsigned i = 0; i < aggregate->getNumElements(); ++i) {
        const uint64_t at = offset + place->getElementOffset(i).getFixedValue();
        whole = builder_.CreateInsertValue(whole, Load(aggregate->getElementType(i), base, at, alignment), i);
      }
      return whole;
    }
    if (auto* array = llvm::dyn_cast<llvm::ArrayType>(type)) {
      llvm::Value* whole = llvm::PoisonValue::get(type);
      const uint64_t stride = layout_.getTypeAllocSize(array->getElementType());
      for (unsigned i = 0; i < array->getNumElements(); ++i) {
        whole =
            builder_.CreateInsertValue(whole, Load(array->getElementType(), base, offset + i * stride, alignment), i);
      }
      return whole;
    }
    auto* address = At(base, offset);
    if (type->isIntegerTy(1)) {
      return builder_.CreateIsNotNull(builder_.CreateAlignedLoad(builder_.getInt8Ty(), address, llvm::Align(1)));
    }
    return builder_.CreateAlignedLoad(type, address, AlignmentAt(alignment, offset));
  }

  void Store(llvm::Value* value, llvm::Value* base, uint64_t offset, uint64_t alignment) {
    auto* type = value->getType();
    if (auto* aggregate = llvm::dyn_cast<llvm::StructType>(type)) {
      const auto* place = layout_.getStructLayout(aggregate);
      for (unsigned i = 0; i < aggregate->getNumElements(); ++i) {
        Store(builder_.CreateExtractValue(value, i), base, offset + place->getElementOffset(i).getFixedValue(),
              alignment);
      }
      return;
    }
    if (auto* array = llvm::dyn_cast<llvm::ArrayType>(type)) {
      const uint64_t stride = layout_.getTypeAllocSize(array->getElementType());
      for (unsigned i = 0; i < array->getNumElements(); ++i) {
        Store(builder_.CreateExtractValue(value, i), base, offset + i * stride, alignment);
      }
      return;
    }
    if (type->isIntegerTy(1)) value = builder_.CreateZExt(value, builder_.getInt8Ty());
    builder_.CreateAlignedStore(value, At(base, offset), AlignmentAt(alignment, offset));
  }

  // The pointer that a cell {offset, length} stands for; kNullOffset is null.
  llvm::Value* PointerFrom(uint64_t slot) {
    auto* offset = builder_.CreateAlignedLoad(builder_.getInt32Ty(), At(frame_, slot), llvm::Align(8));
    auto* pointer =
        builder_.CreateGEP(builder_.getInt8Ty(), frame_, builder_.CreateZExt(offset, builder_.getInt64Ty()));
    auto* is_null = builder_.CreateICmpEQ(offset, builder_.getInt32(types::kNullOffset));
    return builder_.CreateSelect(is_null, llvm::Constant::getNullValue(builder_.getPtrTy()), pointer);
  }

  // The first element of an array, which the slot's first word places relative to the frame.
  llvm::Value* ArrayFrom(uint64_t slot) {
    auto* where = builder_.CreateAlignedLoad(builder_.getInt64Ty(), At(frame_, slot), llvm::Align(8));
    return builder_.CreateGEP(builder_.getInt8Ty(), frame_, where);
  }

  llvm::Value* Argument(const Operand& operand, size_t position) {
    switch (operand.source) {
      case Operand::Source::kResultPointer:
        return ResultMemory();
      case Operand::Source::kScratch: {
        auto* scratch = Scratch(8, 8);
        builder_.CreateAlignedStore(builder_.getInt64(0), scratch, llvm::Align(8));
        return scratch;
      }
      case Operand::Source::kByval:
        return Copy(operand.parameter, match_.function->getParamAlign(position).valueOrOne().value(), 0);
      case Operand::Source::kPiece:
        return PieceOf(operand);
    }
    return nullptr;
  }

  llvm::Value* PieceOf(const Operand& operand) {
    const Value& value = match_.parameters[operand.parameter];
    const uint64_t slot = match_.frame.slots()[operand.parameter].offset;
    if (value.leaves.size() == 1 && value.leaves[0].type->isPointerTy()) return PointerFrom(slot);
    if (value.type.is(types::Kind::kArray) && operand.piece.offset == 0) return ArrayFrom(slot);
    const uint64_t end = operand.piece.offset + layout_.getTypeStoreSize(operand.piece.type).getFixedValue();
    if (end <= value.size) return Load(operand.piece.type, frame_, slot + operand.piece.offset, kBufferAlignment);
    // A register holds more bytes than the value has: the rest comes from a copy, not from what follows in the frame.
    return Load(operand.piece.type, Copy(operand.parameter, 16, end), operand.piece.offset, 16);
  }

  // The parameter's bytes in memory of the entry's own, with zeros up to `least` bytes.
  llvm::Value* Copy(uint32_t parameter, uint64_t alignment, uint64_t least) {
    const Value& value = match_.parameters[parameter];
    const uint64_t slot = match_.frame.slots()[parameter].offset;
    const uint64_t size = std::max(value.size, least);
    alignment = std::max(alignment, value.alignment);
    auto* copy = Scratch(size, alignment);
    if (size > value.size) builder_.CreateMemSet(copy, builder_.getInt8(0), size, llvm::Align(alignment));
    builder_.CreateMemCpy(copy, llvm::Align(alignment), At(frame_, slot), AlignmentAt(kBufferAlignment, slot),
                          value.size);
    return copy;
  }

  // Where a function that takes a pointer to its result writes: memory of the entry, which the optimiser does away
  // with.
  llvm::Value* ResultMemory() {
    const uint64_t size = std::max<uint64_t>(match_.result.size, 8);
    const uint64_t alignment = std::max<uint64_t>(match_.result.alignment, 16);
    result_memory_ = Scratch(size, alignment);
    builder_.CreateMemSet(result_memory_, builder_.getInt8(0), size, llvm::Align(alignment));
    return result_memory_;
  }

  // Zeroes the result's bytes that no scalar covers.
  void ClearPadding() {
    uint64_t covered = 0;
    for (const Leaf& leaf : match_.result.leaves) covered += layout_.getTypeStoreSize(leaf.type).getFixedValue();
    if (covered == match_.result.size) return;
    builder_.CreateMemSet(result_, builder_.getInt8(0), match_.result.size, llvm::Align(kBufferAlignment));
  }

  // Scalar by scalar: the function may leave anything in the padding.
  void CopyResult(llvm::Value* from, uint64_t alignment) {
    ClearPadding();
    for (const Leaf& leaf : match_.result.leaves) {
      Store(Load(leaf.is_bool ? builder_.getInt1Ty() : leaf.type, from, leaf.offset, alignment), result_, leaf.offset,
            kBufferAlignment);
    }
  }

  void Finish(llvm::CallInst* call) {
    const uint64_t alignment = std::max<uint64_t>(match_.result.alignment, 16);
    if (result_memory_ != nullptr) CopyResult(result_memory_, alignment);
    if (match_.returns == Returns::kValue) FinishValue(call);
    builder_.CreateRet(match_.returns == Returns::kStatus ? static_cast<llvm::Value*>(call) : builder_.getInt32(0));
  }

  void FinishValue(llvm::CallInst* call) {
    if (HasLayoutOf(call->getType(), match_.result, layout_)) {
      ClearPadding();
      StoreNormalized(call);
      return;
    }
    // Registers' worth of bytes, of which the value may be a part.
    const uint64_t size = std::max(match_.result.size, layout_.getTypeAllocSize(call->getType()).getFixedValue());
    auto* whole = Scratch(size, 16);
    Store(call, whole, 0, 16);
    CopyResult(whole, 16);
  }

  // An i8 that stands for a bool comes out as 0 or 1.
  void StoreNormalized(llvm::Value* value) {
    if (match_.result.leaves.size() == 1 && match_.result.leaves[0].is_bool && value->getType()->isIntegerTy(8)) {
      value = builder_.CreateIsNotNull(value);
    }
    Store(value, result_, 0, kBufferAlignment);
  }

  const MatchedFunction& match_;
  llvm::Module& module_;
  llvm::LLVMContext& context_;
  const llvm::DataLayout& layout_;
  llvm::IRBuilder<> builder_;
  llvm::Function* entry_ = nullptr;
  llvm::Value* frame_ = nullptr;
  llvm::Value* result_ = nullptr;
  llvm::Value* result_memory_ = nullptr;
};

EntryPoint::Array ArrayOf(const types::Type& type, uint32_t offset, size_t parameter) {
  const auto element = types::LayoutOf(type.element());  // FrameLayout has seen that there is one
  return {offset,
          type.rank(),
          static_cast<uint32_t>(element ? element->size : 1),
          static_cast<uint32_t>(element ? element->alignment : 1),
          type.contiguous(),
          static_cast<uint32_t>(parameter)};
}

}  // namespace

std::string EntrySymbol(size_t index, std::string_view symbol) {
  return std::string(kEntryPrefix) + std::to_string(index) + "." + std::string(symbol);
}

std::string_view ClientName(std::string_view symbol) {
  if (symbol.starts_with(kEntryPrefix)) {
    symbol.remove_prefix(kEntryPrefix.size());
    symbol.remove_prefix(std::min(symbol.find('.') + 1, symbol.size()));
  }
  if (symbol.ends_with(kRenamedSuffix)) symbol.remove_suffix(kRenamedSuffix.size());
  return symbol;
}

void AddReferences(const types::FrameLayout& frame, EntryPoint* entry) {
  for (size_t i = 0; i < frame.slots().size(); ++i) {
    const auto& slot = frame.slots()[i];
    if (slot.type.is(types::Kind::kString)) entry->cells.emplace_back(slot.offset, EntryPoint::Cell::kString);
    if (slot.type.is(types::Kind::kPointer)) entry->cells.emplace_back(slot.offset, EntryPoint::Cell::kPointer);
    if (slot.type.is(types::Kind::kArray)) entry->arrays.push_back(ArrayOf(slot.type, slot.offset, i));
  }
}

EntryPoint MakeEntryPoint(const MatchedFunction& match, size_t index, std::string_view symbol) {
  EntryPoint entry;
  entry.declaration = index;
  entry.symbol = EntryBuilder(match, EntrySymbol(index, symbol)).Build();
  entry.frame_size = match.frame.fixed_size();
  entry.result_size = match.frame.result_size();
  entry.result_is_string = match.frame.returns_text();
  AddReferences(match.frame, &entry);
  for (const auto& slot : match.frame.result_slots())
    if (slot.type.is(types::Kind::kArray)) entry.result_arrays.push_back(ArrayOf(slot.type, slot.offset, 0));
  if (match.frame.returns_arrays()) entry.result_size = match.result.size;
  entry.result_is_array = match.frame.result().is(types::Kind::kArray);
  return entry;
}

}  // namespace rbc::ir
