// Emits the kernels of reductions.
// SPDX-License-Identifier: Apache-2.0
#include "targets/cuda/combining_entries.h"
#include "targets/cuda/combining_kernel.h"
#include "targets/cuda/launch.h"

namespace rbc::cuda {
namespace {

// Each thread goes over a run of a segment; then the values of neighbouring runs become one, those of neighbouring
// pairs, and so on.
class ReduceBuilder : CombiningKernel {
 public:
  // rows, outcome, data and stride of the column, partials, run, segments, their stride, flags
  ReduceBuilder(const ir::MatchedFunction& match, const std::string& name, llvm::Function* call)
      : CombiningKernel(match, name, call, Types(call->getContext(), "nppnpnnnn"), kReduceThreads) {
    MakeTile(name, kReduceThreads);
  }

  void Build() {
    FindRun();
    auto* direct = kernel_.Block("direct");
    auto* staged = tile_ != nullptr ? kernel_.Block("staged") : direct;
    auto* folded = kernel_.Block("folded");
    kernel_->CreateCondBr(Flag(kReduceStaged), staged, direct);
    kernel_->SetInsertPoint(direct);
    Fold();
    kernel_->CreateBr(folded);
    if (tile_ != nullptr) {
      kernel_->SetInsertPoint(staged);
      FoldStaged();
      kernel_->CreateBr(folded);
    }
    kernel_->SetInsertPoint(folded);
    auto* alone = kernel_.Block("alone");
    auto* together = kernel_.Block("together");
    kernel_->CreateCondBr(Flag(kReduceAlone), alone, together);
    kernel_->SetInsertPoint(alone);
    If(has_some_, [&] { Give(kernel_->CreateNUWAdd(kernel_->CreateNUWMul(segment_, runs_), number_)); });
    kernel_->CreateRetVoid();
    kernel_->SetInsertPoint(together);
    If(has_some_, [&] { Copy(Shared(thread_), value_); });
    for (uint32_t distance = 1; distance < kReduceThreads; distance *= 2) JoinNeighbours(distance);
    If(kernel_->CreateAnd(kernel_->CreateIsNull(thread_), has_some_), [&] { Give(block_); });
    kernel_->CreateRetVoid();
  }

 private:
  llvm::Value* Flag(uint64_t flag) {
    return kernel_->CreateIsNotNull(kernel_->CreateAnd(kernel_.Parameter(8), Number(flag)));
  }
  void Give(llvm::Value* place) {
    Copy(kernel_.At(kernel_.Parameter(4), kernel_->CreateMul(place, Number(size_))), value_);
  }
  llvm::Value* ElementOf(llvm::Value* base, llvm::Value* row) {
    return kernel_.At(base, kernel_->CreateMul(row, kernel_.Parameter(3)));
  }

  // Which segment the thread is in, and which run of it is its own. Alone, neighbours are in neighbouring segments;
  // else blocks share a segment out.
  void FindRun() {
    block_ = kernel_.Register(llvm::Intrinsic::nvvm_read_ptx_sreg_ctaid_x);
    auto* blocks = kernel_.Register(llvm::Intrinsic::nvvm_read_ptx_sreg_nctaid_x);
    auto* threads = Number(kReduceThreads);
    rows_ = kernel_.Parameter(0);
    auto* run = kernel_.Parameter(5);
    auto* segments = kernel_.Parameter(6);
    auto* parts =
        kernel_->CreateBinaryIntrinsic(llvm::Intrinsic::umax, kernel_->CreateUDiv(blocks, segments), Number(1));
    run_ = kernel_->CreateSelect(kernel_->CreateIsNull(run),
                                 RoundUpDivide(rows_, kernel_->CreateNUWMul(parts, threads)), run);
    runs_ = RoundUpDivide(rows_, run_);
    auto* begin = kernel_->CreateNUWMul(block_, threads);
    auto* all = kernel_->CreateNUWAdd(begin, thread_);
    alone_ = Flag(kReduceAlone);
    segment_ = kernel_->CreateSelect(alone_, kernel_->CreateURem(all, segments), kernel_->CreateUDiv(block_, parts));
    number_ = kernel_->CreateSelect(
        alone_, kernel_->CreateUDiv(all, segments),
        kernel_->CreateNUWAdd(kernel_->CreateNUWMul(kernel_->CreateURem(block_, parts), threads), thread_));
    first_ = kernel_->CreateNUWMul(number_, run_);
    has_some_ = kernel_->CreateICmpULT(first_, rows_);
    base_ = kernel_.At(kernel_.Parameter(2), kernel_->CreateMul(segment_, kernel_.Parameter(7)));
    // Where all runs of the block lie one behind the other: where the first begins, and how much there is from there
    // on.
    auto* of_block = kernel_->CreateNUWMul(kernel_->CreateNUWSub(number_, thread_), run_);
    group_ =
        kernel_->CreateSelect(alone_, kernel_.At(kernel_.Parameter(2), kernel_->CreateMul(begin, kernel_.Parameter(7))),
                              ElementOf(base_, of_block));
    in_group_ = kernel_->CreateSelect(alone_, kernel_->CreateNUWMul(kernel_->CreateNUWSub(segments, begin), run_),
                                      kernel_->CreateNUWSub(rows_, of_block));
  }

  void Fold() {
    If(has_some_, [&] {
      Copy(value_, ElementOf(base_, first_));
      auto* end = Least(kernel_->CreateNUWAdd(first_, run_), rows_);
      Loop(kernel_->CreateNUWAdd(first_, Number(1)), end, Number(1),
           [&](llvm::Value* row) { Combine(value_, ElementOf(base_, row), row, 1); });
    });
  }

  // The same values in the same order. The block brings a piece of each run at once, neighbouring threads neighbouring
  // elements.
  void FoldStaged() {
    auto* width = Number(tile_width_);
    auto* end = Least(kernel_->CreateNUWAdd(first_, run_), rows_);
    Loop(Number(0), run_, width, [&](llvm::Value* piece) {
      kernel_.Meet();
      ForTile(Number(kReduceThreads), run_, in_group_, piece,
              [&](llvm::Value* row, llvm::Value* to) { Copy(to, ElementOf(group_, row)); });
      kernel_.Meet();
      auto* begin = kernel_->CreateNUWAdd(first_, piece);
      auto* left = kernel_->CreateBinaryIntrinsic(llvm::Intrinsic::usub_sat, end, begin);
      auto* count = kernel_->CreateSelect(has_some_, Least(left, width), Number(0));
      If(kernel_->CreateAnd(kernel_->CreateIsNull(piece), has_some_), [&] { Copy(value_, Tile(thread_, Number(0))); });
      Loop(kernel_->CreateZExt(kernel_->CreateIsNull(piece), kernel_->getInt64Ty()), count, Number(1),
           [&](llvm::Value* i) { Combine(value_, Tile(thread_, i), kernel_->CreateNUWAdd(begin, i), 1); });
    });
  }
  // Every so manieth thread takes over the value behind its own, where there is one.
  void JoinNeighbours(uint32_t distance) {
    kernel_.Meet();
    auto* keeps = kernel_->CreateIsNull(kernel_->CreateAnd(thread_, Number(2 * distance - 1)));
    auto* partner = kernel_->CreateNUWMul(kernel_->CreateNUWAdd(number_, Number(distance)), run_);
    If(kernel_->CreateAnd(keeps, kernel_->CreateICmpULT(partner, rows_)), [&] {
      Combine(value_, Shared(kernel_->CreateNUWAdd(thread_, Number(distance))), partner, 1);
      Copy(Shared(thread_), value_);
    });
  }

  llvm::Value* block_ = nullptr;
  llvm::Value *rows_ = nullptr, *run_ = nullptr, *runs_ = nullptr;  // of a segment; rows of a run
  llvm::Value *alone_ = nullptr, *segment_ = nullptr;
  llvm::Value *number_ = nullptr, *first_ = nullptr, *has_some_ = nullptr;  // the thread's run, where it begins
  llvm::Value* base_ = nullptr;                                             // of the segment
  llvm::Value *group_ = nullptr, *in_group_ = nullptr;
};

}  // namespace

void MakeReduceKernel(const ir::MatchedFunction& match, const std::string& name, llvm::Function* call) {
  ReduceBuilder(match, name, call).Build();
}

}  // namespace rbc::cuda
