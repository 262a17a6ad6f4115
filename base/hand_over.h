// Waiting for a peer on the only CPU by letting it run, instead of sleeping until it wakes this thread.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sched.h>

#include <algorithm>
#include <cstdint>

#include "base/adaptive_spin.h"
#include "base/platform.h"

namespace rbc {

// Two that take turns on one CPU need a sleep and a wake-up each for every turn; where both stay ready to run, one
// sched_yield() each does it. Whoever yields goes behind all others on that CPU, though, so that it stops for a while
// where somebody else computes there. One thread at a time.
class HandOver {
 public:
  HandOver() : only_cpu_(platform::AllowedCpus() == 1) {}

  // Lets others run until `poll` returns true, a few times at most; says whether it did.
  template <typename Poll>
  bool Until(Poll&& poll) {
    if (!only_cpu_) return false;
    if (pause_ > 0) {
      --pause_;
      return false;
    }
    const uint64_t begin = MonotonicNanoseconds();
    bool done = false;
    for (int i = 0; i < kTurns && !done; ++i) {
      sched_yield();
      done = poll();
    }
    const bool waited_for_others = MonotonicNanoseconds() - begin > kLongNs;
    if (waited_for_others) {
      in_a_row_ = 0;
      pause_ = next_pause_;
      next_pause_ = std::min(4 * next_pause_, kLongestPause);
    } else if (!done) {
      pause_ = kPauseInVain;
    } else if (++in_a_row_ % kGoodRow == 0) {
      next_pause_ = std::max(next_pause_ / 4, kFirstPause);
    }
    return done;
  }

 private:
  static constexpr int kTurns = 4;
  static constexpr uint64_t kLongNs = 100'000;  // a slice of somebody who computes takes milliseconds
  // In waits, so that such a slice comes to a fraction of a microsecond for each.
  static constexpr uint32_t kPauseInVain = 8;
  static constexpr uint32_t kFirstPause = 64;
  static constexpr uint32_t kLongestPause = 16'384;
  static constexpr uint32_t kGoodRow = 1024;
  const bool only_cpu_;
  uint32_t pause_ = 0;
  uint32_t next_pause_ = kFirstPause;
  uint32_t in_a_row_ = 0;
};

}  // namespace rbc
