// A compile worker: one hostile module after the other.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "worker/worker_process.h"

namespace rbc::worker {

// Runs in a forked worker until its control socket closes. Returns only an error from before lock-down.
Error RunCompileRole(WorkerProcess& process);

}  // namespace rbc::worker
