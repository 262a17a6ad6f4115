// Inlines and tidies up.
// SPDX-License-Identifier: Apache-2.0
#include "targets/cuda/inline_late.h"

#include "llvm/IR/Module.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/IPO/AlwaysInliner.h"
#include "llvm/Transforms/IPO/GlobalDCE.h"
#include "llvm/Transforms/InstCombine/InstCombine.h"
#include "llvm/Transforms/Scalar/EarlyCSE.h"
#include "llvm/Transforms/Scalar/SROA.h"
#include "llvm/Transforms/Scalar/SimplifyCFG.h"
#include "targets/ir/analyses.h"

namespace rbc::cuda {

struct LateInliner::State {
  State(llvm::TargetMachine& machine, uint8_t level) : builder(&machine) {
    analyses.Register(builder);
    passes.addPass(llvm::AlwaysInlinerPass());
    if (level > 0) {
      llvm::FunctionPassManager each;
      each.addPass(llvm::SROAPass(llvm::SROAOptions::ModifyCFG));
      each.addPass(llvm::EarlyCSEPass());
      each.addPass(llvm::InstCombinePass());
      each.addPass(llvm::SimplifyCFGPass());
      each.addPass(llvm::EarlyCSEPass());
      passes.addPass(llvm::createModuleToFunctionPassAdaptor(std::move(each)));
    }
    passes.addPass(llvm::GlobalDCEPass());
  }

  ir::Analyses analyses;
  llvm::PassBuilder builder;
  llvm::ModulePassManager passes;
};

LateInliner::LateInliner(llvm::TargetMachine& machine, uint8_t opt_level)
    : state_(std::make_unique<State>(machine, opt_level)) {}

LateInliner::~LateInliner() = default;

void LateInliner::Run(llvm::Module& module) {
  state_->passes.run(module, state_->analyses.modules);
  state_->analyses.Clear();
}

}  // namespace rbc::cuda
