// Requests of the daemon's own to a worker, which knows no message but `call`.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "base/expected.h"
#include "server/config/config.h"
#include "server/workers/execution_worker.h"

namespace rbc::server {

// A call of a function that every worker has (worker/device_frame.h, worker/kept_frame.h). Blocks; errors are those of
// ExecutionWorker::Call and what the worker says.
Status AskWorker(ExecutionWorker& worker, uint64_t function_id, std::string_view frame, const FarmConfig& config);

}  // namespace rbc::server
