// The memory of one session's arrays.
// SPDX-License-Identifier: Apache-2.0
#include "server/data/session_arena.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

namespace rbc::server {
namespace {

constexpr uint64_t kMostKept = 256ull << 20;  // of pages of released ranges, until the next trim
constexpr uint64_t kSlack = 1ull << 20;       // of pages without a buffer that a trim does not mind

Error Full(const char* whose, uint64_t used, uint64_t asked, uint64_t limit) {
  return {ErrorKind::kResourceExhausted,
          fmt::format("the arrays of this {} have {} bytes in use, {} are asked for, {} allowed; free some buffers",
                      whose, used, asked, limit)};
}

}  // namespace

Expected<std::shared_ptr<SessionArena>> SessionArena::Create(const DataLimits& limits, DataTotals& totals) {
  const uint64_t size = (limits.session_bytes + RangeAllocator::kPage - 1) / RangeAllocator::kPage;
  RBC_ASSIGN_OR_RETURN(auto memory, SharedMemory::Create("rbc-data", size * RangeAllocator::kPage));
  return std::shared_ptr<SessionArena>(new SessionArena(std::move(memory), limits, totals));
}

SessionArena::SessionArena(SharedMemory memory, const DataLimits& limits, DataTotals& totals)
    : memory_(std::move(memory)), limits_(limits), totals_(totals), ranges_(memory_.size()) {}

SessionArena::~SessionArena() {
  totals_.bytes -= used_;
  totals_.spare -= spare_;
}

Expected<Range> SessionArena::Take(uint64_t bytes) {
  const uint64_t limit = memory_.size();
  const std::lock_guard lock(mutex_);
  if (bytes > limit || RangeAllocator::Rounded(bytes) > limit - used_) return Full("session", used_, bytes, limit);
  const uint64_t size = RangeAllocator::Rounded(bytes);
  const uint64_t all = totals_.bytes.fetch_add(size);
  if (all > limits_.farm_bytes || size > limits_.farm_bytes - all) {
    totals_.bytes -= size;
    return Full("farm", all, bytes, limits_.farm_bytes);
  }
  const auto range = ranges_.Take(bytes);
  if (!range) {
    totals_.bytes -= size;
    return Error(ErrorKind::kResourceExhausted,
                 fmt::format("the arrays of this session have {} of {} bytes in use, but no more than {} of what is "
                             "free lie side by side, {} are asked for; free some buffers",
                             used_, limit, ranges_.Largest(), bytes));
  }
  used_ += range->size;
  kept_ -= std::min(kept_, range->size);  // the first free range that is large enough: what was released last, mostly
  return *range;
}

bool SessionArena::Spare(Range range) {
  const std::lock_guard lock(mutex_);
  if (totals_.bytes + totals_.spare > limits_.farm_bytes) return false;
  used_ -= range.size;
  spare_ += range.size;
  totals_.spare += range.size;
  totals_.bytes -= range.size;
  return true;
}

void SessionArena::Release(Range range, bool spare) {
  const std::lock_guard lock(mutex_);
  ranges_.Release(range);
  (spare ? spare_ : used_) -= range.size;
  (spare ? totals_.spare : totals_.bytes) -= range.size;
  kept_ += range.size;
  if (kept_ > kMostKept) DiscardFree();
}

void SessionArena::Trim() {
  const std::lock_guard lock(mutex_);
  if (resident() > used_ + spare_ + kSlack) DiscardFree();
}

// The lock keeps the ranges free meanwhile.
void SessionArena::DiscardFree() {
  for (const auto& [offset, size] : ranges_.free()) {
    const uint64_t first = (offset + RangeAllocator::kPage - 1) / RangeAllocator::kPage * RangeAllocator::kPage;
    const uint64_t last = (offset + size) / RangeAllocator::kPage * RangeAllocator::kPage;
    if (first < last) memory_.Discard(first, last - first);
  }
  kept_ = 0;
}

uint64_t SessionArena::used() const {
  const std::lock_guard lock(mutex_);
  return used_;
}

uint64_t SessionArena::resident() const {
  struct stat info {};
  return fstat(memory_.fd(), &info) == 0 ? static_cast<uint64_t>(info.st_blocks) * 512 : 0;
}

}  // namespace rbc::server
