// A loop over the rows of a map, around the entry of a call: inlining leaves the client's code and the columns.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/Module.h"
#include "targets/ir/bulk_entry.h"
#include "targets/ir/entry_point.h"

namespace rbc::ir {
namespace {

// A kernel reports the first failing row and its status in one word, the row above: what is less came first, so that
// a minimum finds it and the loop stays free of exits. Entries therefore hand it at most so many rows.
constexpr uint64_t kMostRows = uint64_t{1} << 30;
constexpr uint64_t kNoFailure = ~uint64_t{0};

// `i64 kernel(i64 rows, {ptr data, i64 stride} for each column)`, rows > 0: one loop without a branch of its own.
class Kernel {
 public:
  Kernel(const MatchedFunction& match, llvm::Function* call, const std::string& name, const std::string& pattern)
      : match_(match), call_(call), builder_(call->getContext()), columns_(ColumnsOf(match)), pattern_(pattern) {
    std::vector<llvm::Type*> types = {builder_.getInt64Ty()};
    for (size_t i = 0; i < columns_.size(); ++i) {
      types.push_back(builder_.getPtrTy());
      types.push_back(builder_.getInt64Ty());
    }
    auto* type = llvm::FunctionType::get(builder_.getInt64Ty(), types, false);
    kernel_ = llvm::Function::Create(type, llvm::GlobalValue::InternalLinkage, name, *call->getParent());
    kernel_->addFnAttr(llvm::Attribute::NoUnwind);
    // One copy of the loop runs all rows, so that a row's bits do not depend on who asked.
    kernel_->addFnAttr(llvm::Attribute::NoInline);
    kernel_->addFnAttr(llvm::Attribute::NoDuplicate);
    kernel_->addFnAttr("probe-stack", "inline-asm");
    group_ = llvm::MDNode::getDistinct(builder_.getContext(), {});
  }

  llvm::Function* Build() {
    auto* before = llvm::BasicBlock::Create(builder_.getContext(), "", kernel_);
    auto* body = llvm::BasicBlock::Create(builder_.getContext(), "row", kernel_);
    builder_.SetInsertPoint(before);
    row_frame_ = Scratch(builder_, match_.frame.fixed_size());
    row_result_ = Scratch(builder_, match_.frame.result_size());
    for (size_t i = 0; i < Parameters(); ++i) {
      if (pattern_[i] == 'b') Load(i, Data(i));
    }
    builder_.CreateBr(body);
    builder_.SetInsertPoint(body);
    auto* row = builder_.CreatePHI(builder_.getInt64Ty(), 2);
    auto* failure = builder_.CreatePHI(builder_.getInt64Ty(), 2);
    row->addIncoming(builder_.getInt64(0), before);
    failure->addIncoming(builder_.getInt64(kNoFailure), before);
    auto* now = Worst(failure, row, Row(row));
    auto* next = builder_.CreateAdd(row, builder_.getInt64(1), "", true, true);
    auto* last = builder_.GetInsertBlock();
    row->addIncoming(next, last);
    failure->addIncoming(now, last);
    CloseLoop(next, now, body);
    return kernel_;
  }

 private:
  size_t Parameters() const { return match_.parameters.size(); }
  llvm::Value* Data(size_t column) { return kernel_->getArg(1 + 2 * column); }
  llvm::Value* Stride(size_t column) { return kernel_->getArg(2 + 2 * column); }

  llvm::Value* Element(size_t column, llvm::Value* row) {
    if (pattern_[column] == 's') {
      auto* distance = builder_.CreateMul(row, Stride(column), "", false, true);
      return builder_.CreateInBoundsGEP(builder_.getInt8Ty(), Data(column), distance);
    }
    auto* type = llvm::ArrayType::get(builder_.getInt8Ty(), columns_[column].size);
    return builder_.CreateInBoundsGEP(type, Data(column), row);
  }

  llvm::CallInst* Load(size_t column, llvm::Value* from) {
    const uint64_t at = columns_[column].offset;
    auto* slot = builder_.CreateConstInBoundsGEP1_64(builder_.getInt8Ty(), row_frame_, at);
    return builder_.CreateMemCpy(slot, llvm::commonAlignment(llvm::Align(16), at), from,
                                 llvm::Align(match_.parameters[column].alignment), columns_[column].size);
  }

  llvm::Value* Row(llvm::Value* row) {
    for (size_t i = 0; i < Parameters(); ++i) {
      if (pattern_[i] != 'b') InGroup(Load(i, Element(i, row)));
    }
    auto* status = builder_.CreateCall(call_, {row_frame_, row_result_});
    if (columns_.size() > Parameters()) {
      const size_t result = Parameters();
      InGroup(builder_.CreateMemCpy(Element(result, row), llvm::Align(match_.result.alignment), row_result_,
                                    llvm::Align(16), columns_[result].size));
    }
    return status;
  }

  llvm::Value* Worst(llvm::Value* failure, llvm::Value* row, llvm::Value* status) {
    if (match_.returns != Returns::kStatus) return failure;
    auto* word = builder_.CreateOr(builder_.CreateShl(row, 32), builder_.CreateZExt(status, builder_.getInt64Ty()));
    auto* mine = builder_.CreateSelect(builder_.CreateIsNotNull(status), word, builder_.getInt64(kNoFailure));
    return builder_.CreateBinaryIntrinsic(llvm::Intrinsic::umin, failure, mine);
  }

  // Columns are the same or apart (target.h), so no row waits for another and nothing has to be checked at run time.
  void InGroup(llvm::Instruction* access) { access->setMetadata(llvm::LLVMContext::MD_access_group, group_); }

  void CloseLoop(llvm::Value* next, llvm::Value* failure, llvm::BasicBlock* body) {
    auto& context = builder_.getContext();
    auto* end = llvm::BasicBlock::Create(context, "end", kernel_);
    auto* branch = builder_.CreateCondBr(builder_.CreateICmpEQ(next, kernel_->getArg(0)), end, body);
    auto* parallel = llvm::MDNode::get(context, {llvm::MDString::get(context, "llvm.loop.parallel_accesses"), group_});
    auto* loop = llvm::MDNode::getDistinct(context, {nullptr, parallel});
    loop->replaceOperandWith(0, loop);
    branch->setMetadata(llvm::LLVMContext::MD_loop, loop);
    builder_.SetInsertPoint(end);
    builder_.CreateRet(failure);
  }

  const MatchedFunction& match_;
  llvm::Function* call_;
  llvm::IRBuilder<> builder_;
  const std::vector<EntryPoint::Parameter> columns_;
  const std::string pattern_;
  llvm::Function* kernel_ = nullptr;
  llvm::MDNode* group_ = nullptr;
  llvm::Value *row_frame_ = nullptr, *row_result_ = nullptr;
};

// The entry: reads the frame and hands the rows to the kernel.
class MapBuilder {
 public:
  MapBuilder(const MatchedFunction& match, llvm::Function* call, const std::string& name, const std::string& pattern)
      : match_(match),
        call_(call),
        name_(name),
        pattern_(pattern),
        columns_(ColumnsOf(match)),
        frame_(name, call, columns_.size()),
        builder_(frame_.builder) {}

  void Build() {
    auto* work = frame_.Block("work");
    auto* nothing = frame_.Block("nothing");
    builder_.CreateCondBr(builder_.CreateIsNull(frame_.rows), nothing, work);
    builder_.SetInsertPoint(nothing);
    Return(builder_.getInt64(0), builder_.getInt32(0));
    builder_.SetInsertPoint(work);
    if (!pattern_.empty()) return Run(pattern_);
    // Rows that lie side by side get a loop of their own; all others share one.
    llvm::Value* dense = builder_.getTrue();
    for (size_t i = 0; i < columns_.size(); ++i) {
      dense = builder_.CreateAnd(dense, builder_.CreateICmpEQ(frame_.strides[i], builder_.getInt64(columns_[i].size)));
    }
    auto* fast = frame_.Block("dense");
    auto* slow = frame_.Block("strided");
    builder_.CreateCondBr(dense, fast, slow);
    builder_.SetInsertPoint(fast);
    Run(std::string(columns_.size(), 'c'));
    builder_.SetInsertPoint(slow);
    Run(std::string(columns_.size(), 's'));
  }

 private:
  // All rows, kMostRows at a time.
  void Run(const std::string& pattern) {
    auto* kernel = Kernel(match_, call_, name_ + ".rows." + pattern, pattern).Build();
    auto* before = builder_.GetInsertBlock();
    auto* body = frame_.Block("some");
    auto* end = frame_.Block("end");
    builder_.CreateBr(body);
    builder_.SetInsertPoint(body);
    auto* first = builder_.CreatePHI(builder_.getInt64Ty(), 2);
    auto* row = builder_.CreatePHI(builder_.getInt64Ty(), 2);
    auto* status = builder_.CreatePHI(builder_.getInt32Ty(), 2);
    first->addIncoming(builder_.getInt64(0), before);
    row->addIncoming(builder_.getInt64(0), before);
    status->addIncoming(builder_.getInt32(0), before);
    auto* count = builder_.CreateBinaryIntrinsic(llvm::Intrinsic::umin, builder_.CreateSub(frame_.rows, first),
                                                 builder_.getInt64(kMostRows));
    auto* failure = builder_.CreateCall(kernel, Arguments(first, count));
    auto* is_first = builder_.CreateAnd(builder_.CreateIsNull(status),
                                        builder_.CreateICmpNE(failure, builder_.getInt64(kNoFailure)));
    auto* now_row = builder_.CreateSelect(is_first, builder_.CreateAdd(first, builder_.CreateLShr(failure, 32)), row);
    auto* now_status = builder_.CreateSelect(is_first, builder_.CreateTrunc(failure, builder_.getInt32Ty()), status);
    auto* next = builder_.CreateAdd(first, count);
    first->addIncoming(next, body);
    row->addIncoming(now_row, body);
    status->addIncoming(now_status, body);
    builder_.CreateCondBr(builder_.CreateICmpULT(next, frame_.rows), body, end);
    builder_.SetInsertPoint(end);
    Return(now_row, now_status);
  }

  std::vector<llvm::Value*> Arguments(llvm::Value* first, llvm::Value* count) {
    std::vector<llvm::Value*> arguments = {count};
    for (size_t i = 0; i < columns_.size(); ++i) {
      auto* distance = builder_.CreateMul(first, frame_.strides[i]);
      arguments.push_back(builder_.CreateGEP(builder_.getInt8Ty(), frame_.data[i], distance));
      arguments.push_back(frame_.strides[i]);
    }
    return arguments;
  }

  void Return(llvm::Value* row, llvm::Value* status) {
    builder_.CreateAlignedStore(row, frame_.entry->getArg(1), llvm::Align(8));
    builder_.CreateRet(status);
  }

  const MatchedFunction& match_;
  llvm::Function* call_;
  const std::string name_, pattern_;
  const std::vector<EntryPoint::Parameter> columns_;
  BulkFrame frame_;
  llvm::IRBuilder<>& builder_;
};

Status CheckPattern(const MatchedFunction& match, const FunctionDeclaration& declaration, const std::string& pattern) {
  if (pattern.empty()) return {};
  const size_t columns = ColumnsOf(match).size();
  const bool has_result = columns > match.parameters.size();
  if (pattern.size() == columns && pattern.find_first_not_of("cbs") == std::string::npos &&
      !(has_result && pattern.back() == 'b'))
    return {};
  return Error(ErrorKind::kInvalidArgument,
               fmt::format("'{}' with signature `{}` has no map of the pattern '{}': one letter a column, c, b or s, "
                           "the result last and not b",
                           declaration.symbol, declaration.signature, pattern));
}

}  // namespace

std::vector<EntryPoint::Parameter> ColumnsOf(const MatchedFunction& match) {
  std::vector<EntryPoint::Parameter> columns;
  for (const auto& slot : match.frame.slots()) columns.push_back({slot.offset, slot.size, false});
  if (match.frame.result_size() != 0) columns.push_back({0, match.frame.result_size(), false});
  return columns;
}

Expected<EntryPoint> MakeMapEntry(const MatchedFunction& match, size_t index, const FunctionDeclaration& declaration,
                                  const std::string& pattern) {
  RBC_RETURN_IF_ERROR(CheckRows(match, declaration, "a map"));
  RBC_RETURN_IF_ERROR(CheckPattern(match, declaration, pattern));
  EntryPoint entry = MakeEntryPoint(match, index, declaration.symbol);
  MapBuilder(match, HideEntry(match, entry), entry.symbol, pattern).Build();
  entry.kind = EntryKind::kMap;
  entry.parameters = ColumnsOf(match);
  return entry;
}

}  // namespace rbc::ir
