// Refuses what this farm does not run and what is known to end or stall LLVM.
// SPDX-License-Identifier: Apache-2.0
#include "targets/ir/check_module.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "llvm/ADT/DenseMap.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/DebugInfo.h"
#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/Verifier.h"
#include "llvm/Support/raw_ostream.h"
#include "targets/ir/diagnostics.h"
#include "targets/ir/entry_point.h"

namespace rbc::ir {
namespace {

constexpr uint64_t kHuge = uint64_t{1} << 62;  // sizes and counts saturate here

uint64_t Times(uint64_t a, uint64_t b) {
  uint64_t product;
  return __builtin_mul_overflow(a, b, &product) ? kHuge : std::min(product, kHuge);
}

uint64_t Plus(uint64_t a, uint64_t b) { return std::min(a + b, kHuge); }

// What is known of a type. `refused` is why no value of it may exist, or "".
struct TypeFacts {
  std::string refused;
  uint64_t leaves = 1;  // scalars in it
  uint64_t bytes = 0;   // about its size, never less
  uint64_t nesting = 0;
};

// Looks at each type once. Structs cannot hold themselves by value, so the walk ends; its depth is limited.
class TypeChecker {
 public:
  explicit TypeChecker(Machine machine) : machine_(machine) {}
  const TypeFacts& Facts(llvm::Type* type) { return Facts(type, 0); }

 private:
  const TypeFacts& Facts(llvm::Type* type, uint64_t depth) {
    if (const auto found = facts_.find(type); found != facts_.end()) return *found->second;
    auto facts = std::make_unique<TypeFacts>(depth > kMaxTypeNesting ? TooDeep() : Compute(type, depth));
    return *(facts_[type] = std::move(facts));
  }

  static TypeFacts TooDeep() {
    TypeFacts facts;
    facts.refused = fmt::format("types that nest more than {} deep are not supported", kMaxTypeNesting);
    return facts;
  }

  static TypeFacts Refused(std::string why) {
    TypeFacts facts;
    facts.refused = std::move(why);
    return facts;
  }

  static TypeFacts Integer(unsigned bits) {
    TypeFacts facts;
    facts.bytes = bits <= 64 ? 8 : bits / 8 + 16;
    if (bits > kMaxIntegerBits) {
      facts.refused = fmt::format("integers of {} bits are not supported, the limit is {}", bits, kMaxIntegerBits);
    }
    return facts;
  }

  TypeFacts Repeated(llvm::Type* element, uint64_t count, uint64_t depth) {
    TypeFacts facts = Facts(element, depth + 1);
    facts.leaves = Times(facts.leaves, count);
    facts.bytes = Times(facts.bytes, count);
    facts.nesting += 1;
    return facts;
  }

  TypeFacts Vector(llvm::FixedVectorType* type, uint64_t depth) {
    const uint64_t element_bits =
        std::max(type->getElementType()->getPrimitiveSizeInBits().getKnownMinValue(), uint64_t{8});
    const uint64_t bits = Times(element_bits, type->getNumElements());
    if (bits > kMaxVectorBits) {
      return Refused(fmt::format("vectors of {} bits are not supported, the limit is {}", bits, kMaxVectorBits));
    }
    TypeFacts facts = Repeated(type->getElementType(), type->getNumElements(), depth);
    facts.leaves = 1;
    return facts;
  }

  TypeFacts Struct(llvm::StructType* type, uint64_t depth) {
    TypeFacts facts;
    if (type->isOpaque()) return facts;
    facts.leaves = 0;
    for (llvm::Type* member : type->elements()) {
      const TypeFacts& inner = Facts(member, depth + 1);
      if (!inner.refused.empty()) return inner;
      facts.leaves = Plus(facts.leaves, inner.leaves);
      facts.bytes = Plus(facts.bytes, Plus(inner.bytes, 8));
      facts.nesting = std::max(facts.nesting, inner.nesting + 1);
    }
    return facts;
  }

  TypeFacts Compute(llvm::Type* type, uint64_t depth) {
    switch (type->getTypeID()) {
      case llvm::Type::IntegerTyID:
        return Integer(type->getIntegerBitWidth());
      case llvm::Type::ArrayTyID: {
        const bool byte = type->getArrayElementType()->isIntegerTy(8);
        TypeFacts facts = Repeated(type->getArrayElementType(), type->getArrayNumElements(), depth);
        if (byte) facts.bytes = type->getArrayNumElements();
        return facts;
      }
      case llvm::Type::FixedVectorTyID:
        return Vector(llvm::cast<llvm::FixedVectorType>(type), depth);
      case llvm::Type::StructTyID:
        return Struct(llvm::cast<llvm::StructType>(type), depth);
      case llvm::Type::ScalableVectorTyID:
        return Refused("scalable vectors are not supported");
      case llvm::Type::FP128TyID:
        return Refused(machine_ == Machine::kX86 ? "fp128 is not supported: float128 on this target is x86_fp80"
                                                 : "fp128 is not supported: GPUs have no such arithmetic");
      case llvm::Type::X86_FP80TyID: {
        if (machine_ != Machine::kX86) return Refused("x86_fp80 (long double) is not supported on GPUs");
        TypeFacts facts;
        facts.bytes = 16;
        return facts;
      }
      case llvm::Type::PPC_FP128TyID:
        return Refused("ppc_fp128 is not supported");
      case llvm::Type::X86_AMXTyID:
        return Refused("x86_amx is not supported");
      case llvm::Type::TargetExtTyID:
        return Refused("target extension types are not supported");
      default: {
        TypeFacts facts;
        facts.bytes = 16;
        return facts;
      }
    }
  }

  const Machine machine_;
  llvm::DenseMap<llvm::Type*, std::unique_ptr<TypeFacts>> facts_;
};

std::string TextOf(const llvm::Value& value) {
  std::string text;
  llvm::raw_string_ostream out(text);
  value.print(out, /*IsForDebug=*/false);
  const auto start = text.find_first_not_of(' ');
  return Bounded(std::string_view(text).substr(start == std::string::npos ? 0 : start), 200);
}

Error Unsupported(std::string message) { return Error(ErrorKind::kUnsupported, std::move(message)); }

}  // namespace

Error RefuseGlobal(const llvm::GlobalValue& global, std::string_view why) {
  return Unsupported(fmt::format("'{}': {}", Bounded(ClientName(global.getName()), 200), why));
}

Error RefuseInstruction(const llvm::Instruction& instruction, std::string_view why) {
  const auto function = Bounded(ClientName(instruction.getFunction()->getName()), 200);
  Error error = Unsupported(fmt::format("function '{}': {}: {}", function, why, TextOf(instruction)));
  error.function = function;
  return error;
}

namespace {

bool IsSupportedConvention(llvm::CallingConv::ID convention, Machine machine) {
  switch (convention) {
    case llvm::CallingConv::PTX_Kernel:
    case llvm::CallingConv::PTX_Device:
      return machine == Machine::kNvptx;
    case llvm::CallingConv::C:
    case llvm::CallingConv::Fast:
    case llvm::CallingConv::Cold:
    case llvm::CallingConv::Tail:
    case llvm::CallingConv::PreserveMost:
    case llvm::CallingConv::X86_64_SysV:
    case llvm::CallingConv::Win64:
      return true;
    default:
      return false;
  }
}

constexpr std::string_view kRefusedIntrinsicPrefixes[] = {
    "llvm.read_register",
    "llvm.write_register",
    "llvm.read_volatile_register",
    "llvm.gcroot",
    "llvm.gcread",
    "llvm.gcwrite",
    "llvm.experimental.gc.",
    "llvm.experimental.patchpoint",
    "llvm.experimental.stackmap",
    "llvm.experimental.deoptimize",
    "llvm.experimental.guard",
    "llvm.coro.",
    "llvm.eh.",
    "llvm.localescape",
    "llvm.localrecover",
    "llvm.init.trampoline",
    "llvm.adjust.trampoline",
    "llvm.swift.",
    "llvm.call.preallocated",
    "llvm.icall.branch.funnel",
    "llvm.seh.",
    "llvm.objc.",
    "llvm.xray.",
    "llvm.instrprof.",
    "llvm.pseudoprobe",
    "llvm.thread.pointer",
    "llvm.sponentry",
    "llvm.addressofreturnaddress",
    "llvm.type.test",
    "llvm.type.checked.load",
    "llvm.threadlocal.address",
    "llvm.ptrauth.",
    "llvm.hwasan.",
    "llvm.asan.",
    "llvm.vp.",
    "llvm.matrix.",
    "llvm.vscale",
    "llvm.experimental.convergence.",
    "llvm.clear_cache",
    "llvm.set.rounding",
    "llvm.set.fpenv",
    "llvm.set.fpmode",
    "llvm.reset.fpenv",
    "llvm.reset.fpmode",
};

// Intrinsics of machines that no target has: the name's second part is LLVM's name of the machine.
constexpr std::string_view kForeignIntrinsics[] = {"llvm.aarch64.", "llvm.amdgcn.",  "llvm.arm.",       "llvm.bpf.",
                                                   "llvm.dx.",      "llvm.hexagon.", "llvm.loongarch.", "llvm.mips.",
                                                   "llvm.ppc.",     "llvm.r600.",    "llvm.riscv.",     "llvm.s390.",
                                                   "llvm.spv.",     "llvm.ve.",      "llvm.wasm.",      "llvm.xcore."};

bool StartsWithAny(std::string_view name, std::span<const std::string_view> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(), [&](std::string_view p) { return name.starts_with(p); });
}

// An assembler directive can read files, so that asm may hold instructions, labels and comments only.
bool HasAsmDirective(std::string_view assembly) {
  for (size_t i = 0; i + 1 < assembly.size(); ++i) {
    if (assembly[i] != '.') continue;
    const bool starts_word =
        i == 0 || !(std::isalnum(static_cast<unsigned char>(assembly[i - 1])) || assembly[i - 1] == '_');
    if (starts_word && std::isalpha(static_cast<unsigned char>(assembly[i + 1])) && assembly[i + 1] != 'L') return true;
  }
  return false;
}

class Checker {
 public:
  Checker(bool allow_inline_asm, Machine machine)
      : allow_inline_asm_(allow_inline_asm), machine_(machine), types_(machine) {}

  Status Check(const llvm::Module& module) {
    RBC_RETURN_IF_ERROR(CheckGlobals(module));
    for (const auto& function : module) RBC_RETURN_IF_ERROR(CheckFunction(function));
    return CheckInlining(module);
  }

 private:
  Status CheckName(const llvm::GlobalValue& global) {
    if (global.getName().contains('\0')) return RefuseGlobal(global, "names with a NUL byte are not supported");
    if (global.isThreadLocal()) return RefuseGlobal(global, "thread_local variables are not supported");
    return {};
  }

  Status CheckGlobals(const llvm::Module& module) {
    for (const auto& ifunc : module.ifuncs()) return RefuseGlobal(ifunc, "ifuncs are not supported");
    for (const auto& alias : module.aliases()) RBC_RETURN_IF_ERROR(CheckName(alias));
    uint64_t bytes = 0;
    for (const auto& variable : module.globals()) {
      RBC_RETURN_IF_ERROR(CheckName(variable));
      const TypeFacts& facts = types_.Facts(variable.getValueType());
      if (!facts.refused.empty()) return RefuseGlobal(variable, facts.refused);
      if (variable.getAlign().valueOrOne().value() > kMaxAlignment) {
        return RefuseGlobal(variable, fmt::format("an alignment over {} is not supported", kMaxAlignment));
      }
      if (variable.isDeclaration()) continue;
      bytes = Plus(bytes, facts.bytes);
      if (bytes > kMaxGlobalBytes) {
        return RefuseGlobal(variable,
                            fmt::format("the module's variables take more than {} MiB", kMaxGlobalBytes >> 20));
      }
      if (variable.getName().starts_with("llvm."))
        return RefuseGlobal(variable, "this reserved variable is not supported");
    }
    return {};
  }

  static std::string ForeignConvention(llvm::CallingConv::ID convention) {
    const bool nvptx = convention == llvm::CallingConv::PTX_Kernel || convention == llvm::CallingConv::PTX_Device;
    return fmt::format("calling convention {}{} is not supported", static_cast<unsigned>(convention),
                       nvptx ? " (of the target cuda)" : "");
  }

  Status CheckFunction(const llvm::Function& function) {
    RBC_RETURN_IF_ERROR(CheckName(function));
    if (function.getName().starts_with("llvm.") && function.getIntrinsicID() == llvm::Intrinsic::not_intrinsic) {
      return RefuseGlobal(function, "this LLVM has no such intrinsic");
    }
    if (function.isIntrinsic()) return CheckIntrinsic(function);
    if (function.hasGC()) return RefuseGlobal(function, "garbage collection strategies are not supported");
    if (!IsSupportedConvention(function.getCallingConv(), machine_)) {
      return RefuseGlobal(function, ForeignConvention(function.getCallingConv()));
    }
    if (function.hasPersonalityFn()) return RefuseExceptions(function);
    if (function.hasPrologueData() || function.hasPrefixData()) {
      return RefuseGlobal(function, "prologue and prefix data are not supported");
    }
    if (function.hasFnAttribute(llvm::Attribute::Naked))
      return RefuseGlobal(function, "naked functions are not supported");
    if (function.getAlign().valueOrOne().value() > kMaxAlignment) {
      return RefuseGlobal(function, fmt::format("an alignment over {} is not supported", kMaxAlignment));
    }
    RBC_RETURN_IF_ERROR(CheckPrototype(function));
    for (const auto& instruction : llvm::instructions(function)) RBC_RETURN_IF_ERROR(CheckInstruction(instruction));
    return {};
  }

  // Names the instruction that throws or catches: the personality alone tells the user little.
  Status RefuseExceptions(const llvm::Function& function) {
    for (const auto& instruction : llvm::instructions(function)) {
      if (IsExceptional(instruction)) return RefuseInstruction(instruction, kNoExceptions);
    }
    return RefuseGlobal(function, kNoExceptions);
  }

  static bool IsExceptional(const llvm::Instruction& instruction) {
    return instruction.isEHPad() ||
           llvm::isa<llvm::InvokeInst, llvm::ResumeInst, llvm::CatchReturnInst, llvm::CleanupReturnInst>(instruction);
  }

  Status CheckIntrinsic(const llvm::Function& function) {
    const std::string_view name = function.getName();
    if (!StartsWithAny(name, kRefusedIntrinsicPrefixes) && !StartsWithAny(name, kForeignIntrinsics) &&
        !name.starts_with(machine_ == Machine::kX86 ? "llvm.nvvm." : "llvm.x86.")) {
      return {};
    }
    for (const auto* user : function.users()) {
      if (const auto* call = llvm::dyn_cast<llvm::CallBase>(user)) {
        return RefuseInstruction(*call, fmt::format("'{}' is not supported", name));
      }
    }
    return function.use_empty() ? Status() : RefuseGlobal(function, "this intrinsic is not supported");
  }

  Status CheckParameterAttributes(const llvm::AttributeList& attributes, unsigned count, auto refuse) {
    constexpr llvm::Attribute::AttrKind kRefused[] = {llvm::Attribute::InAlloca,   llvm::Attribute::Preallocated,
                                                      llvm::Attribute::SwiftError, llvm::Attribute::SwiftSelf,
                                                      llvm::Attribute::SwiftAsync, llvm::Attribute::ByRef,
                                                      llvm::Attribute::Nest};
    for (unsigned i = 0; i < count; ++i) {
      for (const auto kind : kRefused) {
        if (attributes.hasParamAttr(i, kind)) {
          return Status(refuse(fmt::format("the parameter attribute {} is not supported",
                                           std::string_view(llvm::Attribute::getNameFromAttrKind(kind)))));
        }
      }
      for (llvm::Type* type : {attributes.getParamByValType(i), attributes.getParamStructRetType(i)}) {
        if (type == nullptr) continue;
        const TypeFacts& facts = types_.Facts(type);
        if (!facts.refused.empty()) return Status(refuse(facts.refused));
        if (facts.bytes > kMaxStackObject) return Status(refuse("a parameter in memory is too large"));
      }
      if (attributes.getParamAlignment(i).valueOrOne().value() > kMaxAlignment &&
          attributes.hasParamAttr(i, llvm::Attribute::ByVal)) {
        return Status(refuse(fmt::format("an alignment over {} is not supported", kMaxAlignment)));
      }
    }
    return Status();
  }

  // Of functions of the client only: intrinsics take tokens and metadata.
  Status CheckPrototype(const llvm::Function& function) {
    const auto refuse = [&](std::string_view why) { return RefuseGlobal(function, why); };
    if (auto why = ValueProblem(function.getReturnType()); !why.empty()) return refuse(why);
    for (const auto& argument : function.args()) {
      if (auto why = ValueProblem(argument.getType()); !why.empty()) return refuse(why);
    }
    return CheckParameterAttributes(function.getAttributes(), function.arg_size(), refuse);
  }

  std::string ValueProblem(llvm::Type* type) {
    if (type->isFunctionTy()) return {};
    const TypeFacts& facts = types_.Facts(type);
    if (!facts.refused.empty()) return facts.refused;
    if (facts.leaves > kMaxValueLeaves) {
      return fmt::format("a value of {} scalars is not supported, the limit is {}", facts.leaves, kMaxValueLeaves);
    }
    return {};
  }

  Status CheckInstruction(const llvm::Instruction& instruction) {
    if (IsExceptional(instruction)) return RefuseInstruction(instruction, kNoExceptions);
    if (auto why = ValueProblem(instruction.getType()); !why.empty()) return RefuseInstruction(instruction, why);
    for (const llvm::Value* operand : instruction.operands()) {
      if (auto why = ValueProblem(operand->getType()); !why.empty()) return RefuseInstruction(instruction, why);
    }
    if (const auto* alloca = llvm::dyn_cast<llvm::AllocaInst>(&instruction)) return CheckAlloca(*alloca);
    if (const auto* call = llvm::dyn_cast<llvm::CallBase>(&instruction)) return CheckCall(*call);
    if (const auto* element = llvm::dyn_cast<llvm::GetElementPtrInst>(&instruction)) {
      const TypeFacts& facts = types_.Facts(element->getSourceElementType());
      if (!facts.refused.empty()) return RefuseInstruction(instruction, facts.refused);
    }
    return CheckAtomic(instruction);
  }

  Status CheckAlloca(const llvm::AllocaInst& alloca) {
    const TypeFacts& facts = types_.Facts(alloca.getAllocatedType());
    if (!facts.refused.empty()) return RefuseInstruction(alloca, facts.refused);
    uint64_t bytes = facts.bytes;
    if (const auto* count = llvm::dyn_cast<llvm::ConstantInt>(alloca.getArraySize())) {
      bytes = Times(bytes, count->getValue().getLimitedValue(kHuge));
    }
    if (bytes > kMaxStackObject) {
      return RefuseInstruction(alloca,
                               fmt::format("more than {} MiB on the stack is not supported", kMaxStackObject >> 20));
    }
    if (alloca.getAlign().value() > kMaxAlignment) {
      return RefuseInstruction(alloca, fmt::format("an alignment over {} is not supported", kMaxAlignment));
    }
    return {};
  }

  Status CheckAtomic(const llvm::Instruction& instruction) {
    llvm::Type* type = nullptr;
    if (const auto* load = llvm::dyn_cast<llvm::LoadInst>(&instruction); load != nullptr && load->isAtomic())
      type = load->getType();
    if (const auto* store = llvm::dyn_cast<llvm::StoreInst>(&instruction); store != nullptr && store->isAtomic()) {
      type = store->getValueOperand()->getType();
    }
    if (const auto* exchange = llvm::dyn_cast<llvm::AtomicCmpXchgInst>(&instruction))
      type = exchange->getNewValOperand()->getType();
    if (const auto* update = llvm::dyn_cast<llvm::AtomicRMWInst>(&instruction))
      type = update->getValOperand()->getType();
    if (type == nullptr || type->isPointerTy()) return {};
    const auto bits = type->getPrimitiveSizeInBits().getKnownMinValue();
    if (bits <= 64 || (bits == 128 && type->isIntegerTy() && machine_ == Machine::kX86)) return {};
    return RefuseInstruction(instruction, fmt::format("atomic accesses of {} bits are not supported", bits));
  }

  Status CheckCall(const llvm::CallBase& call) {
    const auto refuse = [&](std::string_view why) { return RefuseInstruction(call, why); };
    if (llvm::isa<llvm::CallBrInst>(call)) return refuse("callbr is not supported");
    if (call.isInlineAsm()) {
      if (!allow_inline_asm_) return refuse("inline asm is not allowed by this farm's operator");
      const auto* assembly = llvm::cast<llvm::InlineAsm>(call.getCalledOperand());
      if (machine_ == Machine::kX86 && HasAsmDirective(assembly->getAsmString()))
        return refuse("inline asm may hold instructions only, no directives");
      if (!call.getType()->isVoidTy() && types_.Facts(call.getType()).bytes > 64 * 16)
        return refuse("the asm's result is too wide");
      return CheckAsmOperands(call);
    }
    if (!IsSupportedConvention(call.getCallingConv(), machine_)) {
      return refuse(ForeignConvention(call.getCallingConv()));
    }
    for (unsigned i = 0; i < call.getNumOperandBundles(); ++i) {
      const auto tag = call.getOperandBundleAt(i).getTagName();
      if (tag != "align" && tag != "nonnull" && tag != "dereferenceable" && tag != "separate_storage" &&
          tag != "ignore" && tag != "cold") {
        return refuse(fmt::format("the operand bundle '{}' is not supported", Bounded(tag, 40)));
      }
    }
    switch (call.getIntrinsicID()) {
      case llvm::Intrinsic::returnaddress:
      case llvm::Intrinsic::frameaddress:
        if (machine_ != Machine::kX86) return refuse("there is no such address on GPUs");
        if (!llvm::cast<llvm::ConstantInt>(call.getArgOperand(0))->isZero()) {
          return refuse("addresses of outer frames are not supported");
        }
        break;
      default:
        break;
    }
    return CheckParameterAttributes(call.getAttributes(), call.arg_size(), refuse);
  }

  Status CheckAsmOperands(const llvm::CallBase& call) {
    const auto too_wide = [](llvm::Type* type) { return type->isIntegerTy() && type->getIntegerBitWidth() > 64; };
    if (too_wide(call.getType()) ||
        std::any_of(call.arg_begin(), call.arg_end(), [&](const auto& a) { return too_wide(a->getType()); })) {
      return RefuseInstruction(call, "integers over 64 bits are not supported in inline asm");
    }
    return {};
  }

  // Instructions in `function` once its always_inline callees are in it; kHuge for chains that are too long.
  uint64_t InlinedSize(const llvm::Function& function, unsigned depth) {
    if (depth > kMaxTypeNesting) return kHuge;
    const auto [entry, inserted] =
        inlined_size_.try_emplace(&function, 0);  // 0 while on the way: recursion is not inlined
    if (!inserted) return entry->second;
    uint64_t size = 0;
    for (const auto& instruction : llvm::instructions(function)) {
      size = Plus(size, 1);
      const auto* call = llvm::dyn_cast<llvm::CallBase>(&instruction);
      const llvm::Function* callee = call == nullptr ? nullptr : call->getCalledFunction();
      if (callee == nullptr || callee->isDeclaration()) continue;
      if (callee->hasFnAttribute(llvm::Attribute::AlwaysInline) || call->hasFnAttr(llvm::Attribute::AlwaysInline)) {
        size = Plus(size, InlinedSize(*callee, depth + 1));
      }
    }
    return inlined_size_[&function] = size;
  }

  Status CheckInlining(const llvm::Module& module) {
    for (const auto& function : module) {
      if (InlinedSize(function, 0) <= kMaxInlinedInstructions) continue;
      return RefuseGlobal(function, fmt::format("inlining its alwaysinline callees makes more than {} instructions",
                                                kMaxInlinedInstructions));
    }
    return {};
  }

  static constexpr std::string_view kNoExceptions = "C++ exceptions are not supported; compile with -fno-exceptions";

  const bool allow_inline_asm_;
  const Machine machine_;
  TypeChecker types_;
  llvm::DenseMap<const llvm::Function*, uint64_t> inlined_size_;
};

}  // namespace

Status VerifyModule(llvm::Module& module, DiagnosticLog* log) {
  std::string problem;
  llvm::raw_string_ostream out(problem);
  bool broken_debug_info = false;
  if (llvm::verifyModule(module, &out, &broken_debug_info)) {
    return Error(ErrorKind::kInvalidModule, "the module does not verify: " + Bounded(problem, 2048));
  }
  if (broken_debug_info) {
    llvm::StripDebugInfo(module);
    Diagnostic warning;
    warning.severity = Severity::kWarning;
    warning.message = "the debug information is broken and was dropped";
    log->Add(std::move(warning));
  }
  return {};
}

Status CheckWholeModule(const llvm::Module& module, unsigned pointer_bits) {
  if (!module.getModuleInlineAsm().empty()) return Unsupported("module asm is not allowed");
  const auto& layout = module.getDataLayout();
  if (layout.isBigEndian())
    return Unsupported("the module is made for a big-endian machine, this target is little-endian");
  if (layout.getPointerSizeInBits() != pointer_bits) {
    return Unsupported(
        fmt::format("the module is made for pointers of {} bits, this target's have {}; lower its source for "
                    "pointers of {} bits, or choose another target",
                    layout.getPointerSizeInBits(), pointer_bits, pointer_bits));
  }
  return {};
}

Status CheckModule(const llvm::Module& module, bool allow_inline_asm, Machine machine) {
  return Checker(allow_inline_asm, machine).Check(module);
}

}  // namespace rbc::ir
