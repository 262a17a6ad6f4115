// A worker that looks for GPUs and ends.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "worker/worker_process.h"

namespace rbc::worker {

// Sees no client's bytes, so it is not locked down: a driver opens what it likes.
[[noreturn]] void RunProbeRole(WorkerProcess& process);

}  // namespace rbc::worker
