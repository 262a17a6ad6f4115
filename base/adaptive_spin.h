// Polling before blocking, only while it pays.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sched.h>
#include <time.h>

#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace rbc {

inline void CpuRelax() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

// How many CPUs this process may use.
inline int AllowedCpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

inline uint64_t MonotonicNanoseconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

// Waking a halted CPU costs tens of microseconds, so a short poll pays where the peer runs on another CPU and answers
// soon. After some polls in vain it stops trying, and tries again now and then. One thread at a time.
class AdaptiveSpin {
 public:
  explicit AdaptiveSpin(uint32_t microseconds) : budget_ns_(AllowedCpus() > 1 ? microseconds * 1000ull : 0) {}

  // Calls `poll` until it returns true or the budget is used up; says whether it did.
  template <typename Poll>
  bool Until(Poll&& poll) {
    if (budget_ns_ == 0) return false;
    if (in_vain_ >= kPatience && ++skipped_ % kRetryEvery != 0) return false;
    const uint64_t end = MonotonicNanoseconds() + budget_ns_;
    do {
      for (int i = 0; i < kPollsBeforeYield; ++i) {
        if (poll()) {
          in_vain_ = 0;
          return true;
        }
        CpuRelax();
      }
      // The peer may sit on this very CPU, put there by the wake-up of a message: it runs now, and as both stay
      // runnable the scheduler moves one of them to an idle CPU.
      sched_yield();
    } while (MonotonicNanoseconds() < end);
    ++in_vain_;
    return false;
  }

 private:
  static constexpr int kPollsBeforeYield = 8;
  static constexpr uint32_t kPatience = 4;
  static constexpr uint32_t kRetryEvery = 32;
  const uint64_t budget_ns_;
  uint32_t in_vain_ = 0;
  uint32_t skipped_ = 0;
};

}  // namespace rbc
