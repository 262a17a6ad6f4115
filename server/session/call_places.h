// Which calls name places: of buffers that may be lost, or moved, with the worker that they were made for.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "server/session/session_module.h"
#include "worker/call_message.h"
#include "worker/launch_frame.h"

namespace rbc::server {

struct CallPlaces {
  bool in_arena = false, on_device = false;
};

// Of a launch, map, reduction or scan, whose frame may be a client's own; of other calls none.
CallPlaces PlacesOf(const worker::CallView& call, const SessionModule& module, uint32_t index);

// What a launch has behind its head (worker/launch_frame.h).
struct LaunchParts {
  std::vector<worker::LaunchPointer> pointers;
  std::string_view frame;
};
LaunchParts PartsOfLaunch(std::string_view text);

// Of the operands of a map, reduction or scan, in the order of worker/launch_frame.h.
struct OperandPlaces {
  std::vector<uint64_t> operands;
  bool masked = false;
};
OperandPlaces OperandPlacesOf(std::string_view frame);

}  // namespace rbc::server
