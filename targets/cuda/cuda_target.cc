// Compiles modules for GPUs.
// SPDX-License-Identifier: Apache-2.0
#include "targets/cuda/cuda_target.h"

#include <fmt/format.h>

#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Target/TargetMachine.h"
#include "targets/cuda/check_device.h"
#include "targets/cuda/check_selectable.h"
#include "targets/cuda/cuda32.h"
#include "targets/cuda/device_library.h"
#include "targets/cuda/device_symbols.h"
#include "targets/cuda/entries.h"
#include "targets/cuda/gpu_device.h"
#include "targets/cuda/initial_values.h"
#include "targets/cuda/inline_late.h"
#include "targets/cuda/libdevice.h"
#include "targets/cuda/local_atomics.h"
#include "targets/cuda/math.h"
#include "targets/cuda/names.h"
#include "targets/cuda/nvjitlink.h"
#include "targets/cuda/nvptx.h"
#include "targets/cuda/simulate.h"
#include "targets/cuda/simulated_device.h"
#include "targets/cuda/split_vectors.h"
#include "targets/host/emit.h"
#include "targets/host/optimize.h"
#include "targets/ir/check_module.h"
#include "targets/ir/check_symbols.h"
#include "targets/ir/constructors.h"
#include "targets/ir/declarations.h"
#include "targets/ir/diagnostics.h"
#include "targets/ir/effects.h"
#include "targets/ir/phases.h"
#include "targets/ir/prepare_module.h"
#include "targets/ir/read_module.h"

namespace rbc::cuda {
namespace {

// What is kept between compiles for one GPU and set of options.
struct Toolchain {
  Toolchain(const CodegenOptions& wanted, const llvm::TargetLibraryInfoImpl& library)
      : options(wanted),
        machine(MakeTargetMachine(wanted)),
        optimizer(*machine, library, wanted.opt_level),
        inliner(*machine, wanted.opt_level) {}

  CodegenOptions options;
  std::unique_ptr<llvm::TargetMachine> machine;
  host::Optimizer optimizer;
  LateInliner inliner;
};

// What all compiles of a worker share.
struct Shared {
  explicit Shared(const RuntimeSymbols& host) : host_symbols(host), library(llvm::Triple(kTriple)) {}
  const RuntimeSymbols& host_symbols;
  const DeviceSymbols symbols;
  const llvm::TargetLibraryInfoImpl library;
  Libdevice libdevice;
  const std::string runtime = ReadDeviceRuntime();
  std::unique_ptr<SimulatorCompiler> simulator;
};

// One compile: owns context and module; the toolchain stays with the target.
class Compilation {
 public:
  Compilation(Toolchain& tools, Shared& shared, const Module& input, const CompileOptions& options, bool is_32_bit,
              CompileProgress* progress)
      : is_32_bit_(is_32_bit),
        tools_(tools),
        shared_(shared),
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
    RBC_RETURN_IF_ERROR(Link());
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
    return ir::CheckWholeModule(*module_, is_32_bit_ ? 32 : 64);
  }

  // PTX of 32 bits, for people, stays as it is.
  bool IsWidened() const { return is_32_bit_ && !tools_.options.is_32_bit; }

  void Prepare(const llvm::Triple& triple, const llvm::DataLayout& layout) {
    const ir::PrepareOptions prepare{options_.debug, options_.allow_contract, ir::Machine::kNvptx};
    ir::PrepareModule(*module_, triple, layout, prepare);
  }

  Status Check() {
    phases_.Begin("check");
    const llvm::Triple& triple = tools_.machine->getTargetTriple();
    const llvm::DataLayout layout = tools_.machine->createDataLayout();
    if (IsWidened())
      Prepare(llvm::Triple(kTriple32), llvm::DataLayout(kLayout32));
    else
      Prepare(triple, layout);
    RBC_RETURN_IF_ERROR(Keep());
    RBC_RETURN_IF_ERROR(ir::CheckModule(*module_, options_.allow_inline_asm, ir::Machine::kNvptx));
    if (IsWidened()) {
      phases_.Begin("widen");
      RBC_RETURN_IF_ERROR(WidenPointers(*module_));
      Prepare(triple, layout);
      RBC_RETURN_IF_ERROR(ir::CheckModule(*module_, options_.allow_inline_asm, ir::Machine::kNvptx));
    }
    return CheckDevice(*module_, tools_.options.gpu.sm);
  }

  // What is declared and what it needs; only of that is anything asked.
  Status Keep() {
    RBC_RETURN_IF_ERROR(ir::CheckDefined(*module_, input_.functions));
    RBC_ASSIGN_OR_RETURN(statics_, ir::CollectStaticFunctions(*module_));
    if (!input_.functions.empty())
      ir::KeepOnly(*module_, ir::KeptNames(input_.functions, statics_), shared_.symbols, shared_.library);
    for (const auto* name : {&statics_.constructors, &statics_.destructors}) {
      if (!name->empty()) module_->getFunction(*name)->setLinkage(llvm::GlobalValue::InternalLinkage);
    }
    if (input_.functions.empty()) {
      ir::KeepInlineDefinitions(*module_);
      RespellVisibleNames(*module_);
    }
    return {};
  }

  Status Declare() {
    phases_.Begin("declare");
    for (size_t i = 0; i < input_.functions.size(); ++i) {
      const auto& declaration = input_.functions[i];
      if (declaration.abi == Abi::kKernel) {
        RBC_ASSIGN_OR_RETURN(auto entry, MakeKernelEntry(*module_, declaration, i));
        artifact_.entries.push_back(std::move(entry));
        has_pointers_ = true;  // how else would it give a result
        continue;
      }
      RBC_RETURN_IF_ERROR(DeclareFunction(declaration, i));
    }
    for (const auto& declaration : input_.functions) {
      auto* global = module_->getNamedValue(declaration.symbol);
      if (declaration.abi != Abi::kKernel && global != nullptr && !global->hasLocalLinkage())
        ir::Hide(*global, shared_.symbols, shared_.library);
    }
    DeclareStatics();
    return {};
  }

  Status DeclareFunction(const FunctionDeclaration& declaration, size_t index) {
    RBC_ASSIGN_OR_RETURN(const auto match, ir::MatchDeclaration(*module_, declaration));
    if (match.function->getCallingConv() == llvm::CallingConv::PTX_Kernel) {
      return Error(ErrorKind::kInvalidArgument,
                   fmt::format("'{}' is a kernel: declare it with abi kernel", declaration.symbol));
    }
    RBC_ASSIGN_OR_RETURN(auto entry, MakeEntry(match, options_.entry, declaration, index));
    has_pointers_ |= !entry.cells.empty() || !entry.arrays.empty();
    artifact_.entries.push_back(std::move(entry));
    return {};
  }

  void DeclareStatics() {
    for (auto* name : {&statics_.constructors, &statics_.destructors}) {
      if (name->empty()) continue;
      auto& made = name == &statics_.constructors ? artifact_.constructors : artifact_.destructors;
      made = MakePlainEntry(*module_, *name);
    }
  }

  Status Link() {
    phases_.Begin("link");
    shared_.libdevice.SetSm(tools_.options.gpu.sm);
    RBC_RETURN_IF_ERROR(LinkDeviceLibrary(*module_, shared_.runtime));
    RBC_RETURN_IF_ERROR(MapMath(*module_, shared_.libdevice));
    RBC_RETURN_IF_ERROR(CheckSelectable(*module_, tools_.options.gpu));
    // Libdevice's own functions come behind the optimiser.
    AnswerReflection(*module_, tools_.options.gpu.sm);
    return ir::CheckSymbols(*module_, DeclaredSymbols(shared_));
  }

  // What is offered, and the functions of libdevice that MapMath() found.
  class DeclaredSymbols : public RuntimeSymbols {
   public:
    explicit DeclaredSymbols(Shared& shared) : shared_(shared) {}
    void* Find(std::string_view name) const override {
      if (name.starts_with("__nv_") && shared_.libdevice.Has(name)) return &shared_;
      return shared_.symbols.Find(name);
    }
    std::string_view WhyRefused(std::string_view name) const override { return shared_.symbols.WhyRefused(name); }

   private:
    Shared& shared_;
  };

  Status Optimize() {
    phases_.Begin("optimize");
    tools_.optimizer.Run(*module_, progress_);
    RBC_RETURN_IF_ERROR(log_.Refusal());
    artifact_.stateful = ir::HasWritableGlobals(*module_);  // libdevice's tables are none of the client's
    phases_.Begin("maths");
    bool any = false;
    RBC_RETURN_IF_ERROR(shared_.libdevice.Link(*module_, &any));
    if (any) tools_.inliner.Run(*module_);
    artifact_.repeatable =
        !artifact_.stateful && !has_pointers_ && ir::CallsOnlyPureFunctions(*module_, shared_.library);
    RBC_RETURN_IF_ERROR(log_.Refusal());
    LowerLocalAtomics(*module_);
    SplitVectors(*module_);
    RBC_RETURN_IF_ERROR(SpellInitialValues(*module_));
    RespellLocalNames(*module_);
    return CheckSelectable(*module_, tools_.options.gpu);
  }

  Status Emit() {
    phases_.Begin("emit");
    const ir::Breadcrumbs crumbs(context_, progress_);
    artifact_.sm = tools_.options.gpu.sm;
    switch (options_.emit) {
      case Emit::kIr:
        artifact_.format = CodeFormat::kText;
        artifact_.code = host::PrintIr(*module_);
        return {};
      case Emit::kObject:
        if (options_.simulate) return EmitSimulated();
        return NvJitLinkPath().empty() ? EmitPtx() : EmitCubin();
      case Emit::kAssembly:
      case Emit::kPtx:
        return EmitPtx();
      case Emit::kCubin:
        return EmitCubin();
    }
    return Error(ErrorKind::kInvalidArgument, "the cuda target emits objects, PTX, cubins and IR");
  }

  Status EmitPtx() {
    artifact_.format = CodeFormat::kPtx;
    // Made anew: LLVM's printer of PTX remembers shared variables by the address of a function that is long gone.
    host::Emitter assembly(*tools_.machine, shared_.library, host::Emitter::Output::kAssembly);
    artifact_.code = assembly.Run(*module_);
    return log_.Refusal();
  }

  Status EmitCubin() {
    RBC_RETURN_IF_ERROR(EmitPtx());
    phases_.Begin("assemble");
    RBC_ASSIGN_OR_RETURN(artifact_.code, LinkCubin(artifact_.code, tools_.options.gpu.sm, options_.opt_level != 0));
    artifact_.format = CodeFormat::kCubin;
    return {};
  }

  // From here on the module is another one: whatever is emitted, it is the same up to this step.
  Status EmitSimulated() {
    artifact_.format = CodeFormat::kSimulated;
    artifact_.sm = 0;
    if (shared_.simulator == nullptr) shared_.simulator = std::make_unique<SimulatorCompiler>(shared_.host_symbols);
    RBC_ASSIGN_OR_RETURN(artifact_.code,
                         shared_.simulator->Compile(*module_, input_.functions, options_, progress_, &artifact_));
    return log_.Refusal();
  }

  const bool is_32_bit_;
  Toolchain& tools_;
  Shared& shared_;
  const Module& input_;
  const CompileOptions& options_;
  CompileProgress* progress_;
  ir::DiagnosticLog log_;
  llvm::LLVMContext context_;
  std::unique_ptr<llvm::Module> module_;
  ir::StaticFunctions statics_;
  Artifact artifact_;
  ir::Phases phases_;
  bool has_pointers_ = false;
};

class CudaTarget : public Target {
 public:
  CudaTarget(const RuntimeSymbols& symbols, bool is_32_bit) : symbols_(symbols), is_32_bit_(is_32_bit) {}

  TargetInfo Info() const override {
    TargetInfo info;
    info.name = is_32_bit_ ? "cuda32" : "cuda";
    info.triple = is_32_bit_ ? kTriple32 : kTriple;
    info.data_layout = is_32_bit_
                           ? kLayout32
                           : MakeTargetMachine({.gpu = *CheckGpu(0, 0)})->createDataLayout().getStringRepresentation();
    info.cpu = fmt::format("sm_{}", kDefaultSm);
    info.pointer_bits = is_32_bit_ ? 32 : 64;
    info.llvm_version = LLVM_VERSION_STRING;
    info.compiler_on_demand = true;
    return info;
  }

  Expected<Artifact> Compile(const Module& module, const CompileOptions& options, CompileProgress* progress) override {
    if (options.opt_level > 3) {
      return {ErrorKind::kInvalidArgument,
              fmt::format("optimisation level {} is not one of 0 to 3", options.opt_level)};
    }
    RBC_ASSIGN_OR_RETURN(const CodegenOptions wanted, OptionsFor(module, options));
    if (shared_ == nullptr) shared_ = std::make_unique<Shared>(symbols_);
    return Compilation(ToolchainFor(wanted), *shared_, module, options, is_32_bit_, progress).Run();
  }

  Expected<std::unique_ptr<Device>> OpenDevice(int ordinal) override {
    if (ordinal == kSimulatedDevice) return OpenSimulatedDevice(symbols_);
    return OpenGpu(ordinal);
  }

 private:
  // An old GPU asks cuda32 for PTX that has pointers of 32 bits, which nothing runs any more.
  Expected<CodegenOptions> OptionsFor(const Module& module, const CompileOptions& options) const {
    const bool as_text = is_32_bit_ && options.emit == Emit::kPtx && options.sm != 0 && options.sm < kDefaultSm;
    if (as_text && !module.functions.empty())
      return {ErrorKind::kUnsupported, "PTX of 32 bits is text of a whole module: declare no functions"};
    RBC_ASSIGN_OR_RETURN(const auto gpu,
                         as_text ? CheckGpuOf32Bits(options.sm) : CheckGpu(options.sm, options.ptx_version));
    return CodegenOptions{gpu, as_text, options.opt_level, options.allow_contract};
  }

  Toolchain& ToolchainFor(const CodegenOptions& wanted) {
    for (auto& tools : toolchains_) {
      if (tools->options == wanted) return *tools;
    }
    if (toolchains_.size() == kMaxToolchains) toolchains_.erase(toolchains_.begin());
    return *toolchains_.emplace_back(std::make_unique<Toolchain>(wanted, shared_->library));
  }

  static constexpr size_t kMaxToolchains = 8;
  const RuntimeSymbols& symbols_;
  const bool is_32_bit_;
  std::unique_ptr<Shared> shared_;  // made at first use: a worker may never compile for a GPU
  std::vector<std::unique_ptr<Toolchain>> toolchains_;
};

}  // namespace

void Initialize() { InitializeNvptx(); }

void OpenToolkit() {
  static const bool once = [] {
    LoadLibdevice();
    LoadNvJitLink();
    return true;
  }();
  static_cast<void>(once);
}

std::unique_ptr<Target> CreateCudaTarget(const RuntimeSymbols& symbols) {
  return std::make_unique<CudaTarget>(symbols, false);
}
std::unique_ptr<Target> CreateCuda32Target(const RuntimeSymbols& symbols) {
  return std::make_unique<CudaTarget>(symbols, true);
}

}  // namespace rbc::cuda
