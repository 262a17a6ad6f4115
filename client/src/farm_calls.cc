// Calls: by which connection they go, and what is done again where one is lost.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "client/src/farm.h"
#include "client/src/interrupt.h"
#include "thrift/error_wire.h"

namespace rbc::client {
namespace {

constexpr int64_t kMostMs = int64_t{1} << 30;

Error MayHaveRun(Error error) {
  error.may_have_run = true;
  error.retry_safe = false;
  return error;
}

}  // namespace

Expected<Farm::Answered> Farm::Call(Module& module, size_t index, CallMessage call, const Deadline& deadline,
                                    bool explicit_deadline, std::atomic<int64_t>* request_id) {
  for (int attempt = 0;; ++attempt) {
    Loaded loaded;
    // It began with the call, or arrays were staged over these connections since: the clock need not be asked again.
    const auto now = attempt == 0 ? deadline.start() : Clock::now();
    RBC_ASSIGN_OR_RETURN(Lease lease, Acquire(deadline, &module, &loaded, now));
    if (call.epoch != 0 && lease->epoch != call.epoch) return SessionGone();
    RBC_ASSIGN_OR_RETURN(const bool there, LoadIfMissing(module, lease, attempt, deadline, &loaded));
    if (!there) continue;
    call.function_id = call.repeats != 0 ? call.repeats : loaded.reply->functions[index].function_id;
    if (explicit_deadline) call.deadline_ms = TellFarm(deadline);
    Number(&call, request_id);
    auto answer = lease->Call(call, deadline);
    const Attempt made{loaded.epoch, loaded.repeatable && call.repeats == 0, attempt + 1 >= kMostAttempts};
    auto settled = Settle(module, call, made, std::move(lease), std::move(answer), deadline);
    if (settled) return *std::move(settled);
  }
}

void Farm::Number(CallMessage* call, std::atomic<int64_t>* request_id) {
  call->request_id = NextRequestId();
  if (request_id != nullptr) request_id->store(call->request_id, std::memory_order_release);
  ThisWaiting().request_id = call->request_id;
}

std::optional<Expected<Farm::Answered>> Farm::Settle(Module& module, const CallMessage& call, const Attempt& made,
                                                     Lease lease, Expected<CallAnswer> answer,
                                                     const Deadline& deadline) {
  if (answer && !answer->error) return Answered{std::move(lease), *std::move(answer), nullptr};
  if (answer) {
    Error error = std::move(*answer->error);
    NoteEnd(error);
    if (call.repeats != 0) return error;
    // Refused before anything ran: the farm forgot the module or the session.
    if (error.kind == ErrorKind::kUnknownModule) Forget(module, made.epoch);
    if (error.kind == ErrorKind::kUnknownSession) ForgetSession(made.epoch);
    if (made.last) return error;
    if (error.kind == ErrorKind::kWorkerLost && (made.repeatable || !error.may_have_run)) return std::nullopt;
    if (error.kind == ErrorKind::kUnknownModule || error.kind == ErrorKind::kUnknownSession) return std::nullopt;
    return error;
  }
  Error error = std::move(answer).error();
  NoteEnd(error);
  if (!lease->broken()) return error;
  const bool reached = lease->sent();
  lease.Return();
  if (!reached && error.kind == ErrorKind::kConnectionLost && !made.last) return std::nullopt;
  if (!reached) return error;
  if (error.kind != ErrorKind::kConnectionLost) return MayHaveRun(std::move(error));
  auto reply =
      Outcome(call.request_id, made.epoch, made.repeatable && !made.last, made.last, std::move(error), deadline);
  if (!reply) return std::move(reply).error();
  if (*reply == nullptr) return std::nullopt;
  CallAnswer kept{.result = (*reply)->result,
                  .status = (*reply)->status,
                  .data = (*reply)->data,
                  .output = (*reply)->output,
                  .times = {},
                  .error = nullptr};
  return Answered{Lease(), std::move(kept), *std::move(reply)};
}

Farm::Line Farm::TakeLine(const Module& module, size_t index) {
  Line line;
  const Loaded& loaded = module.loaded_;
  if (loaded.epoch == 0 || state_->idle.empty()) return line;
  Connection& next = *state_->idle.back();
  line.function_id = loaded.reply->functions[index].function_id;
  if (next.epoch != loaded.epoch || loaded.epoch != state_->epoch || !IsSurelyAlive(next, RecentTime()) ||
      !next.HasRingFor(line.function_id))
    return line;
  line.made = {loaded.epoch, loaded.repeatable, false};
  line.lease = Lease(this, std::move(state_->idle.back()));
  state_->idle.pop_back();
  return line;
}

std::optional<int32_t> Farm::CallShort(Module& module, Line line, const ShortCall& asked,
                                       std::optional<Expected<Answered>>* other) {
  CallMessage call;
  call.frame = asked.frame;
  call.function_id = line.function_id;
  if (asked.explicit_deadline) call.deadline_ms = TellFarm(static_cast<int>(std::min(asked.timeout_ms, kMostMs)));
  Number(&call, asked.request_id);
  line.lease->PostShort(call);
  const Deadline deadline = Deadline::AfterMs(asked.timeout_ms);  // while the worker is at it
  line.lease->last_used = deadline.start();
  std::optional<Expected<CallAnswer>> answer;
  const auto status = line.lease->TakeShort(call, asked.result, deadline, &answer);
  if (status || !answer) return status;
  *other = Settle(module, call, line.made, std::move(line.lease), *std::move(answer), deadline);
  return std::nullopt;
}

Expected<Farm::AnsweredBatch> Farm::CallBatch(Module& module, size_t index, std::vector<CallMessage> calls,
                                              const Deadline& deadline) {
  for (int attempt = 0;; ++attempt) {
    const bool last = attempt + 1 >= kMostAttempts;
    Loaded loaded;
    RBC_ASSIGN_OR_RETURN(Lease lease, Acquire(deadline, &module, &loaded));
    RBC_ASSIGN_OR_RETURN(const bool there, LoadIfMissing(module, lease, attempt, deadline, &loaded));
    if (!there) continue;
    const int64_t function_id = loaded.reply->functions[index].function_id;
    for (CallMessage& call : calls) {
      if (call.epoch != 0 && lease->epoch != call.epoch) return SessionGone();
      call.request_id = NextRequestId();
      call.function_id = function_id;
    }
    if (!calls.empty()) ThisWaiting().request_id = calls.front().request_id;
    auto answers = lease->CallBatch(calls, deadline);
    if (!answers) {
      Error error = std::move(answers).error();
      NoteEnd(error);
      const bool reached = lease->sent();
      if (error.kind == ErrorKind::kUnknownSession) ForgetSession(loaded.epoch);
      const bool refused = error.kind == ErrorKind::kUnknownSession;
      const bool lost = error.kind == ErrorKind::kConnectionLost && lease->broken();
      if (!last && (refused || (lost && (!reached || loaded.repeatable)))) continue;
      return reached && !refused && lease->broken() ? MayHaveRun(std::move(error)) : error;
    }
    if (answers->size() != calls.size())
      return Error(ErrorKind::kProtocolMismatch,
                   fmt::format("the farm at {} answers {} of {} calls of a batch; update the older of the two sides",
                               endpoint_.address.text, answers->size(), calls.size()));
    for (const CallAnswer& answer : *answers)
      if (answer.error) NoteEnd(*answer.error);
    // Refused before anything ran: the farm forgot the module.
    const auto unknown = [](const CallAnswer& answer) {
      return answer.error && answer.error->kind == ErrorKind::kUnknownModule;
    };
    const auto forgotten = std::count_if(answers->begin(), answers->end(), unknown);
    if (forgotten != 0) Forget(module, loaded.epoch);
    if (forgotten != 0 && static_cast<size_t>(forgotten) == calls.size() && !last) continue;
    return AnsweredBatch{std::move(lease), *std::move(answers)};
  }
}

Expected<std::unique_ptr<wire::CallReply>> Farm::Outcome(int64_t request_id, uint64_t epoch, bool repeatable, bool last,
                                                         Error lost, const Deadline& deadline) {
  auto lease = Acquire(deadline);
  if (!lease) {
    lost.message += fmt::format(" - and to ask what became of the call: {}", lease.error().message);
    return MayHaveRun(std::move(lost));
  }
  // The session that knew the call is gone, with its farm or without.
  if ((*lease)->epoch != epoch) {
    if (repeatable) return std::unique_ptr<wire::CallReply>();
    return MayHaveRun(std::move(lost));
  }
  auto outcome = (*lease)->Ask(deadline, [&](wire::FarmClient& client) {
    wire::CallOutcome what;
    client.outcome(what, request_id);
    return what;
  });
  if (!outcome && outcome.error().kind == ErrorKind::kUnknownName) {
    if (!last) return std::unique_ptr<wire::CallReply>();
    lost.retry_safe = true;  // it never started, but the connection breaks each time
    return lost;
  }
  if (!outcome && outcome.error().kind == ErrorKind::kUnknownSession) ForgetSession(epoch);
  if (!outcome) {
    if (repeatable) return std::unique_ptr<wire::CallReply>();
    return MayHaveRun(std::move(lost));
  }
  if (outcome->__isset.reply) return std::make_unique<wire::CallReply>(std::move(outcome->reply));
  if (!outcome->__isset.error) return MayHaveRun(std::move(lost));
  Error error = FromWire(outcome->error);
  if (error.may_have_run && repeatable) return std::unique_ptr<wire::CallReply>();
  return error;
}

}  // namespace rbc::client
