// Leaving a CPU to the thread that shares it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace rbc {

// The kernel tends to put two processes that wake each other on one CPU, and leaves them there while another is idle:
// then neither can poll for the other. A thread that polls leaves such a CPU by itself; with growing pauses, since on a
// busy machine there is nothing to be found. One thread at a time.
class StepAside {
 public:
  // Moves the calling thread to another of the CPUs that it may use, if there is one and its last move was long enough
  // ago. Its set of CPUs stays as it was.
  void Try();

 private:
  uint64_t next_ns_ = 0;
  uint64_t pause_ns_ = kFirstPauseNs;
  static constexpr uint64_t kFirstPauseNs = 2'000'000;
  static constexpr uint64_t kLongestPauseNs = 1'000'000'000;
};

}  // namespace rbc
