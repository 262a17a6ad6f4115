// How far a compile is: for the fault record and for the client.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>

#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/OptBisect.h"
#include "targets/target.h"

namespace rbc::ir {

// Phases of one compile: breadcrumbs for the fault record and times for the client.
class Phases {
 public:
  Phases(CompileProgress* progress, Artifact* artifact) : progress_(progress), artifact_(artifact) {}
  void Begin(const char* phase) {
    End();
    phase_ = phase;
    start_ = std::chrono::steady_clock::now();
    if (progress_ != nullptr) progress_->Phase(phase);
  }
  void End() {
    if (phase_ == nullptr) return;
    const auto spent = std::chrono::steady_clock::now() - start_;
    artifact_->timings_us.emplace_back(phase_, std::chrono::duration_cast<std::chrono::microseconds>(spent).count());
    phase_ = nullptr;
  }

 private:
  CompileProgress* progress_;
  Artifact* artifact_;
  const char* phase_ = nullptr;
  std::chrono::steady_clock::time_point start_;
};

// Names the function that the back end is at: its passes ask a gate of the context, which lets them all through.
class Breadcrumbs : public llvm::OptPassGate {
 public:
  Breadcrumbs(llvm::LLVMContext& context, CompileProgress* progress) : context_(context), progress_(progress) {
    context_.setOptPassGate(*this);
  }
  ~Breadcrumbs() override { context_.setOptPassGate(llvm::getGlobalPassGate()); }
  bool isEnabled() const override { return progress_ != nullptr; }
  bool shouldRunPass(llvm::StringRef, llvm::StringRef unit) const override {
    if (unit.consume_front("function (")) progress_->Function(unit.drop_back());
    return true;
  }

 private:
  llvm::LLVMContext& context_;
  CompileProgress* progress_;
};

}  // namespace rbc::ir
