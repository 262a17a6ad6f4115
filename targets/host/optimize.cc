// Runs the O0..O3 pipelines.
// SPDX-License-Identifier: Apache-2.0
#include "targets/host/optimize.h"

#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/PassInstrumentation.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/InstCombine/InstCombine.h"
#include "llvm/Transforms/Scalar/EarlyCSE.h"
#include "llvm/Transforms/Scalar/SROA.h"
#include "llvm/Transforms/Scalar/SimplifyCFG.h"
#include "llvm/Transforms/Utils/Cloning.h"
#include "targets/ir/analyses.h"
#include "targets/target.h"

namespace rbc::host {
namespace {

llvm::PipelineTuningOptions TuningFor(uint8_t level) {
  llvm::PipelineTuningOptions tuning;
  tuning.LoopVectorization = level >= 2;
  tuning.SLPVectorization = level >= 2;
  tuning.LoopInterleaving = level >= 2;
  return tuning;
}

llvm::OptimizationLevel LevelOf(uint8_t level) {
  switch (level) {
    case 0:
      return llvm::OptimizationLevel::O0;
    case 1:
      return llvm::OptimizationLevel::O1;
    case 2:
      return llvm::OptimizationLevel::O2;
    default:
      return llvm::OptimizationLevel::O3;
  }
}

}  // namespace

namespace {

// Turns off an option of LLVM's command line, which is the process's, for one run.
class OptionOff {
 public:
  OptionOff(llvm::StringRef name, bool off) : option_(Find(name)) {
    if (option_ == nullptr) return;
    before_ = option_->getValue();
    option_->setValue(before_ && !off);
  }
  ~OptionOff() {
    if (option_ != nullptr) option_->setValue(before_);
  }
  OptionOff(const OptionOff&) = delete;

 private:
  static llvm::cl::opt<bool>* Find(llvm::StringRef name) {
    const auto& options = llvm::cl::getRegisteredOptions();
    const auto found = options.find(name);
    return found == options.end() ? nullptr : static_cast<llvm::cl::opt<bool>*>(found->second);
  }

  llvm::cl::opt<bool>* const option_;
  bool before_ = true;
};

constexpr int kMostInlined = 16;
constexpr size_t kSmall = 64;  // instructions

// Whether there was a call to inline.
bool InlineOne(llvm::Function& function) {
  for (auto& instruction : llvm::instructions(function)) {
    auto* call = llvm::dyn_cast<llvm::CallInst>(&instruction);
    auto* callee = call == nullptr ? nullptr : call->getCalledFunction();
    if (callee == nullptr || callee->isDeclaration() || callee == &function ||
        callee->hasFnAttribute(llvm::Attribute::NoInline) || callee->getInstructionCount() > kSmall)
      continue;
    llvm::InlineFunctionInfo info;
    if (llvm::InlineFunction(*call, info).isSuccess()) return true;
  }
  return false;
}

}  // namespace

struct Optimizer::State {
  State(llvm::TargetMachine& machine, const llvm::TargetLibraryInfoImpl& library, uint8_t wanted)
      : level(wanted), builder(&machine, TuningFor(wanted), std::nullopt, &callbacks) {
    callbacks.registerBeforeNonSkippedPassCallback([this](llvm::StringRef, llvm::Any unit) {
      if (progress == nullptr) return;
      if (const auto* function = llvm::any_cast<const llvm::Function*>(&unit))
        progress->Function((*function)->getName());
    });
    analyses.functions.registerPass([&library] { return llvm::TargetLibraryAnalysis(library); });
    analyses.Register(builder);
  }

  // Made anew for each module: LLVM's inliner pass takes itself apart when it runs.
  llvm::ModulePassManager MakePipeline() {
    if (level == 0) return builder.buildO0DefaultPipeline(llvm::OptimizationLevel::O0);
    return builder.buildPerModuleDefaultPipeline(LevelOf(level));
  }

  const uint8_t level;
  CompileProgress* progress = nullptr;
  llvm::PassInstrumentationCallbacks callbacks;
  ir::Analyses analyses;
  llvm::PassBuilder builder;
};

Optimizer::Optimizer(llvm::TargetMachine& machine, const llvm::TargetLibraryInfoImpl& library, uint8_t opt_level)
    : state_(std::make_unique<State>(machine, library, opt_level)) {}

Optimizer::~Optimizer() = default;

void Optimizer::Run(llvm::Module& module, CompileProgress* progress, Loops loops) {
  // LLVM writes a loop for strides of one byte and leaves all others scalar; rows of a map are never one byte apart
  // unless they are bytes.
  const OptionOff one_byte("enable-mem-access-versioning", loops != Loops::kAny);
  const OptionOff narrower("enable-epilogue-vectorization", loops == Loops::kOfWholeVectors);
  state_->progress = progress;
  state_->MakePipeline().run(module, state_->analyses.modules);
  state_->progress = nullptr;
  state_->analyses.Clear();
}

void Optimizer::Simplify(llvm::Function& function) {
  llvm::FunctionPassManager passes;
  passes.addPass(llvm::InstCombinePass());
  passes.addPass(llvm::SimplifyCFGPass());
  passes.run(function, state_->analyses.functions);
  state_->analyses.Clear();
}

void Optimizer::Flatten(llvm::Function& function) {
  for (int i = 0; i < kMostInlined && InlineOne(function); ++i) {
  }
  llvm::FunctionPassManager passes;
  passes.addPass(llvm::SROAPass(llvm::SROAOptions::ModifyCFG));
  passes.addPass(llvm::EarlyCSEPass());
  passes.addPass(llvm::InstCombinePass());
  passes.addPass(llvm::SimplifyCFGPass());
  passes.addPass(llvm::InstCombinePass());
  passes.run(function, state_->analyses.functions);
  state_->analyses.Clear();
}

}  // namespace rbc::host
