// A worker from its fork to its role: descriptors in place, memory mapped, faults recorded.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "base/expected.h"
#include "base/unique_fd.h"
#include "targets/target.h"
#include "worker/protocol.h"
#include "worker/sandbox.h"

namespace rbc::worker {

// What a worker inherits from the nursery.
struct NurseryState {
  const RuntimeSymbols* symbols = nullptr;
  SandboxPlan sandbox;
};

// Mapped for the life of the process.
struct WorkerProcess {
  SpawnBody spawn{};
  const NurseryState* nursery = nullptr;
  RingHeader* ring = nullptr;
  std::span<uint8_t> arena;
};

// Runs in the child of a fork and never returns: takes the descriptors to their places, then the role.
[[noreturn]] void RunWorker(const SpawnBody& spawn, const NurseryState& nursery, UniqueFd control, UniqueFd ring,
                            UniqueFd arena);

}  // namespace rbc::worker
