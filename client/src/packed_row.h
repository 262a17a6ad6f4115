// The arguments of one call, packed.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "client/src/call_codec.h"
#include "client/src/core.h"
#include "types/pack.h"

namespace rbc::detail {

// With the session whose arrays it names; 0: none's.
struct PackedRow {
  types::PackedCall call;
  uint64_t epoch = 0;
};
// kBufferLost, kUnsupported: an array that stays on the farm cannot be an argument on this target.
Expected<PackedRow> PackRow(const CallerState& caller, const Prepared& prepared, const types::FrameLayout& layout,
                            std::span<const types::Value> values);

// `buffers` has what the message names by id; it outlives the message.
client::CallMessage MessageOf(const types::PackedCall& packed, std::vector<client::CallBuffer>* buffers);

}  // namespace rbc::detail
