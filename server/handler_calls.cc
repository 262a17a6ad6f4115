// Calls and launches, and what became of them.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "server/call_buffers.h"
#include "server/device_places.h"
#include "server/handler.h"
#include "server/pack_request.h"
#include "server/wire_reply.h"
#include "worker/call_message.h"
#include "worker/protocol.h"

namespace rbc::server {

wire::CallOutcome Handler::RunOne(Session& session, const wire::CallRequest& request, bool over_arrays, bool in_arena,
                                  const ExecutionWorker* only, std::shared_ptr<ExecutionWorker>* ran_in) {
  wire::CallOutcome outcome;
  const auto framed = FrameCall(request);
  worker::CallView view;
  if (worker::ParseCall(std::string_view(framed).substr(4), &view) != worker::CallParse::kCall) {
    outcome.__set_error(rbc::ToWire(Error(ErrorKind::kInvalidArgument, "the call has negative sizes")));
    return outcome;
  }
  if (over_arrays) view.profile = false;  // the request's own reply tells what the daemon adds
  std::string reply;
  std::shared_ptr<ExecutionWorker> worker;
  const int64_t outcome_id = in_chain_ ? 0 : request.request_id;
  session.outcomes().Begin(outcome_id);
  const auto status = farm_->RunCall(session, framed, view, may_block_, &reply, &worker, in_arena, only);
  if (!status) reply = worker::ErrorReply(0, status.error());
  if (request.__isset.keep) {
    session.outcomes().FinishUnkept(outcome_id);  // the buffers go with a reply that is lost
  } else {
    session.outcomes().Finish(outcome_id, reply);
  }
  if (ran_in != nullptr) *ran_in = std::move(worker);
  auto parsed = ParseCallReply(reply, farm_->config());
  if (parsed) return *std::move(parsed);
  outcome.__set_error(rbc::ToWire(parsed.error()));
  return outcome;
}

template <typename Request, typename Pack>
wire::CallOutcome Handler::RunWithBuffers(Session& session, const Request& request, Pack&& pack,
                                          std::shared_ptr<ExecutionWorker>* ran_in) {
  if (!may_block_) Throw(NoThread(farm_->config().max_threads));
  uint32_t index = 0;
  const auto module = FunctionOf(session, request.function_id, &index);
  const auto& function = module->info->functions[index].declaration;
  DevicePlaces places(module->info->target, function.symbol);
  const auto buffers =
      OrThrow(FindCallBuffers(function, request.frame, request.buffers, made_, session.data(), &places));
  const auto use = OrThrow(places.Begin(session));
  return RunOne(session, pack(buffers), false, buffers.in_arena || ran_in != nullptr, use ? use->worker.get() : nullptr,
                ran_in);
}

wire::CallOutcome Handler::RunCall(Session& session, const wire::CallRequest& request,
                                   std::shared_ptr<ExecutionWorker>* ran_in) {
  if (request.buffers.empty()) return RunOne(session, request, false, ran_in != nullptr, nullptr, ran_in);
  const auto pack = [&](const CallBuffers& buffers) {
    wire::CallRequest call = request;
    call.buffers.clear();
    call.__isset.buffers = false;
    buffers.StoreArrays(&call.frame, 0);
    return call;
  };
  return RunWithBuffers(session, request, pack, ran_in);
}

void Handler::call(wire::CallReply& reply, const wire::CallRequest& request) {
  const auto mine = session();
  auto outcome = request.__isset.keep ? RunKept(*mine, request) : RunCall(*mine, request);
  if (outcome.__isset.error) throw outcome.error;
  reply = std::move(outcome.reply);
}

wire::CallOutcome Handler::RunRow(Session& session, const wire::CallRequest& request) try {
  return request.__isset.keep ? RunKept(session, request) : RunCall(session, request);
} catch (const wire::FarmError& error) {
  wire::CallOutcome outcome;
  outcome.__set_error(error);
  return outcome;
}

void Handler::call_batch(std::vector<wire::CallOutcome>& reply, const std::vector<wire::CallRequest>& requests) {
  const auto mine = session();
  reply.reserve(requests.size());
  uint64_t bytes = 0;
  for (const auto& request : requests) {
    if (bytes > farm_->config().max_message) {
      wire::CallOutcome full;
      full.__set_error(
          rbc::ToWire(Error(ErrorKind::kResourceExhausted,
                            fmt::format("the replies of the batch have more than {} bytes; send fewer calls",
                                        farm_->config().max_message))));
      reply.push_back(std::move(full));
      continue;
    }
    reply.push_back(RunRow(*mine, request));
    const auto& last = reply.back().reply;
    bytes += last.result.size() + last.data.size() + last.output.size();
  }
}

std::shared_ptr<SessionModule> Handler::FunctionOf(Session& session, int64_t function_id, uint32_t* index) const {
  auto module = session.FindFunction(static_cast<uint64_t>(function_id), index);
  if (module != nullptr) return module;
  Error error(ErrorKind::kUnknownModule,
              fmt::format("this session has no function {:#x}; compile its module again", function_id));
  error.retry_safe = true;
  Throw(error);
}

void Handler::launch(wire::CallReply& reply, const wire::LaunchRequest& request) {
  const auto mine = session();
  uint32_t index = 0;
  const auto module = FunctionOf(*mine, request.function_id, &index);
  const auto& declaration = module->info->functions[index].declaration;
  if (declaration.abi != Abi::kKernel)
    Throw(ErrorKind::kInvalidArgument,
          fmt::format("'{}' is no kernel; declare it with abi kernel, or call it", declaration.symbol));
  wire::ReadyCall ready;
  ready.function_id = request.function_id;
  const auto pack = [&](const CallBuffers& buffers) {
    auto call = OrThrow(PackLaunch(request, buffers));
    if (request.ready) ready.frame = call.frame;
    return call;
  };
  auto outcome = request.buffers.empty() ? RunOne(*mine, pack({})) : RunWithBuffers(*mine, request, pack);
  if (outcome.__isset.error) throw outcome.error;
  reply = std::move(outcome.reply);
  if (request.ready && ready.frame.size() <= worker::kLaneRequestBytes) reply.__set_ready(ready);
}

bool Handler::cancel(const int64_t request_id) { return session()->Cancel(request_id); }

void Handler::outcome(wire::CallOutcome& reply, const int64_t request_id) {
  const auto found = session()->outcomes().Find(request_id);
  switch (found.state) {
    case Outcome::kNever:
      Throw(ErrorKind::kUnknownName, fmt::format("no call {} of this session has started", request_id));
    case Outcome::kRunning: {
      Error error(ErrorKind::kBusy, fmt::format("call {} is still running; ask again later", request_id));
      error.retry_after_ms = 20;
      Throw(error);
    }
    case Outcome::kUnclear: {
      Error error(ErrorKind::kWorkerLost, fmt::format("the reply of call {} is lost; it may have run", request_id));
      error.may_have_run = true;
      reply.__set_error(rbc::ToWire(error));
      return;
    }
    case Outcome::kReplied:
      reply = OrThrow(ParseCallReply(found.reply, farm_->config()));
  }
}

}  // namespace rbc::server
