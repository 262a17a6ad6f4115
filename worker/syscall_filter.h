// The system calls that are left to a worker, as seccomp programs.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/filter.h>

#include <vector>

namespace rbc::worker {

// Anything that is not listed raises SIGSYS, which the fault record names; so does any call of another architecture
// (int 0x80, x32). Sanitizer builds get a list of what is forbidden instead.
std::vector<sock_filter> CompileFilter();
std::vector<sock_filter> ExecuteFilter();
// Of an execution worker with a GPU's context: the driver's calls beside those of the above.
std::vector<sock_filter> GpuFilter();
// The same for worker/driver_calls.h: what it refuses is told and done by the handler of SIGSYS.
std::vector<sock_filter> WatchedGpuFilter(const void* trusted);

}  // namespace rbc::worker
