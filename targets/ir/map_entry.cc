// A loop over the rows of a map, around the entry of a call: inlining leaves the client's code and the columns.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/Module.h"
#include "targets/ir/entry_point.h"

namespace rbc::ir {
namespace {

constexpr uint64_t kHeadBytes = 16;    // rows and 8 unused bytes
constexpr uint64_t kColumnBytes = 16;  // pointer and stride

class MapBuilder {
 public:
  MapBuilder(const MatchedFunction& match, llvm::Function* call, const std::string& name)
      : match_(match), call_(call), builder_(call->getContext()), columns_(ColumnsOf(match)) {
    entry_ =
        llvm::Function::Create(call->getFunctionType(), llvm::GlobalValue::ExternalLinkage, name, *call->getParent());
    entry_->addFnAttr(llvm::Attribute::NoUnwind);
    entry_->addFnAttr("probe-stack", "inline-asm");
    builder_.SetInsertPoint(llvm::BasicBlock::Create(builder_.getContext(), "", entry_));
  }

  // Rows that lie side by side get a loop of their own, which vectorises; all others share one.
  void Build() {
    row_frame_ = Scratch(match_.frame.fixed_size());
    row_result_ = Scratch(match_.frame.result_size());
    rows_ = Word(0);
    llvm::Value* dense = builder_.getTrue();
    for (size_t i = 0; i < columns_.size(); ++i) {
      data_.push_back(builder_.CreateIntToPtr(Word(kHeadBytes + i * kColumnBytes), builder_.getPtrTy()));
      strides_.push_back(Word(kHeadBytes + i * kColumnBytes + 8));
      dense = builder_.CreateAnd(dense, builder_.CreateICmpEQ(strides_[i], builder_.getInt64(columns_[i].size)));
    }
    auto* fast = Block("dense");
    auto* slow = Block("strided");
    builder_.CreateCondBr(dense, fast, slow);
    builder_.SetInsertPoint(fast);
    Loop(true);
    builder_.SetInsertPoint(slow);
    Loop(false);
  }

 private:
  llvm::BasicBlock* Block(const char* name) { return llvm::BasicBlock::Create(builder_.getContext(), name, entry_); }

  llvm::AllocaInst* Scratch(uint64_t size) {
    auto* memory = builder_.CreateAlloca(llvm::ArrayType::get(builder_.getInt8Ty(), std::max<uint64_t>(size, 1)));
    memory->setAlignment(llvm::Align(16));
    return memory;
  }

  llvm::Value* Word(uint64_t offset) {
    auto* address = builder_.CreateConstInBoundsGEP1_64(builder_.getInt8Ty(), entry_->getArg(0), offset);
    return builder_.CreateAlignedLoad(builder_.getInt64Ty(), address, llvm::Align(8));
  }

  llvm::Value* Element(size_t column, llvm::Value* row, bool dense) {
    if (dense) {
      auto* type = llvm::ArrayType::get(builder_.getInt8Ty(), columns_[column].size);
      return builder_.CreateInBoundsGEP(type, data_[column], row);
    }
    return builder_.CreateGEP(builder_.getInt8Ty(), data_[column], builder_.CreateMul(row, strides_[column]));
  }

  void Loop(bool dense) {
    auto* before = builder_.GetInsertBlock();
    auto* body = Block("row");
    auto* end = Block("end");
    auto* zero = builder_.getInt64(0);
    builder_.CreateCondBr(builder_.CreateIsNull(rows_), end, body);
    builder_.SetInsertPoint(body);
    auto* row = builder_.CreatePHI(builder_.getInt64Ty(), 2);
    auto* first_status = builder_.CreatePHI(builder_.getInt32Ty(), 2);
    auto* first_row = builder_.CreatePHI(builder_.getInt64Ty(), 2);
    row->addIncoming(zero, before);
    first_status->addIncoming(builder_.getInt32(0), before);
    first_row->addIncoming(zero, before);
    auto* status = Row(row, dense);
    auto* is_first = builder_.CreateAnd(builder_.CreateIsNull(first_status), builder_.CreateIsNotNull(status));
    auto* now_status = builder_.CreateSelect(is_first, status, first_status);
    auto* now_row = builder_.CreateSelect(is_first, row, first_row);
    auto* next = builder_.CreateNUWAdd(row, builder_.getInt64(1));
    auto* last = builder_.GetInsertBlock();
    row->addIncoming(next, last);
    first_status->addIncoming(now_status, last);
    first_row->addIncoming(now_row, last);
    builder_.CreateCondBr(builder_.CreateICmpULT(next, rows_), body, end);
    builder_.SetInsertPoint(end);
    auto* final_status = builder_.CreatePHI(builder_.getInt32Ty(), 2);
    auto* final_row = builder_.CreatePHI(builder_.getInt64Ty(), 2);
    final_status->addIncoming(builder_.getInt32(0), before);
    final_status->addIncoming(now_status, last);
    final_row->addIncoming(zero, before);
    final_row->addIncoming(now_row, last);
    builder_.CreateAlignedStore(final_row, entry_->getArg(1), llvm::Align(8));
    builder_.CreateRet(final_status);
  }

  llvm::Value* Row(llvm::Value* row, bool dense) {
    const size_t parameters = match_.parameters.size();
    for (size_t i = 0; i < parameters; ++i) {
      auto* slot = builder_.CreateConstInBoundsGEP1_64(builder_.getInt8Ty(), row_frame_, columns_[i].offset);
      builder_.CreateMemCpy(slot, llvm::commonAlignment(llvm::Align(16), columns_[i].offset), Element(i, row, dense),
                            llvm::Align(1), columns_[i].size);
    }
    auto* status = builder_.CreateCall(call_, {row_frame_, row_result_});
    if (columns_.size() > parameters) {
      builder_.CreateMemCpy(Element(parameters, row, dense), llvm::Align(1), row_result_, llvm::Align(16),
                            columns_[parameters].size);
    }
    return status;
  }

  const MatchedFunction& match_;
  llvm::Function* call_;
  llvm::IRBuilder<> builder_;
  const std::vector<EntryPoint::Parameter> columns_;
  llvm::Function* entry_ = nullptr;
  llvm::Value *row_frame_ = nullptr, *row_result_ = nullptr, *rows_ = nullptr;
  std::vector<llvm::Value*> data_, strides_;
};

}  // namespace

std::vector<EntryPoint::Parameter> ColumnsOf(const MatchedFunction& match) {
  std::vector<EntryPoint::Parameter> columns;
  for (const auto& slot : match.frame.slots()) columns.push_back({slot.offset, slot.size, false});
  if (match.frame.result_size() != 0) columns.push_back({0, match.frame.result_size(), false});
  return columns;
}

Expected<EntryPoint> MakeMapEntry(const MatchedFunction& match, size_t index, const FunctionDeclaration& declaration) {
  const auto pointer = [](const types::FrameSlot& slot) {
    return slot.type.is(types::Kind::kPointer) || slot.type.is(types::Kind::kString);
  };
  const auto slots = match.frame.slots();
  if (match.frame.returns_text() || std::any_of(slots.begin(), slots.end(), pointer)) {
    Error error(ErrorKind::kUnsupported, fmt::format("'{}' with signature `{}`: the rows of a map hold values, no "
                                                     "pointers and no strings",
                                                     declaration.symbol, declaration.signature));
    error.function = declaration.symbol;
    return error;
  }
  EntryPoint entry = MakeEntryPoint(match, index, declaration.symbol);
  auto* call = match.function->getParent()->getFunction(entry.symbol);
  const std::string name = entry.symbol;
  call->setName(name + ".row");
  call->setLinkage(llvm::GlobalValue::InternalLinkage);
  call->addFnAttr(llvm::Attribute::AlwaysInline);
  MapBuilder(match, call, name).Build();
  entry.kind = EntryKind::kMap;
  entry.parameters = ColumnsOf(match);
  return entry;
}

}  // namespace rbc::ir
