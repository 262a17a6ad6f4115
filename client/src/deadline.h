// A point on the monotonic clock until which something may take.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace rbc::client {

using Clock = std::chrono::steady_clock;

// Of at most some milliseconds ago: where the system keeps such a time, asking for it costs next to nothing.
inline Clock::time_point RecentTime() {
#ifdef CLOCK_MONOTONIC_COARSE
  timespec time;
  if (::clock_gettime(CLOCK_MONOTONIC_COARSE, &time) == 0)
    return Clock::time_point(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
#endif
  return Clock::now();
}

class Deadline {
 public:
  static Deadline After(std::chrono::nanoseconds time) { return Deadline(Clock::now(), time); }
  static Deadline AfterMs(int64_t ms) { return After(std::chrono::milliseconds(ms)); }

  Clock::time_point when() const { return when_; }
  // When the time began to run.
  Clock::time_point start() const { return start_; }
  // The whole time that was given, for messages.
  int64_t GivenMs() const { return given_ms_; }
  // Rounded up; 0 when past. Bounded so that it fits poll().
  int RemainingMs(Clock::time_point now = Clock::now()) const {
    if (now >= when_) return 0;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(when_ - now).count();
    return static_cast<int>(std::min<int64_t>(left, int64_t{1} << 30));
  }
  bool Expired() const { return Clock::now() >= when_; }
  // The earlier of this and `ms` from now.
  Deadline AtMostMs(int64_t ms) const {
    const Deadline other = AfterMs(ms);
    return other.when_ < when_ ? other : *this;
  }

 private:
  Deadline(Clock::time_point start, std::chrono::nanoseconds time)
      : start_(start), when_(start + time), given_ms_(std::chrono::ceil<std::chrono::milliseconds>(time).count()) {}
  Clock::time_point start_, when_;
  int64_t given_ms_;
};

}  // namespace rbc::client
