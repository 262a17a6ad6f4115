// Finds, trims and links libdevice.
// SPDX-License-Identifier: Apache-2.0
#include "targets/cuda/libdevice.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <vector>

#include "llvm/ADT/StringSet.h"
#include "llvm/Bitcode/BitcodeReader.h"
#include "llvm/Bitcode/BitcodeWriter.h"
#include "llvm/IR/AttributeMask.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/Module.h"
#include "llvm/Linker/Linker.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/TargetParser/Triple.h"
#include "llvm/Transforms/IPO/AlwaysInliner.h"
#include "llvm/Transforms/IPO/GlobalDCE.h"
#include "targets/cuda/nvptx.h"
#include "targets/cuda/toolkit.h"
#include "targets/ir/analyses.h"

namespace rbc::cuda {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFile = "libdevice.10.bc";

struct Found {
  std::string path;
  std::string bytes;
};

Found& TheLibrary() {
  static Found found;
  return found;
}

std::vector<fs::path> Candidates() {
  std::vector<fs::path> paths;
  if (const char* wanted = std::getenv("RBC_LIBDEVICE")) return {wanted};
  std::error_code ignored;
  const fs::path program = fs::read_symlink("/proc/self/exe", ignored);
  paths.push_back(program.parent_path().parent_path() / "share" / "rbc" / kFile);
  for (const auto& root : ToolkitRoots()) paths.push_back(root / "nvvm" / "libdevice" / kFile);
  paths.push_back(fs::path("/usr/lib/nvidia-cuda-toolkit/libdevice") / kFile);
  return paths;
}

std::string ReadFile(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

llvm::MemoryBufferRef Buffer(std::string_view bytes) { return {llvm::StringRef(bytes.data(), bytes.size()), kFile}; }

// nullptr: the file is damaged.
std::unique_ptr<llvm::Module> OpenLazily(llvm::LLVMContext& context) {
  auto module = llvm::getLazyBitcodeModule(Buffer(TheLibrary().bytes), context);
  if (!module) {
    llvm::consumeError(module.takeError());
    return nullptr;
  }
  return std::move(*module);
}

// What the calls of reflection ask for, by name.
int Answer(llvm::StringRef question, uint32_t sm) {
  if (question == "__CUDA_ARCH") return static_cast<int>(sm * 10);
  if (question == "__CUDA_PREC_SQRT" || question == "__CUDA_PREC_DIV") return 1;
  return 0;  // __CUDA_FTZ: denormals are numbers
}

llvm::StringRef QuestionOf(const llvm::CallBase& call) {
  const auto* variable = llvm::dyn_cast<llvm::GlobalVariable>(call.getArgOperand(0)->stripPointerCasts());
  if (variable == nullptr || !variable->hasInitializer()) return {};
  const auto* text = llvm::dyn_cast<llvm::ConstantDataSequential>(variable->getInitializer());
  return text != nullptr && text->isCString() ? text->getAsCString() : llvm::StringRef();
}

void Scrub(llvm::Module& module) {
  for (auto& metadata : llvm::make_early_inc_range(module.named_metadata())) metadata.eraseFromParent();
  for (auto& function : module) {
    if (function.isIntrinsic()) continue;
    llvm::AttributeMask strings;
    for (const auto& attribute : function.getAttributes().getFnAttrs()) {
      if (attribute.isStringAttribute()) strings.addAttribute(attribute.getKindAsString());
    }
    function.removeFnAttrs(strings);
    function.addFnAttr(llvm::Attribute::NoUnwind);
  }
}

// What the optimiser would do with the piece each time that it is linked: the branches for other GPUs go, and helpers
// are inlined.
void Simplify(llvm::Module& piece) {
  ir::Analyses analyses;
  llvm::PassBuilder builder;
  analyses.Register(builder);
  llvm::ModulePassManager passes;
  passes.addPass(llvm::AlwaysInlinerPass());
  passes.addPass(llvm::createModuleToFunctionPassAdaptor(
      builder.buildFunctionSimplificationPipeline(llvm::OptimizationLevel::O2, llvm::ThinOrFullLTOPhase::None)));
  passes.addPass(llvm::GlobalDCEPass());
  passes.run(piece, analyses.modules);
}

}  // namespace

void LoadLibdevice() {
  for (const auto& path : Candidates()) {
    auto bytes = ReadFile(path);
    const auto* start = reinterpret_cast<const unsigned char*>(bytes.data());
    if (!llvm::isBitcode(start, start + bytes.size())) continue;
    TheLibrary() = {path.string(), std::move(bytes)};
    return;
  }
}

const std::string& LibdevicePath() { return TheLibrary().path; }

std::string_view HowToGetLibdevice() {
  return "install it on the farm's machine with `pip install nvidia-nvvm`, or CUDA's toolkit, or name the file "
         "in RBC_LIBDEVICE";
}

void AnswerReflection(llvm::Module& module, uint32_t sm) {
  auto* reflect = module.getFunction("__nvvm_reflect");
  if (reflect == nullptr) return;
  for (auto* user : llvm::make_early_inc_range(reflect->users())) {
    auto* call = llvm::dyn_cast<llvm::CallInst>(user);
    if (call == nullptr || call->getCalledOperand() != reflect || call->arg_size() != 1) continue;
    if (!call->getType()->isIntegerTy()) continue;
    call->replaceAllUsesWith(llvm::ConstantInt::get(call->getType(), Answer(QuestionOf(*call), sm)));
    call->eraseFromParent();
  }
  if (reflect->use_empty()) reflect->eraseFromParent();
}

struct Libdevice::State {
  uint32_t sm = kDefaultSm;
  // Bitcode of one function of the library for one SM with all that it needs, simplified, made at its first use: a
  // small fraction of the file, which is quicker to read than the file's table of contents. "" for what it does not
  // have.
  std::map<std::pair<uint32_t, std::string>, std::string> pieces;

  // The names of all that it defines, read once.
  std::optional<llvm::StringSet<>> names;

  bool Knows(const std::string& name);
  const std::string& PieceOf(const std::string& name);
};

Libdevice::Libdevice() : state_(std::make_unique<State>()) {}
Libdevice::~Libdevice() = default;

bool Libdevice::State::Knows(const std::string& name) {
  if (!names) {
    names.emplace();
    llvm::LLVMContext context;
    if (const auto library = OpenLazily(context); library != nullptr) {
      for (const auto& function : *library) {
        if (!function.isDeclaration()) names->insert(function.getName());
      }
    }
  }
  return names->contains(name);
}

const std::string& Libdevice::State::PieceOf(const std::string& name) {
  static const std::string kNothing;
  if (!Knows(name)) return kNothing;  // a client may ask for any number of names
  const auto [found, is_new] = pieces.try_emplace({sm, name});
  std::string& bytes = found->second;
  if (!is_new) return bytes;
  llvm::LLVMContext context;
  llvm::Module piece(name, context);
  auto library = OpenLazily(context);
  if (library == nullptr) return bytes;
  const auto* function = library->getFunction(name);
  if (function == nullptr || function->isDeclaration()) return bytes;
  library->setTargetTriple(llvm::Triple(kTriple));
  piece.setTargetTriple(library->getTargetTriple());
  piece.setDataLayout(library->getDataLayout());
  piece.getOrInsertFunction(name, function->getFunctionType());
  if (llvm::Linker::linkModules(piece, std::move(library), llvm::Linker::LinkOnlyNeeded)) return bytes;
  Scrub(piece);
  AnswerReflection(piece, sm);
  for (auto& other : piece) {
    if (!other.isDeclaration() && other.getName() != name) other.setLinkage(llvm::GlobalValue::InternalLinkage);
  }
  Simplify(piece);
  // Helpers and tables come with each piece that needs them: one copy stays.
  for (auto& global : piece.global_objects()) {
    if (global.isDeclaration()) continue;
    global.setLinkage(llvm::GlobalValue::LinkOnceODRLinkage);
  }
  llvm::raw_string_ostream out(bytes);
  llvm::WriteBitcodeToFile(piece, out);
  return bytes;
}

llvm::FunctionType* Libdevice::TypeOf(std::string_view name, llvm::LLVMContext& context) {
  if (TheLibrary().bytes.empty()) return nullptr;
  const std::string& piece = state_->PieceOf(std::string(name));
  if (piece.empty()) return nullptr;
  auto module = llvm::getLazyBitcodeModule(Buffer(piece), context);
  if (!module) {
    llvm::consumeError(module.takeError());
    return nullptr;
  }
  const auto* function = (*module)->getFunction(llvm::StringRef(name.data(), name.size()));
  return function == nullptr ? nullptr : function->getFunctionType();
}

bool Libdevice::Has(std::string_view name) {
  return !TheLibrary().bytes.empty() && !state_->PieceOf(std::string(name)).empty();
}

void Libdevice::SetSm(uint32_t sm) { state_->sm = sm; }

Status Libdevice::Link(llvm::Module& module, bool* any) {
  std::vector<std::string> needed;
  for (const auto& function : module) {
    if (function.isDeclaration() && !function.isIntrinsic() && function.getName().starts_with("__nv_"))
      needed.push_back(function.getName().str());
  }
  llvm::StringSet<> before;
  for (const auto& global : module.global_objects()) {
    if (!global.isDeclaration()) before.insert(global.getName());
  }
  for (const auto& name : needed) {
    const std::string& piece = state_->PieceOf(name);
    if (piece.empty()) continue;  // a missing symbol, which is found later
    *any = true;
    auto part = llvm::parseBitcodeFile(Buffer(piece), module.getContext());
    if (!part) return Error(ErrorKind::kInternal, llvm::toString(part.takeError()));
    (*part)->setTargetTriple(module.getTargetTriple());
    (*part)->setDataLayout(module.getDataLayout());
    if (llvm::Linker::linkModules(module, std::move(*part)))
      return Error(ErrorKind::kInternal, "libdevice's " + name + " does not link with the module");
  }
  for (auto& global : module.global_objects()) {
    if (!global.isDeclaration() && global.hasLinkOnceODRLinkage() && !before.contains(global.getName()))
      global.setLinkage(llvm::GlobalValue::InternalLinkage);
  }
  AnswerReflection(module, state_->sm);
  return {};
}

}  // namespace rbc::cuda
