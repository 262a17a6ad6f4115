// Requests of the daemon's own to a worker.
// SPDX-License-Identifier: Apache-2.0
#include "server/session/ask_worker.h"

#include "server/wire_reply.h"
#include "thrift/error_wire.h"
#include "worker/call_message.h"

namespace rbc::server {

Status AskWorker(ExecutionWorker& worker, uint64_t function_id, std::string_view frame, const FarmConfig& config) {
  wire::CallRequest request;
  request.function_id = static_cast<int64_t>(function_id);
  request.frame = frame;
  const std::string framed = FrameCall(request);
  worker::CallView view;
  worker::ParseCall(std::string_view(framed).substr(4), &view);
  std::string reply;
  RBC_RETURN_IF_ERROR(worker.Call(framed, view, &reply));
  RBC_ASSIGN_OR_RETURN(const auto outcome, ParseCallReply(reply, config));
  if (outcome.__isset.error) return FromWire(outcome.error);
  return {};
}

}  // namespace rbc::server
