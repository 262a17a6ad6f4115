// What the entries that go through arrays have in common.
// SPDX-License-Identifier: Apache-2.0
#include "targets/ir/bulk_entry.h"

#include <fmt/format.h>

#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Module.h"

namespace rbc::ir {
namespace {

constexpr uint64_t kHeadBytes = 16;    // rows and a word
constexpr uint64_t kColumnBytes = 16;  // pointer and stride

}  // namespace

BulkFrame::BulkFrame(const std::string& name, llvm::Function* call, size_t columns)
    : entry(llvm::Function::Create(call->getFunctionType(), llvm::GlobalValue::ExternalLinkage, name,
                                   *call->getParent())),
      builder(llvm::BasicBlock::Create(entry->getContext(), "", entry)) {
  entry->addFnAttr(llvm::Attribute::NoUnwind);
  entry->addFnAttr("probe-stack", "inline-asm");
  const auto read = [&](uint64_t offset) {
    auto* address = builder.CreateConstInBoundsGEP1_64(builder.getInt8Ty(), entry->getArg(0), offset);
    return builder.CreateAlignedLoad(builder.getInt64Ty(), address, llvm::Align(8));
  };
  rows = read(0);
  word = read(8);
  for (size_t i = 0; i < columns; ++i) {
    data.push_back(builder.CreateIntToPtr(read(kHeadBytes + i * kColumnBytes), builder.getPtrTy()));
    strides.push_back(read(kHeadBytes + i * kColumnBytes + 8));
  }
}

llvm::AllocaInst* Scratch(llvm::IRBuilder<>& builder, uint64_t size) {
  auto& block = builder.GetInsertBlock()->getParent()->getEntryBlock();
  llvm::IRBuilder<> top(&block, block.begin());
  auto* memory = top.CreateAlloca(llvm::ArrayType::get(builder.getInt8Ty(), std::max<uint64_t>(size, 1)));
  memory->setAlignment(llvm::Align(16));
  return memory;
}

Status CheckRows(const MatchedFunction& match, const FunctionDeclaration& declaration, const char* what) {
  const auto elsewhere = [](const types::FrameSlot& slot) { return slot.lies_elsewhere(); };
  const auto slots = match.frame.slots();
  const bool result_elsewhere = match.frame.returns_text() || match.frame.returns_arrays();
  if (!result_elsewhere && std::none_of(slots.begin(), slots.end(), elsewhere)) return {};
  Error error(ErrorKind::kUnsupported,
              fmt::format("'{}' with signature `{}`: the rows of {} hold values, no pointers, strings and arrays",
                          declaration.symbol, declaration.signature, what));
  error.function = declaration.symbol;
  return error;
}

llvm::Function* HideEntry(const MatchedFunction& match, const EntryPoint& entry) {
  auto* call = match.function->getParent()->getFunction(entry.symbol);
  call->setName(entry.symbol + ".row");
  call->setLinkage(llvm::GlobalValue::InternalLinkage);
  call->addFnAttr(llvm::Attribute::AlwaysInline);
  return call;
}

void DropHints(llvm::Module& module, bool keep_frames) {
  for (auto& function : module) {
    if (!keep_frames) {
      function.removeFnAttr(llvm::Attribute::OptimizeNone);
      function.removeFnAttr(llvm::Attribute::NoInline);
    }
    for (auto& instruction : llvm::instructions(function)) {
      if (instruction.isTerminator()) instruction.setMetadata(llvm::LLVMContext::MD_loop, nullptr);
    }
  }
}

}  // namespace rbc::ir
