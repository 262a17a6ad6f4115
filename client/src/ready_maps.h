// Maps over arrays that stay, kept as the calls that repeat them: docs/protocol.md, "Maps again".
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "client/src/ready_call.h"
#include "gen/rbc_types.h"
#include "rbc/array.h"

namespace rbc::detail {
struct CallerState;
struct Prepared;
}  // namespace rbc::detail

namespace rbc::client {

// One map, and what its result is called.
struct ReadyMap {
  // What it was asked with; `values` are those of the inputs that are one value of this process.
  std::vector<ArrayArgument> inputs;
  ArrayArgument out;
  Accuracy accuracy = Accuracy::kFast;
  std::vector<std::string> values;

  std::shared_ptr<const detail::Prepared> prepared;
  size_t declared = 0;
  uint64_t epoch = 0;  // of the session that `call` is of
  uint64_t ends = 0;   // Farm::Ends() before it was asked for
  wire::ReadyCall call;
  std::vector<int64_t> buffers;
  std::string dtype, signature;
  std::vector<int64_t> shape;
};

using ReadyMaps = ReadyCalls<ReadyMap>;

// Whether such a map may be repeated by a call: its arrays are the session's, or one value.
bool MayBeRepeated(std::span<const ArrayArgument> inputs, const ArrayMapOptions& options);

// A map that was asked for so, with the answer's `ready`; `value_bytes` of each input that is one value.
ReadyMap ReadyMapOf(std::span<const ArrayArgument> inputs, const ArrayMapOptions& options,
                    std::span<const uint64_t> value_bytes);

// Repeats the map by a call, if it is one of those. Nothing: it has not run; ask the farm with all of it.
std::optional<Result<ArrayResult>> RepeatMap(detail::CallerState& state, std::span<const ArrayArgument> inputs,
                                             const ArrayMapOptions& options, int64_t timeout_ms);
void KeepReadyMap(detail::CallerState& state, ReadyMap map);

}  // namespace rbc::client
