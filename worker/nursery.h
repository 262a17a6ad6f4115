// The nursery: a warm single-threaded process that forks workers for the daemon.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace rbc::worker {

// Serves kNurseryControlFd until it closes; returns the exit status. `build_id` is the daemon's.
int RunNursery(const std::string& build_id);

}  // namespace rbc::worker
