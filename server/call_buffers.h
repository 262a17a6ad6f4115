// Buffers that a call or launch names: where in the farm they lie, for its frame.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/expected.h"
#include "gen/rbc_types.h"
#include "server/data/session_data.h"
#include "server/device_places.h"
#include "targets/target.h"
#include "types/array.h"
#include "worker/launch_frame.h"

namespace rbc::server {

struct CallBuffers {
  std::vector<std::pair<uint32_t, uint64_t>>
      arrays;  // position in the frame, and what stands there (FrameArray::where)
  std::vector<std::pair<uint32_t, types::FrameArray>> made;  // likewise of steps of a chain, with shape and strides
  std::vector<worker::LaunchPointer> pointers;               // of a kernel
  std::vector<std::shared_ptr<const void>> kept;             // as long as it runs
  bool in_arena = false;                                     // the worker needs the session's arena

  // `frame` begins at `head` of the text.
  void StoreArrays(std::string* text, size_t head) const;
};

// kInvalidArgument: a position that is no pointer's or array's, elements outside of their buffer, a buffer on another
// device, the array of a step that does not fit; kUnsupported: a pointer of a function that is no kernel; kBufferLost.
// `made`: what those of a step are, in their order.
Expected<CallBuffers> FindCallBuffers(const FunctionDeclaration& function, std::string_view frame,
                                      const std::vector<wire::FrameBuffer>& buffers,
                                      std::span<const wire::ArrayRef> made, const SessionData& data,
                                      DevicePlaces* places);

}  // namespace rbc::server
