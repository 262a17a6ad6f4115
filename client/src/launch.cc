// Launches of kernels.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "client/src/core.h"
#include "client/src/interrupt.h"
#include "client/src/ready_launches.h"
#include "client/src/residents.h"
#include "rbc/function.h"
#include "rbc/map.h"
#include "types/match.h"

namespace rbc {
namespace {

wire::LaunchRequest RequestOf(const Grid& grid, const types::PackedCall& packed) {
  wire::LaunchRequest request;
  request.grid = grid.blocks;
  request.block = grid.threads;
  request.shared_bytes = grid.shared_bytes;
  request.frame = packed.frame;
  if (packed.out_bytes != 0) request.__set_out_bytes(static_cast<int32_t>(packed.out_bytes));
  if (!packed.returned.empty()) request.__set_return_from(static_cast<int32_t>(packed.return_from));
  if (!packed.buffers.empty()) request.__set_buffers(detail::BuffersOf(packed));
  if (packed.frame.size() <= client::kMostReadyFrame) request.__set_ready(true);
  return request;
}

// What was printed.
Expected<std::string> Launch(detail::CallerState& state, const client::PackedLaunch& launch, int64_t timeout_ms) {
  client::Farm& farm = *state.core->farm;
  bool is_explicit = false;
  const client::Deadline deadline = state.core->DeadlineOf(timeout_ms, &is_explicit);
  if (auto repeated = client::RepeatLaunch(state, launch, deadline, is_explicit)) return *std::move(repeated);
  wire::LaunchRequest request = RequestOf(launch.grid, launch.call);
  const detail::Prepared& prepared = *launch.prepared;
  const size_t declared = *prepared.declared[launch.index];
  uint64_t epoch = 0;
  const uint64_t ends = farm.Ends();
  RBC_ASSIGN_OR_RETURN(
      const wire::CallReply reply,
      farm.AskLoaded(*prepared.module, deadline, [&](wire::FarmClient& client, const client::Loaded& loaded) {
        epoch = loaded.epoch;
        request.function_id = loaded.reply->functions[declared].function_id;
        request.request_id = farm.NextRequestId();
        client::ThisWaiting().request_id = request.request_id;
        if (is_explicit) request.__set_deadline_ms(client::TellFarm(deadline));
        wire::CallReply answer;
        client.launch(answer, request);
        return answer;
      }));
  if (reply.__isset.ready) client::KeepReadyLaunch(state, launch, epoch, ends, reply.ready);
  RBC_RETURN_IF_ERROR(detail::TakeMemory(launch.call, reply.data));
  return reply.output;
}

}  // namespace

Result<CallResult> Caller::try_launch(const Grid& grid, std::span<const Value> arguments) const {
  const auto launch = [&]() -> Result<CallResult> {
    RBC_ASSIGN_OR_RETURN(const auto prepared, state_->Current());
    std::vector<types::Value> values;
    values.reserve(arguments.size());
    for (const Value& argument : arguments) values.push_back(argument.inner());
    RBC_ASSIGN_OR_RETURN(const size_t index, types::BestMatch(prepared->types, std::span<const types::Value>(values)));
    const detail::Overload& overload = *prepared->overloads[index];
    if (!prepared->declared[index]) return prepared->declared[index].error();
    RBC_ASSIGN_OR_RETURN(const types::PackedCall packed,
                         detail::PackWithResidents({*state_, prepared->target, true}, overload.layout, values));
    CallResult out;
    RBC_ASSIGN_OR_RETURN(out.output, Launch(*state_, {prepared, index, grid, packed}, timeout_ms_));
    out.signature = overload.type.ToString();
    out.symbol = prepared->module->declarations()[*prepared->declared[index]].symbol;
    return out;
  };
  Result<CallResult> result = launch();
  if (!result) result.error() = detail::NameIt(std::move(result.error()), state_->name);
  state_->core->Print(result ? result->output : result.error().output);
  return result;
}

}  // namespace rbc
