// A module of a session: its ids, and the worker it is loaded in.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "server/store/module_store.h"
#include "server/workers/execution_worker.h"

namespace rbc::server {

class SlotTable;

// Entries of a module for many rows: artifacts of their own.
struct BulkKey {
  EntryKind kind = EntryKind::kMap;
  std::optional<uint32_t> function;  // which one, by its index; nullopt: all of them
  MathAccuracy accuracy = MathAccuracy::kFast;
  std::string pattern;  // CompileOptions::map_pattern
  auto operator<=>(const BulkKey&) const = default;
};
// A module has code for so many patterns of maps at most; others run by the code for any.
inline constexpr size_t kMostBulkEntries = 32;

// Alive while the session has it or a call is inside; then it is unloaded and its slots are free again.
struct SessionModule {
  SessionModule() = default;
  SessionModule(const SessionModule&) = delete;
  SessionModule& operator=(const SessionModule&) = delete;
  ~SessionModule();  // may wait for lent calls that are inside

  uint64_t id = 0;
  std::shared_ptr<const ModuleInfo> info;
  std::vector<uint64_t> function_ids;
  std::shared_ptr<SlotTable> slots;
  uint32_t uses = 0;  // compiles and lookups that gave it out; guarded by the session

  std::mutex bulk_mutex;                                   // held while one of these is compiled
  std::map<BulkKey, std::shared_ptr<SessionModule>> bulk;  // its functions for many rows; made when first asked for

  // In a worker that lives.
  bool IsLoaded();

  std::mutex load_mutex;  // held while it is loaded
  std::shared_ptr<ExecutionWorker> loaded_in;
};

// Function ids of a session: slots with generations, so that a stale id is noticed. Thread-safe.
class SlotTable {
 public:
  // Generations begin at random: ids of another session are not taken for ours.
  SlotTable();
  // Ids for all functions of `module`; they are found from Publish on.
  std::vector<uint64_t> Allocate(size_t count);
  void Publish(const std::shared_ptr<SessionModule>& module);
  void Withdraw(const SessionModule& module);
  void Free(const std::vector<uint64_t>& ids);
  std::shared_ptr<SessionModule> Find(uint64_t function_id, uint32_t* index) const;
  size_t size() const;

 private:
  struct Slot {
    uint32_t generation = 0;
    uint32_t index = 0;
    std::shared_ptr<SessionModule> module;
  };
  mutable std::mutex mutex_;
  uint32_t first_generation_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
};

}  // namespace rbc::server
