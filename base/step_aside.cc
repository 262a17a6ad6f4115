// Leaving a CPU to the thread that shares it.
// SPDX-License-Identifier: Apache-2.0
#include "base/step_aside.h"

#include <sched.h>

#include <algorithm>

#include "base/adaptive_spin.h"

namespace rbc {

void StepAside::Try() {
  const uint64_t now = MonotonicNanoseconds();
  if (now < next_ns_) return;
  // Long quiet: the last move did what it should.
  pause_ns_ = now - next_ns_ > 8 * pause_ns_ ? kFirstPauseNs : std::min(2 * pause_ns_, kLongestPauseNs);
  next_ns_ = now + pause_ns_;
  cpu_set_t allowed;
  const int here = sched_getcpu();
  if (here < 0 || here >= CPU_SETSIZE || sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  cpu_set_t others = allowed;
  CPU_CLR(here, &others);
  if (CPU_COUNT(&others) == 0 || sched_setaffinity(0, sizeof others, &others) != 0) return;
  sched_setaffinity(0, sizeof allowed, &allowed);
}

}  // namespace rbc
