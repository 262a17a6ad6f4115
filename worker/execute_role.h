// An execution worker: the session's modules, and lanes that call them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "worker/worker_process.h"

namespace rbc::worker {

// Runs in a forked worker until its control socket closes. Returns only an error from before lock-down.
Error RunExecuteRole(WorkerProcess& process);

}  // namespace rbc::worker
