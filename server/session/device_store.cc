// A session's buffers on one of its devices.
// SPDX-License-Identifier: Apache-2.0
#include "server/session/device_store.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "server/session/ask_worker.h"
#include "worker/data_arena.h"
#include "worker/device_frame.h"

namespace rbc::server {
namespace {

template <typename T>
void Append(std::string* out, const T& value) {
  out->append(reinterpret_cast<const char*>(&value), sizeof value);
}

std::string Changes(uint32_t count, std::string_view steps) {
  std::string frame;
  Append(&frame, worker::DeviceHead{worker::kDeviceMagic, worker::DeviceRequest::kChange, count, 0});
  frame += steps;
  return frame;
}

std::string Lost(const ExecutionWorker& worker) {
  const std::string why = worker.why_dead();
  return why.empty() ? "the worker there has ended" : fmt::format("the worker there has ended ({})", why);
}

}  // namespace

Status DeviceStore::Ask(ExecutionWorker& worker, std::string_view frame) const {
  return AskWorker(worker, worker::kDeviceMemoryFunction, frame, config_);
}

// ---- Who uses it -------------------------------------------------------------------------------------------------

Expected<DeviceStore::Use> DeviceStore::Begin(DeviceStoreHost& host) {
  for (;;) {
    Use use{shared_from_this(), std::shared_lock(use_), nullptr};
    {
      const std::lock_guard lock(mutex_);
      if (state_ == State::kThere) use.worker = worker_;
    }
    if (use.worker != nullptr && use.worker->dead())
      return Error(ErrorKind::kBufferLost,
                   fmt::format("the buffers on target \"{}\" are lost: {}", target_, Lost(*use.worker)));
    if (use.worker != nullptr) return use;
    use.lock.unlock();
    RBC_RETURN_IF_ERROR(BringBack(host));
  }
}

bool DeviceStore::holds(const ExecutionWorker& worker) const {
  const std::lock_guard lock(mutex_);
  return worker_.get() == &worker;
}

std::string DeviceStore::WhyLost() const {
  const std::lock_guard lock(mutex_);
  return state_ == State::kThere && worker_->dead() ? Lost(*worker_) : std::string();
}

// ---- Slots -------------------------------------------------------------------------------------------------------

std::optional<uint32_t> DeviceStore::FreeSlot() {
  for (uint32_t tried = 0; tried < worker::kMaxDeviceSlots; ++tried) {
    const uint32_t slot = next_slot_ % worker::kMaxDeviceSlots;
    next_slot_ = slot + 1;
    if (!slots_.contains(slot)) return slot;
  }
  return std::nullopt;
}

uint32_t DeviceStore::next_slot() const {
  const std::lock_guard lock(mutex_);
  return next_slot_;
}

Expected<uint32_t> DeviceStore::Take(uint64_t bytes) {
  std::shared_ptr<ExecutionWorker> worker;
  std::string steps;
  uint32_t slot = 0;
  {
    const std::lock_guard lock(mutex_);
    steps = ReleasedSteps();
    const auto free = FreeSlot();
    if (!free || bytes > worker::kMaxDeviceBytes)
      return Error(ErrorKind::kResourceExhausted,
                   fmt::format("target \"{}\" holds at most {} buffers of at most {} bytes each; free some", target_,
                               worker::kMaxDeviceSlots, worker::kMaxDeviceBytes));
    slot = *free;
    slots_[slot] = {bytes, std::nullopt};
    worker = worker_;
  }
  Append(&steps, worker::DeviceStep{slot, 0, bytes});
  const auto taken = Ask(*worker, Changes(static_cast<uint32_t>(steps.size() / sizeof(worker::DeviceStep)), steps));
  if (taken) return slot;
  const std::lock_guard lock(mutex_);
  slots_.erase(slot);
  return taken.error();
}

void DeviceStore::Release(uint32_t slot) {
  const std::lock_guard lock(mutex_);
  released_.push_back(slot);
  if (state_ == State::kAway) DropReleased();
}

// Their memory here goes at once; that on a device has gone with its worker.
void DeviceStore::DropReleased() {
  for (const uint32_t slot : released_) {
    const auto found = slots_.find(slot);
    if (found == slots_.end()) continue;
    if (found->second.range) arena_->Release(*found->second.range);
    slots_.erase(found);
  }
  released_.clear();
}

std::string DeviceStore::ReleasedSteps() {
  std::string steps;
  for (const uint32_t slot : released_) Append(&steps, worker::DeviceStep{slot, 1, 0});
  DropReleased();
  return steps;
}

void DeviceStore::FreeReleased() {
  const std::shared_lock use(use_, std::try_to_lock);
  if (!use) return;
  std::shared_ptr<ExecutionWorker> worker;
  std::string steps;
  {
    const std::lock_guard lock(mutex_);
    if (state_ != State::kThere || worker_->dead() || released_.empty() || !worker_->idle()) return;
    worker = worker_;
    steps = ReleasedSteps();
  }
  const auto freed = Ask(*worker, Changes(static_cast<uint32_t>(steps.size() / sizeof(worker::DeviceStep)), steps));
  if (!freed) spdlog::info("buffers on {} are not freed: {}", target_, freed.error().message);
}

// ---- To the arena and back ---------------------------------------------------------------------------------------

Status DeviceStore::Move(ExecutionWorker& worker, uint64_t from, uint64_t to, uint64_t bytes) const {
  constexpr int64_t kByte = 1;
  std::string frame;
  Append(&frame, worker::DeviceHead{worker::kDeviceMagic, worker::DeviceRequest::kCopy, 1, 1});
  for (const uint64_t word : {bytes, from, uint64_t{kByte}, to, uint64_t{kByte}}) Append(&frame, word);
  return Ask(worker, frame);
}

Status DeviceStore::Save(DeviceStoreHost& host, ExecutionWorker& worker, std::map<uint32_t, Slot>* slots) {
  RBC_ASSIGN_OR_RETURN(const auto arena, host.Arena());
  RBC_RETURN_IF_ERROR(host.EnsureArena(worker));
  {
    const std::lock_guard lock(mutex_);
    arena_ = arena;
  }
  for (auto& [slot, there] : *slots) {
    RBC_ASSIGN_OR_RETURN(there.range, arena->Take(there.bytes));
    if (there.bytes == 0) continue;
    RBC_RETURN_IF_ERROR(
        Move(worker, worker::DevicePlace(slot, 0), there.range->offset | worker::kInDataArena, there.bytes));
  }
  return {};
}

bool DeviceStore::Spill(DeviceStoreHost& host, const ExecutionWorker& of) {
  const std::unique_lock alone(use_, std::try_to_lock);
  if (!alone) return false;
  std::shared_ptr<ExecutionWorker> worker;
  std::map<uint32_t, Slot> slots;
  {
    const std::lock_guard lock(mutex_);
    if (state_ != State::kThere || worker_.get() != &of || worker_->dead()) return false;
    worker = worker_;
    slots = slots_;
    for (const uint32_t slot : released_) slots.erase(slot);
    state_ = State::kLeaving;
  }
  // Calls that come by a ring take no Use: one that began since then may have written to what is saved.
  const uint64_t before = worker->calls_unseen();
  auto saved = Save(host, *worker, &slots);
  const bool left = saved && worker->Retire(before);
  const std::lock_guard lock(mutex_);
  if (!left) {
    for (const auto& [slot, there] : slots)
      if (there.range) arena_->Release(*there.range);
    state_ = State::kThere;
    if (!saved) spdlog::info("buffers stay on {}: {}", target_, saved.error().message);
    return false;
  }
  state_ = State::kAway;
  worker_ = nullptr;
  slots_ = std::move(slots);
  DropReleased();
  return true;
}

Status DeviceStore::Fill(DeviceStoreHost& host, ExecutionWorker& worker, const std::map<uint32_t, Slot>& slots) {
  if (slots.empty()) return {};
  RBC_RETURN_IF_ERROR(host.EnsureArena(worker));
  std::string steps, undo;
  for (const auto& [slot, away] : slots) {
    Append(&steps, worker::DeviceStep{slot, 0, away.bytes});
    Append(&undo, worker::DeviceStep{slot, 1, 0});
  }
  const auto count = static_cast<uint32_t>(slots.size());
  auto filled = Ask(worker, Changes(count, steps));
  for (const auto& [slot, away] : slots) {
    if (!filled) break;
    if (away.bytes == 0) continue;
    filled = Move(worker, away.range->offset | worker::kInDataArena, worker::DevicePlace(slot, 0), away.bytes);
  }
  if (!filled) (void)Ask(worker, Changes(count, undo));
  return filled;
}

Status DeviceStore::BringBack(DeviceStoreHost& host) {
  const std::unique_lock alone(use_);
  std::map<uint32_t, Slot> slots;
  {
    const std::lock_guard lock(mutex_);
    if (state_ == State::kThere) return {};
    slots = slots_;
  }
  RBC_ASSIGN_OR_RETURN(auto worker, host.WorkerFor(target_));
  RBC_RETURN_IF_ERROR(Fill(host, *worker, slots));
  const std::lock_guard lock(mutex_);
  for (auto& [slot, away] : slots_) {
    if (away.range) arena_->Release(*away.range);
    away.range.reset();
  }
  // Those that were released meanwhile are freed there with the next request.
  for (const auto& [slot, away] : slots)
    if (!slots_.contains(slot)) released_.push_back(slot);
  arena_ = nullptr;
  worker_ = std::move(worker);
  state_ = State::kThere;
  return {};
}

}  // namespace rbc::server
