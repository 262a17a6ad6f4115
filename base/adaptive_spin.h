// Polling before blocking, only while it pays.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sched.h>
#include <time.h>

#include <cstdint>

#include "base/platform.h"

namespace rbc {

using platform::AllowedCpus;
using platform::CpuRelax;

inline uint64_t MonotonicNanoseconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

// Waking a halted CPU costs tens of microseconds, so a short poll pays where the peer runs on another CPU and answers
// soon. After some polls in vain it stops trying, and tries again now and then. One thread at a time.
class AdaptiveSpin {
 public:
  // `parties`: threads that wait for one another on the path, each of which wants a CPU; where there are fewer, polling
  // would keep one of them from running, and Until() does nothing.
  explicit AdaptiveSpin(uint32_t microseconds, int parties = 2)
      : budget_ns_(AllowedCpus() >= parties ? microseconds * 1000ull : 0) {}

  // Calls `poll` until it returns true or the budget is used up; says whether it did.
  template <typename Poll>
  bool Until(Poll&& poll) {
    if (budget_ns_ == 0) return false;
    if (in_vain_ >= kPatience && ++skipped_ % kRetryEvery != 0) return false;
    const uint64_t begin = MonotonicNanoseconds();
    const uint64_t end = begin + budget_ns_;
    uint64_t yield_at = begin + kYieldEveryNs;
    bool somebody_ran = false;
    for (uint64_t now = begin; now < end; now = MonotonicNanoseconds()) {
      if (now >= yield_at) {
        // The peer may sit on this very CPU, put there by the wake-up of a message: let it run.
        sched_yield();
        const uint64_t after = MonotonicNanoseconds();
        somebody_ran |= after - now > kYieldAloneNs;
        yield_at = after + kYieldEveryNs;
      }
      for (int i = 0; i < kPollsAtOnce; ++i) {
        if (poll()) {
          in_vain_ = 0;
          crowded_ = somebody_ran ? crowded_ + 1 : 0;
          return true;
        }
        CpuRelax();
      }
    }
    ++in_vain_;
    crowded_ += somebody_ran;
    return false;
  }

  // True once several polls in a row shared their CPU with another thread, most likely with the peer, while polling
  // pays on two CPUs only. Asking starts the count anew.
  bool SharesCpu() {
    if (crowded_ < kCrowd) return false;
    crowded_ = 0;
    return true;
  }

 private:
  static constexpr int kPollsAtOnce = 8;  // between two looks at the clock
  static constexpr uint64_t kYieldEveryNs = 2000;
  static constexpr uint32_t kPatience = 4;
  static constexpr uint32_t kRetryEvery = 32;
  static constexpr uint64_t kYieldAloneNs = 1000;  // a sched_yield() that ran nobody else takes some 200 ns
  static constexpr uint32_t kCrowd = 8;
  const uint64_t budget_ns_;
  uint32_t in_vain_ = 0;
  uint32_t skipped_ = 0;
  uint32_t crowded_ = 0;
};

}  // namespace rbc
