// Lowers device code to the host.
// SPDX-License-Identifier: Apache-2.0
#include "targets/cuda/simulate.h"

#include <fmt/format.h>

#include <algorithm>

#include "cuda/simulator/abi.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SmallPtrSet.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Analysis/LoopInfo.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/AsmParser/Parser.h"
#include "llvm/Bitcode/BitcodeReader.h"
#include "llvm/Bitcode/BitcodeWriter.h"
#include "llvm/IR/AttributeMask.h"
#include "llvm/IR/Dominators.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/ReplaceConstant.h"
#include "llvm/IR/Verifier.h"
#include "llvm/Linker/Linker.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Support/xxhash.h"
#include "llvm/Target/TargetMachine.h"
#include "targets/cuda/address_space.h"
#include "targets/host/emit.h"
#include "targets/host/machine.h"
#include "targets/host/optimize.h"
#include "targets/ir/check_module.h"
#include "targets/ir/check_symbols.h"
#include "targets/ir/entry_point.h"

namespace rbc::cuda {
namespace {

// The engine's functions at which threads meet.
constexpr std::string_view kMeetings[] = {"rbc_sim_barrier", "rbc_sim_warp_barrier", "rbc_sim_shuffle",
                                          "rbc_sim_vote",    "rbc_sim_match",        "rbc_sim_reduce",
                                          "rbc_sim_yield",   "rbc_sim_active_mask",  "rbc_sim_sleep"};

// What device code calls by name and the engine has under another.
struct EngineName {
  const char* device;
  const char* engine;
};
constexpr EngineName kEngineNames[] = {{"vprintf", "rbc_sim_vprintf"},
                                       {"malloc", "rbc_sim_malloc"},
                                       {"free", "rbc_sim_free"},
                                       {"__assertfail", "rbc_sim_assert_fail"}};

// libdevice's inline assembly of more than one instruction, known by its digest.
struct KnownAssembly {
  uint64_t digest;
  const char* name;
};
constexpr KnownAssembly kAssembly[] = {
    {0x23f61fefda5b4dc3, "rbc.asm.select.equ.f64"}, {0x1152bf93aa17ef4a, "rbc.asm.add.u128"},
    {0xe85a9aca786568de, "rbc.asm.sub.u128"},       {0x3d9180b59f1bd025, "rbc.asm.mul.wide.u64"},
    {0x13637d3dd46c4f42, "rbc.asm.mad.wide.u64"},   {0xc93462c6e8a24851, "rbc.asm.mad.wide.u32"},
};

// Functions of the host that the code generator may call, and the engine's.
class SimulatorSymbols : public RuntimeSymbols {
 public:
  explicit SimulatorSymbols(const RuntimeSymbols& host) : host_(host) {}
  void* Find(std::string_view name) const override {
    static char engine;
#define RBC_NAME(function) \
  if (name == #function) return &engine;
    RBC_SIMULATOR_SYMBOLS(RBC_NAME)
#undef RBC_NAME
    return host_.Find(name);
  }
  std::string_view WhyRefused(std::string_view name) const override { return host_.WhyRefused(name); }

 private:
  const RuntimeSymbols& host_;
};

// The optimiser may make calls of these alone.
llvm::TargetLibraryInfoImpl SmallLibrary() {
  llvm::TargetLibraryInfoImpl library{llvm::Triple(host::ThisMachine().triple)};
  library.disableAllFunctions();
  for (const auto function : {llvm::LibFunc_memcpy, llvm::LibFunc_memset, llvm::LibFunc_memmove}) {
    library.setAvailable(function);
  }
  return library;
}

// The table as bitcode, which can be read function by function.
std::string ReadTable() {
  llvm::LLVMContext context;
  llvm::SMDiagnostic problem;
  const auto text = SimulatedIntrinsics();
  const auto buffer = llvm::MemoryBuffer::getMemBufferCopy({text.data(), text.size()}, "simulated_intrinsics.ll");
  auto module = llvm::parseAssembly(*buffer, problem, context);
  std::string bytes;
  if (module == nullptr) return bytes;
  llvm::raw_string_ostream out(bytes);
  llvm::WriteBitcodeToFile(*module, out);
  return bytes;
}

bool IsIn(std::string_view name, auto& names) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

// One module on its way.
class Lowering {
 public:
  Lowering(llvm::Module& module, llvm::TargetMachine& machine, const std::string& table,
           const std::vector<FunctionDeclaration>& functions, Artifact* artifact)
      : module_(module),
        context_(module.getContext()),
        machine_(machine),
        table_bytes_(table),
        functions_(functions),
        artifact_(*artifact) {}

  Status Run() {
    auto table = llvm::getLazyBitcodeModule({table_bytes_, "simulated_intrinsics"}, context_);
    if (!table) return Error(ErrorKind::kInternal, llvm::toString(table.takeError()));
    table_ = std::move(*table);
    CollectKernels();
    AddYields();
    RBC_RETURN_IF_ERROR(ReplaceShared());
    for (auto& function : module_) RBC_RETURN_IF_ERROR(ReplaceIn(function));
    for (const auto& [device, engine] : kEngineNames) {
      if (auto* function = module_.getFunction(device); function != nullptr && function->isDeclaration())
        function->setName(engine);
    }
    Retarget();
    RBC_RETURN_IF_ERROR(LinkTable());
    for (auto* kernel : kernels_) MakeEntry(kernel);
    NameEntries();
    return {};
  }

 private:
  void CollectKernels() {
    for (auto& function : module_) {
      if (function.getCallingConv() == llvm::CallingConv::PTX_Kernel && !function.isDeclaration())
        kernels_.push_back(&function);
    }
  }

  // ---- Waiting for others in a loop lets them go on.
  static bool MayBeSpun(const llvm::Instruction& instruction) {
    if (llvm::isa<llvm::AtomicCmpXchgInst>(instruction)) return true;
    if (const auto* update = llvm::dyn_cast<llvm::AtomicRMWInst>(&instruction))
      return update->getOperation() == llvm::AtomicRMWInst::Xchg;
    const auto* load = llvm::dyn_cast<llvm::LoadInst>(&instruction);
    return load != nullptr && (load->isAtomic() || load->isVolatile());
  }

  void AddYields() {
    for (auto& function : module_) {
      if (function.isDeclaration()) continue;
      llvm::SmallVector<llvm::Instruction*, 8> found;
      for (auto& instruction : llvm::instructions(function)) {
        if (MayBeSpun(instruction)) found.push_back(&instruction);
      }
      if (found.empty()) continue;
      const llvm::DominatorTree tree(function);
      const llvm::LoopInfo loops(tree);
      const bool is_kernel = function.getCallingConv() == llvm::CallingConv::PTX_Kernel;
      for (auto* instruction : found) {
        // In a function that is called the loop may be around the call.
        if (is_kernel && loops.getLoopFor(instruction->getParent()) == nullptr) continue;
        llvm::IRBuilder<> builder(instruction->getNextNode());
        builder.CreateCall(Engine("rbc_sim_yield", builder.getVoidTy(), {}));
      }
    }
  }

  llvm::FunctionCallee Engine(const char* name, llvm::Type* result, llvm::ArrayRef<llvm::Type*> parameters) {
    auto callee = module_.getOrInsertFunction(name, llvm::FunctionType::get(result, parameters, false));
    auto* function = llvm::cast<llvm::Function>(callee.getCallee());
    function->addFnAttr(llvm::Attribute::NoUnwind);
    return callee;
  }

  // ---- Shared memory: offsets into the block's.
  Status ReplaceShared() {
    llvm::SmallVector<llvm::GlobalVariable*, 8> fixed, open;
    for (auto& variable : module_.globals()) {
      if (variable.getAddressSpace() != kSharedSpace) continue;
      (SizeOf(variable) == 0 || variable.isDeclaration() ? open : fixed).push_back(&variable);
    }
    uint64_t end = 0;
    llvm::DenseMap<llvm::GlobalVariable*, uint64_t> offsets;
    for (auto* variable : fixed) {
      const auto alignment = std::max<uint64_t>(variable->getAlign().valueOrOne().value(), 16);
      end = llvm::alignTo(end, std::min<uint64_t>(alignment, simulator::kSharedAlignment));
      offsets[variable] = end;
      end += SizeOf(*variable);
    }
    shared_bytes_ = end;
    for (auto* variable : open) offsets[variable] = llvm::alignTo(end, simulator::kSharedAlignment);
    // In the module's order: the object must not depend on where variables lie in memory.
    for (auto* variable : fixed) RBC_RETURN_IF_ERROR(ReplaceVariable(*variable, offsets[variable]));
    for (auto* variable : open) RBC_RETURN_IF_ERROR(ReplaceVariable(*variable, offsets[variable]));
    return {};
  }

  uint64_t SizeOf(const llvm::GlobalVariable& variable) const {
    return module_.getDataLayout().getTypeAllocSize(variable.getValueType());
  }

  Status ReplaceVariable(llvm::GlobalVariable& variable, uint64_t offset) {
    llvm::convertUsersOfConstantsToInstructions({&variable});
    variable.removeDeadConstantUsers();
    llvm::DenseMap<llvm::Function*, llvm::Value*> addresses;
    for (auto* user : llvm::make_early_inc_range(variable.users())) {
      auto* instruction = llvm::dyn_cast<llvm::Instruction>(user);
      if (instruction == nullptr)
        return ir::RefuseGlobal(variable, "the address of shared memory in an initial value cannot be simulated");
      auto*& address = addresses[instruction->getFunction()];
      if (address == nullptr) address = SharedAddress(*instruction->getFunction(), offset);
      instruction->replaceUsesOfWith(&variable, address);
    }
    variable.eraseFromParent();
    return {};
  }

  llvm::Value* SharedAddress(llvm::Function& function, uint64_t offset) {
    llvm::IRBuilder<> builder(&*function.getEntryBlock().getFirstInsertionPt());
    auto thread = Engine("rbc_sim_thread", builder.getPtrTy(), {});
    llvm::cast<llvm::Function>(thread.getCallee())->setMemoryEffects(llvm::MemoryEffects::none());
    auto* field = builder.CreateConstInBoundsGEP1_64(builder.getInt8Ty(), builder.CreateCall(thread),
                                                     offsetof(simulator::Thread, shared));
    auto* base = builder.CreateLoad(builder.getPtrTy(), field);
    base->setMetadata(llvm::LLVMContext::MD_invariant_load, llvm::MDNode::get(context_, {}));
    auto* address = builder.CreateConstInBoundsGEP1_64(builder.getInt8Ty(), base, offset);
    return builder.CreateAddrSpaceCast(address, builder.getPtrTy(kSharedSpace));
  }

  // ---- Intrinsics, inline assembly, traps.
  Status ReplaceIn(llvm::Function& function) {
    llvm::SmallVector<llvm::Instruction*, 16> work;
    for (auto& instruction : llvm::instructions(function)) {
      if (llvm::isa<llvm::CallInst, llvm::UnreachableInst>(instruction)) work.push_back(&instruction);
    }
    for (auto* instruction : work) {
      if (auto* call = llvm::dyn_cast<llvm::CallInst>(instruction))
        RBC_RETURN_IF_ERROR(ReplaceCall(*call));
      else
        TrapBefore(*instruction);
    }
    return {};
  }

  void CallTrap(llvm::Instruction& before) {
    llvm::IRBuilder<> builder(&before);
    auto trap = Engine("rbc_sim_trap", builder.getVoidTy(), {});
    llvm::cast<llvm::Function>(trap.getCallee())->addFnAttr(llvm::Attribute::NoReturn);
    builder.CreateCall(trap);
  }

  // As with the back end's TrapUnreachable: what cannot be reached is an error, no silent end.
  void TrapBefore(llvm::Instruction& unreachable) {
    const auto* before = llvm::dyn_cast_or_null<llvm::CallInst>(unreachable.getPrevNode());
    if (before != nullptr && before->doesNotReturn()) return;
    CallTrap(unreachable);
  }

  Status ReplaceCall(llvm::CallInst& call) {
    if (call.isInlineAsm()) return ReplaceAssembly(call);
    const auto* callee = call.getCalledFunction();
    if (callee == nullptr || !callee->isIntrinsic()) return {};
    switch (callee->getIntrinsicID()) {
      case llvm::Intrinsic::trap:
      case llvm::Intrinsic::debugtrap:
      case llvm::Intrinsic::ubsantrap:
        CallTrap(call);
        call.eraseFromParent();
        return {};
      default:
        break;
    }
    llvm::StringRef name = callee->getName();
    if (!name.consume_front("llvm.nvvm.")) return {};
    if (name.starts_with("ldg.global.") || name.starts_with("ldu.global.")) {
      llvm::IRBuilder<> builder(&call);
      const auto alignment = llvm::cast<llvm::ConstantInt>(call.getArgOperand(1))->getMaybeAlignValue();
      call.replaceAllUsesWith(builder.CreateAlignedLoad(call.getType(), call.getArgOperand(0), alignment));
      call.eraseFromParent();
      return {};
    }
    return ReplaceBy(call, "rbc.nvvm." + name.str());
  }

  Status ReplaceBy(llvm::CallInst& call, const std::string& name) {
    const auto* found = table_->getFunction(name);
    if (found == nullptr || found->getFunctionType() != call.getFunctionType()) {
      return ir::RefuseInstruction(
          call, fmt::format("'{}' cannot be simulated; it needs a GPU",
                            call.isInlineAsm() ? "inline assembly" : call.getCalledFunction()->getName().str()));
    }
    call.setCalledFunction(module_.getOrInsertFunction(name, call.getFunctionType()));
    call.setAttributes({});
    return {};
  }

  Status ReplaceAssembly(llvm::CallInst& call) {
    const auto* assembly = llvm::cast<llvm::InlineAsm>(call.getCalledOperand());
    return ReplaceBy(call, NameOf(assembly->getAsmString()));
  }

  // "sub.rm.f32 $0, $1, $2;" is rbc.asm.sub.rm.f32.
  static std::string NameOf(llvm::StringRef text) {
    const uint64_t digest = llvm::xxh3_64bits(text);
    for (const auto& known : kAssembly) {
      if (known.digest == digest) return known.name;
    }
    auto [operation, operands] = text.split(' ');
    const bool simple = operands.count(';') == 1 && operands.trim().ends_with(";") &&
                        operands.find_first_not_of("$0123456789, ;") == llvm::StringRef::npos;
    return simple ? "rbc.asm." + operation.str() : "";
  }

  // ---- To the host's machine.
  void Retarget() {
    module_.setTargetTriple(machine_.getTargetTriple());
    module_.setDataLayout(machine_.createDataLayout());
    for (auto& function : module_) {
      function.setCallingConv(llvm::CallingConv::C);
      if (function.isIntrinsic()) continue;
      llvm::AttributeMask strings;
      for (const auto& attribute : function.getAttributes().getFnAttrs()) {
        if (attribute.isStringAttribute()) strings.addAttribute(attribute.getKindAsString());
      }
      function.removeFnAttrs(strings);
      if (!function.isDeclaration()) function.addFnAttr("probe-stack", "inline-asm");
      for (auto& instruction : llvm::instructions(function)) {
        if (auto* call = llvm::dyn_cast<llvm::CallBase>(&instruction)) call->setCallingConv(llvm::CallingConv::C);
      }
    }
  }

  Status LinkTable() {
    llvm::StringSet<> before;
    for (const auto& function : module_) {
      if (!function.isDeclaration()) before.insert(function.getName());
    }
    table_->setTargetTriple(module_.getTargetTriple());
    table_->setDataLayout(module_.getDataLayout());
    if (llvm::Linker::linkModules(module_, std::move(table_), llvm::Linker::LinkOnlyNeeded))
      return Error(ErrorKind::kInternal, "the table of simulated intrinsics does not link");
    for (auto& function : module_) {
      if (!function.isDeclaration() && !before.contains(function.getName()))
        function.setLinkage(llvm::GlobalValue::InternalLinkage);
    }
    return {};
  }

  // ---- Entries: one pointer to the packed parameters.
  void MakeEntry(llvm::Function* kernel) {
    llvm::IRBuilder<> builder(context_);
    const std::string name = kernel->getName().str();
    kernel->setName(name + ".kernel");
    kernel->setLinkage(llvm::GlobalValue::InternalLinkage);
    auto* type = llvm::FunctionType::get(builder.getVoidTy(), {builder.getPtrTy()}, false);
    auto* entry = llvm::Function::Create(type, llvm::GlobalValue::ExternalLinkage, name, module_);
    entry->addFnAttr(llvm::Attribute::NoUnwind);
    entry->addFnAttr("probe-stack", "inline-asm");
    builder.SetInsertPoint(llvm::BasicBlock::Create(context_, "", entry));
    const auto& layout = module_.getDataLayout();
    llvm::SmallVector<llvm::Value*, 16> arguments;
    uint64_t offset = 0;
    for (unsigned i = 0; i < kernel->arg_size(); ++i) {
      auto* parameter = kernel->getArg(i)->getType();
      auto* in_memory = kernel->getParamByValType(i);
      auto* held = in_memory != nullptr ? in_memory : parameter;
      llvm::Align alignment = layout.getABITypeAlign(held);
      if (in_memory != nullptr) alignment = kernel->getParamAlign(i).value_or(alignment);
      offset = llvm::alignTo(offset, alignment);
      auto* address = builder.CreateConstInBoundsGEP1_64(builder.getInt8Ty(), entry->getArg(0), offset);
      arguments.push_back(in_memory != nullptr ? address : builder.CreateAlignedLoad(held, address, alignment));
      offset += layout.getTypeAllocSize(held);
    }
    auto* call = builder.CreateCall(kernel, arguments);
    call->setAttributes(kernel->getAttributes().removeFnAttributes(context_));
    if (entry->hasFnAttribute(llvm::Attribute::NoInline) == false && !kernel->hasFnAttribute(llvm::Attribute::NoInline))
      call->addFnAttr(llvm::Attribute::AlwaysInline);
    builder.CreateRetVoid();
    entries_[name] = entry;
  }

  // So named that a fault shows the client's name.
  void NameEntries() {
    for (auto& entry : artifact_.entries) {
      auto* function = entries_[entry.symbol];
      function->setName(ir::EntrySymbol(entry.declaration, functions_[entry.declaration].symbol));
      entry.symbol = function->getName().str();
      entry.shared_bytes = shared_bytes_;
      entry.meets = Meets(function);
    }
  }

  // Whether a function at which threads meet can be reached from `root`.
  bool Meets(llvm::Function* root) {
    llvm::SmallPtrSet<const llvm::Function*, 16> seen;
    llvm::SmallVector<const llvm::Function*, 16> work = {root};
    bool any_taken = false;
    while (!work.empty()) {
      const auto* function = work.pop_back_val();
      if (!seen.insert(function).second) continue;
      if (function->isDeclaration() && IsIn(function->getName(), kMeetings)) return true;
      for (const auto& instruction : llvm::instructions(function)) {
        const auto* call = llvm::dyn_cast<llvm::CallBase>(&instruction);
        if (call == nullptr || call->isInlineAsm()) continue;
        if (const auto* callee = llvm::dyn_cast<llvm::Function>(call->getCalledOperand()->stripPointerCasts())) {
          work.push_back(callee);
        } else if (!any_taken) {
          any_taken = true;
          for (const auto& other : module_) {
            if (other.hasAddressTaken()) work.push_back(&other);
          }
        }
      }
    }
    return false;
  }

  llvm::Module& module_;
  llvm::LLVMContext& context_;
  llvm::TargetMachine& machine_;
  const std::string& table_bytes_;
  const std::vector<FunctionDeclaration>& functions_;
  Artifact& artifact_;
  std::unique_ptr<llvm::Module> table_;
  std::vector<llvm::Function*> kernels_;
  llvm::StringMap<llvm::Function*> entries_;
  uint64_t shared_bytes_ = 0;
};

// The host's back end at one level.
struct HostTools {
  HostTools(const host::CodegenOptions& wanted, const llvm::TargetLibraryInfoImpl& library)
      : options(wanted),
        machine(host::MakeTargetMachine(wanted)),
        optimizer(*machine, library, wanted.opt_level),
        objects(*machine, library, host::Emitter::Output::kObject) {}
  host::CodegenOptions options;
  std::unique_ptr<llvm::TargetMachine> machine;
  host::Optimizer optimizer;
  host::Emitter objects;
};

}  // namespace

struct SimulatorCompiler::State {
  explicit State(const RuntimeSymbols& host) : symbols(host), library(SmallLibrary()), table(ReadTable()) {}

  HostTools& ToolsFor(const host::CodegenOptions& wanted) {
    for (auto& made : tools) {
      if (made->options == wanted) return *made;
    }
    return *tools.emplace_back(std::make_unique<HostTools>(wanted, library));
  }

  const SimulatorSymbols symbols;
  const llvm::TargetLibraryInfoImpl library;
  const std::string table;
  std::vector<std::unique_ptr<HostTools>> tools;  // at most one for each set of options: 8
};

SimulatorCompiler::SimulatorCompiler(const RuntimeSymbols& symbols) : state_(std::make_unique<State>(symbols)) {}
SimulatorCompiler::~SimulatorCompiler() = default;

Expected<std::string> SimulatorCompiler::Compile(llvm::Module& module,
                                                 const std::vector<FunctionDeclaration>& functions,
                                                 const CompileOptions& options, CompileProgress* progress,
                                                 Artifact* artifact) {
  auto& tools = state_->ToolsFor({options.opt_level, options.allow_contract});
  RBC_RETURN_IF_ERROR(Lowering(module, *tools.machine, state_->table, functions, artifact).Run());
  std::string problem;
  llvm::raw_string_ostream out(problem);
  if (llvm::verifyModule(module, &out))
    return {ErrorKind::kInternal, "the simulated module does not verify: " + problem};
  tools.optimizer.Run(module, progress);
  std::string object = tools.objects.Run(module);
  RBC_RETURN_IF_ERROR(ir::CheckObjectSymbols(object, state_->symbols));
  return object;
}

}  // namespace rbc::cuda
