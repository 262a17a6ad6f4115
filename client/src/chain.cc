// Chains on their way to the farm.
// SPDX-License-Identifier: Apache-2.0
#include "client/src/chain.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "client/src/farm.h"
#include "client/src/interrupt.h"
#include "thrift/error_wire.h"

namespace rbc::client {
namespace {

void SetFunction(wire::ChainStep& step, int64_t id) {
  if (step.__isset.call) step.call.function_id = id;
  if (step.__isset.launch) step.launch.function_id = id;
  if (step.__isset.map_arrays) step.map_arrays.function_id = id;
  if (step.__isset.reduce_array) step.reduce_array.function_id = id;
  if (step.__isset.scan_array) step.scan_array.function_id = id;
}

// Arrays of earlier steps are made anew where the chain is.
bool NamesBuffers(const std::vector<wire::FrameBuffer>& buffers) {
  return std::any_of(buffers.begin(), buffers.end(), [](const auto& buffer) { return !buffer.__isset.step; });
}

bool WritesInto(const wire::ChainStep& step) {
  return step.map_arrays.__isset.into || step.reduce_array.__isset.into || step.scan_array.__isset.into ||
         NamesBuffers(step.call.buffers) || NamesBuffers(step.launch.buffers);
}

bool Keeps(const wire::ChainStep& step) {
  return step.map_arrays.__isset.keep || step.reduce_array.__isset.keep || step.scan_array.__isset.keep ||
         step.call.__isset.keep;
}

bool IsForgotten(const wire::ChainOutcome& outcome) {
  return outcome.__isset.error && outcome.error.kind == wire::ErrorKind::UnknownModule;
}

}  // namespace

Expected<bool> Farm::FillChain(const std::vector<ChainPart>& parts, Lease& lease, const Deadline& deadline,
                               wire::ChainRequest* request) {
  bool repeatable = true;
  std::map<Module*, Loaded> loaded;
  for (const ChainPart& part : parts) {
    if (part.epoch != 0 && part.epoch != lease->epoch) return SessionGone();
    Loaded& module = loaded[part.module];
    if (module.epoch != lease->epoch) {
      const std::lock_guard lock(mutex_);
      module = part.module->loaded_;
    }
    if (module.epoch != lease->epoch) {
      RBC_ASSIGN_OR_RETURN(module, LoadOver(*part.module, lease, deadline));
    }
    wire::ChainStep& step = request->steps.emplace_back(part.step);
    SetFunction(step, module.reply->functions[part.declared].function_id);
    repeatable &= module.repeatable && !WritesInto(step);
  }
  return repeatable;
}

Farm::Failed Farm::AfterChain(Error error, const Lease& lease, uint64_t epoch, bool repeatable) {
  NoteEnd(error);
  const bool reached = lease->sent();
  const bool refused = error.kind == ErrorKind::kUnknownSession;
  if (refused) ForgetSession(epoch);
  const bool lost = error.kind == ErrorKind::kConnectionLost && lease->broken();
  const bool again = refused || (lost && (!reached || repeatable));
  if (reached && !refused && lease->broken()) {
    error.may_have_run = true;
    error.retry_safe = false;
  }
  return {std::move(error), again};
}

Expected<ChainReply> Farm::RunChain(const std::vector<ChainPart>& parts, const Deadline& deadline,
                                    bool explicit_deadline, std::atomic<int64_t>* request_id) {
  const bool keeps = std::any_of(parts.begin(), parts.end(), [](const ChainPart& part) { return Keeps(part.step); });
  for (int attempt = 0;; ++attempt) {
    const bool last = attempt + 1 >= kMostAttempts;
    RBC_ASSIGN_OR_RETURN(Lease lease, Acquire(deadline));
    ChainReply out;
    out.epoch = lease->epoch;
    if (keeps) {
      auto arena = ArenaOf(lease, deadline);
      if (!arena && MayRepeat(arena.error(), lease, attempt)) continue;
      if (!arena) return std::move(arena).error();
      out.arena = *std::move(arena);
    }
    wire::ChainRequest request;
    request.request_id = NextRequestId();
    const auto repeatable = FillChain(parts, lease, deadline, &request);
    if (!repeatable && MayRepeat(repeatable.error(), lease, attempt)) continue;
    if (!repeatable) return repeatable.error();
    if (explicit_deadline) request.__set_deadline_ms(TellFarm(deadline));
    if (request_id != nullptr) request_id->store(request.request_id, std::memory_order_release);
    ThisWaiting().request_id = request.request_id;
    auto outcomes = lease->Ask(deadline, [&](wire::FarmClient& client) {
      std::vector<wire::ChainOutcome> reply;
      client.chain(reply, request);
      return reply;
    });
    if (!outcomes) {
      Failed failed = AfterChain(std::move(outcomes).error(), lease, out.epoch, *repeatable);
      if (failed.again && !last) continue;
      return std::move(failed.error);
    }
    for (const wire::ChainOutcome& outcome : *outcomes)
      if (outcome.__isset.error) NoteEnd(FromWire(outcome.error));
    if (outcomes->size() != parts.size())
      return Error(ErrorKind::kProtocolMismatch,
                   fmt::format("the farm at {} answers {} of {} steps of a chain; update the older of the two sides",
                               endpoint_.address.text, outcomes->size(), parts.size()));
    for (size_t i = 0; i < parts.size(); ++i)
      if (IsForgotten((*outcomes)[i])) Forget(*parts[i].module, out.epoch);
    // Refused before anything ran: the farm forgot the modules.
    if (!last && !outcomes->empty() && std::all_of(outcomes->begin(), outcomes->end(), IsForgotten)) continue;
    out.outcomes = *std::move(outcomes);
    return out;
  }
}

}  // namespace rbc::client
