// Emits kernels.
// SPDX-License-Identifier: Apache-2.0
#include "targets/cuda/entries.h"

#include <fmt/format.h>

#include "llvm/ADT/StringExtras.h"
#include "llvm/IR/Module.h"
#include "targets/cuda/combining_entries.h"
#include "targets/cuda/kernel_builder.h"
#include "targets/cuda/launch.h"
#include "targets/ir/check_module.h"
#include "targets/ir/diagnostics.h"
#include "targets/ir/entry_point.h"
#include "types/data_model.h"

namespace rbc::cuda {
namespace {

constexpr uint32_t kMaxParameterBytes = 4096;  // what every device takes

// The names of entries: letters, digits and underscores, whatever the client calls its function.
std::string EntryName(EntryKind kind, size_t index) {
  constexpr const char* kNames[] = {"call", "map", "reduce", "kernel", "scan"};
  return fmt::format("rbc_{}_{}", kNames[static_cast<size_t>(kind)], index);
}

// PTX takes such a name as it is.
bool IsPlainName(llvm::StringRef name) {
  return !name.empty() && (llvm::isAlpha(name[0]) || name[0] == '_') && name != "_" && name.size() < 1024 &&
         llvm::all_of(name, [](char c) { return llvm::isAlnum(c) || c == '_'; });
}

struct Axis {
  llvm::Value* first;  // row of this thread
  llvm::Value* step;   // threads of the grid
};

Axis GridStride(KernelBuilder& kernel) {
  auto* thread = kernel.Register(llvm::Intrinsic::nvvm_read_ptx_sreg_tid_x);
  auto* block = kernel.Register(llvm::Intrinsic::nvvm_read_ptx_sreg_ctaid_x);
  auto* threads = kernel.Register(llvm::Intrinsic::nvvm_read_ptx_sreg_ntid_x);
  auto* blocks = kernel.Register(llvm::Intrinsic::nvvm_read_ptx_sreg_nctaid_x);
  auto* first = kernel->CreateNUWAdd(kernel->CreateNUWMul(block, threads), thread);
  return {first, kernel->CreateNUWMul(threads, blocks)};
}

void MakeCall(llvm::Module& module, const std::string& name, llvm::Function* entry) {
  auto* pointer = llvm::PointerType::get(module.getContext(), 0);
  KernelBuilder kernel(module, name, {pointer, pointer, pointer});
  auto* status = kernel->CreateCall(entry, {kernel.Parameter(0), kernel.Parameter(1)});
  kernel->CreateAlignedStore(status, kernel.Parameter(2), llvm::Align(4));
  kernel->CreateRetVoid();
}

// Each row goes through a frame of the thread's own, which leaves nothing behind but the loads and stores of the row.
class MapBuilder {
 public:
  MapBuilder(const ir::MatchedFunction& match, const std::string& name, llvm::Function* entry)
      : match_(match), entry_(entry), kernel_(*entry->getParent(), name, Types()) {}

  void Build() {
    frame_ = kernel_.Scratch(match_.frame.fixed_size());
    result_ = kernel_.Scratch(match_.frame.result_size());
    const Axis axis = GridStride(kernel_);
    auto* rows = kernel_.Parameter(0);
    auto* before = kernel_->GetInsertBlock();
    auto* body = kernel_.Block("row");
    auto* end = kernel_.Block("end");
    kernel_->CreateCondBr(kernel_->CreateICmpULT(axis.first, rows), body, end);
    kernel_->SetInsertPoint(body);
    auto* row = kernel_->CreatePHI(kernel_->getInt64Ty(), 2);
    row->addIncoming(axis.first, before);
    Row(row);
    auto* next = kernel_->CreateNUWAdd(row, axis.step);
    row->addIncoming(next, kernel_->GetInsertBlock());
    kernel_->CreateCondBr(kernel_->CreateICmpULT(next, rows), body, end);
    kernel_->SetInsertPoint(end);
    kernel_->CreateRetVoid();
  }

 private:
  // rows, outcome, then data and stride of each column.
  std::vector<llvm::Type*> Types() const {
    auto& context = entry_->getContext();
    llvm::Type *number = llvm::Type::getInt64Ty(context), *pointer = llvm::PointerType::get(context, 0);
    std::vector<llvm::Type*> types = {number, pointer};
    const size_t columns = match_.parameters.size() + (match_.result.size != 0);
    for (size_t i = 0; i < columns; ++i) types.insert(types.end(), {pointer, number});
    return types;
  }

  llvm::Value* Element(size_t column, llvm::Value* row) {
    return kernel_.At(kernel_.Parameter(2 + 2 * column), kernel_->CreateMul(row, kernel_.Parameter(3 + 2 * column)));
  }

  void Row(llvm::Value* row) {
    for (size_t i = 0; i < match_.parameters.size(); ++i) {
      const llvm::Align alignment(match_.parameters[i].alignment);
      kernel_->CreateMemCpy(kernel_.At(frame_, match_.frame.slots()[i].offset), alignment, Element(i, row), alignment,
                            match_.parameters[i].size);
    }
    auto* status = kernel_->CreateCall(entry_, {frame_, result_});
    if (match_.result.size != 0) {
      const llvm::Align alignment(match_.result.alignment);
      kernel_->CreateMemCpy(Element(match_.parameters.size(), row), alignment, result_, alignment, match_.result.size);
    }
    ReportStatus(kernel_, status, row, kernel_.Parameter(1));
  }

  const ir::MatchedFunction& match_;
  llvm::Function* entry_;
  KernelBuilder kernel_;
  llvm::Value* frame_ = nullptr;
  llvm::Value* result_ = nullptr;
};

Error Refuse(const FunctionDeclaration& declaration, std::string_view why) {
  Error error(ErrorKind::kUnsupported, fmt::format("'{}' with signature `{}`: {}", ir::Bounded(declaration.symbol, 200),
                                                   declaration.signature, why));
  error.function = declaration.symbol;
  return error;
}

Status CheckSignature(const ir::MatchedFunction& match, EntryKind kind, const FunctionDeclaration& declaration) {
  if (match.frame.returns_text()) return Refuse(declaration, "a GPU function cannot return a string");
  if (match.frame.returns_arrays())
    return Refuse(declaration, "a GPU function cannot return an array; let it write into an array argument");
  if (kind == EntryKind::kCall) return {};
  for (const auto& slot : match.frame.slots()) {
    if (slot.lies_elsewhere())
      return Refuse(declaration, "the rows of a map hold values, no pointers, strings and arrays");
  }
  if (kind == EntryKind::kMap) {
    const size_t columns = match.parameters.size() + 1;
    if (sizeof(MapParameters) + columns * sizeof(Column) <= kMaxParameterBytes) return {};
    return Refuse(declaration, fmt::format("a map on a GPU takes at most {} columns",
                                           (kMaxParameterBytes - sizeof(MapParameters)) / sizeof(Column)));
  }
  const auto& parameters = match.parameters;
  if (parameters.size() != 2 || parameters[0].type != match.result.type || parameters[1].type != match.result.type ||
      match.result.size == 0) {
    return Refuse(declaration, fmt::format("a {} takes two values of one type and returns a third",
                                           kind == EntryKind::kScan ? "scan" : "reduction"));
  }
  if (match.result.size * kReduceThreads > 48 * 1024)
    return Refuse(declaration, "its values are too large to meet in the shared memory of a GPU");
  return {};
}

uint32_t ParameterBytes(EntryKind kind, const ir::MatchedFunction& match) {
  switch (kind) {
    case EntryKind::kMap:
      return sizeof(MapParameters) + sizeof(Column) * (match.parameters.size() + (match.result.size != 0));
    case EntryKind::kReduce:
      return sizeof(ReduceParameters);
    case EntryKind::kScan:
      return sizeof(ScanParameters);
    default:
      return sizeof(CallParameters);
  }
}

// What the module itself bounds a block's threads to ("128" or "16,16,1"); 0: nothing.
uint32_t MaxThreads(const llvm::Function& function) {
  uint64_t threads = 1;
  llvm::StringRef rest = function.getFnAttribute("nvvm.maxntid").getValueAsString();
  if (rest.empty()) return 0;
  while (!rest.empty()) {
    uint32_t along = 0;
    if (rest.consumeInteger(10, along) || along == 0) return 0;
    threads = std::min<uint64_t>(threads * along, 1024);
    rest.consume_front(",");
  }
  return threads;
}

// One parameter of a client's kernel in the packed buffer.
Expected<EntryPoint::Parameter> KernelParameter(const llvm::Function& function, unsigned i, const types::Type& type,
                                                const FunctionDeclaration& declaration, uint64_t* end) {
  const auto& layout = function.getDataLayout();
  auto* found = function.getArg(i)->getType();
  auto* held = found;
  llvm::Align alignment = layout.getABITypeAlign(found);
  const auto mismatch = [&](std::string_view expected) {
    Error error(
        ErrorKind::kInvalidModule,
        fmt::format("'{}' does not match its signature `{}`: parameter {} is expected as {}, found is {}",
                    ir::Bounded(declaration.symbol, 200), declaration.signature, i + 1, expected, ir::Spell(found)));
    error.function = declaration.symbol;
    return error;
  };
  const bool pointer = type.is(types::Kind::kPointer) || type.is(types::Kind::kString);
  if (pointer && (!found->isPointerTy() || function.hasParamAttribute(i, llvm::Attribute::ByVal)))
    return mismatch("ptr");
  if (!pointer) {
    RBC_ASSIGN_OR_RETURN(const auto value, ir::DescribeValue(type, function.getContext()));
    if (function.hasParamAttribute(i, llvm::Attribute::ByVal)) {
      held = function.getParamByValType(i);
      alignment = function.getParamAlign(i).value_or(layout.getABITypeAlign(held));
    }
    if (!ir::HasLayoutOf(held, value, layout) && layout.getTypeAllocSize(held) != value.size)
      return mismatch(ir::Spell(ir::DirectType(value, function.getContext())));
  }
  EntryPoint::Parameter parameter;
  parameter.offset = llvm::alignTo(*end, alignment);
  parameter.size = layout.getTypeAllocSize(held);
  parameter.is_pointer = pointer;
  *end = parameter.offset + parameter.size;
  return parameter;
}

// How many IR parameters a signature makes: an array has one for its pointer and each of its numbers.
size_t IrParameters(const types::Type& signature) {
  size_t count = 0;
  for (const auto& type : signature.parameters()) {
    count += type.is(types::Kind::kArray) ? 1 + type.rank() * (type.contiguous() ? 1 : 2) : 1;
  }
  return count;
}

// Those of one parameter of the signature, behind the ones that `entry` has.
Status AddKernelParameters(const llvm::Function& function, const types::FrameSlot& slot,
                           const FunctionDeclaration& declaration, uint64_t* end, EntryPoint* entry) {
  const auto add = [&](const types::Type& type, uint32_t frame_offset) -> Status {
    RBC_ASSIGN_OR_RETURN(auto parameter, KernelParameter(function, entry->parameters.size(), type, declaration, end));
    parameter.frame_offset = frame_offset;
    parameter.is_array = frame_offset == slot.offset && slot.type.is(types::Kind::kArray);
    entry->parameters.push_back(parameter);
    return {};
  };
  if (!slot.type.is(types::Kind::kArray)) return add(slot.type, slot.offset);
  RBC_RETURN_IF_ERROR(add(types::Type::Pointer(slot.type.element()), slot.offset));
  const uint32_t numbers = slot.type.rank() * (slot.type.contiguous() ? 1 : 2);
  for (uint32_t i = 1; i <= numbers; ++i) RBC_RETURN_IF_ERROR(add(types::Type::Int(64), slot.offset + 8 * i));
  return {};
}

}  // namespace

Expected<EntryPoint> MakeKernelEntry(llvm::Module& module, const FunctionDeclaration& declaration, size_t index) {
  RBC_ASSIGN_OR_RETURN(const auto signature, types::Type::Parse(declaration.signature));
  auto* function = module.getFunction(declaration.symbol);
  if (function == nullptr) return Refuse(declaration, "a kernel is a function by itself, no alias of one");
  if (!signature.is(types::Kind::kFunction) || !signature.result().is(types::Kind::kVoid))
    return Refuse(declaration, "a kernel returns nothing: its signature is void(...)");
  if (!function->getReturnType()->isVoidTy()) {
    return Error(ErrorKind::kInvalidModule, fmt::format("'{}': a kernel returns nothing, this one {}",
                                                        declaration.symbol, ir::Spell(function->getReturnType())));
  }
  const size_t wanted = IrParameters(signature);
  if (wanted != function->arg_size()) {
    return Error(
        ErrorKind::kInvalidModule,
        fmt::format("'{}' does not match its signature `{}`: the kernel takes {} IR parameters, the signature has {}",
                    declaration.symbol, declaration.signature, function->arg_size(), wanted));
  }
  for (const auto* user : function->users()) {
    if (const auto* call = llvm::dyn_cast<llvm::Instruction>(user))
      return ir::RefuseInstruction(
          *call, fmt::format("the kernel '{}' is used by a function of the module", declaration.symbol));
  }
  EntryPoint entry;
  entry.declaration = index;
  entry.kind = EntryKind::kKernel;
  uint64_t end = 0;
  RBC_ASSIGN_OR_RETURN(const auto frame, types::FrameLayout::Make(signature));
  for (const auto& slot : frame.slots()) {
    RBC_RETURN_IF_ERROR(AddKernelParameters(*function, slot, declaration, &end, &entry));
  }
  if (end > kMaxParameterBytes)
    return Refuse(declaration, fmt::format("a kernel's parameters take at most {} bytes", kMaxParameterBytes));
  entry.parameter_bytes = end;
  entry.max_threads = MaxThreads(*function);
  entry.frame_size = frame.fixed_size();
  ir::AddReferences(frame, &entry);
  function->setCallingConv(llvm::CallingConv::PTX_Kernel);
  function->setLinkage(llvm::GlobalValue::ExternalLinkage);
  if (!IsPlainName(function->getName())) function->setName(EntryName(EntryKind::kKernel, index));
  entry.symbol = function->getName().str();
  return entry;
}

Expected<EntryPoint> MakeEntry(const ir::MatchedFunction& match, EntryKind kind, const FunctionDeclaration& declaration,
                               size_t index) {
  RBC_RETURN_IF_ERROR(CheckSignature(match, kind, declaration));
  auto& module = *match.function->getParent();
  EntryPoint entry = ir::MakeEntryPoint(match, index, declaration.symbol);
  auto* inner = module.getFunction(entry.symbol);
  inner->removeFnAttr("probe-stack");
  inner->setLinkage(llvm::GlobalValue::InternalLinkage);
  inner->addFnAttr(llvm::Attribute::AlwaysInline);
  entry.kind = kind;
  if (kind == EntryKind::kMap) entry.parameters = ir::ColumnsOf(match);
  entry.symbol = EntryName(kind, index);
  entry.parameter_bytes = ParameterBytes(kind, match);
  switch (kind) {
    case EntryKind::kMap:
      MapBuilder(match, entry.symbol, inner).Build();
      break;
    case EntryKind::kReduce:
      MakeReduceKernel(match, entry.symbol, inner);
      break;
    case EntryKind::kScan:
      MakeScanKernel(match, entry.symbol, inner);
      break;
    default:
      MakeCall(module, entry.symbol, inner);
  }
  return entry;
}

std::string MakePlainEntry(llvm::Module& module, const std::string& function) {
  const std::string name = function.starts_with("rbc.destructors") ? "rbc_destructors" : "rbc_constructors";
  KernelBuilder kernel(module, name, {});
  kernel->CreateCall(module.getFunction(function));
  kernel->CreateRetVoid();
  return name;
}

}  // namespace rbc::cuda
