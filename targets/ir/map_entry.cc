// A loop over the rows of a map, around the entry of a call: inlining leaves the client's code and the columns.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "llvm/Analysis/ValueTracking.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicsX86.h"
#include "llvm/IR/Module.h"
#include "targets/ir/bulk_entry.h"
#include "targets/ir/entry_point.h"

namespace rbc::ir {
namespace {

// A kernel reports the first failing row and its status in one word, the row above: what is less came first, so that
// a minimum finds it and the loop stays free of exits. Entries therefore hand it at most so many rows.
constexpr uint64_t kMostRows = uint64_t{1} << 30;
constexpr uint64_t kNoFailure = ~uint64_t{0};

constexpr uint64_t kLine = 64;           // bytes of a cache line
constexpr uint64_t kTileRows = 64;       // a multiple of what any vector loop takes at a time where maths is in it
constexpr uint64_t kStreamedRows = 512;  // through a buffer that stays in the first cache
constexpr uint64_t kMostStreamed = 16;   // bytes of a row
constexpr const char* kStreams = "rbc-streams";  // of a kernel: results go past the caches where stores are whole lines
constexpr uint64_t kMostTiled = 512;             // bytes of a row: a tile lies on the stack
constexpr const char* kTileName = "rbc.tile";

// `i64 kernel(i64 rows, {ptr data, i64 stride} for each column)`, rows > 0: one loop without a branch of its own.
class Kernel {
 public:
  Kernel(const MatchedFunction& match, llvm::Function* call, const std::string& name, const std::string& pattern,
         bool streams)
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
    if (streams) kernel_->addFnAttr(kStreams);
    group_ = llvm::MDNode::getDistinct(builder_.getContext(), {});
  }

  llvm::Function* Build() {
    auto* before = llvm::BasicBlock::Create(builder_.getContext(), "", kernel_);
    auto* body = llvm::BasicBlock::Create(builder_.getContext(), "row", kernel_);
    builder_.SetInsertPoint(before);
    if (kernel_->hasFnAttribute(kStreams))
      builder_.CreateAlignmentAssumption(kernel_->getDataLayout(), Data(columns_.size() - 1), kLine);
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

// `i64 tile(ptr kernel)`: how many rows at a time give a row the same bits wherever it lies. Known once the kernel is
// optimised.
llvm::Function* TileFunction(llvm::Module& module) {
  llvm::IRBuilder<> builder(module.getContext());
  auto* type = llvm::FunctionType::get(builder.getInt64Ty(), {builder.getPtrTy()}, false);
  auto* function = llvm::cast<llvm::Function>(module.getOrInsertFunction(kTileName, type).getCallee());
  function->setMemoryEffects(llvm::MemoryEffects::none());
  function->setDoesNotThrow();
  function->setWillReturn();
  return function;
}

// The entry: reads the frame and hands the rows to the kernel, then the last few by way of a tile.
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
    for (auto** state : {&failed_row_, &status_}) {
      *state = Scratch(builder_, 8);
      builder_.CreateAlignedStore(builder_.getInt64(0), *state, llvm::Align(8));
    }
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
  using Places = std::vector<std::pair<llvm::Value*, llvm::Value*>>;  // of each column: row 0, stride

  void Run(std::string pattern) {
    const bool stream = pattern.back() == 'n' && columns_.back().size <= kMostStreamed;
    if (pattern.back() == 'n') pattern.back() = 'c';
    auto* kernel = Kernel(match_, call_, name_ + ".rows." + pattern, pattern, stream).Build();
    llvm::Value* unit = builder_.getInt64(1);
    if (RowBytes() <= kMostTiled) unit = builder_.CreateCall(TileFunction(*call_->getParent()), {kernel});
    auto* whole = builder_.CreateAnd(frame_.rows, builder_.CreateNeg(unit));
    const auto in_place = [&] {
      Loop(whole, kMostRows, [&](llvm::Value* first, llvm::Value* count) { Call(kernel, From(first), first, count); });
    };
    if (stream) {
      WhereAligned(in_place, [&] { RunBuffered(kernel, whole); });
      builder_.CreateCall(Fence());
    } else {
      in_place();
    }
    // As few rows as are left, in an iteration or none.
    Loop(builder_.CreateSub(frame_.rows, whole), kTileRows,
         [&](llvm::Value*, llvm::Value* count) { RunTile(kernel, pattern, whole, count); });
    auto* row = builder_.CreateAlignedLoad(builder_.getInt64Ty(), failed_row_, llvm::Align(8));
    builder_.CreateAlignedStore(row, frame_.entry->getArg(1), llvm::Align(8));
    builder_.CreateRet(builder_.CreateAlignedLoad(builder_.getInt32Ty(), status_, llvm::Align(8)));
  }

  // The kernel of a streamed result wants it at the begin of a line.
  template <typename Aligned, typename Other>
  void WhereAligned(Aligned aligned, Other other) {
    auto* address = builder_.CreatePtrToInt(frame_.data.back(), builder_.getInt64Ty());
    auto* yes = frame_.Block("aligned");
    auto* no = frame_.Block("elsewhere");
    auto* end = frame_.Block("end");
    builder_.CreateCondBr(builder_.CreateIsNull(builder_.CreateAnd(address, kLine - 1)), yes, no);
    builder_.SetInsertPoint(yes);
    aligned();
    builder_.CreateBr(end);
    builder_.SetInsertPoint(no);
    other();
    builder_.CreateBr(end);
    builder_.SetInsertPoint(end);
  }

  // A few rows at a time by way of a buffer that begins a line.
  void RunBuffered(llvm::Function* kernel, llvm::Value* rows) {
    const size_t result = columns_.size() - 1;
    auto* buffer = Tile(result, kStreamedRows);
    Loop(rows, kStreamedRows, [&](llvm::Value* first, llvm::Value* count) {
      Places places = From(first);
      places.back().first = buffer;
      Call(kernel, places, first, count);
      builder_.CreateMemCpy(Row(result, first), llvm::Align(1), buffer, llvm::Align(kLine),
                            builder_.CreateMul(count, builder_.getInt64(columns_[result].size)));
    });
  }

  // What was written past the caches is there for other threads too.
  llvm::Function* Fence() {
    return llvm::Intrinsic::getOrInsertDeclaration(call_->getParent(), llvm::Intrinsic::x86_sse_sfence);
  }

  // `body(first, count)` for `rows` rows, `most` at a time.
  template <typename Body>
  void Loop(llvm::Value* rows, uint64_t most, Body body) {
    auto* before = builder_.GetInsertBlock();
    auto* block = frame_.Block("some");
    auto* end = frame_.Block("end");
    builder_.CreateCondBr(builder_.CreateIsNull(rows), end, block);
    builder_.SetInsertPoint(block);
    auto* first = builder_.CreatePHI(builder_.getInt64Ty(), 2);
    first->addIncoming(builder_.getInt64(0), before);
    auto* count =
        builder_.CreateBinaryIntrinsic(llvm::Intrinsic::umin, builder_.CreateSub(rows, first), builder_.getInt64(most));
    body(first, count);
    auto* next = builder_.CreateAdd(first, count);
    first->addIncoming(next, builder_.GetInsertBlock());
    builder_.CreateCondBr(builder_.CreateICmpULT(next, rows), block, end);
    builder_.SetInsertPoint(end);
  }

  uint64_t RowBytes() const {
    uint64_t bytes = 0;
    for (const auto& column : columns_) bytes += column.size;
    return bytes;
  }

  Places From(llvm::Value* first) {
    Places places;
    for (size_t i = 0; i < columns_.size(); ++i) places.emplace_back(Row(i, first), frame_.strides[i]);
    return places;
  }

  llvm::Value* Row(size_t column, llvm::Value* row) {
    return At(frame_.data[column], builder_.CreateMul(row, frame_.strides[column]));
  }
  llvm::Value* At(llvm::Value* base, llvm::Value* bytes) {
    return builder_.CreateGEP(builder_.getInt8Ty(), base, bytes);
  }

  // Keeps what failed first.
  void Call(llvm::Function* kernel, const Places& places, llvm::Value* first, llvm::Value* count) {
    std::vector<llvm::Value*> arguments = {count};
    for (const auto& [data, stride] : places) {
      arguments.push_back(data);
      arguments.push_back(stride);
    }
    auto* failure = builder_.CreateCall(kernel, arguments);
    if (match_.returns != Returns::kStatus) return;
    auto* row = builder_.CreateAlignedLoad(builder_.getInt64Ty(), failed_row_, llvm::Align(8));
    auto* status = builder_.CreateAlignedLoad(builder_.getInt32Ty(), status_, llvm::Align(8));
    auto* is_first = builder_.CreateAnd(builder_.CreateIsNull(status),
                                        builder_.CreateICmpNE(failure, builder_.getInt64(kNoFailure)));
    auto* now_row = builder_.CreateSelect(is_first, builder_.CreateAdd(first, builder_.CreateLShr(failure, 32)), row);
    auto* now_status = builder_.CreateSelect(is_first, builder_.CreateTrunc(failure, builder_.getInt32Ty()), status);
    builder_.CreateAlignedStore(now_row, failed_row_, llvm::Align(8));
    builder_.CreateAlignedStore(now_status, status_, llvm::Align(8));
  }

  llvm::AllocaInst* Tile(size_t column, uint64_t rows) {
    auto* memory = Scratch(builder_, rows * columns_[column].size);
    memory->setAlignment(llvm::Align(kLine));
    return memory;
  }

  // `count` rows from `first` on, filled up with the last of them: the same loop runs them as all others.
  void RunTile(llvm::Function* kernel, const std::string& pattern, llvm::Value* first, llvm::Value* count) {
    Places places = From(first);
    for (size_t i = 0; i < columns_.size(); ++i) {
      if (pattern[i] == 'b') continue;
      places[i] = {Tile(i, kTileRows), builder_.getInt64(columns_[i].size)};
    }
    auto* last = builder_.CreateSub(count, builder_.getInt64(1));
    EachRow(builder_.getInt64(kTileRows), [&](llvm::Value* row) {
      auto* from = builder_.CreateAdd(first, builder_.CreateBinaryIntrinsic(llvm::Intrinsic::umin, row, last));
      for (size_t i = 0; i < match_.parameters.size(); ++i) {
        if (pattern[i] != 'b') CopyRow(i, TileRow(places, i, row), Row(i, from));
      }
    });
    Call(kernel, places, first, builder_.getInt64(kTileRows));
    if (columns_.size() == match_.parameters.size()) return;
    const size_t result = columns_.size() - 1;
    EachRow(count, [&](llvm::Value* row) {
      CopyRow(result, Row(result, builder_.CreateAdd(first, row)), TileRow(places, result, row));
    });
  }

  llvm::Value* TileRow(const Places& places, size_t column, llvm::Value* row) {
    return At(places[column].first, builder_.CreateMul(row, places[column].second));
  }

  void CopyRow(size_t column, llvm::Value* to, llvm::Value* from) {
    builder_.CreateMemCpy(to, llvm::Align(1), from, llvm::Align(1), columns_[column].size);
  }

  template <typename Body>
  void EachRow(llvm::Value* rows, Body body) {
    Loop(rows, 1, [&](llvm::Value* row, llvm::Value*) { body(row); });
  }

  const MatchedFunction& match_;
  llvm::Function* call_;
  const std::string name_, pattern_;
  const std::vector<EntryPoint::Parameter> columns_;
  BulkFrame frame_;
  llvm::IRBuilder<>& builder_;
  llvm::Value *failed_row_ = nullptr, *status_ = nullptr;
};

Status CheckPattern(const MatchedFunction& match, const FunctionDeclaration& declaration, const std::string& pattern) {
  if (pattern.empty()) return {};
  const size_t columns = ColumnsOf(match).size();
  const size_t bad = pattern.find_first_not_of("cbs");
  const bool has_result = columns > match.parameters.size();
  const bool streamed = bad + 1 == columns && pattern[bad] == 'n';
  if (pattern.size() == columns && (bad == std::string::npos || (streamed && has_result)) &&
      !(has_result && pattern.back() == 'b'))
    return {};
  return Error(ErrorKind::kInvalidArgument,
               fmt::format("'{}' with signature `{}` has no map of the pattern '{}': one letter a column, c, b or s, "
                           "the result last, which may be n and not b",
                           declaration.symbol, declaration.signature, pattern));
}

}  // namespace

void StreamResults(llvm::Module& module) {
  auto& context = module.getContext();
  auto* one = llvm::ConstantAsMetadata::get(llvm::ConstantInt::get(llvm::Type::getInt32Ty(context), 1));
  for (auto& kernel : module) {
    if (!kernel.hasFnAttribute(kStreams)) continue;
    const auto* result = kernel.getArg(kernel.arg_size() - 2);
    for (auto& instruction : llvm::instructions(kernel)) {
      auto* store = llvm::dyn_cast<llvm::StoreInst>(&instruction);
      if (store == nullptr || !store->getValueOperand()->getType()->isVectorTy()) continue;
      const uint64_t bytes = kernel.getDataLayout().getTypeStoreSize(store->getValueOperand()->getType());
      if (store->getAlign().value() < std::min(bytes, kLine)) continue;
      if (llvm::getUnderlyingObject(store->getPointerOperand()) != result) continue;
      store->setMetadata(llvm::LLVMContext::MD_nontemporal, llvm::MDNode::get(context, {one}));
    }
  }
}

std::vector<EntryPoint::Parameter> ColumnsOf(const MatchedFunction& match) {
  std::vector<EntryPoint::Parameter> columns;
  for (const auto& slot : match.frame.slots()) columns.push_back({slot.offset, slot.size, false});
  if (match.frame.result_size() != 0) columns.push_back({0, match.frame.result_size(), false});
  return columns;
}

std::vector<llvm::Function*> ResolveTiles(llvm::Module& module, bool (*wants_tile)(llvm::Function& kernel)) {
  std::vector<llvm::Function*> entries;
  auto* tile = module.getFunction(kTileName);
  if (tile == nullptr) return entries;
  for (auto* user : llvm::make_early_inc_range(tile->users())) {
    auto* call = llvm::cast<llvm::CallInst>(user);
    auto* kernel = llvm::cast<llvm::Function>(call->getArgOperand(0)->stripPointerCasts());
    entries.push_back(call->getFunction());
    call->replaceAllUsesWith(llvm::ConstantInt::get(call->getType(), wants_tile(*kernel) ? kTileRows : 1));
    call->eraseFromParent();
  }
  tile->eraseFromParent();
  return entries;
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
