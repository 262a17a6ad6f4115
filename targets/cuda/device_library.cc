// Rewrites calls of C's library for devices.
// SPDX-License-Identifier: Apache-2.0
#include "targets/cuda/device_library.h"

#include <utility>
#include <vector>

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/AsmParser/Parser.h"
#include "llvm/Bitcode/BitcodeReader.h"
#include "llvm/Bitcode/BitcodeWriter.h"
#include "llvm/IR/AttributeMask.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/Module.h"
#include "llvm/Linker/Linker.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/raw_ostream.h"
#include "targets/ir/check_module.h"

namespace rbc::cuda {
namespace {

// Functions that are rewritten or that the driver brings, with C's and CUDA's own types.
class LibraryTypes {
 public:
  explicit LibraryTypes(llvm::Module& module) : module_(module) {
    auto& context = module.getContext();
    auto* pointer = llvm::PointerType::get(context, 0);
    auto* nothing = llvm::Type::getVoidTy(context);
    auto *number = llvm::Type::getInt32Ty(context), *size = llvm::Type::getInt64Ty(context);
    types_ = {{"printf", Type(number, {pointer}, true)},
              {"puts", Type(number, {pointer})},
              {"putchar", Type(number, {number})},
              {"abort", Type(nothing, {})},
              {"__assert_fail", Type(nothing, {pointer, pointer, number, pointer})},
              {"vprintf", Type(number, {pointer, pointer})},
              {"malloc", Type(pointer, {size})},
              {"free", Type(nothing, {pointer})},
              {"__assertfail", Type(nothing, {pointer, pointer, number, pointer, size})}};
    for (auto* length : {number, size}) {
      for (const char* name : {"memcpy", "memmove"})
        types_.emplace_back(name, Type(pointer, {pointer, pointer, length}));
      types_.emplace_back("memset", Type(pointer, {pointer, number, length}));
    }
  }

  Status Check() const {
    for (const auto& function : module_) {
      if (function.isDeclaration() && IsKnown(function.getName())) RBC_RETURN_IF_ERROR(CheckUses(function));
    }
    return {};
  }

 private:
  static llvm::FunctionType* Type(llvm::Type* result, llvm::ArrayRef<llvm::Type*> parameters, bool more = false) {
    return llvm::FunctionType::get(result, parameters, more);
  }

  bool IsKnown(llvm::StringRef name) const {
    return llvm::any_of(types_, [&](const auto& known) { return known.first == name; });
  }

  Status CheckUses(const llvm::Function& function) const {
    for (const auto* user : function.users()) {
      const auto* call = llvm::dyn_cast<llvm::CallInst>(user);
      if (call == nullptr || call->getCalledOperand() != &function)
        return ir::RefuseGlobal(function, "the address of this function cannot be taken on a GPU");
      const bool fits = llvm::any_of(types_, [&](const auto& known) {
        return known.first == function.getName() && known.second == call->getFunctionType();
      });
      if (!fits) return ir::RefuseInstruction(*call, "a library function with other parameters than C's");
    }
    return {};
  }

  llvm::Module& module_;
  std::vector<std::pair<llvm::StringRef, llvm::FunctionType*>> types_;
};

class LibraryCalls {
 public:
  explicit LibraryCalls(llvm::Module& module) : module_(module), builder_(module.getContext()) {}

  Status Rewrite() {
    RBC_RETURN_IF_ERROR(Each("printf", [this](llvm::CallInst& call) { return Printf(call); }));
    RBC_RETURN_IF_ERROR(Each("puts", [this](llvm::CallInst& call) { return Print(call, "%s\n"); }));
    RBC_RETURN_IF_ERROR(Each("putchar", [this](llvm::CallInst& call) { return Print(call, "%c"); }));
    RBC_RETURN_IF_ERROR(Each("__assert_fail", [this](llvm::CallInst& call) { return Assert(call); }));
    RBC_RETURN_IF_ERROR(Each("abort", [this](llvm::CallInst& call) { return Abort(call); }));
    for (const char* name : {"memcpy", "memmove", "memset"})
      RBC_RETURN_IF_ERROR(Each(name, [&](llvm::CallInst& call) { return Memory(call, name); }));
    return {};
  }

 private:
  // Every call of the undefined function `name`. Other uses of it stay, and are refused as a missing symbol.
  Status Each(const char* name, auto rewrite) {
    auto* function = module_.getFunction(name);
    if (function == nullptr || !function->isDeclaration()) return {};
    for (auto* user : llvm::make_early_inc_range(function->users())) {
      auto* call = llvm::dyn_cast<llvm::CallInst>(user);
      if (call == nullptr || call->getCalledOperand() != function) continue;
      builder_.SetInsertPoint(call);
      RBC_RETURN_IF_ERROR(rewrite(*call));
    }
    if (function->use_empty()) function->eraseFromParent();
    return {};
  }

  static Status Replace(llvm::CallInst& call, llvm::Value* result) {
    if (!call.use_empty()) call.replaceAllUsesWith(result);
    call.eraseFromParent();
    return {};
  }

  llvm::Value* Vprintf(llvm::Value* format, llvm::Value* arguments) {
    auto* pointer = builder_.getPtrTy();
    auto function = module_.getOrInsertFunction(
        "vprintf", llvm::FunctionType::get(builder_.getInt32Ty(), {pointer, pointer}, false));
    return builder_.CreateCall(function, {format, arguments});
  }

  // The arguments one after the other in memory, each at its own alignment.
  llvm::Value* Packed(llvm::CallInst& call, llvm::ArrayRef<llvm::Value*> values) {
    if (values.empty()) return llvm::Constant::getNullValue(builder_.getPtrTy());
    llvm::SmallVector<llvm::Type*, 8> types;
    for (auto* value : values) types.push_back(value->getType());
    auto* type = llvm::StructType::get(module_.getContext(), types);
    auto& entry = call.getFunction()->getEntryBlock();
    auto* memory = llvm::IRBuilder<>(&entry, entry.begin()).CreateAlloca(type);
    memory->setAlignment(llvm::Align(8));
    for (unsigned i = 0; i < values.size(); ++i) {
      builder_.CreateStore(values[i], builder_.CreateStructGEP(type, memory, i));
    }
    return memory;
  }

  Status Printf(llvm::CallInst& call) {
    llvm::SmallVector<llvm::Value*, 8> values;
    for (unsigned i = 1; i < call.arg_size(); ++i) {
      auto* value = call.getArgOperand(i);
      if (value->getType()->isFloatTy() || value->getType()->isHalfTy())
        value = builder_.CreateFPExt(value, builder_.getDoubleTy());
      if (value->getType()->isIntegerTy() && value->getType()->getIntegerBitWidth() < 32)
        value = builder_.CreateSExt(value, builder_.getInt32Ty());
      if (!value->getType()->isSingleValueType() || value->getType()->isVectorTy())
        return ir::RefuseInstruction(call, "printf takes numbers and pointers");
      values.push_back(value);
    }
    return Replace(call, Vprintf(call.getArgOperand(0), Packed(call, values)));
  }

  Status Print(llvm::CallInst& call, const char* format) {
    auto* text = builder_.CreateGlobalString(format, "rbc_format");
    return Replace(call, Vprintf(text, Packed(call, {call.getArgOperand(0)})));
  }

  Status Assert(llvm::CallInst& call) {
    llvm::Type *pointer = builder_.getPtrTy(), *size = builder_.getInt64Ty();
    auto function = module_.getOrInsertFunction(
        "__assertfail",
        llvm::FunctionType::get(builder_.getVoidTy(), {pointer, pointer, builder_.getInt32Ty(), pointer, size}, false));
    llvm::cast<llvm::Function>(function.getCallee())->addFnAttr(llvm::Attribute::NoUnwind);
    llvm::SmallVector<llvm::Value*, 5> arguments(call.args());
    arguments.push_back(builder_.getInt64(1));
    builder_.CreateCall(function, arguments);
    return Trap(call);
  }

  Status Abort(llvm::CallInst& call) { return Trap(call); }

  Status Trap(llvm::CallInst& call) {
    builder_.CreateIntrinsic(llvm::Intrinsic::trap, {});
    return Replace(call, llvm::PoisonValue::get(call.getType()));
  }

  Status Memory(llvm::CallInst& call, std::string_view name) {
    llvm::Value *to = call.getArgOperand(0), *from = call.getArgOperand(1), *size = call.getArgOperand(2);
    if (name == "memset")
      builder_.CreateMemSet(to, builder_.CreateTrunc(from, builder_.getInt8Ty()), size, {});
    else if (name == "memcpy")
      builder_.CreateMemCpy(to, {}, from, {}, size);
    else
      builder_.CreateMemMove(to, {}, from, {}, size);
    return Replace(call, to);
  }

  llvm::Module& module_;
  llvm::IRBuilder<> builder_;
};

void Scrub(llvm::Function& function) {
  llvm::AttributeMask strings;
  for (const auto& attribute : function.getAttributes().getFnAttrs()) {
    if (attribute.isStringAttribute()) strings.addAttribute(attribute.getKindAsString());
  }
  function.removeFnAttrs(strings);
  function.addFnAttr(llvm::Attribute::NoUnwind);
}

// A definition is used only where the module means the same function.
bool WantsAny(const llvm::Module& module, const llvm::Module& runtime) {
  for (const auto& function : runtime) {
    if (function.isDeclaration() || function.isIntrinsic()) continue;
    const auto* wanted = module.getFunction(function.getName());
    if (wanted != nullptr && wanted->isDeclaration() && !wanted->use_empty()) return true;
  }
  return false;
}

}  // namespace

std::string ReadDeviceRuntime() {
  llvm::LLVMContext context;
  llvm::SMDiagnostic problem;
  const auto text = DeviceRuntime();
  const auto buffer = llvm::MemoryBuffer::getMemBufferCopy({text.data(), text.size()}, "device_runtime.ll");
  auto module = llvm::parseAssembly(*buffer, problem, context);
  std::string bytes;
  if (module == nullptr) return bytes;
  for (auto& metadata : llvm::make_early_inc_range(module->named_metadata())) metadata.eraseFromParent();
  for (auto& function : *module) {
    if (!function.isIntrinsic()) Scrub(function);
  }
  llvm::raw_string_ostream out(bytes);
  llvm::WriteBitcodeToFile(*module, out);
  return bytes;
}

Status LinkDeviceLibrary(llvm::Module& module, const std::string& runtime) {
  RBC_RETURN_IF_ERROR(LibraryTypes(module).Check());
  RBC_RETURN_IF_ERROR(LibraryCalls(module).Rewrite());
  // Most modules refer to nothing outside: then the library is not even opened.
  bool any = false;
  for (const auto& function : module)
    any |= function.isDeclaration() && !function.isIntrinsic() && !function.use_empty();
  if (!any) return {};
  auto library = llvm::getLazyBitcodeModule({runtime, "device_runtime"}, module.getContext());
  if (!library) return Error(ErrorKind::kInternal, llvm::toString(library.takeError()));
  if (!WantsAny(module, **library)) return {};
  llvm::StringSet<> before;
  llvm::SmallVector<std::pair<llvm::Function*, std::string>, 4> others;
  for (auto& function : module) {
    if (!function.isDeclaration()) {
      before.insert(function.getName());
      continue;
    }
    const auto* offered = (*library)->getFunction(function.getName());
    if (offered == nullptr || offered->isDeclaration() || function.isIntrinsic()) continue;
    if (offered->getFunctionType() != function.getFunctionType())
      others.emplace_back(&function, function.getName().str());
  }
  for (auto& [function, name] : others) function->setName("");  // not the same function: no such symbol
  (*library)->setTargetTriple(module.getTargetTriple());
  (*library)->setDataLayout(module.getDataLayout());
  if (llvm::Linker::linkModules(module, std::move(*library), llvm::Linker::LinkOnlyNeeded))
    return Error(ErrorKind::kInternal, "the device runtime does not link with the module");
  for (auto& function : module) {
    if (!function.isDeclaration() && !function.hasLocalLinkage() && !before.contains(function.getName()))
      function.setLinkage(llvm::GlobalValue::InternalLinkage);
  }
  for (auto& [function, name] : others) {
    if (module.getFunction(name) == nullptr) function->setName(name);
  }
  return {};
}

}  // namespace rbc::cuda
