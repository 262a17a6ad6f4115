// What LLVM's passes ask about a module.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "llvm/Analysis/CGSCCPassManager.h"
#include "llvm/Analysis/LoopAnalysisManager.h"
#include "llvm/IR/PassManager.h"

namespace llvm {
class PassBuilder;
}  // namespace llvm

namespace rbc::ir {

// LLVM's four managers of analyses. They are destroyed in this order's reverse, as LLVM wants it.
struct Analyses {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;

  // All analyses that the builder knows, but those registered before.
  void Register(llvm::PassBuilder& builder);
  // REQUIRED before a module ends that passes ran on: the results refer to it.
  void Clear();
};

}  // namespace rbc::ir
