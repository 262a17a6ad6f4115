// Emits the kernels of reductions and scans.
// SPDX-License-Identifier: Apache-2.0
#include "targets/cuda/combining_entries.h"

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

// Values of neighbouring runs become one, then those of neighbouring pairs, and so on.
class ReduceBuilder : CombiningKernel {
 public:
  // rows, outcome, data and stride of the column, partials, run
  ReduceBuilder(const ir::MatchedFunction& match, const std::string& name, llvm::Function* call)
      : CombiningKernel(match, name, call, Types(call->getContext(), "nppnpn"), kReduceThreads) {}

  void Build() {
    auto* block = kernel_.Register(llvm::Intrinsic::nvvm_read_ptx_sreg_ctaid_x);
    auto* blocks = kernel_.Register(llvm::Intrinsic::nvvm_read_ptx_sreg_nctaid_x);
    auto* threads = Number(kReduceThreads);
    rows_ = kernel_.Parameter(0);
    auto* run = kernel_.Parameter(5);
    run_ = kernel_->CreateSelect(kernel_->CreateIsNull(run),
                                 RoundUpDivide(rows_, kernel_->CreateNUWMul(blocks, threads)), run);
    number_ = kernel_->CreateNUWAdd(kernel_->CreateNUWMul(block, threads), thread_);
    auto* first = kernel_->CreateNUWMul(number_, run_);
    If(kernel_->CreateICmpULT(first, rows_), [&] {
      Copy(value_, Element(2, first));
      auto* end = Least(kernel_->CreateNUWAdd(first, run_), rows_);
      Loop(kernel_->CreateNUWAdd(first, Number(1)), end, Number(1),
           [&](llvm::Value* row) { Combine(value_, Element(2, row), row, 1); });
      Copy(Shared(thread_), value_);
    });
    for (uint32_t distance = 1; distance < kReduceThreads; distance *= 2) JoinNeighbours(distance);
    If(kernel_->CreateAnd(kernel_->CreateIsNull(thread_), kernel_->CreateICmpULT(first, rows_)),
       [&] { Copy(kernel_.At(kernel_.Parameter(4), kernel_->CreateMul(block, Number(size_))), value_); });
    kernel_->CreateRetVoid();
  }

 private:
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

  llvm::Value *rows_ = nullptr, *run_ = nullptr, *number_ = nullptr;  // rows, those of a thread, its number in the grid
};

// Each thread of a block has a run of a segment. First the values of all runs but the last are made; the first thread
// goes over them; then each thread goes over its run with what came before it.
class ScanBuilder : CombiningKernel {
 public:
  // segments, length, outcome, data and stride of input and output, carry
  ScanBuilder(const ir::MatchedFunction& match, const std::string& name, llvm::Function* call)
      : CombiningKernel(match, name, call, Types(call->getContext(), "nnppnpnp"), kScanThreads) {}

  void Build() {
    length_ = kernel_.Parameter(1);
    carry_ = kernel_.Parameter(7);
    run_ = RoundUpDivide(length_, kernel_.Register(llvm::Intrinsic::nvvm_read_ptx_sreg_ntid_x));
    first_ = kernel_->CreateNUWMul(thread_, run_);
    end_ = Least(kernel_->CreateNUWAdd(first_, run_), length_);
    auto* has_some = kernel_->CreateICmpULT(first_, length_);
    auto* block = kernel_.Register(llvm::Intrinsic::nvvm_read_ptx_sreg_ctaid_x);
    auto* blocks = kernel_.Register(llvm::Intrinsic::nvvm_read_ptx_sreg_nctaid_x);
    Loop(block, kernel_.Parameter(0), blocks, [&](llvm::Value* segment) {
      base_ = kernel_->CreateNUWMul(segment, length_);
      If(kernel_->CreateAnd(has_some, kernel_->CreateICmpNE(end_, length_)), [&] { ValueOfRun(); });
      kernel_.Meet();
      If(kernel_->CreateIsNull(thread_), [&] { ValuesBefore(); });
      kernel_.Meet();
      If(has_some, [&] { ScanRun(); });
      kernel_.Meet();  // before the next segment's values are put where this one's are
    });
    kernel_->CreateRetVoid();
  }

 private:
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

  // Of each run but the last: the value of the segment up to its end. Where there is one run alone nothing is there.
  void ValuesBefore() {
    auto* has_carry = kernel_->CreateIsNotNull(carry_);
    If(kernel_->CreateAnd(has_carry, kernel_->CreateICmpULT(run_, length_)), [&] {
      Combine(carry_, Shared(Number(0)), Number(0));
      Copy(Shared(Number(0)), value_);
    });
    auto* some = kernel_->CreateBinaryIntrinsic(llvm::Intrinsic::umax, run_, Number(1));
    auto* last = kernel_->CreateUDiv(kernel_->CreateNUWSub(length_, Number(1)), some);
    Loop(Number(1), last, Number(1), [&](llvm::Value* thread) {
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

  llvm::Value *length_ = nullptr, *carry_ = nullptr;
  llvm::Value *run_ = nullptr, *first_ = nullptr, *end_ = nullptr;  // length of a run; the thread's own
  llvm::Value* base_ = nullptr;                                     // the segment's first row
};

}  // namespace

void MakeReduceKernel(const ir::MatchedFunction& match, const std::string& name, llvm::Function* call) {
  ReduceBuilder(match, name, call).Build();
}

void MakeScanKernel(const ir::MatchedFunction& match, const std::string& name, llvm::Function* call) {
  ScanBuilder(match, name, call).Build();
}

}  // namespace rbc::cuda
