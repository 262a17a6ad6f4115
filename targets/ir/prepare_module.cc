// Retargets, scrubs and trims a module.
// SPDX-License-Identifier: Apache-2.0
#include "targets/ir/prepare_module.h"

#include <algorithm>
#include <vector>

#include "llvm/ADT/StringSet.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/IR/AttributeMask.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/DebugInfo.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/PassInstrumentation.h"
#include "llvm/IR/PassManager.h"
#include "llvm/TargetParser/Triple.h"
#include "llvm/Transforms/IPO/GlobalDCE.h"
#include "targets/target.h"

namespace rbc::ir {
namespace {

// String attributes that say something about the program and not about a machine or a build.
bool IsKeptAttribute(llvm::StringRef name) {
  return name.starts_with("no-builtin") || name == "alloc-family" || name == "disable-tail-calls" ||
         name.starts_with("nvvm.") || name == "no-nans-fp-math" || name == "no-infs-fp-math" ||
         name == "no-signed-zeros-fp-math";
}

// Attributes whose effect needs a runtime library or a pass of an instrumented build.
constexpr llvm::Attribute::AttrKind kDroppedAttributes[] = {
    llvm::Attribute::StackProtect,
    llvm::Attribute::StackProtectReq,
    llvm::Attribute::StackProtectStrong,
    llvm::Attribute::SanitizeAddress,
    llvm::Attribute::SanitizeThread,
    llvm::Attribute::SanitizeMemory,
    llvm::Attribute::SanitizeHWAddress,
    llvm::Attribute::SanitizeMemTag,
    llvm::Attribute::SanitizeRealtime,
    llvm::Attribute::SafeStack,
    llvm::Attribute::ShadowCallStack,
    llvm::Attribute::NoCfCheck,
    llvm::Attribute::JumpTable,
    llvm::Attribute::PresplitCoroutine,
    llvm::Attribute::CoroDestroyOnlyWhenComplete,
    llvm::Attribute::NullPointerIsValid,
};

llvm::AttributeMask DroppedFrom(llvm::AttributeSet attributes) {
  llvm::AttributeMask dropped;
  for (const llvm::Attribute& attribute : attributes) {
    if (attribute.isStringAttribute() && !IsKeptAttribute(attribute.getKindAsString())) {
      dropped.addAttribute(attribute.getKindAsString());
    }
  }
  return dropped;
}

// Which the back end of GPUs aborts on, and which say nothing there.
bool IsFenceOfOneThread(const llvm::Instruction& instruction) {
  const auto* fence = llvm::dyn_cast<llvm::FenceInst>(&instruction);
  return fence != nullptr && fence->getSyncScopeID() == llvm::SyncScope::SingleThread;
}

void ScrubForNvptx(llvm::Function& function) {
  const auto scrubbed = [](llvm::CallingConv::ID convention) {
    return convention == llvm::CallingConv::PTX_Kernel ? convention : llvm::CallingConv::ID(llvm::CallingConv::C);
  };
  function.setCallingConv(scrubbed(function.getCallingConv()));
  for (auto& instruction : llvm::make_early_inc_range(llvm::instructions(function))) {
    if (auto* call = llvm::dyn_cast<llvm::CallBase>(&instruction))
      call->setCallingConv(scrubbed(call->getCallingConv()));
    if (IsFenceOfOneThread(instruction))
      instruction.eraseFromParent();
    else if (llvm::getAtomicSyncScopeID(&instruction) == llvm::SyncScope::SingleThread)
      llvm::setAtomicSyncScopeID(&instruction, llvm::SyncScope::System);  // there is no smaller one but a block's
  }
}

void ScrubFunction(llvm::Function& function, const PrepareOptions& options) {
  const bool keep_debug = options.keep_debug;
  llvm::AttributeMask dropped = DroppedFrom(function.getAttributes().getFnAttrs());
  for (const auto kind : kDroppedAttributes) dropped.addAttribute(kind);
  if (!keep_debug) dropped.addAttribute(llvm::Attribute::UWTable);
  function.removeFnAttrs(dropped);
  if (function.isIntrinsic()) return;
  // Exceptions are refused, so nothing unwinds and no unwind tables are wanted.
  function.addFnAttr(llvm::Attribute::NoUnwind);
  if (function.isDeclaration() || options.machine != Machine::kX86) return;
  // A frame over a page touches each of its pages: too deep a stack always ends at the guard page.
  function.addFnAttr("probe-stack", "inline-asm");
}

void ScrubCalls(llvm::Function& function, bool allow_contract) {
  for (auto& instruction : llvm::make_early_inc_range(llvm::instructions(function))) {
    auto* call = llvm::dyn_cast<llvm::CallBase>(&instruction);
    if (call == nullptr) continue;
    const auto attributes = call->getAttributes().getFnAttrs();
    if (attributes.hasAttributes()) call->removeFnAttrs(DroppedFrom(attributes));
    auto* intrinsic = llvm::dyn_cast<llvm::IntrinsicInst>(call);
    if (allow_contract || intrinsic == nullptr || intrinsic->getIntrinsicID() != llvm::Intrinsic::fmuladd) continue;
    llvm::IRBuilder<> builder(intrinsic);
    auto* product = builder.CreateFMulFMF(intrinsic->getArgOperand(0), intrinsic->getArgOperand(1), intrinsic);
    auto* sum = builder.CreateFAddFMF(product, intrinsic->getArgOperand(2), intrinsic);
    intrinsic->replaceAllUsesWith(sum);
    intrinsic->eraseFromParent();
  }
}

void ScrubGlobal(llvm::GlobalObject& global) {
  global.setComdat(nullptr);
  global.setSection("");
  global.setPartition("");
  global.setVisibility(llvm::GlobalValue::DefaultVisibility);
  global.setDLLStorageClass(llvm::GlobalValue::DefaultStorageClass);
  global.setDSOLocal(global.hasLocalLinkage());
  global.eraseMetadata(llvm::LLVMContext::MD_associated);
}

void EraseReserved(llvm::Module& module) {
  for (const char* name : {"llvm.used", "llvm.compiler.used", "llvm.global.annotations"}) {
    if (auto* variable = module.getNamedGlobal(name); variable != nullptr && variable->use_empty())
      variable->eraseFromParent();
  }
}

// Module flags and named metadata of other builds can ask for profiles, coverage, CFI and the like.
void EraseNamedMetadata(llvm::Module& module, bool keep_debug) {
  for (auto& metadata : llvm::make_early_inc_range(module.named_metadata())) {
    const auto name = metadata.getName();
    if (keep_debug && name.starts_with("llvm.dbg.")) continue;
    if (name == "rbc.exceptions") continue;  // text for callers of a published function; no pass knows it
    metadata.eraseFromParent();
  }
}

// Whether a library function that LLVM or client code may call has this name.
bool IsLibraryName(llvm::StringRef name, const RuntimeSymbols& symbols, const llvm::TargetLibraryInfoImpl& library) {
  llvm::LibFunc known;
  return library.getLibFunc(name, known) || symbols.Find(name) != nullptr;
}

// A hidden alias is what it stands for: formats of objects and GPUs know fewer of them than LLVM does.
void ResolveAliases(llvm::Module& module) {
  for (auto& alias : llvm::make_early_inc_range(module.aliases())) {
    if (!alias.hasLocalLinkage()) continue;
    alias.replaceAllUsesWith(alias.getAliasee());
    alias.eraseFromParent();
  }
}

void NullMissingWeak(llvm::Module& module, const RuntimeSymbols& symbols) {
  for (auto& global : module.global_objects()) {
    if (!global.hasExternalWeakLinkage()) continue;
    if (symbols.Find(global.getName()) == nullptr) {
      global.replaceAllUsesWith(llvm::Constant::getNullValue(global.getType()));
    }
    global.setLinkage(llvm::GlobalValue::ExternalLinkage);
  }
}

}  // namespace

void PrepareModule(llvm::Module& module, const llvm::Triple& triple, const llvm::DataLayout& layout,
                   const PrepareOptions& options) {
  module.setTargetTriple(triple);
  module.setDataLayout(layout);
  if (!options.keep_debug) llvm::StripDebugInfo(module);
  EraseReserved(module);
  EraseNamedMetadata(module, options.keep_debug);
  if (options.keep_debug) {
    module.addModuleFlag(llvm::Module::Warning, "Debug Info Version", llvm::DEBUG_METADATA_VERSION);
    module.addModuleFlag(llvm::Module::Max, "Dwarf Version", 4);
  }
  if (options.machine == Machine::kX86) module.setPICLevel(llvm::PICLevel::SmallPIC);
  for (auto& global : module.global_objects()) ScrubGlobal(global);
  for (auto& alias : module.aliases()) {
    alias.setVisibility(llvm::GlobalValue::DefaultVisibility);
    alias.setDLLStorageClass(llvm::GlobalValue::DefaultStorageClass);
  }
  for (auto& variable : module.globals()) variable.setExternallyInitialized(false);
  for (auto& function : module) {
    ScrubFunction(function, options);
    if (options.machine == Machine::kNvptx) ScrubForNvptx(function);
    ScrubCalls(function, options.allow_contract);
  }
}

void Hide(llvm::GlobalValue& global, const RuntimeSymbols& symbols, const llvm::TargetLibraryInfoImpl& library) {
  global.setLinkage(llvm::GlobalValue::InternalLinkage);
  global.setDSOLocal(true);
  if (!IsLibraryName(global.getName(), symbols, library)) return;
  global.setName(global.getName() + llvm::StringRef(kRenamedSuffix.data(), kRenamedSuffix.size()));
}

void KeepInlineDefinitions(llvm::Module& module) {
  for (auto& global : module.global_objects()) {
    if (global.hasAvailableExternallyLinkage()) global.setLinkage(llvm::GlobalValue::InternalLinkage);
  }
}

void KeepOnly(llvm::Module& module, std::span<const std::string> keep, const RuntimeSymbols& symbols,
              const llvm::TargetLibraryInfoImpl& library) {
  NullMissingWeak(module, symbols);
  llvm::StringSet<> kept;
  for (const auto& name : keep) kept.insert(name);
  for (auto& global : module.global_values()) {
    if (global.isDeclaration() || global.getName().starts_with("llvm.")) continue;
    if (kept.contains(global.getName())) {
      global.setLinkage(llvm::GlobalValue::ExternalLinkage);  // an inline or static function too
      continue;
    }
    // Its twin elsewhere is the runtime's, if that has it; else this one is all there is.
    if (global.hasAvailableExternallyLinkage() && symbols.Find(global.getName()) != nullptr) continue;
    Hide(global, symbols, library);
  }
  ResolveAliases(module);
  llvm::ModuleAnalysisManager none;
  llvm::FunctionAnalysisManager functions;
  none.registerPass([&] { return llvm::PassInstrumentationAnalysis(); });
  none.registerPass([&] { return llvm::FunctionAnalysisManagerModuleProxy(functions); });
  functions.registerPass([&] { return llvm::PassInstrumentationAnalysis(); });
  llvm::GlobalDCEPass().run(module, none);
}

}  // namespace rbc::ir
