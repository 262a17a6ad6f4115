// Which parts of an arena are in use.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>

namespace rbc::server {

struct Range {
  uint64_t offset = 0;
  uint64_t size = 0;
};

// Hands out ranges, first fit: below a page in cache lines, from a page on in whole pages, from kLarge on at the begin
// of a huge page. Not thread-safe.
class RangeAllocator {
 public:
  static constexpr uint64_t kSmall = 64;
  static constexpr uint64_t kPage = 4096;
  static constexpr uint64_t kLarge = 4 << 20;

  explicit RangeAllocator(uint64_t size) { free_[0] = size; }

  // What Take gives for `bytes`; at least one unit. REQUIRES: bytes is at most 2^62.
  static uint64_t Rounded(uint64_t bytes);
  // Nothing: no free range is that large.
  std::optional<Range> Take(uint64_t bytes);
  void Release(Range range);
  uint64_t Largest() const;
  // Offset to size; neighbours are merged.
  const std::map<uint64_t, uint64_t>& free() const { return free_; }

 private:
  std::map<uint64_t, uint64_t> free_;
};

}  // namespace rbc::server
