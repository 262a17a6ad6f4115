// A module of a session.
// SPDX-License-Identifier: Apache-2.0
#include "server/session/session_module.h"

#include "server/session/random_bytes.h"
#include "worker/protocol.h"

namespace rbc::server {

SessionModule::~SessionModule() {
  if (loaded_in != nullptr && !loaded_in->dead()) loaded_in->Unload(id);
  if (slots != nullptr) slots->Free(function_ids);
}

bool SessionModule::IsLoaded() {
  const std::lock_guard lock(load_mutex);
  return loaded_in != nullptr && !loaded_in->dead();
}

SlotTable::SlotTable() : first_generation_(static_cast<uint32_t>(RandomNumber()) | 1) {}

std::vector<uint64_t> SlotTable::Allocate(size_t count) {
  std::vector<uint64_t> ids;
  ids.reserve(count);
  const std::lock_guard lock(mutex_);
  for (size_t i = 0; i < count; ++i) {
    if (free_.empty()) {
      free_.push_back(static_cast<uint32_t>(slots_.size()));
      slots_.push_back({first_generation_, 0, nullptr});
    }
    const uint32_t slot = free_.back();
    free_.pop_back();
    ids.push_back(worker::FunctionId(slot, slots_[slot].generation));
  }
  return ids;
}

void SlotTable::Publish(const std::shared_ptr<SessionModule>& module) {
  const std::lock_guard lock(mutex_);
  for (uint32_t i = 0; i < module->function_ids.size(); ++i) {
    auto& slot = slots_[worker::FunctionSlot(module->function_ids[i])];
    slot.index = i;
    slot.module = module;
  }
}

void SlotTable::Withdraw(const SessionModule& module) {
  // The caller keeps a reference: nothing is destroyed under the lock.
  const std::lock_guard lock(mutex_);
  for (const uint64_t id : module.function_ids) slots_[worker::FunctionSlot(id)].module = nullptr;
}

void SlotTable::Free(const std::vector<uint64_t>& ids) {
  const std::lock_guard lock(mutex_);
  for (const uint64_t id : ids) {
    auto& slot = slots_[worker::FunctionSlot(id)];
    if (++slot.generation == 0) ++slot.generation;
    free_.push_back(worker::FunctionSlot(id));
  }
}

std::shared_ptr<SessionModule> SlotTable::Find(uint64_t function_id, uint32_t* index) const {
  const uint32_t number = worker::FunctionSlot(function_id);
  const std::lock_guard lock(mutex_);
  if (number >= slots_.size() || slots_[number].generation != function_id >> 32) return nullptr;
  *index = slots_[number].index;
  return slots_[number].module;
}

size_t SlotTable::size() const {
  const std::lock_guard lock(mutex_);
  return slots_.size();
}

}  // namespace rbc::server
