// Compiled modules in memory.
// SPDX-License-Identifier: Apache-2.0
#include "server/store/module_store.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <thread>

namespace rbc::server {
namespace {

Error Cancelled() { return {ErrorKind::kCancelled, "the compile was cancelled on request"}; }

std::vector<uint32_t> ReadOnlyOf(const EntryPoint& entry) {
  std::vector<uint32_t> out;
  for (const auto& array : entry.arrays)
    if (array.read_only) out.push_back(array.parameter);
  return out;
}

std::shared_ptr<const ModuleInfo> MakeInfo(const ModuleSource& source, const Digest& key, const Artifact& artifact) {
  auto info = std::make_shared<ModuleInfo>();
  info->handle = source.handle;
  info->key = key;
  info->target = source.target_name.empty() ? source.target->name : source.target_name;
  info->options = source.options;
  info->serial = source.serial;
  info->stateful = artifact.stateful;
  info->repeatable = artifact.repeatable;
  for (size_t i = 0; i < source.functions->size(); ++i) {
    const EntryPoint& entry = artifact.entries[i];
    info->functions.push_back({(*source.functions)[i], entry.frame_size, entry.reply_size(), ReadOnlyOf(entry)});
  }
  return info;
}

// A worker's artifact against what was asked: one entry a declaration, in order.
Status Check(const Artifact& artifact, const ModuleSource& source) {
  bool good = artifact.entries.size() == source.functions->size();
  for (size_t i = 0; good && i < artifact.entries.size(); ++i) good = artifact.entries[i].declaration == i;
  if (good) return {};
  Error error(ErrorKind::kInternal, fmt::format("the compile worker returned {} entry points for {} declarations",
                                                artifact.entries.size(), source.functions->size()));
  error.role = "compile worker";
  return error;
}

// What the pool gave as the store keeps it.
Expected<StoredModule> Keep(Expected<Artifact> compiled, const ModuleSource& source, const Digest& key) {
  if (!compiled) return std::move(compiled).error();
  RBC_RETURN_IF_ERROR(Check(*compiled, source));
  auto payload = std::make_shared<ModulePayload>();
  payload->ir = PackedText::Pack(source.ir);
  payload->artifact = *std::move(compiled);
  return StoredModule{MakeInfo(source, key, payload->artifact), payload};
}

// A source that outlives its request.
struct OwnedSource {
  explicit OwnedSource(const ModuleSource& from)
      : target(*from.target), functions(*from.functions), ir(from.ir), source(from) {
    source.target = &target;
    source.functions = &functions;
    source.ir = ir;
  }
  TargetInfo target;
  std::vector<FunctionDeclaration> functions;
  std::string ir;
  ModuleSource source;
};

}  // namespace

// One compile and those who wait for it. All fields belong to the store's mutex, but for what the token itself guards.
struct ModuleStore::Flight {
  Digest key{};
  std::shared_ptr<CancelToken> token = std::make_shared<CancelToken>();
  std::shared_ptr<CancelToken> runner;  // of the waiter whose thread runs the compile; null: none, or it has left
  uint32_t waiters = 0;
  std::optional<Expected<StoredModule>> result;
};

size_t ModulePayload::Size() const {
  size_t bytes = sizeof *this + artifact.code.size() + ir.bytes().size() + 512;
  for (const auto& entry : artifact.entries) bytes += sizeof entry + entry.symbol.size() + entry.cells.size() * 8;
  for (const auto& d : artifact.warnings) bytes += sizeof d + d.message.size() + d.source_line.size();
  return bytes;
}

Digest ArtifactKey(const std::string& domain, const Digest& handle, const TargetInfo& target,
                   const CompileOptions& options, bool serial) {
  Hasher hasher;
  hasher.Add("rbc-artifact").Add(uint64_t{kStoreSchema}).Add(uint64_t{kCodegenRevision}).Add(domain).Add(Bytes(handle));
  hasher.Add(target.name).Add(target.triple).Add(target.cpu).Add(target.data_layout).Add(target.llvm_version);
  hasher.Add(uint64_t{options.opt_level});
  hasher.Add(uint64_t{options.debug} | uint64_t{options.allow_contract} << 1 | uint64_t{options.allow_inline_asm} << 2 |
             uint64_t{serial} << 3 | uint64_t{options.simulate} << 4);
  hasher.Add(static_cast<uint64_t>(options.entry)).Add(uint64_t{options.sm}).Add(uint64_t{options.ptx_version});
  hasher.Add(options.map_pattern).Add(static_cast<uint64_t>(options.accuracy));
  return hasher.Finish();
}

std::optional<StoredModule> ModuleStore::FindLocked(const Digest& key) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return std::nullopt;
  used_.splice(used_.begin(), used_, found->second.used);
  return found->second.module;
}

std::optional<StoredModule> ModuleStore::Find(const Digest& key) {
  const std::lock_guard lock(mutex_);
  auto found = FindLocked(key);
  ++(found ? counters_.hits : counters_.misses);
  return found;
}

ModuleStore::~ModuleStore() {
  std::unique_lock lock(mutex_);
  for (const auto& [key, flight] : flights_) flight->token->cancelled = true;
  pool_.WakeCancelled();
  changed_.wait(lock, [this] { return runners_ == 0; });
}

Expected<StoredModule> ModuleStore::Compile(const ModuleSource& source, const std::shared_ptr<CancelToken>& cancel,
                                            bool* cached) {
  const Digest key = ArtifactKey(source.domain, source.handle, *source.target, source.options, source.serial);
  // A waiter that may have to leave before the compile ends cannot run it on its own thread.
  const bool patient = source.deadline_ms == 0 || source.deadline_ms >= patience_ms_;
  std::shared_ptr<Flight> flight;
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    if (!source.recache) {
      if (auto found = FindLocked(key)) {
        ++counters_.hits;
        *cached = true;
        return *std::move(found);
      }
    }
    flight = Join(key, &first);
    if (first && patient) flight->runner = cancel;
    if (first && !patient) ++runners_;
  }
  *cached = !first;
  if (first && patient) {
    Run(flight, source);
  } else if (first) {
    StartRunner(flight, source);
  }
  return Wait(flight, patient ? 0 : source.deadline_ms, cancel.get());
}

std::shared_ptr<ModuleStore::Flight> ModuleStore::Join(const Digest& key, bool* first) {
  auto& slot = flights_[key];
  // One that nobody waits for is being cancelled: not to be joined.
  *first = slot == nullptr || slot->waiters == 0;
  if (*first) {
    slot = std::make_shared<Flight>();
    slot->key = key;
  }
  ++(*first ? counters_.misses : counters_.joined);
  ++slot->waiters;
  return slot;
}

void ModuleStore::StartRunner(const std::shared_ptr<Flight>& flight, const ModuleSource& source) {
  auto owned = std::make_shared<OwnedSource>(source);
  std::thread([this, flight, owned] {
    Run(flight, owned->source);
    const std::lock_guard lock(mutex_);
    --runners_;
    changed_.notify_all();
  }).detach();
}

void ModuleStore::Run(const std::shared_ptr<Flight>& flight, const ModuleSource& source) {
  const worker::CompileJob job{source.target->name, *source.functions, source.options, source.ir};
  CompileTask task;
  task.domain = source.domain;
  task.client = source.session;
  task.key = flight->key;
  task.job = &job;
  task.cancel = flight->token;
  auto result = Keep(pool_.Compile(task), source, flight->key);
  const std::lock_guard lock(mutex_);
  if (result) {
    ++counters_.compiled;
    Insert(flight->key, *result);
  }
  flight->result = std::move(result);
  const auto found = flights_.find(flight->key);
  if (found != flights_.end() && found->second == flight) flights_.erase(found);
  changed_.notify_all();
}

Expected<StoredModule> ModuleStore::Wait(const std::shared_ptr<Flight>& flight, uint32_t deadline_ms,
                                         CancelToken* cancel) {
  std::unique_lock lock(mutex_);
  const auto over = [&] { return flight->result.has_value() || (cancel != nullptr && cancel->cancelled); };
  bool in_time = true;
  if (deadline_ms == 0) {
    changed_.wait(lock, over);
  } else {
    in_time = changed_.wait_for(lock, std::chrono::milliseconds(deadline_ms), over);
  }
  const bool cancelled = cancel != nullptr && cancel->cancelled;
  if (flight->runner == nullptr || flight->runner.get() != cancel) {
    Leave(*flight);
  } else if (!cancelled) {
    flight->runner = nullptr;
    Leave(*flight);
  }
  if (cancelled) return Cancelled();
  if (!in_time)
    return {ErrorKind::kDeadlineExceeded,
            fmt::format("the compile is not done after {} ms; raise the deadline", deadline_ms)};
  return *flight->result;
}

void ModuleStore::Leave(Flight& flight) {
  if (--flight.waiters != 0 || flight.result) return;
  flight.token->cancelled = true;
  pool_.WakeCancelled();
}

void ModuleStore::Cancel(CancelToken& token) {
  const std::lock_guard lock(mutex_);
  if (token.cancelled.exchange(true)) return;
  // The waiter whose thread runs the compile is not there to leave by itself.
  for (const auto& [key, flight] : flights_) {
    if (flight->runner.get() != &token) continue;
    Leave(*flight);
    break;
  }
  changed_.notify_all();
}

void ModuleStore::Insert(const Digest& key, const StoredModule& module) {
  if (const auto old = entries_.find(key); old != entries_.end()) Erase(old);
  used_.push_front(key);
  const size_t bytes = module.payload->Size();
  entries_.emplace(key, Entry{module, bytes, used_.begin()});
  counters_.bytes += bytes;
  // The newest stays even where it alone is too large: its session is about to load it.
  while (counters_.bytes > max_bytes_ && entries_.size() > 1) {
    Erase(entries_.find(used_.back()));
    ++counters_.evictions;
  }
  counters_.modules = entries_.size();
}

void ModuleStore::Erase(std::unordered_map<Digest, Entry, DigestHash>::iterator at) {
  counters_.bytes -= at->second.bytes;
  used_.erase(at->second.used);
  entries_.erase(at);
}

StoreCounters ModuleStore::counters() const {
  const std::lock_guard lock(mutex_);
  return counters_;
}

}  // namespace rbc::server
