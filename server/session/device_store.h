// A session's buffers on one of its devices: in the memory of the worker there or, while others need the device, in the
// session's arena.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "server/config/config.h"
#include "server/data/device_heap.h"
#include "server/data/session_arena.h"
#include "server/workers/execution_worker.h"

namespace rbc::server {

// What a store asks of its session, for as long as a request of that takes.
class DeviceStoreHost {
 public:
  virtual ~DeviceStoreHost() = default;
  virtual Expected<std::shared_ptr<ExecutionWorker>> WorkerFor(const std::string& target) = 0;
  virtual Status EnsureArena(ExecutionWorker& worker) = 0;
  virtual Expected<std::shared_ptr<SessionArena>> Arena() = 0;
};

class DeviceStore final : public DeviceHeap, public std::enable_shared_from_this<DeviceStore> {
 public:
  // `first_slot`: slots are taken in turn from this one on, so that a call which names one that went finds no other
  // buffer there for long.
  DeviceStore(std::string target, const FarmConfig& config, uint32_t first_slot = 0)
      : target_(std::move(target)), config_(config), next_slot_(first_slot) {}

  // As long as it lives, all buffers are in this worker's memory, as far as it lives.
  struct Use {
    std::shared_ptr<DeviceStore> store;
    std::shared_lock<std::shared_mutex> lock;
    std::shared_ptr<ExecutionWorker> worker;
  };
  // Brings the buffers back to the device where they are away. Blocks. kBufferLost, kBusy, what starts of workers give.
  Expected<Use> Begin(DeviceStoreHost& host);
  // Brings the buffers to the arena and ends the worker, if no request uses them. False: it is not `worker`, or in use,
  // or the arena has no room.
  bool Spill(DeviceStoreHost& host, const ExecutionWorker& worker);
  // Of buffers that were given back, now. Blocks shortly; where the worker is at work the next request sees to it.
  void FreeReleased();
  bool holds(const ExecutionWorker& worker) const;
  uint32_t next_slot() const;

  // One request of worker/device_frame.h. REQUIRES: a Use of this store, whose worker it is.
  Status Ask(ExecutionWorker& worker, std::string_view frame) const;

  const std::string& target() const override { return target_; }
  // REQUIRES: a Use of this store.
  Expected<uint32_t> Take(uint64_t bytes) override;
  void Release(uint32_t slot) override;
  std::string WhyLost() const override;

 private:
  enum class State : uint8_t { kAway, kThere, kLeaving };
  struct Slot {
    uint64_t bytes = 0;
    std::optional<Range> range;  // in the arena, while it is away
  };
  std::optional<uint32_t> FreeSlot();  // REQUIRES: mutex_ held
  Status BringBack(DeviceStoreHost& host);
  Status Fill(DeviceStoreHost& host, ExecutionWorker& worker, const std::map<uint32_t, Slot>& slots);
  Status Save(DeviceStoreHost& host, ExecutionWorker& worker, std::map<uint32_t, Slot>* slots);
  void DropReleased();          // REQUIRES: mutex_ held
  std::string ReleasedSteps();  // REQUIRES: mutex_ held
  Status Move(ExecutionWorker& worker, uint64_t from, uint64_t to, uint64_t bytes) const;

  const std::string target_;
  const FarmConfig& config_;
  std::shared_mutex use_;  // held by who uses the buffers; alone by who moves them
  mutable std::mutex mutex_;
  State state_ = State::kAway;
  std::shared_ptr<ExecutionWorker> worker_;
  std::shared_ptr<SessionArena> arena_;  // of the ranges
  std::map<uint32_t, Slot> slots_;
  uint32_t next_slot_;
  std::vector<uint32_t> released_;  // not yet told to the worker
};

}  // namespace rbc::server
