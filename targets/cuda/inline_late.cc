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

namespace rbc::cuda {

struct LateInliner::State {
  State(llvm::TargetMachine& machine, uint8_t level) : builder(&machine) {
    builder.registerModuleAnalyses(modules);
    builder.registerCGSCCAnalyses(components);
    builder.registerFunctionAnalyses(functions);
    builder.registerLoopAnalyses(loops);
    builder.crossRegisterProxies(loops, functions, components, modules);
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

  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder;
  llvm::ModulePassManager passes;
};

LateInliner::LateInliner(llvm::TargetMachine& machine, uint8_t opt_level)
    : state_(std::make_unique<State>(machine, opt_level)) {}

LateInliner::~LateInliner() = default;

void LateInliner::Run(llvm::Module& module) {
  state_->passes.run(module, state_->modules);
  // The results refer to the module, which ends before the next one comes.
  state_->modules.clear();
  state_->components.clear();
  state_->functions.clear();
  state_->loops.clear();
}

}  // namespace rbc::cuda
