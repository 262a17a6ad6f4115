// Emits the kernels of scans.
// SPDX-License-Identifier: Apache-2.0
#include "targets/cuda/combining_entries.h"
#include "targets/cuda/combining_kernel.h"
#include "targets/cuda/launch.h"

namespace rbc::cuda {
namespace {

// Each thread of a block has a run of a segment. First the values of all runs but the last are made; the first thread
// goes over them; then each thread goes over its run with what came before it.
class ScanBuilder : CombiningKernel {
 public:
  // segments, length, outcome, data and stride of input and output, carry, carries, total, values, flags
  ScanBuilder(const ir::MatchedFunction& match, const std::string& name, llvm::Function* call)
      : CombiningKernel(match, name, call, Types(call->getContext(), "nnppnpnppnpn"), kScanThreads) {
    MakeTile(name, kScanThreads);
  }

  void Build() {
    length_ = kernel_.Parameter(1);
    values_ = kernel_.Parameter(10);
    threads_ = kernel_.Register(llvm::Intrinsic::nvvm_read_ptx_sreg_ntid_x);
    run_ = RoundUpDivide(length_, threads_);
    first_ = kernel_->CreateNUWMul(thread_, run_);
    only_values_ = kernel_->CreateIsNotNull(values_);
    staged_ = kernel_->CreateIsNotNull(kernel_->CreateAnd(kernel_.Parameter(11), Number(kScanStaged)));
    auto* block = kernel_.Register(llvm::Intrinsic::nvvm_read_ptx_sreg_ctaid_x);
    auto* blocks = kernel_.Register(llvm::Intrinsic::nvvm_read_ptx_sreg_nctaid_x);
    Loop(block, kernel_.Parameter(0), blocks, [&](llvm::Value* segment) {
      Enter(segment);
      auto* wanted = kernel_->CreateOr(only_values_, kernel_->CreateICmpNE(end_, here_));
      wanted = kernel_->CreateAnd(has_some_, wanted);
      Either([&] { If(wanted, [&] { ValueOfRun(); }); }, [&] { ValueOfRunStaged(wanted); });
      kernel_.Meet();
      If(kernel_->CreateIsNull(thread_), [&] { ValuesBefore(); });
      kernel_.Meet();
      If(kernel_->CreateNot(only_values_),
         [&] { Either([&] { If(has_some_, [&] { ScanRun(); }); }, [&] { ScanRunStaged(); }); });
      If(kernel_->CreateAnd(kernel_->CreateIsNull(thread_), only_values_), [&] {
        auto* last = kernel_->CreateUDiv(kernel_->CreateNUWSub(here_, Number(1)), run_);
        Copy(kernel_.At(values_, kernel_->CreateNUWMul(segment, Number(size_))), Shared(last));
      });
      kernel_.Meet();  // before the next segment's values are put where this one's are
    });
    kernel_->CreateRetVoid();
  }

 private:
  // All threads of a grid go the same of two ways.
  template <typename Direct, typename Staged>
  void Either(Direct direct, Staged staged) {
    if (tile_ == nullptr) return direct();
    auto* go_direct = kernel_.Block("direct");
    auto* go_staged = kernel_.Block("staged");
    auto* end = kernel_.Block("end");
    kernel_->CreateCondBr(staged_, go_staged, go_direct);
    kernel_->SetInsertPoint(go_direct);
    direct();
    kernel_->CreateBr(end);
    kernel_->SetInsertPoint(go_staged);
    staged();
    kernel_.Go(end);
  }

  // Where the segment begins, how long it is, what came before it.
  void Enter(llvm::Value* segment) {
    base_ = kernel_->CreateNUWMul(segment, length_);
    here_ = Least(length_, kernel_->CreateNUWSub(kernel_.Parameter(9), base_));
    end_ = Least(kernel_->CreateNUWAdd(first_, run_), here_);
    has_some_ = kernel_->CreateICmpULT(first_, here_);
    auto* carries = kernel_.Parameter(8);
    auto* before = kernel_.At(carries, kernel_->CreateMul(kernel_->CreateSub(segment, Number(1)), Number(size_)));
    auto* is_first = kernel_->CreateOr(kernel_->CreateIsNull(segment), kernel_->CreateIsNull(carries));
    carry_ = kernel_->CreateSelect(is_first, kernel_.Parameter(7), before);
  }

  llvm::Value* Row(llvm::Value* i) { return kernel_->CreateNUWAdd(base_, i); }
  llvm::Value* In(llvm::Value* i) { return Element(3, Row(i)); }
  llvm::Value* Out(llvm::Value* i) { return Element(5, Row(i)); }
  llvm::Value* Before(llvm::Value* thread) { return Shared(kernel_->CreateNUWSub(thread, Number(1))); }
  // value = f(*left, *right), of which element `i` is the last
  void Combine(llvm::Value* left, llvm::Value* right, llvm::Value* i) {
    CombiningKernel::Combine(left, right, Row(i), 2);
  }

  void ValueOfRun() {
    Copy(value_, In(first_));
    Loop(kernel_->CreateNUWAdd(first_, Number(1)), end_, Number(1), [&](llvm::Value* i) { Combine(value_, In(i), i); });
    Copy(Shared(thread_), value_);
  }

  // In pieces of all runs, which the block brings at once: body(begin of the piece in the segment, elements of the
  // thread's own).
  template <typename Body>
  void ForPieces(Body body) {
    Loop(Number(0), run_, Number(tile_width_), [&](llvm::Value* piece) {
      kernel_.Meet();
      ForTile(threads_, run_, here_, piece, [&](llvm::Value* row, llvm::Value* to) { Copy(to, In(row)); });
      kernel_.Meet();
      auto* begin = kernel_->CreateNUWAdd(first_, piece);
      auto* left = kernel_->CreateBinaryIntrinsic(llvm::Intrinsic::usub_sat, end_, begin);
      body(piece, begin, kernel_->CreateSelect(has_some_, Least(left, Number(tile_width_)), Number(0)));
    });
  }
  // The first of the tile becomes the value, where that is its first; the number of the next to be met.
  llvm::Value* TakeFirst(llvm::Value* is_first) {
    If(kernel_->CreateAnd(is_first, has_some_), [&] { Copy(value_, Tile(thread_, Number(0))); });
    return kernel_->CreateZExt(is_first, kernel_->getInt64Ty());
  }

  void ValueOfRunStaged(llvm::Value* wanted) {
    ForPieces([&](llvm::Value* piece, llvm::Value* begin, llvm::Value* count) {
      auto* from = TakeFirst(kernel_->CreateIsNull(piece));
      Loop(from, kernel_->CreateSelect(wanted, count, Number(0)), Number(1),
           [&](llvm::Value* i) { Combine(value_, Tile(thread_, i), kernel_->CreateNUWAdd(begin, i)); });
    });
    If(wanted, [&] { Copy(Shared(thread_), value_); });
  }

  void ScanRunStaged() {
    auto* is_leading = kernel_->CreateIsNull(thread_);
    auto* starts = kernel_->CreateAnd(is_leading, kernel_->CreateIsNull(carry_));
    If(kernel_->CreateAnd(has_some_, kernel_->CreateNot(starts)),
       [&] { Copy(value_, kernel_->CreateSelect(is_leading, carry_, Before(thread_))); });
    ForPieces([&](llvm::Value* piece, llvm::Value* begin, llvm::Value* count) {
      auto* from = TakeFirst(kernel_->CreateAnd(kernel_->CreateIsNull(piece), starts));
      Loop(from, count, Number(1), [&](llvm::Value* i) {
        Combine(value_, Tile(thread_, i), kernel_->CreateNUWAdd(begin, i));
        Copy(Tile(thread_, i), value_);
      });
      kernel_.Meet();
      ForTile(threads_, run_, here_, piece,
              [&](llvm::Value* row, llvm::Value* from_tile) { Copy(Out(row), from_tile); });
    });
  }

  // Of each run but the last, and of that too where values are all that is asked for: the value of the segment up to
  // its end. Where there is one run alone nothing is there.
  void ValuesBefore() {
    auto* has_carry = kernel_->CreateIsNotNull(carry_);
    If(kernel_->CreateAnd(has_carry, kernel_->CreateICmpULT(run_, here_)), [&] {
      Combine(carry_, Shared(Number(0)), Number(0));
      Copy(Shared(Number(0)), value_);
    });
    auto* some = kernel_->CreateBinaryIntrinsic(llvm::Intrinsic::umax, run_, Number(1));
    auto* last = kernel_->CreateUDiv(kernel_->CreateNUWSub(here_, Number(1)), some);
    auto* end = kernel_->CreateNUWAdd(last, kernel_->CreateZExt(only_values_, kernel_->getInt64Ty()));
    Loop(Number(1), end, Number(1), [&](llvm::Value* thread) {
      Combine(Before(thread), Shared(thread), kernel_->CreateNUWMul(thread, run_));
      Copy(Shared(thread), value_);
    });
  }

  void ScanRun() {
    auto* behind = kernel_.Block("behind");
    auto* leading = kernel_.Block("leading");
    auto* carried = kernel_.Block("carried");
    auto* plain = kernel_.Block("plain");
    auto* begin = kernel_.Block("begin");
    kernel_->CreateCondBr(kernel_->CreateIsNull(thread_), leading, behind);
    kernel_->SetInsertPoint(behind);
    Combine(Before(thread_), In(first_), first_);
    kernel_->CreateBr(begin);
    kernel_->SetInsertPoint(leading);
    kernel_->CreateCondBr(kernel_->CreateIsNull(carry_), plain, carried);
    kernel_->SetInsertPoint(carried);
    Combine(carry_, In(first_), first_);
    kernel_->CreateBr(begin);
    kernel_->SetInsertPoint(plain);
    Copy(value_, In(first_));
    kernel_.Go(begin);
    Copy(Out(first_), value_);
    Loop(kernel_->CreateNUWAdd(first_, Number(1)), end_, Number(1), [&](llvm::Value* i) {
      Combine(value_, In(i), i);
      Copy(Out(i), value_);
    });
  }

  llvm::Value *length_ = nullptr, *values_ = nullptr, *threads_ = nullptr;
  llvm::Value *only_values_ = nullptr, *staged_ = nullptr;
  llvm::Value *run_ = nullptr, *first_ = nullptr, *end_ = nullptr;  // length of a run; the thread's own
  llvm::Value* has_some_ = nullptr;                                 // whether it has one
  llvm::Value *base_ = nullptr, *here_ = nullptr;                   // the segment's first row, how many it has
  llvm::Value* carry_ = nullptr;                                    // what came before the segment; null: nothing
};

}  // namespace

void MakeScanKernel(const ir::MatchedFunction& match, const std::string& name, llvm::Function* call) {
  ScanBuilder(match, name, call).Build();
}

}  // namespace rbc::cuda
