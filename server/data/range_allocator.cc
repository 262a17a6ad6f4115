// Which parts of an arena are in use.
// SPDX-License-Identifier: Apache-2.0
#include "server/data/range_allocator.h"

#include <algorithm>
#include <iterator>

#include "base/huge_pages.h"

namespace rbc::server {
namespace {

uint64_t UnitOf(uint64_t bytes) {
  return bytes < RangeAllocator::kPage ? RangeAllocator::kSmall : RangeAllocator::kPage;
}
uint64_t AlignmentOf(uint64_t bytes) { return bytes < RangeAllocator::kLarge ? UnitOf(bytes) : kHugePage; }
uint64_t RoundUp(uint64_t value, uint64_t unit) { return (value + unit - 1) / unit * unit; }

}  // namespace

uint64_t RangeAllocator::Rounded(uint64_t bytes) { return RoundUp(std::max<uint64_t>(bytes, 1), UnitOf(bytes)); }

std::optional<Range> RangeAllocator::Take(uint64_t bytes) {
  const uint64_t size = Rounded(bytes);
  for (auto it = free_.begin(); it != free_.end(); ++it) {
    const uint64_t begin = it->first, end = it->first + it->second;
    const uint64_t offset = RoundUp(begin, AlignmentOf(bytes));
    if (offset > end || end - offset < size) continue;
    free_.erase(it);
    if (offset != begin) free_[begin] = offset - begin;
    if (offset + size != end) free_[offset + size] = end - offset - size;
    return Range{offset, size};
  }
  return std::nullopt;
}

void RangeAllocator::Release(Range range) {
  auto next = free_.lower_bound(range.offset);
  if (next != free_.end() && range.offset + range.size == next->first) {
    range.size += next->second;
    next = free_.erase(next);
  }
  if (next != free_.begin()) {
    const auto before = std::prev(next);
    if (before->first + before->second == range.offset) {
      before->second += range.size;
      return;
    }
  }
  free_[range.offset] = range.size;
}

uint64_t RangeAllocator::Largest() const {
  uint64_t largest = 0;
  for (const auto& [offset, size] : free_) largest = std::max(largest, size);
  return largest;
}

}  // namespace rbc::server
