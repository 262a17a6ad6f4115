// Follows pointers that are written through back to the arrays of the frame.
// SPDX-License-Identifier: Apache-2.0
#include "targets/ir/written_arrays.h"

#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "llvm/Analysis/AliasAnalysis.h"
#include "llvm/IR/DataLayout.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/Operator.h"

namespace rbc::ir {
namespace {

constexpr size_t kMostArrays = 64;    // bits of a mask
constexpr size_t kMostSteps = 10000;  // of one walk

// Where a pointer may come from.
struct Origins {
  uint64_t arrays = 0;    // of the entry, by their place in EntryPoint::arrays
  bool unknown = false;   // perhaps any array of any entry
  bool frame = false;     // the frame itself
  bool argument = false;  // a parameter of a function that is no entry: its callers know
};

// Follows one pointer of one function.
class Walk {
 public:
  Walk(const llvm::DataLayout& layout, const EntryPoint* entry) : layout_(layout), entry_(entry) {}

  Origins From(const llvm::Value* pointer) {
    Follow(pointer, 0, false);
    if (steps_ > kMostSteps) origins_.unknown = true;
    return origins_;
  }

 private:
  using Seen = std::set<std::tuple<const llvm::Value*, uint64_t, bool>>;

  // `arrays`: whose places were added on the way here; `variable`: whether anything was that is no constant.
  void Follow(const llvm::Value* value, uint64_t arrays, bool variable) {
    if (++steps_ > kMostSteps || origins_.unknown) return;
    if (!value->getType()->isPointerTy()) {
      origins_.unknown = true;
    } else if (const auto* step = llvm::dyn_cast<llvm::GEPOperator>(value)) {
      if (!step->hasAllConstantIndices()) variable = true;
      std::set<const llvm::Value*> seen;
      for (const auto& index : step->indices()) arrays |= PlacesIn(index, seen);
      Follow(step->getPointerOperand(), arrays, variable);
    } else if (llvm::isa<llvm::PHINode, llvm::SelectInst>(value)) {
      if (seen_.emplace(value, arrays, variable).second)
        FollowChoices(*llvm::cast<llvm::User>(value), arrays, variable);
    } else if (llvm::isa<llvm::FreezeInst, llvm::AddrSpaceCastOperator>(value)) {
      Follow(llvm::cast<llvm::User>(value)->getOperand(0), arrays, variable);
    } else if (const auto* argument = llvm::dyn_cast<llvm::Argument>(value)) {
      End(*argument, arrays, variable);
    } else if (!llvm::isa<llvm::AllocaInst, llvm::Constant>(value) && !llvm::isNoAliasCall(value)) {
      origins_.unknown = true;
    }
  }

  void FollowChoices(const llvm::User& choice, uint64_t arrays, bool variable) {
    for (const auto& each : choice.operands())
      if (each->getType()->isPointerTy()) Follow(each, arrays, variable);
  }

  // A place in the frame, the result, or what a function was given.
  void End(const llvm::Argument& argument, uint64_t arrays, bool variable) {
    if (entry_ == nullptr) {
      origins_.argument = true;
    } else if (argument.getArgNo() == 0) {
      origins_.arrays |= arrays;
      origins_.frame |= !variable;
      origins_.unknown |= variable && arrays == 0;
    }
  }

  // The arrays whose place, a word of the frame, is part of an index.
  uint64_t PlacesIn(const llvm::Value* index, std::set<const llvm::Value*>& seen) {
    const auto* const instruction = llvm::dyn_cast<llvm::Instruction>(index);
    if (entry_ == nullptr || instruction == nullptr || !seen.insert(index).second || ++steps_ > kMostSteps) return 0;
    if (const auto* load = llvm::dyn_cast<llvm::LoadInst>(instruction)) return PlacesIn(*load);
    uint64_t arrays = 0;
    for (const auto& operand : instruction->operands()) arrays |= PlacesIn(operand, seen);
    return arrays;
  }

  uint64_t PlacesIn(const llvm::LoadInst& load) const {
    const auto* const pointer = load.getPointerOperand();
    llvm::APInt offset(layout_.getIndexTypeSizeInBits(pointer->getType()), 0);
    const auto* const base = pointer->stripAndAccumulateConstantOffsets(layout_, offset, true);
    const auto* const argument = llvm::dyn_cast<llvm::Argument>(base);
    if (argument == nullptr || argument->getArgNo() != 0) return 0;
    const uint64_t begin = offset.getZExtValue(), end = begin + layout_.getTypeStoreSize(load.getType());
    uint64_t arrays = 0;
    for (size_t i = 0; i < std::min(entry_->arrays.size(), kMostArrays); ++i)
      if (begin <= entry_->arrays[i].offset && entry_->arrays[i].offset < end) arrays |= uint64_t{1} << i;
    return arrays;
  }

  const llvm::DataLayout& layout_;
  const EntryPoint* const entry_;
  Origins origins_;
  Seen seen_;
  size_t steps_ = 0;
};

// Gathers what the functions of a module write into.
class Writes {
 public:
  Writes(const llvm::Module& module, const std::vector<EntryPoint>& entries) : layout_(module.getDataLayout()) {
    for (const auto& entry : entries) entries_[module.getFunction(entry.symbol)] = &entry;
    for (const auto& function : module)
      for (const auto& instruction : llvm::instructions(function))
        if (!unknown_) Look(instruction);
  }

  bool unknown() const { return unknown_; }
  uint64_t Of(const EntryPoint& entry) const {
    const auto found = written_.find(&entry);
    return found == written_.end() ? 0 : found->second;
  }

 private:
  const EntryPoint* EntryOf(const llvm::Function& function) const {
    const auto found = entries_.find(&function);
    return found == entries_.end() ? nullptr : found->second;
  }

  void Look(const llvm::Instruction& instruction) {
    const auto& function = *instruction.getFunction();
    if (!instruction.mayWriteToMemory() || llvm::isa<llvm::FenceInst, llvm::LoadInst>(instruction)) return;
    if (const auto* store = llvm::dyn_cast<llvm::StoreInst>(&instruction)) {
      Write(function, store->getPointerOperand());
      if (MayHoldPointers(*store->getValueOperand())) Write(function, store->getValueOperand());  // for others to use
    } else if (const auto* call = llvm::dyn_cast<llvm::CallBase>(&instruction)) {
      LookAtCall(*call);
    } else if (const auto* add = llvm::dyn_cast<llvm::AtomicRMWInst>(&instruction)) {
      Write(function, add->getPointerOperand());
      unknown_ |= MayHoldPointers(*add->getValOperand());
    } else {
      unknown_ = true;
    }
  }

  static bool MayHoldPointers(const llvm::Value& value) {
    const auto* const type = value.getType();
    return !llvm::isa<llvm::Constant>(value) && (type->isPtrOrPtrVectorTy() || type->isAggregateType());
  }

  void LookAtCall(const llvm::CallBase& call) {
    const auto* const callee = call.getCalledFunction();
    if (callee == nullptr) {
      unknown_ = true;
      return;
    }
    if (call.isLifetimeStartOrEnd() || call.onlyAccessesInaccessibleMemory()) return;
    for (unsigned i = 0; i < call.arg_size(); ++i) {
      const auto* const argument = call.getArgOperand(i);
      if (!MayHoldPointers(*argument) || (argument->getType()->isPointerTy() && call.onlyReadsMemory(i))) continue;
      Write(*call.getFunction(), argument, !callee->isDeclaration());
    }
  }

  // `within`: a function of the module is given the pointer.
  void Write(const llvm::Function& function, const llvm::Value* pointer, bool within = false) {
    const auto* const entry = EntryOf(function);
    const Origins origins = Walk(layout_, entry).From(pointer);
    unknown_ |= origins.unknown || (origins.frame && within) || (origins.argument && function.hasAddressTaken());
    if (entry != nullptr) written_[entry] |= origins.arrays;
  }

  const llvm::DataLayout& layout_;
  std::map<const llvm::Function*, const EntryPoint*> entries_;
  std::map<const EntryPoint*, uint64_t> written_;
  bool unknown_ = false;
};

}  // namespace

void FindReadOnlyArrays(const llvm::Module& module, std::vector<EntryPoint>& entries) {
  const Writes writes(module, entries);
  if (writes.unknown()) return;
  for (auto& entry : entries)
    for (size_t i = 0; i < std::min(entry.arrays.size(), kMostArrays); ++i)
      entry.arrays[i].read_only = (writes.Of(entry) >> i & 1) == 0;
}

}  // namespace rbc::ir
