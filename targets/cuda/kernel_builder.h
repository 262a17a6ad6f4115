// A kernel in the making, for the entries of this folder.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <string>

#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/IntrinsicsNVPTX.h"
#include "llvm/IR/Module.h"
#include "targets/cuda/address_space.h"

namespace rbc::cuda {

class KernelBuilder {
 public:
  KernelBuilder(llvm::Module& module, const std::string& name, llvm::ArrayRef<llvm::Type*> parameters)
      : module_(module), builder_(module.getContext()) {
    auto* type = llvm::FunctionType::get(builder_.getVoidTy(), parameters, false);
    kernel_ = llvm::Function::Create(type, llvm::GlobalValue::ExternalLinkage, name, module);
    kernel_->setCallingConv(llvm::CallingConv::PTX_Kernel);
    kernel_->addFnAttr(llvm::Attribute::NoUnwind);
    builder_.SetInsertPoint(Block("entry"));
  }

  llvm::IRBuilder<>& operator*() { return builder_; }
  llvm::IRBuilder<>* operator->() { return &builder_; }
  llvm::Function* kernel() { return kernel_; }
  llvm::Argument* Parameter(unsigned i) { return kernel_->getArg(i); }

  llvm::BasicBlock* Block(const char* name) { return llvm::BasicBlock::Create(module_.getContext(), name, kernel_); }
  void Go(llvm::BasicBlock* to) {
    builder_.CreateBr(to);
    builder_.SetInsertPoint(to);
  }

  // Memory of a thread, which the optimiser turns into registers.
  llvm::AllocaInst* Scratch(uint64_t size) {
    auto& entry = kernel_->getEntryBlock();
    llvm::IRBuilder<> at(&entry, entry.begin());
    auto* memory = at.CreateAlloca(llvm::ArrayType::get(at.getInt8Ty(), std::max<uint64_t>(size, 1)));
    memory->setAlignment(llvm::Align(16));
    return memory;
  }

  // Memory of a block, aligned to 16 bytes.
  llvm::GlobalVariable* Shared(uint64_t size, const std::string& name) {
    auto* type = llvm::ArrayType::get(builder_.getInt8Ty(), size);
    auto* memory =
        new llvm::GlobalVariable(module_, type, false, llvm::GlobalValue::InternalLinkage, llvm::PoisonValue::get(type),
                                 name, nullptr, llvm::GlobalValue::NotThreadLocal, kSharedSpace);
    memory->setAlignment(llvm::Align(16));
    return memory;
  }
  // All threads of the block wait for each other.
  void Meet() {
    builder_.CreateIntrinsic(llvm::Intrinsic::nvvm_barrier_cta_sync_aligned_all, {}, {builder_.getInt32(0)});
  }

  llvm::Value* Register(llvm::Intrinsic::ID id) {
    return builder_.CreateZExt(builder_.CreateIntrinsic(id, {}), builder_.getInt64Ty());
  }

  llvm::Value* At(llvm::Value* base, llvm::Value* offset) {
    return builder_.CreateGEP(builder_.getInt8Ty(), base, offset);
  }
  llvm::Value* At(llvm::Value* base, uint64_t offset) {
    return offset == 0 ? base : builder_.CreateConstInBoundsGEP1_64(builder_.getInt8Ty(), base, offset);
  }

 private:
  llvm::Module& module_;
  llvm::IRBuilder<> builder_;
  llvm::Function* kernel_ = nullptr;
};

// Reports the first failing row: the least of (row, status) over all threads.
inline void ReportStatus(KernelBuilder& kernel, llvm::Value* status, llvm::Value* row, llvm::Value* outcome) {
  auto* failed = kernel.Block("failed");
  auto* fine = kernel.Block("fine");
  kernel->CreateCondBr(kernel->CreateIsNull(status), fine, failed);
  kernel->SetInsertPoint(failed);
  auto* packed = kernel->CreateOr(kernel->CreateShl(row, 32), kernel->CreateZExt(status, kernel->getInt64Ty()));
  kernel->CreateAtomicRMW(llvm::AtomicRMWInst::UMin, outcome, packed, llvm::Align(8), llvm::AtomicOrdering::Monotonic);
  kernel.Go(fine);
}

}  // namespace rbc::cuda
