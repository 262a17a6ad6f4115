// What the kernels of reductions and scans have in common.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <string>
#include <string_view>
#include <vector>

#include "targets/cuda/kernel_builder.h"
#include "targets/ir/declarations.h"

namespace rbc::cuda {

// What kernels of reductions and scans do: threads go over runs of neighbours, then their values meet in shared memory,
// in their order.
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

  // Room for a piece of each thread's run, which the block brings at once.
  void MakeTile(const std::string& name, uint32_t most_threads) {
    if (size_ <= kTileBytes / 2) tile_width_ = std::bit_floor(kTileBytes / size_);
    if (tile_width_ != 0) tile_ = kernel_.Shared(most_threads * (tile_width_ + 1) * size_, name + "_tile");
  }
  // One element is left free behind each piece: threads that read their own at once find them in different banks.
  llvm::Value* Tile(llvm::Value* owner, llvm::Value* within) {
    auto* generic = kernel_->CreateAddrSpaceCast(tile_, kernel_->getPtrTy());
    auto* place = kernel_->CreateNUWAdd(kernel_->CreateNUWMul(owner, Number(tile_width_ + 1)), within);
    return kernel_.At(generic, kernel_->CreateNUWMul(place, Number(size_)));
  }
  // The elements from `piece` on of the runs of so many threads, of which there are `rows` in all: body(row, in the
  // tile). Neighbouring threads have neighbouring elements.
  template <typename Body>
  void ForTile(llvm::Value* threads, llvm::Value* run, llvm::Value* rows, llvm::Value* piece, Body body) {
    auto* width = Number(tile_width_);
    Loop(thread_, kernel_->CreateNUWMul(threads, width), threads, [&](llvm::Value* i) {
      auto* owner = kernel_->CreateUDiv(i, width);
      auto* within = kernel_->CreateURem(i, width);
      auto* of_run = kernel_->CreateNUWAdd(piece, within);
      auto* row = kernel_->CreateNUWAdd(kernel_->CreateNUWMul(owner, run), of_run);
      If(kernel_->CreateAnd(kernel_->CreateICmpULT(of_run, run), kernel_->CreateICmpULT(row, rows)),
         [&] { body(row, Tile(owner, within)); });
    });
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
  static constexpr uint64_t kTileBytes = 64;  // of a run that its block brings at once: whole sectors of memory
  uint64_t tile_width_ = 0;                   // the same in elements; 0: they are too large
  llvm::GlobalVariable* tile_ = nullptr;
  llvm::Value *frame_ = nullptr, *value_ = nullptr, *thread_ = nullptr;
};

}  // namespace rbc::cuda
