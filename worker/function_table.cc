// The functions that an execution worker has loaded.
// SPDX-License-Identifier: Apache-2.0
#include "worker/function_table.h"

#include <poll.h>
#include <sys/mman.h>

#include <new>

namespace rbc::worker {
namespace {

constexpr size_t kTableBytes = kMaxFunctions * sizeof(std::atomic<const LoadedFunction*>);

}  // namespace

FunctionTable::FunctionTable() {
  void* memory = mmap(nullptr, kTableBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  slots_ = static_cast<std::atomic<const LoadedFunction*>*>(memory);  // zero pages are null pointers
}

FunctionTable::~FunctionTable() { munmap(slots_, kTableBytes); }

bool FunctionTable::Add(const LoadedFunction* function) {
  const uint32_t slot = FunctionSlot(function->id);
  if (function->id == 0 || slot >= kMaxFunctions || slots_[slot].load() != nullptr) return false;
  slots_[slot].store(function);
  return true;
}

void FunctionTable::Remove(const LoadedFunction* function) {
  const uint32_t slot = FunctionSlot(function->id);
  if (slot >= kMaxFunctions || slots_[slot].load() != function) return;
  slots_[slot].store(nullptr, std::memory_order_seq_cst);
  for (auto& user : users_) {
    while (user.slot.load(std::memory_order_seq_cst) == slot + 1) poll(nullptr, 0, 1);
  }
}

}  // namespace rbc::worker
