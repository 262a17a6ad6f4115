// Leaving a CPU to the thread that shares it.
// SPDX-License-Identifier: Apache-2.0
#include "base/step_aside.h"

#include <algorithm>

#include "base/adaptive_spin.h"
#include "base/platform.h"

namespace rbc {

void StepAside::Try() {
  const uint64_t now = MonotonicNanoseconds();
  if (now < next_ns_) return;
  // Long quiet: the last move did what it should.
  pause_ns_ = now - next_ns_ > 8 * pause_ns_ ? kFirstPauseNs : std::min(2 * pause_ns_, kLongestPauseNs);
  next_ns_ = now + pause_ns_;
  platform::LeaveThisCpu();
}

}  // namespace rbc
