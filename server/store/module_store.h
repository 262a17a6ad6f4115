// Compiled modules in memory: found by digest, compiled once however many ask, the least recently used dropped.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/expected.h"
#include "base/hash.h"
#include "server/store/packed_text.h"
#include "server/workers/compile_pool.h"
#include "targets/target.h"

namespace rbc::server {

struct StoredFunction {
  FunctionDeclaration declaration;
  uint32_t frame_size = 0;
  uint32_t result_size = 0;
  std::vector<uint32_t> read_only;  // parameters: arrays that no call writes into
};

// What sessions keep of a module; small and immutable.
struct ModuleInfo {
  Digest handle{};
  Digest key{};
  std::string target;
  CompileOptions options;
  bool serial = false;
  bool stateful = false;
  bool repeatable = false;
  std::vector<StoredFunction> functions;
};

// What the store may drop; immutable.
struct ModulePayload {
  Artifact artifact;
  PackedText ir;
  size_t Size() const;
};

struct StoredModule {
  std::shared_ptr<const ModuleInfo> info;
  std::shared_ptr<const ModulePayload> payload;
};

// A module to compile. The views outlive the call.
struct ModuleSource {
  std::string domain;
  uint64_t session = 0;
  Digest handle{};
  const TargetInfo* target = nullptr;
  std::string target_name;  // as the client says it, perhaps with a device; empty: target->name
  const std::vector<FunctionDeclaration>* functions = nullptr;
  CompileOptions options;
  bool serial = false;
  std::string_view ir;
  uint32_t deadline_ms = 0;  // of this waiter; 0: the farm's own limits
  bool recache = false;
};

struct StoreCounters {
  uint64_t hits = 0, misses = 0, joined = 0, compiled = 0, evictions = 0, bytes = 0, modules = 0;
};

// Schema of the key and revision of what the compile side makes: a change of either makes old keys unreachable.
inline constexpr uint32_t kStoreSchema = 3;
inline constexpr uint32_t kCodegenRevision = 4;

// Of the artifact: the handle, the trust domain and all of the machine that shapes the code.
Digest ArtifactKey(const std::string& domain, const Digest& handle, const TargetInfo& target,
                   const CompileOptions& options, bool serial);

// Thread-safe.
class ModuleStore {
 public:
  // `patience`: what the pool needs at most, queue and compile together.
  ModuleStore(CompilePool& pool, uint64_t max_bytes, std::chrono::milliseconds patience)
      : pool_(pool), max_bytes_(max_bytes), patience_ms_(static_cast<uint64_t>(patience.count())) {}
  ~ModuleStore();  // ends what is compiled

  // nullopt: not here (any more).
  std::optional<StoredModule> Find(const Digest& key);
  // Finds or compiles; *cached tells which. Waits at most for the waiter's deadline: kDeadlineExceeded; kCancelled
  // where `cancel` is set; else what the pool says. The compile ends when nobody waits for it any more.
  Expected<StoredModule> Compile(const ModuleSource& source, const std::shared_ptr<CancelToken>& cancel, bool* cached);
  // Sets the token and wakes whoever waits under it.
  void Cancel(CancelToken& token);
  StoreCounters counters() const;

 private:
  struct Entry {
    StoredModule module;
    size_t bytes = 0;
    std::list<Digest>::iterator used;
  };
  struct Flight;

  // The mutex is held:
  std::optional<StoredModule> FindLocked(const Digest& key);
  std::shared_ptr<Flight> Join(const Digest& key, bool* first);
  void Leave(Flight& flight);
  void Insert(const Digest& key, const StoredModule& module);
  void Erase(std::unordered_map<Digest, Entry, DigestHash>::iterator at);
  // It is not:
  void Run(const std::shared_ptr<Flight>& flight, const ModuleSource& source);
  void StartRunner(const std::shared_ptr<Flight>& flight, const ModuleSource& source);
  Expected<StoredModule> Wait(const std::shared_ptr<Flight>& flight, uint32_t deadline_ms, CancelToken* cancel);

  CompilePool& pool_;
  const uint64_t max_bytes_;
  const uint64_t patience_ms_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;  // of any flight, and of tokens
  std::unordered_map<Digest, Entry, DigestHash> entries_;
  std::list<Digest> used_;  // most recent first
  std::unordered_map<Digest, std::shared_ptr<Flight>, DigestHash> flights_;
  uint32_t runners_ = 0;  // threads that compile for waiters who may leave
  StoreCounters counters_;
};

}  // namespace rbc::server
