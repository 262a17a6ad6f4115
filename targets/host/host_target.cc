// Compiles modules for the processor it runs on.
// SPDX-License-Identifier: Apache-2.0
#include "targets/host/host_target.h"

#include <fmt/format.h>

#include <deque>
#include <map>

#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Target/TargetMachine.h"
#include "targets/host/emit.h"
#include "targets/host/inline_maths.h"
#include "targets/host/machine.h"
#include "targets/host/optimize.h"
#include "targets/host/vector_maths.h"
#include "targets/ir/bulk_entry.h"
#include "targets/ir/check_module.h"
#include "targets/ir/check_symbols.h"
#include "targets/ir/constructors.h"
#include "targets/ir/declarations.h"
#include "targets/ir/diagnostics.h"
#include "targets/ir/effects.h"
#include "targets/ir/entry_point.h"
#include "targets/ir/phases.h"
#include "targets/ir/prepare_module.h"
#include "targets/ir/read_module.h"
#include "targets/ir/written_arrays.h"

namespace rbc::host {
namespace {

// What is kept between compiles for one set of options: with it a small function takes half the time.
struct Toolchain {
  Toolchain(const CodegenOptions& wanted, MathAccuracy accuracy_of_bulk, const llvm::TargetLibraryInfoImpl& known)
      : options(wanted),
        accuracy(accuracy_of_bulk),
        library(known),
        machine(MakeTargetMachine(wanted)),
        optimizer(*machine, library, wanted.opt_level),
        objects(*machine, library, Emitter::Output::kObject) {}

  const CodegenOptions options;
  const MathAccuracy accuracy;
  const llvm::TargetLibraryInfoImpl& library;
  std::unique_ptr<llvm::TargetMachine> machine;
  Optimizer optimizer;
  Emitter objects;
};

// One compile: owns context and module; the toolchain stays with the target.
class Compilation {
 public:
  Compilation(Toolchain& tools, const RuntimeSymbols& symbols, const Module& input, const CompileOptions& options,
              CompileProgress* progress)
      : tools_(tools),
        library_(tools.library),
        symbols_(symbols),
        input_(input),
        options_(options),
        progress_(progress),
        phases_(progress, &artifact_) {
    log_.Install(context_);
  }

  Expected<Artifact> Run() {
    RBC_RETURN_IF_ERROR(Read());
    RBC_RETURN_IF_ERROR(Check());
    RBC_RETURN_IF_ERROR(Declare());
    RBC_RETURN_IF_ERROR(Optimize());
    RBC_RETURN_IF_ERROR(Emit());
    phases_.End();
    artifact_.warnings = log_.TakeWarnings();
    return std::move(artifact_);
  }

 private:
  Status Read() {
    phases_.Begin("parse");
    RBC_ASSIGN_OR_RETURN(module_, ir::ReadModule(input_.ir, context_, &log_));
    phases_.Begin("verify");
    RBC_RETURN_IF_ERROR(ir::VerifyModule(*module_, &log_));
    return ir::CheckWholeModule(*module_);
  }

  Status Check() {
    phases_.Begin("check");
    const ir::PrepareOptions prepare{options_.debug, options_.allow_contract};
    ir::PrepareModule(*module_, tools_.machine->getTargetTriple(), tools_.machine->createDataLayout(), prepare);
    // Named but not kept with a context that forgets names: what comes from here on needs none.
    if (options_.emit == Emit::kObject) context_.setDiscardValueNames(true);
    RBC_RETURN_IF_ERROR(ir::CheckDefined(*module_, input_.functions));
    RBC_ASSIGN_OR_RETURN(const auto statics, ir::CollectStaticFunctions(*module_));
    artifact_.constructors = statics.constructors;
    artifact_.destructors = statics.destructors;
    // Without declarations a module is translated as it is, for a look at its code.
    if (!input_.functions.empty()) ir::KeepOnly(*module_, ir::KeptNames(input_.functions, statics), symbols_, library_);
    RBC_RETURN_IF_ERROR(ir::CheckModule(*module_, options_.allow_inline_asm));
    return Status();
  }

  Status Declare() {
    phases_.Begin("declare");
    std::vector<ir::MatchedFunction> matches;
    for (const auto& declaration : input_.functions) {
      RBC_ASSIGN_OR_RETURN(auto match, ir::MatchDeclaration(*module_, declaration));
      for (const auto& slot : match.frame.slots()) {
        has_pointers_ |= slot.lies_elsewhere();
      }
      matches.push_back(std::move(match));
    }
    RBC_RETURN_IF_ERROR(ir::CheckSymbols(*module_, symbols_));
    if (options_.emit == Emit::kObject) return MakeEntries(matches);
    return {};
  }

  // The entries take the place of the client's functions, which become internal and mostly vanish into them.
  Status MakeEntries(const std::vector<ir::MatchedFunction>& matches) {
    if (IsBulk()) ir::DropHints(*module_, options_.debug);
    for (size_t i = 0; i < matches.size(); ++i) {
      // An entry has no lines of source: for a debugger the function stays a frame of its own.
      if (options_.debug && !matches[i].function->hasFnAttribute(llvm::Attribute::AlwaysInline)) {
        matches[i].function->addFnAttr(llvm::Attribute::NoInline);
      }
      RBC_ASSIGN_OR_RETURN(auto entry, MakeEntry(matches[i], i));
      artifact_.entries.push_back(std::move(entry));
    }
    for (const auto& declaration : input_.functions) {
      auto* global = module_->getNamedValue(declaration.symbol);
      if (global != nullptr && !global->hasLocalLinkage()) ir::Hide(*global, symbols_, library_);
    }
    return {};
  }

  Expected<EntryPoint> MakeEntry(const ir::MatchedFunction& match, size_t index) {
    const auto& declaration = input_.functions[index];
    switch (options_.entry) {
      case EntryKind::kMap:
        return ir::MakeMapEntry(match, index, declaration, options_.map_pattern);
      case EntryKind::kReduce:
      case EntryKind::kScan:
        return ir::MakeReduceEntry(match, index, declaration, options_.entry,
                                   [this](llvm::Function& function) { tools_.optimizer.Flatten(function); });
      default:
        return ir::MakeEntryPoint(match, index, declaration.symbol);
    }
  }

  void FinishBulk(bool inline_maths) {
    const auto entries = ir::ResolveTiles(*module_, HasVectorMaths);
    if (inline_maths) InlineVectorMaths(*module_);
    ir::StreamResults(*module_);
    DropUnusedVectorFunctions(*module_);
    for (auto* entry : entries) tools_.optimizer.Simplify(*entry);
  }

  bool IsBulk() const { return options_.entry != EntryKind::kCall; }

  Status Optimize() {
    phases_.Begin("optimize");
    const bool inline_maths =
        IsBulk() && PrepareVectorMaths(*module_, library_) && PrepareInlineMaths(*module_, library_);
    auto loops = IsBulk() ? Optimizer::Loops::kOfRows : Optimizer::Loops::kAny;
    if (inline_maths) loops = Optimizer::Loops::kOfWholeVectors;
    tools_.optimizer.Run(*module_, progress_, loops);
    if (IsBulk()) FinishBulk(inline_maths);
    artifact_.stateful = ir::HasWritableGlobals(*module_);
    const bool pure = ir::CallsOnlyPureFunctions(*module_, library_);
    artifact_.repeatable = !artifact_.stateful && pure && !(has_pointers_ && MayWriteArguments());
    if (has_pointers_ && !IsBulk() && !artifact_.repeatable) ir::FindReadOnlyArrays(*module_, artifact_.entries);
    return log_.Refusal();
  }

  bool MayWriteArguments() const {
    std::vector<std::string> entries;
    for (const auto& entry : artifact_.entries) entries.push_back(entry.symbol);
    return ir::WritesIntoArguments(*module_, entries);
  }

  Status Emit() {
    phases_.Begin("emit");
    const ir::Breadcrumbs crumbs(context_, progress_);
    artifact_.format = options_.emit == Emit::kObject ? CodeFormat::kObject : CodeFormat::kText;
    switch (options_.emit) {
      case Emit::kIr:
        artifact_.code = PrintIr(*module_);
        return {};
      case Emit::kObject:
        artifact_.code = tools_.objects.Run(*module_);
        RBC_RETURN_IF_ERROR(log_.Refusal());
        return ir::CheckObjectSymbols(artifact_.code, symbols_);
      case Emit::kAssembly: {
        Emitter assembly(*tools_.machine, library_, Emitter::Output::kAssembly);
        artifact_.code = assembly.Run(*module_);
        return log_.Refusal();
      }
      case Emit::kPtx:
      case Emit::kCubin:
        break;
    }
    return Error(ErrorKind::kUnsupported, "the host target emits objects, assembly and IR, no PTX and no cubin");
  }

  Toolchain& tools_;
  const llvm::TargetLibraryInfoImpl& library_;
  const RuntimeSymbols& symbols_;
  const Module& input_;
  const CompileOptions& options_;
  CompileProgress* progress_;
  ir::DiagnosticLog log_;
  llvm::LLVMContext context_;
  std::unique_ptr<llvm::Module> module_;
  Artifact artifact_;
  ir::Phases phases_;
  bool has_pointers_ = false;
};

// What LLVM may take for granted: it makes calls of library functions where the client wrote none (calloc of malloc and
// memset, sincos of sin and cos), so that those which are not offered must be unknown to it.
llvm::TargetLibraryInfoImpl OfferedLibrary(const RuntimeSymbols& symbols) {
  llvm::TargetLibraryInfoImpl library{llvm::Triple(ThisMachine().triple)};
  const llvm::TargetLibraryInfo info(library);
  for (unsigned i = 0; i < llvm::NumLibFuncs; ++i) {
    const auto function = static_cast<llvm::LibFunc>(i);
    if (!info.has(function)) continue;
    const llvm::StringRef name = info.getName(function);
    if (symbols.Find({name.data(), name.size()}) == nullptr) library.setUnavailable(function);
  }
  return library;
}

class HostTarget : public Target {
 public:
  explicit HostTarget(const RuntimeSymbols& symbols) : symbols_(symbols), library_(OfferedLibrary(symbols)) {
    for (const auto accuracy : {MathAccuracy::kFast, MathAccuracy::kAccurate}) {
      AddVectorFunctions(vector_libraries_.emplace_back(library_), symbols, accuracy);
    }
  }

  TargetInfo Info() const override {
    TargetInfo info;
    info.name = "host";
    info.triple = ThisMachine().triple;
    info.data_layout = MakeTargetMachine({})->createDataLayout().getStringRepresentation();
    info.cpu = ThisMachine().cpu;
    info.pointer_bits = 64;
    info.llvm_version = LLVM_VERSION_STRING;
    info.devices = {ThisMachine().cpu};
    return info;
  }

  Expected<Artifact> Compile(const Module& module, const CompileOptions& options, CompileProgress* progress) override {
    if (options.accuracy > MathAccuracy::kPrecise) {
      return {ErrorKind::kInvalidArgument,
              fmt::format("accuracy {} is not one of 0 to 2", static_cast<int>(options.accuracy))};
    }
    if (options.opt_level > 3) {
      return {ErrorKind::kInvalidArgument,
              fmt::format("optimisation level {} is not one of 0 to 3", options.opt_level)};
    }
    return Compilation(ToolchainFor(options), symbols_, module, options, progress).Run();
  }

  Expected<std::unique_ptr<Device>> OpenDevice(int ordinal) override {
    if (ordinal != 0)
      return {ErrorKind::kUnavailable, fmt::format("the host target has one device, 0, and no {}", ordinal)};
    return OpenHostDevice(symbols_);
  }

 private:
  Toolchain& ToolchainFor(const CompileOptions& options) {
    const CodegenOptions wanted{options.opt_level, options.allow_contract};
    // Calls have libm's results.
    const auto accuracy = options.entry == EntryKind::kCall ? MathAccuracy::kPrecise : options.accuracy;
    for (auto& tools : toolchains_) {
      if (tools->options == wanted && tools->accuracy == accuracy) return *tools;
    }
    return *toolchains_.emplace_back(std::make_unique<Toolchain>(wanted, accuracy, LibraryFor(accuracy)));
  }

  const llvm::TargetLibraryInfoImpl& LibraryFor(MathAccuracy accuracy) const {
    return accuracy == MathAccuracy::kPrecise ? library_ : vector_libraries_[static_cast<size_t>(accuracy)];
  }

  const RuntimeSymbols& symbols_;
  const llvm::TargetLibraryInfoImpl library_;
  std::deque<llvm::TargetLibraryInfoImpl> vector_libraries_;  // kFast's, kAccurate's
  std::vector<std::unique_ptr<Toolchain>> toolchains_;        // at most one for each set of options: 24
};

}  // namespace

void Initialize() { InitializeMachine(); }

std::unique_ptr<Target> CreateHostTarget(const RuntimeSymbols& symbols) {
  return std::make_unique<HostTarget>(symbols);
}

}  // namespace rbc::host
