// Launches over arrays that stay, kept as the calls that repeat them: docs/protocol.md, "Kernels".
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/expected.h"
#include "client/src/deadline.h"
#include "client/src/ready_call.h"
#include "gen/rbc_types.h"
#include "rbc/map.h"
#include "types/pack.h"

namespace rbc::detail {
struct CallerState;
struct Prepared;
}  // namespace rbc::detail

namespace rbc::client {

// A kernel with certain buffers as its arguments; grid and values may be others each time.
struct ReadyLaunch {
  std::shared_ptr<const detail::Prepared> prepared;
  size_t declared = 0;
  // Which buffers, and of arrays shape and strides, as they lie in the frame.
  std::vector<types::PackedCall::InBuffer> buffers;
  std::string forms;

  uint64_t epoch = 0;  // of the session that `function_id` is of
  uint64_t ends = 0;   // Farm::Ends() before it was asked for
  int64_t function_id = 0;
  std::string head;                                   // what stands before the frame: grid, block, pointers
  std::vector<std::pair<uint32_t, uint64_t>> arrays;  // where in the frame, and the place that stands there
  std::vector<int64_t> ids;                           // of the buffers
};
using ReadyLaunches = ReadyCalls<ReadyLaunch>;

// One launch, packed.
struct PackedLaunch {
  std::shared_ptr<const detail::Prepared> prepared;
  size_t index = 0;  // of the overload
  const Grid& grid;
  const types::PackedCall& call;
};

// Repeats a launch by a call where the farm has told how. Gives what was printed. Nothing: it has not run; ask the farm
// with all of it.
std::optional<Expected<std::string>> RepeatLaunch(detail::CallerState& state, const PackedLaunch& launch,
                                                  const Deadline& deadline, bool explicit_deadline);
// Keeps what the farm has told with its answer to that launch.
void KeepReadyLaunch(detail::CallerState& state, const PackedLaunch& launch, uint64_t epoch, uint64_t ends,
                     const wire::ReadyCall& call);

}  // namespace rbc::client
