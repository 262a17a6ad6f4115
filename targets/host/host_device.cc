// Links objects into this process with JITLink, without an execution session: modules do not see each other.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "llvm/ExecutionEngine/JITLink/JITLink.h"
#include "llvm/ExecutionEngine/JITLink/JITLinkMemoryManager.h"
#include "llvm/Support/MemoryBufferRef.h"
#include "targets/host/code_memory.h"
#include "targets/host/debugger.h"
#include "targets/host/host_target.h"
#include "targets/ir/entry_point.h"

namespace rbc::host {
namespace {

namespace jitlink = llvm::jitlink;
namespace orc = llvm::orc;

// The pages of one module.
struct Pieces {
  std::byte* code = nullptr;
  size_t code_size = 0;
  std::byte* data = nullptr;
  size_t data_size = 0;
};

void FreePieces(CodeMemory& memory, const Pieces& pieces) {
  if (pieces.code != nullptr) memory.Free(pieces.code, pieces.code_size);
  if (pieces.data != nullptr) memory.Free(pieces.data, pieces.data_size);
}

llvm::Error Fail(const char* message) {
  return llvm::make_error<llvm::StringError>(message, llvm::inconvertibleErrorCode());
}

// Lays one graph out in the slab. Read-only data lies beside the code: what the client's code may execute is its own
// business, and a small function costs one page less.
class SlabAllocation : public jitlink::JITLinkMemoryManager::InFlightAlloc {
 public:
  SlabAllocation(CodeMemory& memory, const Pieces& pieces) : memory_(memory), pieces_(pieces) {}

  void abandon(OnAbandonedFunction done) override {
    FreePieces(memory_, pieces_);
    done(llvm::Error::success());
  }

  void finalize(OnFinalizedFunction done) override {
    if (pieces_.code != nullptr && !memory_.MakeExecutable(pieces_.code, pieces_.code_size)) {
      FreePieces(memory_, pieces_);
      done(Fail("the kernel refuses executable memory"));
      return;
    }
    done(jitlink::JITLinkMemoryManager::FinalizedAlloc(orc::ExecutorAddr::fromPtr(pieces_.code)));
  }

 private:
  CodeMemory& memory_;
  const Pieces pieces_;
};

class SlabMemoryManager : public jitlink::JITLinkMemoryManager {
 public:
  // `pieces` gets what was allocated; both outlive the link.
  SlabMemoryManager(CodeMemory& memory, Pieces* pieces) : memory_(memory), pieces_(pieces) {}

  using JITLinkMemoryManager::allocate;
  using JITLinkMemoryManager::deallocate;

  void allocate(const jitlink::JITLinkDylib*, jitlink::LinkGraph& graph, OnAllocatedFunction done) override {
    jitlink::BasicLayout layout(graph);
    for (auto& [group, segment] : layout.segments()) {
      if (segment.Alignment.value() > kPageSize) return done(Fail("an alignment over a page is not supported"));
      size_t& size = IsWritable(group) ? pieces_->data_size : pieces_->code_size;
      size = llvm::alignTo(size, segment.Alignment) + segment.ContentSize + segment.ZeroFillSize;
    }
    if (!AllocatePieces()) return done(Fail("the memory for code is full"));
    Pieces used;
    for (auto& [group, segment] : layout.segments()) {
      const bool writable = IsWritable(group);
      size_t& offset = writable ? used.data_size : used.code_size;
      offset = llvm::alignTo(offset, segment.Alignment);
      std::byte* place = (writable ? pieces_->data : pieces_->code) + offset;
      segment.Addr = orc::ExecutorAddr::fromPtr(place);
      segment.WorkingMem = reinterpret_cast<char*>(place);
      offset += segment.ContentSize + segment.ZeroFillSize;
    }
    if (auto error = layout.apply()) {
      FreePieces(memory_, *pieces_);
      return done(std::move(error));
    }
    done(std::make_unique<SlabAllocation>(memory_, *pieces_));
  }

  void deallocate(std::vector<FinalizedAlloc> allocations, OnDeallocatedFunction done) override {
    for (auto& allocation : allocations) allocation.release();
    done(llvm::Error::success());
  }

 private:
  static bool IsWritable(orc::AllocGroup group) {
    return (static_cast<unsigned>(group.getMemProt()) & static_cast<unsigned>(orc::MemProt::Write)) != 0;
  }

  bool AllocatePieces() {
    if (pieces_->code_size != 0) pieces_->code = memory_.Allocate(CodeMemory::Kind::kCode, pieces_->code_size);
    if (pieces_->data_size != 0) pieces_->data = memory_.Allocate(CodeMemory::Kind::kData, pieces_->data_size);
    const bool complete =
        (pieces_->code != nullptr || pieces_->code_size == 0) && (pieces_->data != nullptr || pieces_->data_size == 0);
    if (!complete) FreePieces(memory_, *pieces_);
    return complete;
  }

  CodeMemory& memory_;
  Pieces* const pieces_;
};

// Names and addresses of one module's symbols in one block of text.
class SymbolTable {
 public:
  void Add(llvm::StringRef name, uintptr_t address, size_t size, bool is_code) {
    entries_.push_back({address, static_cast<uint32_t>(size), static_cast<uint32_t>(names_.size()),
                        static_cast<uint32_t>(name.size()), is_code});
    names_.append(name.data(), name.size());
    names_.push_back('\0');
    const auto shown = ir::ClientName({name.data(), name.size()});
    // The client's own name, NUL-terminated, for the fault record.
    entries_.back().shown = static_cast<uint32_t>(names_.size());
    names_.append(shown);
    names_.push_back('\0');
  }

  void Sort() {
    std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) { return a.address < b.address; });
    entries_.shrink_to_fit();
    names_.shrink_to_fit();
  }

  void* Find(std::string_view name) const {
    for (const Entry& entry : entries_) {
      if (std::string_view(names_).substr(entry.name, entry.name_size) == name)
        return reinterpret_cast<void*>(entry.address);
    }
    return nullptr;
  }

  // Async-signal-safe.
  const char* FunctionAt(uintptr_t address) const {
    const Entry* found = nullptr;
    for (const Entry& entry : entries_) {
      if (entry.address > address) break;
      if (entry.is_code) found = &entry;
    }
    if (found == nullptr || address - found->address >= std::max<size_t>(found->size, 1)) return "";
    return names_.data() + found->shown;
  }

 private:
  struct Entry {
    uintptr_t address;
    uint32_t size;
    uint32_t name;
    uint32_t name_size;
    bool is_code;
    uint32_t shown = 0;
  };
  std::vector<Entry> entries_;  // by address
  std::string names_;
};

class HostModule : public LoadedModule {
 public:
  HostModule(std::shared_ptr<CodeMemory> memory, const Pieces& pieces, SymbolTable symbols,
             std::unique_ptr<DebuggerEntry> debugger)
      : memory_(std::move(memory)), pieces_(pieces), symbols_(std::move(symbols)), debugger_(std::move(debugger)) {}
  ~HostModule() override { FreePieces(*memory_, pieces_); }

  void* Symbol(std::string_view name) const override { return symbols_.Find(name); }
  const char* FunctionAt(const void* address) const override {
    return symbols_.FunctionAt(reinterpret_cast<uintptr_t>(address));
  }

 private:
  const std::shared_ptr<CodeMemory> memory_;
  const Pieces pieces_;
  const SymbolTable symbols_;
  const std::unique_ptr<DebuggerEntry> debugger_;  // null unless compiled with debug = true
};

// What one link leaves behind.
struct LinkOutcome {
  Pieces pieces;
  SymbolTable symbols;
  std::unique_ptr<DebuggerEntry> debugger;
  bool finalized = false;
  std::string problem;
};

class LinkContext : public jitlink::JITLinkContext {
 public:
  LinkContext(std::string_view object, CodeMemory& memory, const RuntimeSymbols& symbols, LinkOutcome* outcome)
      : JITLinkContext(nullptr),
        object_(object),
        manager_(memory, &outcome->pieces),
        symbols_(symbols),
        outcome_(outcome) {}

  jitlink::JITLinkMemoryManager& getMemoryManager() override { return manager_; }

  void notifyFailed(llvm::Error error) override { outcome_->problem = llvm::toString(std::move(error)); }

  void lookup(const LookupMap& wanted, std::unique_ptr<jitlink::JITLinkAsyncLookupContinuation> next) override {
    jitlink::AsyncLookupResult found;
    std::string missing;
    for (const auto& [name, flags] : wanted) {
      const llvm::StringRef text = *name;
      void* address = symbols_.Find({text.data(), text.size()});
      if (address == nullptr && flags == jitlink::SymbolLookupFlags::RequiredSymbol) {
        missing += (missing.empty() ? "'" : ", '") + text.str() + "'";
      }
      found[name] = {orc::ExecutorAddr::fromPtr(address), llvm::JITSymbolFlags::Exported};
    }
    if (missing.empty()) return next->run(std::move(found));
    next->run(Fail(("undefined symbols: " + missing).c_str()));
  }

  llvm::Error notifyResolved(jitlink::LinkGraph& graph) override {
    for (const auto* symbol : graph.defined_symbols()) {
      if (!symbol->hasName() || !symbol->isLive()) continue;
      outcome_->symbols.Add(*symbol->getName(), symbol->getAddress().getValue(), symbol->getSize(),
                            symbol->isCallable());
    }
    outcome_->symbols.Sort();
    outcome_->debugger = DebuggerEntry::Make(object_, [&graph](std::string_view name) -> uint64_t {
      const auto* section = graph.findSectionByName({name.data(), name.size()});
      return section == nullptr ? 0 : jitlink::SectionRange(*section).getStart().getValue();
    });
    return llvm::Error::success();
  }

  void notifyFinalized(jitlink::JITLinkMemoryManager::FinalizedAlloc allocation) override {
    allocation.release();  // HostModule owns the pieces
    outcome_->finalized = true;
  }

 private:
  const std::string_view object_;
  SlabMemoryManager manager_;
  const RuntimeSymbols& symbols_;
  LinkOutcome* const outcome_;
};

class HostDevice : public Device {
 public:
  HostDevice(std::shared_ptr<CodeMemory> memory, const RuntimeSymbols& symbols)
      : memory_(std::move(memory)), symbols_(symbols) {}

  Expected<std::unique_ptr<LoadedModule>> Load(std::string_view code) override {
    // Held until the link is over: a failed link drops the graph while names of it are still in use.
    const auto names = std::make_shared<orc::SymbolStringPool>();
    auto graph = jitlink::createLinkGraphFromObject(llvm::MemoryBufferRef({code.data(), code.size()}, "module"), names);
    if (!graph) return {ErrorKind::kInvalidArgument, "the object does not load: " + llvm::toString(graph.takeError())};
    LinkOutcome outcome;
    jitlink::link(std::move(*graph), std::make_unique<LinkContext>(code, *memory_, symbols_, &outcome));
    if (!outcome.finalized) return {ErrorKind::kResourceExhausted, "the object does not link: " + outcome.problem};
    return std::unique_ptr<LoadedModule>(
        new HostModule(memory_, outcome.pieces, std::move(outcome.symbols), std::move(outcome.debugger)));
  }

 private:
  const std::shared_ptr<CodeMemory> memory_;  // outlives every module that is still loaded
  const RuntimeSymbols& symbols_;
};

}  // namespace

Expected<std::unique_ptr<Device>> OpenHostDevice(const RuntimeSymbols& symbols) {
  RBC_ASSIGN_OR_RETURN(std::shared_ptr<CodeMemory> memory, CodeMemory::Reserve());
  return std::unique_ptr<Device>(std::make_unique<HostDevice>(std::move(memory), symbols));
}

}  // namespace rbc::host
