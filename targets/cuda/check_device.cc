// Refuses what GPUs cannot do.
// SPDX-License-Identifier: Apache-2.0
#include "targets/cuda/check_device.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SmallPtrSet.h"
#include "llvm/Analysis/ValueTracking.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/Module.h"
#include "targets/cuda/address_space.h"
#include "targets/cuda/names.h"
#include "targets/ir/check_module.h"

namespace rbc::cuda {
namespace {

bool IsSpace(unsigned space) {
  return space == kGenericSpace || space == kGlobalSpace || space == kSharedSpace || space == kConstantSpace ||
         space == kLocalSpace || space == kClusterSpace || space == kParameterSpace;
}

// NVPTX intrinsics that the farm passes on; each of a family that all SMs from 75 have. Matrix units, tensor memory,
// clusters and asynchronous copies are not among them.
constexpr std::string_view kAllowed[] = {"llvm.nvvm.read.ptx.sreg.",
                                         "llvm.nvvm.barrier",
                                         "llvm.nvvm.bar.",
                                         "llvm.nvvm.shfl.sync.",
                                         "llvm.nvvm.vote.all.sync",
                                         "llvm.nvvm.vote.any.sync",
                                         "llvm.nvvm.vote.uni.sync",
                                         "llvm.nvvm.vote.ballot.sync",
                                         "llvm.nvvm.match.",
                                         "llvm.nvvm.activemask",
                                         "llvm.nvvm.membar.",
                                         "llvm.nvvm.fence.",
                                         "llvm.nvvm.prmt",
                                         "llvm.nvvm.mul",
                                         "llvm.nvvm.sad.",
                                         "llvm.nvvm.floor.",
                                         "llvm.nvvm.ceil.",
                                         "llvm.nvvm.trunc.",
                                         "llvm.nvvm.round.",
                                         "llvm.nvvm.rcp.",
                                         "llvm.nvvm.rsqrt.",
                                         "llvm.nvvm.sqrt.",
                                         "llvm.nvvm.fmin.",
                                         "llvm.nvvm.fmax.",
                                         "llvm.nvvm.fma.",
                                         "llvm.nvvm.div.",
                                         "llvm.nvvm.add.",
                                         "llvm.nvvm.saturate.",
                                         "llvm.nvvm.d2",
                                         "llvm.nvvm.f2",
                                         "llvm.nvvm.i2",
                                         "llvm.nvvm.ui2",
                                         "llvm.nvvm.ll2",
                                         "llvm.nvvm.ull2",
                                         "llvm.nvvm.lohi.",
                                         "llvm.nvvm.bitcast.",
                                         "llvm.nvvm.fabs",
                                         "llvm.nvvm.ex2.",
                                         "llvm.nvvm.lg2.",
                                         "llvm.nvvm.sin.",
                                         "llvm.nvvm.cos.",
                                         "llvm.nvvm.ldu.",
                                         "llvm.nvvm.ldg.",
                                         "llvm.nvvm.ptr.",
                                         "llvm.nvvm.isspacep.",
                                         "llvm.nvvm.nanosleep",
                                         "llvm.nvvm.exit",
                                         "llvm.nvvm.reflect",
                                         "llvm.nvvm.idp",
                                         "llvm.nvvm.fns",
                                         "llvm.nvvm.brev",
                                         "llvm.nvvm.clz",
                                         "llvm.nvvm.popc",
                                         "llvm.nvvm.abs.",
                                         "llvm.nvvm.neg.",
                                         "llvm.nvvm.bfe",
                                         "llvm.nvvm.shl",
                                         "llvm.nvvm.sad",
                                         "llvm.nvvm.h2f",
                                         "llvm.nvvm.redux.sync.",
                                         "llvm.nvvm.atomic."};
// Among them, what needs a newer SM than 75.
struct Newer {
  std::string_view prefix;
  uint32_t sm;
};
constexpr Newer kNewer[] = {{"llvm.nvvm.redux.sync.", 80},
                            {"llvm.nvvm.f2tf32.rna", 80},
                            {"llvm.nvvm.f2tf32.", 90},
                            {"llvm.nvvm.ex2.approx.ftz.bf16", 90},
                            {"llvm.nvvm.ex2.approx.ftz.v2bf16", 90},
                            {"llvm.nvvm.isspacep.shared.cluster", 90},
                            {"llvm.nvvm.read.ptx.sreg.cluster", 90},
                            {"llvm.nvvm.read.ptx.sreg.nclusterid", 90},
                            {"llvm.nvvm.read.ptx.sreg.is_explicit_cluster", 90},
                            {"llvm.nvvm.barrier.cluster", 90},
                            {"llvm.nvvm.fence.sc.cluster", 90}};

bool StartsWithAny(std::string_view name, auto& prefixes) {
  return std::any_of(std::begin(prefixes), std::end(prefixes), [&](std::string_view p) { return name.starts_with(p); });
}

// Of half precision, by what their names hold: the first that is found decides.
constexpr Newer kNewerOfHalf[] = {{".xorsign.", 86}, {"bf16", 80}, {".relu.", 80}, {".ftz.f16", 80}};

// Which LLVM names and has no code for, or code that no assembler takes; reductions of floats want an SM's own variant,
// fences of asynchronous copies a newer PTX.
bool IsWithoutCode(std::string_view name) {
  constexpr std::string_view kPowers = "llvm.nvvm.ex2.approx.";
  constexpr std::string_view kPowersOf[] = {"f",     "ftz.f", "f32",      "ftz.f32",    "f16",
                                            "v2f16", "f16x2", "ftz.bf16", "ftz.v2bf16", "ftz.bf16x2"};
  constexpr std::string_view kNone[] = {"llvm.nvvm.lg2.approx.d", "llvm.nvvm.redux.sync.f", "llvm.nvvm.fence.proxy",
                                        "llvm.nvvm.fence.mbarrier", "llvm.nvvm.barrier.cluster.arrive.relaxed"};
  if (name.starts_with(kPowers)) return !llvm::is_contained(kPowersOf, name.substr(kPowers.size()));
  const bool of_bfloats = name.find("bf16") != std::string_view::npos;
  return StartsWithAny(name, kNone) ||
         (of_bfloats && (name.find(".ftz.") != std::string_view::npos || name.find(".sat.") != std::string_view::npos));
}

uint32_t LeastSmOfHalf(std::string_view name) {
  if (name.find("f16") == std::string_view::npos) return 0;
  for (const auto& newer : kNewerOfHalf) {
    if (name.find(newer.prefix) != std::string_view::npos) return newer.sm;
  }
  return 0;
}

constexpr std::string_view kRefusedIntrinsics[] = {"llvm.localaddress",
                                                   "llvm.stackguard",
                                                   "llvm.eh.",
                                                   "llvm.debugtrap.",
                                                   "llvm.va_copy",
                                                   "llvm.memcpy.element.",
                                                   "llvm.memmove.element.",
                                                   "llvm.memset.element.",
                                                   "llvm.get.fpenv",
                                                   "llvm.get.fpmode",
                                                   "llvm.experimental.constrained.",
                                                   "llvm.set.loop",
                                                   "llvm.masked.expandload",
                                                   "llvm.masked.compressstore"};

// Attributes by which a kernel says how it is launched.
constexpr llvm::StringLiteral kBounds[] = {"nvvm.maxntid", "nvvm.reqntid",     "nvvm.minctasm",
                                           "nvvm.maxnreg", "nvvm.cluster_dim", "nvvm.maxclusterrank"};

constexpr uint32_t kFirstSmWithClusters = 90;

// Global values that a constant refers to.
void CollectGlobals(const llvm::Constant* constant, llvm::SmallPtrSetImpl<const llvm::Constant*>& seen,
                    llvm::SmallVectorImpl<const llvm::GlobalVariable*>& found) {
  llvm::SmallVector<const llvm::Constant*, 16> work = {constant};
  while (!work.empty()) {
    const auto* next = work.pop_back_val();
    if (!seen.insert(next).second) continue;
    if (const auto* variable = llvm::dyn_cast<llvm::GlobalVariable>(next)) {
      found.push_back(variable);
      continue;
    }
    if (llvm::isa<llvm::GlobalValue>(next)) continue;
    for (const auto& operand : next->operands()) {
      if (const auto* inner = llvm::dyn_cast<llvm::Constant>(operand)) work.push_back(inner);
    }
  }
}

class DeviceChecker {
 public:
  DeviceChecker(const llvm::Module& module, uint32_t sm) : module_(module), sm_(sm) {
    module.getContext().getSyncScopeNames(scopes_);
  }

  Status Check() {
    for (const auto& alias : module_.aliases()) RBC_RETURN_IF_ERROR(CheckAlias(alias));
    for (const auto& variable : module_.globals()) RBC_RETURN_IF_ERROR(CheckVariable(variable));
    RBC_RETURN_IF_ERROR(CheckSizes());
    RBC_RETURN_IF_ERROR(CheckCycles());
    for (const auto& function : module_) RBC_RETURN_IF_ERROR(CheckFunction(function));
    return {};
  }

 private:
  Status CheckName(const llvm::GlobalValue& global) {
    if (global.hasLocalLinkage() || global.isDeclaration() || global.getName().starts_with("llvm.") ||
        IsPtxName(global.getName()))
      return {};
    return ir::RefuseGlobal(global, "this name cannot be written in PTX; use letters, digits and underscores");
  }

  Status CheckAlias(const llvm::GlobalAlias& alias) {
    if (alias.use_empty() && alias.hasLocalLinkage()) return {};
    const auto* function = llvm::dyn_cast<llvm::Function>(alias.getAliasee()->stripPointerCastsAndAliases());
    if (function == nullptr) return ir::RefuseGlobal(alias, "aliases of data are not supported on GPUs");
    if (function->getCallingConv() == llvm::CallingConv::PTX_Kernel)
      return ir::RefuseGlobal(alias, "aliases of kernels are not supported on GPUs");
    if (function->getFunctionType() != alias.getValueType())
      return ir::RefuseGlobal(alias, "an alias with other parameters or another result than the function's");
    if (alias.isWeakForLinker()) return ir::RefuseGlobal(alias, "weak aliases are not supported on GPUs");
    return CheckName(alias);
  }

  Status CheckVariable(const llvm::GlobalVariable& variable) {
    RBC_RETURN_IF_ERROR(CheckName(variable));
    const unsigned space = variable.getAddressSpace();
    if (space != kGenericSpace && space != kGlobalSpace && space != kSharedSpace && space != kConstantSpace) {
      return ir::RefuseGlobal(variable, fmt::format("a variable in address space {} is not supported on GPUs", space));
    }
    if (space == kSharedSpace && variable.hasInitializer() && !llvm::isa<llvm::UndefValue>(variable.getInitializer()))
      return ir::RefuseGlobal(variable, "shared memory has no initial value; the kernel has to set it");
    if (variable.hasInitializer()) {
      if (const auto why = InitializerProblem(variable.getInitializer(), 0); !why.empty())
        return ir::RefuseGlobal(variable, why);
    }
    return {};
  }

  // Where a variable lies among all memory, which of shared memory is known to a running block only.
  static bool IsGenericAddress(const llvm::ConstantExpr& expression) {
    if (expression.getOpcode() != llvm::Instruction::AddrSpaceCast) return false;
    const auto* global = llvm::dyn_cast<llvm::GlobalValue>(expression.getOperand(0)->stripPointerCasts());
    return global != nullptr && global->getAddressSpace() != kSharedSpace &&
           expression.getType()->getPointerAddressSpace() == kGenericSpace;
  }

  // What the back end can write out as an initial value: numbers, addresses and addresses plus a number.
  static std::string_view InitializerProblem(const llvm::Constant* value, unsigned depth) {
    if (depth > 64) return "its initial value nests too deep for a GPU";
    if (llvm::isa<llvm::BlockAddress>(value)) return "addresses of labels are not supported on GPUs";
    if (const auto* expression = llvm::dyn_cast<llvm::ConstantExpr>(value)) {
      const auto* base = expression->stripInBoundsConstantOffsets();
      const bool address = llvm::isa<llvm::GlobalValue>(base) && base->getType() == expression->getType();
      const bool number = expression->getOpcode() == llvm::Instruction::PtrToInt &&
                          expression->getType()->isIntegerTy(64) &&
                          llvm::isa<llvm::GlobalValue>(expression->getOperand(0)->stripInBoundsConstantOffsets());
      if (!address && !number && !IsGenericAddress(*expression))
        return "its initial value is computed from addresses in a way that PTX cannot say";
      return {};
    }
    if (llvm::isa<llvm::ConstantAggregate>(value)) {
      for (const auto& operand : value->operands()) {
        if (auto why = InitializerProblem(llvm::cast<llvm::Constant>(operand), depth + 1); !why.empty()) return why;
      }
    }
    return {};
  }

  Status CheckSizes() {
    const auto& layout = module_.getDataLayout();
    uint64_t shared = 0, constant = 0;
    for (const auto& variable : module_.globals()) {
      if (!variable.getValueType()->isSized()) continue;
      const uint64_t size = layout.getTypeAllocSize(variable.getValueType()).getKnownMinValue();
      if (variable.getAddressSpace() == kSharedSpace && !variable.isDeclaration()) shared += size;
      if (variable.getAddressSpace() == kConstantSpace) constant += size;
      if (shared > kMaxStaticShared) {
        return ir::RefuseGlobal(variable,
                                fmt::format("the module's static shared memory takes more than {} KiB; use dynamic "
                                            "shared memory (an external array) for more",
                                            kMaxStaticShared >> 10));
      }
      if (constant > kMaxConstantBytes) {
        return ir::RefuseGlobal(
            variable, fmt::format("the module's constant memory takes more than {} KiB", kMaxConstantBytes >> 10));
      }
    }
    return {};
  }

  // PTX defines a variable before it is used, so that initial values cannot go round in circles.
  Status CheckCycles() {
    for (const auto& variable : module_.globals()) RBC_RETURN_IF_ERROR(Visit(variable, 0));
    return {};
  }

  Status Visit(const llvm::GlobalVariable& variable, unsigned depth) {
    enum : char { kOnTheWay = 1, kDone = 2 };
    char& state = visited_[&variable];
    if (state == kDone || !variable.hasInitializer()) return {};
    if (state == kOnTheWay)
      return ir::RefuseGlobal(variable,
                              "initial values that refer to each other in a circle are not supported on GPUs");
    if (depth > 1000) return ir::RefuseGlobal(variable, "a chain of initial values is too long for a GPU");
    state = kOnTheWay;
    llvm::SmallPtrSet<const llvm::Constant*, 16> seen;
    llvm::SmallVector<const llvm::GlobalVariable*, 8> used;
    CollectGlobals(variable.getInitializer(), seen, used);
    for (const auto* next : used) RBC_RETURN_IF_ERROR(Visit(*next, depth + 1));
    visited_[&variable] = kDone;
    return {};
  }

  Status CheckFunction(const llvm::Function& function) {
    if (function.isIntrinsic()) return CheckIntrinsic(function);
    RBC_RETURN_IF_ERROR(CheckName(function));
    if (function.getCallingConv() == llvm::CallingConv::PTX_Kernel && !function.getReturnType()->isVoidTy())
      return ir::RefuseGlobal(function, "a kernel returns nothing");
    if (function.getCallingConv() == llvm::CallingConv::PTX_Kernel && function.isVarArg())
      return ir::RefuseGlobal(function, "a kernel takes no variable arguments");
    RBC_RETURN_IF_ERROR(CheckBounds(function));
    uint64_t local = 0;
    for (const auto& instruction : llvm::instructions(function)) {
      RBC_RETURN_IF_ERROR(CheckInstruction(instruction));
      const auto* alloca = llvm::dyn_cast<llvm::AllocaInst>(&instruction);
      if (alloca == nullptr) continue;
      const auto size = alloca->getAllocationSize(module_.getDataLayout());
      local += size ? std::min<uint64_t>(size->getKnownMinValue(), kMaxLocalBytes + 1) : 0;
      if (local > kMaxLocalBytes) {
        return ir::RefuseInstruction(instruction,
                                     fmt::format("the function's variables take more than the {} KiB that a "
                                                 "GPU's thread has",
                                                 kMaxLocalBytes >> 10));
      }
    }
    return {};
  }

  // "nvvm.maxntid" and its like: one to three numbers.
  static Status CheckBounds(const llvm::Function& function) {
    for (const auto& attribute : function.getAttributes().getFnAttrs()) {
      if (!attribute.isStringAttribute() || !llvm::is_contained(kBounds, attribute.getKindAsString())) continue;
      llvm::SmallVector<llvm::StringRef, 4> numbers;
      attribute.getValueAsString().split(numbers, ',');
      const bool good = numbers.size() <= 3 && llvm::all_of(numbers, [](llvm::StringRef text) {
                          uint32_t number = 0;
                          return !text.trim().getAsInteger(10, number) && number > 0;
                        });
      if (!good)
        return ir::RefuseGlobal(function, fmt::format("the attribute \"{}\" is one to three numbers over 0",
                                                      std::string_view(attribute.getKindAsString())));
    }
    return {};
  }

  Status CheckIntrinsic(const llvm::Function& function) {
    const std::string_view name = function.getName();
    if (function.use_empty()) return {};
    if (name.starts_with("llvm.nvvm.")) {
      if (!StartsWithAny(name, kAllowed) || IsWithoutCode(name))
        return RefuseUses(function, fmt::format("'{}' is not supported", name));
      for (const auto& newer : kNewer) {
        if (!name.starts_with(newer.prefix)) continue;
        if (sm_ >= newer.sm) break;
        return RefuseOlder(function, newer.sm);
      }
      return sm_ >= LeastSmOfHalf(name) ? Status() : RefuseOlder(function, LeastSmOfHalf(name));
    }
    if (StartsWithAny(name, kRefusedIntrinsics))
      return RefuseUses(function, fmt::format("'{}' is not supported on GPUs", name));
    return {};
  }

  Error RefuseOlder(const llvm::Function& function, uint32_t least) const {
    return RefuseUses(function, fmt::format("'{}' needs sm_{} or newer, this is for sm_{}",
                                            std::string_view(function.getName()), least, sm_));
  }

  static Error RefuseUses(const llvm::Function& function, std::string_view why) {
    for (const auto* user : function.users()) {
      if (const auto* call = llvm::dyn_cast<llvm::Instruction>(user)) return ir::RefuseInstruction(*call, why);
    }
    return ir::RefuseGlobal(function, why);
  }

  // Clusters of blocks came with sm_90.
  bool HasStrangeSpace(llvm::Type* type) const {
    type = type->getScalarType();
    if (!type->isPointerTy()) return false;
    const unsigned space = type->getPointerAddressSpace();
    return !IsSpace(space) || (space == kClusterSpace && sm_ < kFirstSmWithClusters);
  }

  Status CheckInstruction(const llvm::Instruction& instruction) {
    const auto refuse = [&](std::string_view why) { return ir::RefuseInstruction(instruction, why); };
    const auto no_space = [&] { return refuse(fmt::format("sm_{} has no such address space", sm_)); };
    if (HasStrangeSpace(instruction.getType())) return no_space();
    for (const llvm::Value* operand : instruction.operands()) {
      if (HasStrangeSpace(operand->getType())) return no_space();
      if (const auto* constant = llvm::dyn_cast<llvm::Constant>(operand); constant != nullptr && HoldsLabel(constant))
        return refuse("addresses of labels are not supported on GPUs");
    }
    if (WritesConstantMemory(instruction)) return refuse("constant memory cannot be written by a kernel");
    RBC_RETURN_IF_ERROR(CheckScope(instruction));
    switch (instruction.getOpcode()) {
      case llvm::Instruction::IndirectBr:
        return refuse("jumps to computed addresses are not supported on GPUs");
      case llvm::Instruction::AddrSpaceCast:
        return CheckCast(llvm::cast<llvm::AddrSpaceCastInst>(instruction));
      case llvm::Instruction::Alloca: {
        const unsigned space = llvm::cast<llvm::AllocaInst>(instruction).getAddressSpace();
        if (space != kGenericSpace && space != kLocalSpace) return refuse("stack memory lies in address space 0 or 5");
        return {};
      }
      case llvm::Instruction::Call:
        return CheckCall(llvm::cast<llvm::CallInst>(instruction));
      case llvm::Instruction::AtomicRMW:
        return CheckUpdate(llvm::cast<llvm::AtomicRMWInst>(instruction));
      case llvm::Instruction::VAArg:
        return refuse("va_arg as an instruction is not supported on GPUs");
      default:
        return {};
    }
  }

  static bool WritesConstantMemory(const llvm::Instruction& instruction) {
    const llvm::Value* place = nullptr;
    if (const auto* store = llvm::dyn_cast<llvm::StoreInst>(&instruction)) place = store->getPointerOperand();
    if (const auto* update = llvm::dyn_cast<llvm::AtomicRMWInst>(&instruction)) place = update->getPointerOperand();
    if (const auto* exchange = llvm::dyn_cast<llvm::AtomicCmpXchgInst>(&instruction))
      place = exchange->getPointerOperand();
    if (const auto* memory = llvm::dyn_cast<llvm::MemIntrinsic>(&instruction)) place = memory->getRawDest();
    return place != nullptr && llvm::getUnderlyingObject(place)->getType()->getPointerAddressSpace() == kConstantSpace;
  }

  // Other machines' names of who sees an atomic access mean nothing here.
  Status CheckScope(const llvm::Instruction& instruction) {
    const auto scope = llvm::getAtomicSyncScopeID(&instruction);
    if (!scope || *scope == llvm::SyncScope::System || *scope == llvm::SyncScope::SingleThread) return {};
    const auto name = scopes_[*scope];
    if (name == "block" || name == "device" || (name == "cluster" && sm_ >= kFirstSmWithClusters)) return {};
    return ir::RefuseInstruction(
        instruction, fmt::format("sm_{} has no syncscope \"{}\"; there are \"block\", \"device\", from sm_{} on "
                                 "\"cluster\", and all without one",
                                 sm_, std::string_view(name), kFirstSmWithClusters));
  }

  static bool HoldsLabel(const llvm::Constant* constant) {
    if (llvm::isa<llvm::BlockAddress>(constant)) return true;
    if (!llvm::isa<llvm::ConstantExpr, llvm::ConstantAggregate>(constant)) return false;
    llvm::SmallVector<const llvm::Constant*, 8> work = {constant};
    for (unsigned steps = 0; !work.empty() && steps < 1000; ++steps) {
      const auto* next = work.pop_back_val();
      if (llvm::isa<llvm::BlockAddress>(next)) return true;
      if (llvm::isa<llvm::GlobalValue>(next)) continue;
      for (const auto& operand : next->operands()) {
        if (const auto* inner = llvm::dyn_cast<llvm::Constant>(operand)) work.push_back(inner);
      }
    }
    return false;
  }

  // Between two particular spaces there is no way but through the generic one.
  static Status CheckCast(const llvm::AddrSpaceCastInst& cast) {
    if (cast.getType()->isVectorTy())
      return ir::RefuseInstruction(cast, "casts of vectors of pointers are not supported");
    const unsigned from = cast.getSrcAddressSpace(), to = cast.getDestAddressSpace();
    if (from == kGenericSpace || to == kGenericSpace) return {};
    if ((from == kSharedSpace && to == kClusterSpace) || (from == kClusterSpace && to == kSharedSpace)) return {};
    return ir::RefuseInstruction(cast, fmt::format("a pointer cannot go from address space {} to {}", from, to));
  }

  Status CheckCall(const llvm::CallInst& call) {
    const auto* callee = call.getCalledFunction();
    if (callee != nullptr && callee->getCallingConv() == llvm::CallingConv::PTX_Kernel)
      return ir::RefuseInstruction(call, "a kernel cannot be called from device code");
    if (call.getCallingConv() == llvm::CallingConv::PTX_Kernel)
      return ir::RefuseInstruction(call, "a kernel cannot be called from device code");
    const std::string_view name = callee == nullptr ? "" : std::string_view(callee->getName());
    if (name.starts_with("llvm.nvvm.barrier") && call.arg_size() > 1 && IsPartOfAWarp(call.getArgOperand(1)))
      return ir::RefuseInstruction(call, "the number of threads at a barrier is a multiple of 32");
    llvm::StringRef text;
    if (name == "llvm.nvvm.reflect" && !llvm::getConstantStringInfo(call.getArgOperand(0), text))
      return ir::RefuseInstruction(call, "what is asked of the compiler is a constant text");
    if (call.isMustTailCall()) return ir::RefuseInstruction(call, "guaranteed tail calls are not supported on GPUs");
    return {};
  }

  static bool IsPartOfAWarp(const llvm::Value* threads) {
    const auto* number = llvm::dyn_cast<llvm::ConstantInt>(threads);
    return number != nullptr && number->getBitWidth() == 32 && number->getZExtValue() % 32 != 0;
  }

  static Status CheckUpdate(const llvm::AtomicRMWInst& update) {
    if (update.getType()->isVectorTy())
      return ir::RefuseInstruction(update, "atomic updates of vectors are not supported");
    return {};
  }

  const llvm::Module& module_;
  const uint32_t sm_;
  llvm::SmallVector<llvm::StringRef, 8> scopes_;
  llvm::DenseMap<const llvm::GlobalVariable*, char> visited_;
};

}  // namespace

Status CheckDevice(const llvm::Module& module, uint32_t sm) { return DeviceChecker(module, sm).Check(); }

}  // namespace rbc::cuda
