// Memory that large messages leave free.
// SPDX-License-Identifier: Apache-2.0
#include "server/spare_memory.h"

#include <malloc.h>

#include <algorithm>

namespace rbc::server {
namespace {

constexpr int kMostOnHeap = 32 << 20;  // of one block; glibc allows no more
constexpr int kMostKept = 256 << 20;   // free at the end of the heap, without waiting for Trim
constexpr size_t kWorthwhile = 1 << 20;

}  // namespace

void SpareMemory::Tune() {
  // One arena per thread would keep what a burst of large messages needed, and malloc_trim gives back the end of the
  // first one only. Small blocks wait with each thread.
  mallopt(M_ARENA_MAX, 1);
  mallopt(M_TRIM_THRESHOLD, kMostKept);
  mallopt(M_MMAP_THRESHOLD, kMostOnHeap);
}

void SpareMemory::Trim(uint64_t large_messages) {
  if (large_messages != seen_) {
    seen_ = large_messages;
    return;
  }
  const size_t free = mallinfo2().fordblks;
  left_ = std::min(left_, free);
  if (free < left_ + kWorthwhile) return;
  malloc_trim(0);
  left_ = mallinfo2().fordblks;
}

}  // namespace rbc::server
