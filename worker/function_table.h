// The functions that an execution worker has loaded, found by id without a lock.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "targets/target.h"
#include "worker/protocol.h"

namespace rbc::worker {

class ModuleInstance;

// Immutable once it is in the table.
struct LoadedFunction {
  uint64_t id = 0;
  int32_t (*entry)(void* frame, void* result) = nullptr;  // null: run by the module's code
  uint32_t index = 0;                                     // of the entry in its artifact
  ModuleInstance* module = nullptr;
  EntryPoint point;
  std::string name;  // the client's symbol
};

// Lanes call Enter and Leave, the control thread all else.
class FunctionTable {
 public:
  FunctionTable();
  ~FunctionTable();
  FunctionTable(const FunctionTable&) = delete;

  // Null: not loaded. Until Leave(lane) the function stays loaded.
  const LoadedFunction* Enter(uint32_t lane, uint64_t id) {
    const uint32_t slot = FunctionSlot(id);
    if (slot >= kMaxFunctions) return nullptr;
    // The store must be seen before the load: Remove stores and loads in the other order.
    users_[lane].slot.store(slot + 1, std::memory_order_seq_cst);
    const LoadedFunction* function = slots_[slot].load(std::memory_order_seq_cst);
    if (function != nullptr && function->id == id) return function;
    Leave(lane);
    return nullptr;
  }
  void Leave(uint32_t lane) { users_[lane].slot.store(0, std::memory_order_release); }

  // False: the slot is taken, or the id names none.
  bool Add(const LoadedFunction* function);
  // Afterwards no lane enters it; blocks until none is inside.
  void Remove(const LoadedFunction* function);

 private:
  struct alignas(64) User {
    std::atomic<uint32_t> slot{0};  // 1 + the slot that this lane uses; 0: none
  };
  std::atomic<const LoadedFunction*>* slots_;  // kMaxFunctions, pages come when touched
  User users_[kMaxLanes];
};

}  // namespace rbc::worker
