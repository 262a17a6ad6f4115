// The memory of one session's arrays.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

#include "base/expected.h"
#include "server/data/range_allocator.h"
#include "server/data/shared_memory.h"

namespace rbc::server {

// All sessions together. Outlives them.
struct DataTotals {
  std::atomic<uint64_t> bytes{0};
  std::atomic<uint64_t> buffers{0};
  std::atomic<uint64_t> spare{0};  // besides, of freed arrays that may be wanted again
};

struct DataLimits {
  uint64_t session_bytes = 4ull << 30;
  uint64_t farm_bytes = 16ull << 30;
  uint64_t max_buffers = 16'384;
};

// A sealed, sparse memory of `session_bytes`; pages come when they are touched, and go some time after their range was
// given back. Thread-safe. Daemon, workers and a client on this machine map all of it.
class SessionArena {
 public:
  static Expected<std::shared_ptr<SessionArena>> Create(const DataLimits& limits, DataTotals& totals);
  ~SessionArena();

  // kResourceExhausted: the session's or the farm's bound, or no free range is that large.
  Expected<Range> Take(uint64_t bytes);
  void Release(Range range, bool spare = false);
  // A range that is still held counts as free from here on, to be released as a spare. False: the farm's memory is in
  // use, the range still counts.
  bool Spare(Range range);
  // The farm's memory is wanted by others: spares have to go.
  bool IsShort() const { return totals_.bytes + totals_.spare > limits_.farm_bytes; }
  // Gives back pages that nobody has: of released ranges, and what a client wrote where no buffer of its is.
  void Trim();

  const SharedMemory& memory() const { return memory_; }
  char* data() const { return memory_.data(); }
  uint64_t used() const;
  // Pages that are there now, in bytes.
  uint64_t resident() const;

 private:
  SessionArena(SharedMemory memory, const DataLimits& limits, DataTotals& totals);
  void DiscardFree();  // REQUIRES: mutex_ held

  SharedMemory memory_;
  const DataLimits limits_;
  DataTotals& totals_;
  mutable std::mutex mutex_;
  RangeAllocator ranges_;
  uint64_t used_ = 0;
  uint64_t spare_ = 0;
  uint64_t kept_ = 0;  // released since the last trim and not taken again, at least
};

}  // namespace rbc::server
