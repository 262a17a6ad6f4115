// Reductions and scans: a function of two values over the rows of a column.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/Module.h"
#include "targets/ir/bulk_entry.h"
#include "targets/ir/combine.h"
#include "targets/ir/entry_point.h"

namespace rbc::ir {
namespace {

constexpr uint64_t kLanes = 64;
constexpr uint64_t kMostRuns = 4;       // that a whole leaf is read as, side by side
constexpr uint64_t kLevels = 48;        // of the tree over leaves: more than rows can be
constexpr uint64_t kMostGathered = 16;  // bytes of a row that is brought together for a vector leaf

// What both entries do: two values in, one out.
class Combiner {
 public:
  Combiner(const MatchedFunction& match, llvm::Function* call, llvm::IRBuilder<>& builder)
      : match_(match), call_(call), builder_(builder), size_(match.frame.result_size()) {
    frame_ = Scratch(builder_, match.frame.fixed_size());
    result_ = Scratch(builder_, size_);
  }

  // *to = f(*left, *right). On a status other than 0 control goes to `failed`, which gets a value for its first phi.
  void Combine(llvm::Value* to, llvm::Value* left, llvm::Value* right, llvm::BasicBlock* failed) {
    Copy(Slot(0), left);
    Copy(Slot(1), right);
    auto* status = builder_.CreateCall(call_, {frame_, result_});
    Copy(to, result_);
    if (match_.returns != Returns::kStatus) return;
    auto* block = builder_.GetInsertBlock();
    auto* next = llvm::BasicBlock::Create(builder_.getContext(), "", block->getParent());
    builder_.CreateCondBr(builder_.CreateIsNull(status), next, failed);
    llvm::cast<llvm::PHINode>(&failed->front())->addIncoming(status, block);
    builder_.SetInsertPoint(next);
  }

  void Copy(llvm::Value* to, llvm::Value* from) {
    builder_.CreateMemCpy(to, llvm::Align(match_.result.alignment), from, llvm::Align(match_.result.alignment), size_);
  }

 private:
  llvm::Value* Slot(size_t parameter) {
    return builder_.CreateConstInBoundsGEP1_64(builder_.getInt8Ty(), frame_, match_.frame.slots()[parameter].offset);
  }

  const MatchedFunction& match_;
  llvm::Function* call_;
  llvm::IRBuilder<>& builder_;
  const uint64_t size_;
  llvm::Value *frame_ = nullptr, *result_ = nullptr;
};

llvm::Value* RowAt(llvm::IRBuilder<>& builder, llvm::Value* data, llvm::Value* row, llvm::Value* stride) {
  return builder.CreateGEP(builder.getInt8Ty(), data, builder.CreateMul(row, stride));
}

// A block of `function` that returns the status that its predecessors bring.
llvm::BasicBlock* FailedBlock(llvm::Function* function) {
  auto* block = llvm::BasicBlock::Create(function->getContext(), "failed", function);
  llvm::IRBuilder<> builder(block);
  builder.CreateRet(builder.CreatePHI(builder.getInt32Ty(), 1));
  return block;
}

// Without a function that can fail nothing leads there.
void DropUnreached(llvm::BasicBlock* block) {
  if (llvm::pred_empty(block)) block->eraseFromParent();
}

// A `for` over [from, to), from < to: `body(index)`.
template <typename Body>
void EmitLoop(llvm::IRBuilder<>& builder, llvm::Value* from, llvm::Value* to, uint64_t step, Body body) {
  auto* before = builder.GetInsertBlock();
  auto* function = before->getParent();
  auto* block = llvm::BasicBlock::Create(builder.getContext(), "each", function);
  auto* end = llvm::BasicBlock::Create(builder.getContext(), "end", function);
  builder.CreateCondBr(builder.CreateICmpULT(from, to), block, end);
  builder.SetInsertPoint(block);
  auto* index = builder.CreatePHI(builder.getInt64Ty(), 2);
  index->addIncoming(from, before);
  body(index);
  auto* next = builder.CreateAdd(index, builder.getInt64(step), "", true, true);
  index->addIncoming(next, builder.GetInsertBlock());
  builder.CreateCondBr(builder.CreateICmpULT(next, to), block, end);
  builder.SetInsertPoint(end);
}

// `i32 leaf(i64 rows, ptr data, i64 stride, ptr out)`: the value of 1 to kReduceLeaf rows in the order that target.h
// documents.
class Leaf {
 public:
  Leaf(const MatchedFunction& match, llvm::Function* call, const std::string& name)
      : match_(match), call_(call), builder_(call->getContext()), size_(match.frame.result_size()) {
    auto* word = builder_.getInt64Ty();
    auto* pointer = builder_.getPtrTy();
    auto* type = llvm::FunctionType::get(builder_.getInt32Ty(), {word, pointer, word, pointer}, false);
    leaf_ = llvm::Function::Create(type, llvm::GlobalValue::InternalLinkage, name, *call->getParent());
    leaf_->addFnAttr(llvm::Attribute::NoUnwind);
    leaf_->addFnAttr(llvm::Attribute::NoInline);
    leaf_->addFnAttr("probe-stack", "inline-asm");
    rows_ = leaf_->getArg(0);
    data_ = leaf_->getArg(1);
    stride_ = leaf_->getArg(2);
    builder_.SetInsertPoint(llvm::BasicBlock::Create(builder_.getContext(), "", leaf_));
  }

  llvm::Function* Build() {
    const auto combine = SimpleCombine(*call_, match_);
    if (!combine || size_ > kMostGathered) {
      InOrder();
      return leaf_;
    }
    auto* few = Block("few");
    auto* many = Block("many");
    builder_.CreateCondBr(builder_.CreateICmpULT(rows_, builder_.getInt64(kLanes)), few, many);
    builder_.SetInsertPoint(few);
    InOrder();
    builder_.SetInsertPoint(many);
    InLanes(*combine);
    return leaf_;
  }

 private:
  llvm::BasicBlock* Block(const char* label) { return llvm::BasicBlock::Create(builder_.getContext(), label, leaf_); }

  // One after the other, as they lie.
  void InOrder() {
    Combiner combiner(match_, call_, builder_);
    auto* sum = Scratch(builder_, size_);
    auto* failed = FailedBlock(leaf_);
    combiner.Copy(sum, data_);
    EmitLoop(builder_, builder_.getInt64(1), rows_, 1,
             [&](llvm::Value* row) { combiner.Combine(sum, sum, RowAt(builder_, data_, row, stride_), failed); });
    combiner.Copy(leaf_->getArg(3), sum);
    builder_.CreateRet(builder_.getInt32(0));
    DropUnreached(failed);
  }

  void InLanes(const VectorCombine& combine) {
    auto* data = Gathered();
    const uint64_t runs = std::min(kMostRuns, size_);
    if (runs > 1) {
      auto* whole = Block("whole");
      auto* part = Block("part");
      builder_.CreateCondBr(builder_.CreateICmpEQ(rows_, builder_.getInt64(kReduceLeaf)), whole, part);
      builder_.SetInsertPoint(whole);
      FoldLanes(combine, InRuns(combine, data, runs));
      builder_.SetInsertPoint(part);
    }
    FoldLanes(combine, InSteps(combine, data));
  }

  // Of a whole leaf, as so many runs of rows: lane i of a run has its rows i, i + 64 / runs, ... Memory is read in
  // several pages at once, which processors fetch sooner than page after page.
  llvm::Value* InRuns(const VectorCombine& combine, llvm::Value* data, uint64_t runs) {
    const uint64_t lanes = kLanes / runs, length = kReduceLeaf / runs;
    auto* vector = llvm::FixedVectorType::get(combine.type, lanes);
    llvm::IRBuilder<> top(&leaf_->getEntryBlock(), leaf_->getEntryBlock().begin());
    const auto load = [&](uint64_t run, llvm::Value* row) {
      auto* place =
          builder_.CreateInBoundsGEP(combine.type, data, builder_.CreateAdd(row, builder_.getInt64(run * length)));
      return builder_.CreateAlignedLoad(vector, place, llvm::Align(match_.result.alignment));
    };
    std::vector<llvm::Value*> sums;
    for (uint64_t run = 0; run < runs; ++run) {
      sums.push_back(top.CreateAlloca(vector));
      builder_.CreateStore(load(run, builder_.getInt64(0)), sums.back());
    }
    EmitLoop(builder_, builder_.getInt64(lanes), builder_.getInt64(length), lanes, [&](llvm::Value* row) {
      for (uint64_t run = 0; run < runs; ++run)
        builder_.CreateStore(combine.make(builder_, builder_.CreateLoad(vector, sums[run]), load(run, row)), sums[run]);
    });
    std::vector<llvm::Value*> parts;
    for (llvm::Value* sum : sums) parts.push_back(builder_.CreateLoad(vector, sum));
    for (uint64_t width = lanes; parts.size() > 1; width *= 2) {
      std::vector<int> all(2 * width);
      std::iota(all.begin(), all.end(), 0);
      std::vector<llvm::Value*> wider;
      for (size_t i = 0; i < parts.size(); i += 2)
        wider.push_back(builder_.CreateShuffleVector(parts[i], parts[i + 1], all));
      parts.swap(wider);
    }
    return parts[0];
  }

  // Lane i has the rows i, i + 64, ...
  llvm::Value* InSteps(const VectorCombine& combine, llvm::Value* data) {
    auto* element = combine.type;
    auto* vector = llvm::FixedVectorType::get(element, kLanes);
    auto* whole = builder_.CreateAnd(rows_, ~(kLanes - 1));
    llvm::IRBuilder<> top(&leaf_->getEntryBlock(), leaf_->getEntryBlock().begin());
    auto* sum = top.CreateAlloca(vector);
    const auto load = [&](llvm::Value* row) {
      auto* place = builder_.CreateInBoundsGEP(element, data, row);
      return builder_.CreateAlignedLoad(vector, place, llvm::Align(match_.result.alignment));
    };
    builder_.CreateStore(load(builder_.getInt64(0)), sum);
    EmitLoop(builder_, builder_.getInt64(kLanes), whole, kLanes, [&](llvm::Value* row) {
      builder_.CreateStore(combine.make(builder_, builder_.CreateLoad(vector, sum), load(row)), sum);
    });
    auto* left = builder_.CreateSub(rows_, whole);
    auto* mask = builder_.CreateICmpULT(LaneNumbers(), builder_.CreateVectorSplat(kLanes, left));
    auto* place = builder_.CreateInBoundsGEP(element, data, whole);
    auto* before = builder_.CreateLoad(vector, sum);
    auto* rest = builder_.CreateMaskedLoad(vector, place, llvm::Align(match_.result.alignment), mask, before);
    return builder_.CreateSelect(mask, combine.make(builder_, before, rest), before);
  }

  // Halves of the lanes are combined until one is left.
  void FoldLanes(const VectorCombine& combine, llvm::Value* lanes) {
    for (uint64_t half = kLanes / 2; half != 0; half /= 2) {
      std::vector<int> low, high;
      for (uint64_t i = 0; i < half; ++i) {
        low.push_back(static_cast<int>(i));
        high.push_back(static_cast<int>(half + i));
      }
      lanes =
          combine.make(builder_, builder_.CreateShuffleVector(lanes, low), builder_.CreateShuffleVector(lanes, high));
    }
    auto* value = builder_.CreateExtractElement(lanes, uint64_t{0});
    builder_.CreateAlignedStore(value, leaf_->getArg(3), llvm::Align(match_.result.alignment));
    builder_.CreateRet(builder_.getInt32(0));
  }

  llvm::Value* LaneNumbers() {
    std::vector<uint64_t> numbers;
    for (uint64_t i = 0; i < kLanes; ++i) numbers.push_back(i);
    return llvm::ConstantDataVector::get(builder_.getContext(), numbers);
  }

  // The rows side by side: where they lie, or a copy.
  llvm::Value* Gathered() {
    auto* copy = Scratch(builder_, kReduceLeaf * size_);
    copy->setAlignment(llvm::Align(64));
    auto* before = builder_.GetInsertBlock();
    auto* gather = Block("gather");
    auto* ready = Block("ready");
    auto* size = builder_.getInt64(size_);
    builder_.CreateCondBr(builder_.CreateICmpEQ(stride_, size), ready, gather);
    builder_.SetInsertPoint(gather);
    EmitLoop(builder_, builder_.getInt64(0), rows_, 1, [&](llvm::Value* row) {
      const llvm::Align alignment(match_.result.alignment);
      builder_.CreateMemCpy(RowAt(builder_, copy, row, size), alignment, RowAt(builder_, data_, row, stride_),
                            alignment, size_);
    });
    auto* gathered = builder_.GetInsertBlock();
    builder_.CreateBr(ready);
    builder_.SetInsertPoint(ready);
    auto* data = builder_.CreatePHI(builder_.getPtrTy(), 2);
    data->addIncoming(data_, before);
    data->addIncoming(copy, gathered);
    return data;
  }

  const MatchedFunction& match_;
  llvm::Function* call_;
  llvm::IRBuilder<> builder_;
  const uint64_t size_;
  llvm::Function* leaf_ = nullptr;
  llvm::Value *rows_ = nullptr, *data_ = nullptr, *stride_ = nullptr;
};

// Leaves one by one; whenever two values stand for as many leaves each they become one, as a binary counter carries.
class ReduceBuilder {
 public:
  ReduceBuilder(const MatchedFunction& match, llvm::Function* call, const std::string& name)
      : size_(match.frame.result_size()),
        leaf_(Leaf(match, call, name + ".leaf").Build()),
        entry_(name, call, 1),
        builder_(entry_.builder),
        combiner_(match, call, builder_) {}

  void Build() {
    failed_ = FailedBlock(entry_.entry);
    values_ = Scratch(builder_, kLevels * size_);
    height_ = Variable();
    leaves_ = Variable();
    auto* rows_of_leaf =
        builder_.CreateSelect(builder_.CreateIsNull(entry_.word), builder_.getInt64(kReduceLeaf), builder_.getInt64(1));
    auto* first = Variable();
    Until([&] { return builder_.CreateICmpULT(Get(first), entry_.rows); },
          [&] {
            auto* left = builder_.CreateSub(entry_.rows, Get(first));
            auto* count = builder_.CreateBinaryIntrinsic(llvm::Intrinsic::umin, left, rows_of_leaf);
            CallLeaf(RowAt(builder_, entry_.data[0], Get(first), entry_.strides[0]), count);
            Set(first, builder_.CreateAdd(Get(first), count));
            Carry();
          });
    Until([&] { return builder_.CreateICmpUGT(Get(height_), builder_.getInt64(1)); }, [&] { Merge(); });
    combiner_.Copy(entry_.entry->getArg(1), values_);
    builder_.CreateRet(builder_.getInt32(0));
    DropUnreached(failed_);
  }

 private:
  // A word that is 0 from here on.
  llvm::Value* Variable() {
    auto* place = Scratch(builder_, 8);
    builder_.CreateAlignedStore(builder_.getInt64(0), place, llvm::Align(8));
    return place;
  }
  llvm::Value* Get(llvm::Value* place) {
    return builder_.CreateAlignedLoad(builder_.getInt64Ty(), place, llvm::Align(8));
  }
  void Set(llvm::Value* place, llvm::Value* value) { builder_.CreateAlignedStore(value, place, llvm::Align(8)); }

  template <typename Condition, typename Body>
  void Until(Condition condition, Body body) {
    auto* test = entry_.Block("while");
    auto* block = entry_.Block("do");
    auto* end = entry_.Block("done");
    builder_.CreateBr(test);
    builder_.SetInsertPoint(test);
    builder_.CreateCondBr(condition(), block, end);
    builder_.SetInsertPoint(block);
    body();
    builder_.CreateBr(test);
    builder_.SetInsertPoint(end);
  }

  llvm::Value* Level(llvm::Value* index) { return RowAt(builder_, values_, index, builder_.getInt64(size_)); }

  void CallLeaf(llvm::Value* data, llvm::Value* count) {
    auto* status = builder_.CreateCall(leaf_, {count, data, entry_.strides[0], Level(Get(height_))});
    auto* block = builder_.GetInsertBlock();
    auto* next = entry_.Block("");
    builder_.CreateCondBr(builder_.CreateIsNull(status), next, failed_);
    llvm::cast<llvm::PHINode>(&failed_->front())->addIncoming(status, block);
    builder_.SetInsertPoint(next);
    Set(height_, builder_.CreateAdd(Get(height_), builder_.getInt64(1)));
    Set(leaves_, builder_.CreateAdd(Get(leaves_), builder_.getInt64(1)));
  }

  void Carry() {
    auto* number = Variable();
    Set(number, Get(leaves_));
    Until([&] { return builder_.CreateIsNull(builder_.CreateAnd(Get(number), builder_.getInt64(1))); },
          [&] {
            Merge();
            Set(number, builder_.CreateLShr(Get(number), 1));
          });
  }

  void Merge() {
    auto* top = builder_.CreateSub(Get(height_), builder_.getInt64(1));
    auto* below = Level(builder_.CreateSub(top, builder_.getInt64(1)));
    combiner_.Combine(below, below, Level(top), failed_);
    Set(height_, top);
  }

  const uint64_t size_;
  llvm::Function* leaf_;
  BulkFrame entry_;
  llvm::IRBuilder<>& builder_;
  Combiner combiner_;
  llvm::BasicBlock* failed_ = nullptr;
  llvm::Value *values_ = nullptr, *height_ = nullptr, *leaves_ = nullptr;
};

// Row after row; the second word of the frame points to what came before, or is 0.
void BuildScan(const MatchedFunction& match, llvm::Function* call, const std::string& name) {
  BulkFrame entry(name, call, 2);
  auto& builder = entry.builder;
  Combiner combiner(match, call, builder);
  auto* sum = Scratch(builder, match.frame.result_size());
  auto* failed_row = entry.entry->getArg(1);
  auto* failed = FailedBlock(entry.entry);
  auto* carry = entry.Block("carry");
  auto* plain = entry.Block("plain");
  auto* begin = entry.Block("begin");
  auto* nothing = entry.Block("nothing");
  auto* some = entry.Block("some");
  builder.CreateAlignedStore(builder.getInt64(0), failed_row, llvm::Align(8));
  builder.CreateCondBr(builder.CreateIsNull(entry.rows), nothing, some);
  builder.SetInsertPoint(nothing);
  builder.CreateRet(builder.getInt32(0));
  builder.SetInsertPoint(some);
  builder.CreateCondBr(builder.CreateIsNull(entry.word), plain, carry);
  builder.SetInsertPoint(carry);
  combiner.Combine(sum, builder.CreateIntToPtr(entry.word, builder.getPtrTy()), entry.data[0], failed);
  builder.CreateBr(begin);
  builder.SetInsertPoint(plain);
  combiner.Copy(sum, entry.data[0]);
  builder.CreateBr(begin);
  builder.SetInsertPoint(begin);
  combiner.Copy(entry.data[1], sum);
  EmitLoop(builder, builder.getInt64(1), entry.rows, 1, [&](llvm::Value* row) {
    if (match.returns == Returns::kStatus) builder.CreateAlignedStore(row, failed_row, llvm::Align(8));
    combiner.Combine(sum, sum, RowAt(builder, entry.data[0], row, entry.strides[0]), failed);
    combiner.Copy(RowAt(builder, entry.data[1], row, entry.strides[1]), sum);
  });
  builder.CreateRet(builder.getInt32(0));
  DropUnreached(failed);
}

// Two parameters and a result of one type.
Status CheckShape(const MatchedFunction& match, const FunctionDeclaration& declaration, const char* what) {
  const auto same = [&](const Value& value) { return value.type == match.result.type; };
  if (match.parameters.size() == 2 && match.result.size != 0 && same(match.parameters[0]) && same(match.parameters[1]))
    return {};
  Error error(ErrorKind::kInvalidArgument,
              fmt::format("'{}' with signature `{}` cannot {}: that takes two values of one type to a third",
                          declaration.symbol, declaration.signature, what));
  error.function = declaration.symbol;
  return error;
}

}  // namespace

Expected<EntryPoint> MakeReduceEntry(const MatchedFunction& match, size_t index, const FunctionDeclaration& declaration,
                                     EntryKind kind, const std::function<void(llvm::Function&)>& simplify) {
  const bool scan = kind == EntryKind::kScan;
  RBC_RETURN_IF_ERROR(CheckRows(match, declaration, scan ? "a scan" : "a reduction"));
  RBC_RETURN_IF_ERROR(CheckShape(match, declaration, scan ? "scan" : "reduce"));
  EntryPoint entry = MakeEntryPoint(match, index, declaration.symbol);
  auto* call = HideEntry(match, entry);
  if (scan) {
    BuildScan(match, call, entry.symbol);
  } else {
    simplify(*call);
    ReduceBuilder(match, call, entry.symbol).Build();
  }
  entry.kind = kind;
  const auto size = static_cast<uint32_t>(match.result.size);
  entry.parameters.assign(scan ? 2 : 1, {0, size, false});
  return entry;
}

}  // namespace rbc::ir
