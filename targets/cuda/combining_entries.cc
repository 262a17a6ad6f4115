// Emits the kernels of reductions and scans.
// SPDX-License-Identifier: Apache-2.0
#include "targets/cuda/combining_entries.h"

#include <bit>
#include <vector>

#include "targets/cuda/kernel_builder.h"
#include "targets/cuda/launch.h"

namespace rbc::cuda {
namespace {

// What both kernels do: threads go over runs of neighbours, then their values meet in shared memory, in their order.
class CombiningKernel {
 protected:
  CombiningKernel(const ir::MatchedFunction& match, const std::string& name, llvm::Function* call,
                  llvm::ArrayRef<llvm::Type*> parameters, uint32_t most_threads)
      : match_(match), call_(call), size_(match.result.size), kernel_(*call->getParent(), name, parameters) {
    shared_ = kernel_.Shared(size_ * most_threads, name + "_values");
    frame_ = kernel_.Scratch(match_.frame.fixed_size());
    value_ = kernel_.Scratch(size_);
    thread_ = kernel_.Register(llvm::Intrinsic::nvvm_read_ptx_sreg_tid_x);
  }

  // A letter a parameter: n is a number, p a pointer.
  static std::vector<llvm::Type*> Types(llvm::LLVMContext& context, std::string_view letters) {
    std::vector<llvm::Type*> types;
    for (const char letter : letters) {
      if (letter == 'n')
        types.push_back(llvm::Type::getInt64Ty(context));
      else
        types.push_back(llvm::PointerType::get(context, 0));
    }
    return types;
  }

  template <typename Body>
  void If(llvm::Value* condition, Body body) {
    auto* then = kernel_.Block("then");
    auto* end = kernel_.Block("end");
    kernel_->CreateCondBr(condition, then, end);
    kernel_->SetInsertPoint(then);
    body();
    kernel_.Go(end);
  }

  // for (i = from; i < to; i += step) body(i)
  template <typename Body>
  void Loop(llvm::Value* from, llvm::Value* to, llvm::Value* step, Body body) {
    auto* before = kernel_->GetInsertBlock();
    auto* test = kernel_.Block("test");
    auto* each = kernel_.Block("each");
    auto* end = kernel_.Block("end");
    kernel_.Go(test);
    auto* index = kernel_->CreatePHI(kernel_->getInt64Ty(), 2);
    index->addIncoming(from, before);
    kernel_->CreateCondBr(kernel_->CreateICmpULT(index, to), each, end);
    kernel_->SetInsertPoint(each);
    body(index);
    index->addIncoming(kernel_->CreateNUWAdd(index, step), kernel_->GetInsertBlock());
    kernel_->CreateBr(test);
    kernel_->SetInsertPoint(end);
  }

  llvm::Value* Number(uint64_t value) { return kernel_->getInt64(value); }
  llvm::Value* RoundUpDivide(llvm::Value* value, llvm::Value* by) {
    return kernel_->CreateUDiv(kernel_->CreateNUWAdd(value, kernel_->CreateNUWSub(by, Number(1))), by);
  }
  llvm::Value* Least(llvm::Value* a, llvm::Value* b) {
    return kernel_->CreateBinaryIntrinsic(llvm::Intrinsic::umin, a, b);
  }

  llvm::Align alignment() const { return llvm::Align(match_.result.alignment); }
  void Copy(llvm::Value* to, llvm::Value* from) { kernel_->CreateMemCpy(to, alignment(), from, alignment(), size_); }
  // Of the column whose parameters begin at `column`.
  llvm::Value* Element(unsigned column, llvm::Value* row) {
    return kernel_.At(kernel_.Parameter(column), kernel_->CreateMul(row, kernel_.Parameter(column + 1)));
  }
  llvm::Value* Shared(llvm::Value* thread) {
    auto* generic = kernel_->CreateAddrSpaceCast(shared_, kernel_->getPtrTy());
    return kernel_.At(generic, kernel_->CreateMul(thread, Number(size_)));
  }

  // value = f(*left, *right); a failure is one of `row`, noted at the parameter `outcome`.
  void Combine(llvm::Value* left, llvm::Value* right, llvm::Value* row, unsigned outcome) {
    const auto slots = match_.frame.slots();
    Copy(kernel_.At(frame_, slots[0].offset), left);
    Copy(kernel_.At(frame_, slots[1].offset), right);
    auto* status = kernel_->CreateCall(call_, {frame_, value_});
    ReportStatus(kernel_, status, row, kernel_.Parameter(outcome));
  }

  const ir::MatchedFunction& match_;
  llvm::Function* call_;
  const uint64_t size_;
  KernelBuilder kernel_;
  llvm::GlobalVariable* shared_ = nullptr;
  llvm::Value *frame_ = nullptr, *value_ = nullptr, *thread_ = nullptr;
};

// Each thread goes over a run of a segment; then the values of neighbouring runs become one, those of neighbouring
// pairs, and so on.
class ReduceBuilder : CombiningKernel {
 public:
  // rows, outcome, data and stride of the column, partials, run, segments, their stride, flags
  ReduceBuilder(const ir::MatchedFunction& match, const std::string& name, llvm::Function* call)
      : CombiningKernel(match, name, call, Types(call->getContext(), "nppnpnnnn"), kReduceThreads) {
    if (size_ <= kTileBytes / 2) tile_width_ = std::bit_floor(kTileBytes / size_);
    if (tile_width_ != 0) tile_ = kernel_.Shared(kReduceThreads * (tile_width_ + 1) * size_, name + "_tile");
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
  static constexpr uint64_t kTileBytes = 64;  // of a run that its threads bring at once: whole sectors of memory

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
      Loop(thread_, Number(kReduceThreads * tile_width_), Number(kReduceThreads), [&](llvm::Value* i) {
        auto* owner = kernel_->CreateUDiv(i, width);
        auto* within = kernel_->CreateURem(i, width);
        auto* of_run = kernel_->CreateNUWAdd(piece, within);
        auto* row = kernel_->CreateNUWAdd(kernel_->CreateNUWMul(owner, run_), of_run);
        If(kernel_->CreateAnd(kernel_->CreateICmpULT(of_run, run_), kernel_->CreateICmpULT(row, in_group_)),
           [&] { Copy(Tile(owner, within), ElementOf(group_, row)); });
      });
      kernel_.Meet();
      auto* begin = kernel_->CreateNUWAdd(first_, piece);
      auto* left = kernel_->CreateBinaryIntrinsic(llvm::Intrinsic::usub_sat, end, begin);
      auto* count = kernel_->CreateSelect(has_some_, Least(left, width), Number(0));
      If(kernel_->CreateAnd(kernel_->CreateIsNull(piece), has_some_), [&] { Copy(value_, Tile(thread_, Number(0))); });
      Loop(kernel_->CreateZExt(kernel_->CreateIsNull(piece), kernel_->getInt64Ty()), count, Number(1),
           [&](llvm::Value* i) { Combine(value_, Tile(thread_, i), kernel_->CreateNUWAdd(begin, i), 1); });
    });
  }
  // One element is left free behind each run: threads that read their own at once find them in different banks.
  llvm::Value* Tile(llvm::Value* owner, llvm::Value* within) {
    auto* generic = kernel_->CreateAddrSpaceCast(tile_, kernel_->getPtrTy());
    auto* place = kernel_->CreateNUWAdd(kernel_->CreateNUWMul(owner, Number(tile_width_ + 1)), within);
    return kernel_.At(generic, kernel_->CreateNUWMul(place, Number(size_)));
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

  uint64_t tile_width_ = 0;  // elements of a run that the block brings at once; 0: elements are too large
  llvm::GlobalVariable* tile_ = nullptr;
  llvm::Value* block_ = nullptr;
  llvm::Value *rows_ = nullptr, *run_ = nullptr, *runs_ = nullptr;  // of a segment; rows of a run
  llvm::Value *alone_ = nullptr, *segment_ = nullptr;
  llvm::Value *number_ = nullptr, *first_ = nullptr, *has_some_ = nullptr;  // the thread's run, where it begins
  llvm::Value* base_ = nullptr;                                             // of the segment
  llvm::Value *group_ = nullptr, *in_group_ = nullptr;
};

// Each thread of a block has a run of a segment. First the values of all runs but the last are made; the first thread
// goes over them; then each thread goes over its run with what came before it.
class ScanBuilder : CombiningKernel {
 public:
  // segments, length, outcome, data and stride of input and output, carry, carries, total, values
  ScanBuilder(const ir::MatchedFunction& match, const std::string& name, llvm::Function* call)
      : CombiningKernel(match, name, call, Types(call->getContext(), "nnppnpnppnp"), kScanThreads) {}

  void Build() {
    length_ = kernel_.Parameter(1);
    values_ = kernel_.Parameter(10);
    run_ = RoundUpDivide(length_, kernel_.Register(llvm::Intrinsic::nvvm_read_ptx_sreg_ntid_x));
    first_ = kernel_->CreateNUWMul(thread_, run_);
    auto* only_values = kernel_->CreateIsNotNull(values_);
    auto* block = kernel_.Register(llvm::Intrinsic::nvvm_read_ptx_sreg_ctaid_x);
    auto* blocks = kernel_.Register(llvm::Intrinsic::nvvm_read_ptx_sreg_nctaid_x);
    Loop(block, kernel_.Parameter(0), blocks, [&](llvm::Value* segment) {
      Enter(segment);
      auto* has_some = kernel_->CreateICmpULT(first_, here_);
      auto* wanted = kernel_->CreateOr(only_values, kernel_->CreateICmpNE(end_, here_));
      If(kernel_->CreateAnd(has_some, wanted), [&] { ValueOfRun(); });
      kernel_.Meet();
      If(kernel_->CreateIsNull(thread_), [&] { ValuesBefore(only_values); });
      kernel_.Meet();
      If(kernel_->CreateAnd(has_some, kernel_->CreateNot(only_values)), [&] { ScanRun(); });
      If(kernel_->CreateAnd(kernel_->CreateIsNull(thread_), only_values), [&] {
        auto* last = kernel_->CreateUDiv(kernel_->CreateNUWSub(here_, Number(1)), run_);
        Copy(kernel_.At(values_, kernel_->CreateNUWMul(segment, Number(size_))), Shared(last));
      });
      kernel_.Meet();  // before the next segment's values are put where this one's are
    });
    kernel_->CreateRetVoid();
  }

 private:
  // Where the segment begins, how long it is, what came before it.
  void Enter(llvm::Value* segment) {
    base_ = kernel_->CreateNUWMul(segment, length_);
    here_ = Least(length_, kernel_->CreateNUWSub(kernel_.Parameter(9), base_));
    end_ = Least(kernel_->CreateNUWAdd(first_, run_), here_);
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

  // Of each run but the last, and of that too where values are all that is asked for: the value of the segment up to
  // its end. Where there is one run alone nothing is there.
  void ValuesBefore(llvm::Value* only_values) {
    auto* has_carry = kernel_->CreateIsNotNull(carry_);
    If(kernel_->CreateAnd(has_carry, kernel_->CreateICmpULT(run_, here_)), [&] {
      Combine(carry_, Shared(Number(0)), Number(0));
      Copy(Shared(Number(0)), value_);
    });
    auto* some = kernel_->CreateBinaryIntrinsic(llvm::Intrinsic::umax, run_, Number(1));
    auto* last = kernel_->CreateUDiv(kernel_->CreateNUWSub(here_, Number(1)), some);
    auto* end = kernel_->CreateNUWAdd(last, kernel_->CreateZExt(only_values, kernel_->getInt64Ty()));
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

  llvm::Value *length_ = nullptr, *values_ = nullptr;
  llvm::Value *run_ = nullptr, *first_ = nullptr, *end_ = nullptr;  // length of a run; the thread's own
  llvm::Value *base_ = nullptr, *here_ = nullptr;                   // the segment's first row, how many it has
  llvm::Value* carry_ = nullptr;                                    // what came before the segment; null: nothing
};

}  // namespace

void MakeReduceKernel(const ir::MatchedFunction& match, const std::string& name, llvm::Function* call) {
  ReduceBuilder(match, name, call).Build();
}

void MakeScanKernel(const ir::MatchedFunction& match, const std::string& name, llvm::Function* call) {
  ScanBuilder(match, name, call).Build();
}

}  // namespace rbc::cuda
