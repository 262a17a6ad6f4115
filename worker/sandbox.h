// Lock-down: what the nursery does once, what each worker does before it touches a client's bytes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/expected.h"
#include "worker/protocol.h"

namespace rbc::worker {

// Made in the nursery, used in its workers.
struct SandboxPlan {
  uint32_t inherited = 0;       // SandboxBit: namespaces that the nursery has for all of them
  bool pid_namespaces = false;  // each worker may have one of its own
  std::string notes;            // what this machine does not offer, for a person
  std::vector<sock_filter> compile_filter;
  std::vector<sock_filter> execute_filter;
  std::vector<sock_filter> gpu_filter;
  std::vector<sock_filter> watched_gpu_filter;
};

// Leaves the user, network, IPC and mount namespaces of the daemon where the kernel allows it. Single-threaded.
SandboxPlan PlanSandbox();

struct Restrictions {
  uint32_t active = 0;  // SandboxBit
  uint32_t landlock_abi = 0;
};

// First half: limits, privileges, file system. Before threads are started, which inherit it.
Expected<Restrictions> RestrictProcess(const SandboxPlan& plan, const SpawnBody& spawn);

// Second half, for all threads of the process at once: only the role's system calls are left. What the result says is
// active was asked of the kernel. kUnavailable: spawn.strict, and something is not.
Expected<WorkerReadyBody> FilterSystemCalls(const SandboxPlan& plan, const SpawnBody& spawn,
                                            const Restrictions& restrictions);

}  // namespace rbc::worker
