// How a thread takes part in scheduling.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sched.h>

namespace rbc {

// The calling thread, once woken, waits until whoever woke it blocks or its slice ends. A peer that sends and then
// receives runs on to its receive, and is not woken in vain when its message is read: on one CPU that is a context
// switch less a call (tests/bench, docs/benchmarks.md). No privilege is needed.
inline void LetTheWakerRun() {
  const sched_param none{};
  sched_setscheduler(0, SCHED_BATCH, &none);
}

}  // namespace rbc
