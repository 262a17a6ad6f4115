// Replies that are made without the generated processor, and the `call` message between its types and bytes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/error.h"
#include "gen/rbc_types.h"
#include "server/config/config.h"

namespace rbc::server {

// A framed reply that throws `error`, to the request that `framed` begins with; it may be incomplete. "": it has no
// readable header.
std::string RefusalTo(std::string_view framed, const Error& error);

// `request` as a client would send it, framed.
std::string FrameCall(const wire::CallRequest& request);
// A framed reply of `call` as an outcome. kInternal where it is malformed: it came from a worker.
Expected<wire::CallOutcome> ParseCallReply(const std::string& framed, const FarmConfig& config);
// A framed reply of `call` that took `in_farm`, with what the worker's times leave of it as the time in the queue.
// Errors stay as they are.
std::string WithQueueTime(std::string framed, std::chrono::nanoseconds in_farm, const FarmConfig& config);

}  // namespace rbc::server
