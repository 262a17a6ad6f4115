// Maps and launches as calls: the worker knows no other message.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/expected.h"
#include "gen/rbc_types.h"
#include "server/call_buffers.h"
#include "targets/target.h"

namespace rbc::server {

struct PackedMap {
  wire::CallRequest call;  // all but the function's id
  std::string result_type;
  uint32_t result_size = 0;
};

// The request as a call of the function's map entry (worker/launch_frame.h). kInvalidArgument: columns that do not fit
// the signature or hold less than the rows; kUnsupported: a signature whose rows hold pointers.
Expected<PackedMap> PackMap(const FunctionDeclaration& function, const wire::MapRequest& request, uint64_t max_bytes);

// kInvalidArgument: no grid, no block, negative sizes.
Expected<wire::CallRequest> PackLaunch(const wire::LaunchRequest& request, const CallBuffers& buffers = {});

}  // namespace rbc::server
