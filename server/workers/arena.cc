// Which parts of a session's arena are in use.
// SPDX-License-Identifier: Apache-2.0
#include "server/workers/arena.h"

#include <algorithm>

namespace rbc::server {
namespace {

constexpr uint64_t kLarge = 256 * 1024;      // smaller pieces keep their pages for good
constexpr uint64_t kMostKept = 32ull << 20;  // of larger ones until the next trim

uint64_t RoundUp(uint64_t size) {
  return size == 0 ? worker::kPage : (size + worker::kPage - 1) / worker::kPage * worker::kPage;
}

}  // namespace

Arena::Arena(SharedMemory memory) : memory_(std::move(memory)) { free_[0] = memory_.size(); }

Arena::Piece Arena::Take(uint64_t size) {
  if (size > memory_.size()) return {};
  size = RoundUp(size);
  const std::lock_guard lock(mutex_);
  for (auto it = free_.begin(); it != free_.end(); ++it) {
    if (it->second < size) continue;
    const uint64_t offset = it->first, rest = it->second - size;
    free_.erase(it);
    if (rest != 0) free_[offset + size] = rest;
    kept_ -= std::min(kept_, size);
    return Piece(this, offset, size);
  }
  return {};
}

void Arena::Trim() {
  const std::lock_guard lock(mutex_);
  if (kept_ != 0) DiscardFree();
}

// The lock keeps the ranges free meanwhile.
void Arena::DiscardFree() {
  for (const auto& [offset, size] : free_) memory_.Discard(offset, size);
  kept_ = 0;
}

void Arena::Release(uint64_t offset, uint64_t size) {
  const std::lock_guard lock(mutex_);
  Free(offset, size);
  if (size > kLarge) kept_ += size;
  if (kept_ > kMostKept) DiscardFree();
}

// Puts the range among the free ones.
void Arena::Free(uint64_t offset, uint64_t size) {
  auto next = free_.lower_bound(offset);
  if (next != free_.end() && offset + size == next->first) {
    size += next->second;
    next = free_.erase(next);
  }
  if (next != free_.begin()) {
    const auto before = std::prev(next);
    if (before->first + before->second == offset) {
      before->second += size;
      return;
    }
  }
  free_[offset] = size;
}

}  // namespace rbc::server
