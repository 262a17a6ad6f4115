// The way of a call: recognised in its raw bytes, relayed to the session's worker; and the lending of connections.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <optional>

#include "server/farm.h"
#include "server/session/call_places.h"
#include "server/session/lose_written.h"
#include "server/wire_reply.h"
#include "worker/call_message.h"

namespace rbc::server {
namespace {

constexpr size_t kFrameHead = 4;
// A lend that ends sooner was not worth it: the next takes four times as many calls, at most kMostCalls.
constexpr std::chrono::milliseconds kWorthwhileLend{50};
constexpr uint32_t kLendBackOff = 4;
constexpr uint32_t kMostCalls = 8192;

constexpr int kMostTries = 2;

// The call with the part of its deadline that is left.
worker::CallView Remaining(worker::CallView call, std::chrono::steady_clock::time_point begin, uint64_t default_ms) {
  const auto spent = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin);
  const auto asked = call.deadline_ms == 0 ? default_ms : uint64_t{call.deadline_ms};
  const auto used = static_cast<uint64_t>(spent.count());
  if (used != 0) call.deadline_ms = static_cast<uint32_t>(asked > used ? asked - used : 1);
  return call;
}

Error UnknownFunction(uint64_t id) {
  Error error(ErrorKind::kUnknownModule,
              fmt::format("this session has no function {:#x}; compile its module again", id));
  error.role = "daemon";
  error.retry_safe = true;
  return error;
}

}  // namespace

bool Farm::Serve(Connection& connection, std::string_view framed, bool may_block, std::string* reply) {
  worker::CallView call;
  switch (worker::ParseCall(framed.substr(kFrameHead), &call)) {
    case worker::CallParse::kMalformed:
      return false;
    case worker::CallParse::kCall:
      if (call.keep) break;
      ServeCall(connection, framed, call, may_block, reply);
      return true;
    case worker::CallParse::kOther:
      break;
  }
  CountStreak(connection, nullptr);
  if (may_block && ServeBatch(connection, framed, reply)) return true;
  return Dispatch(*this, connection, framed, may_block, reply);
}

void Farm::ServeCall(Connection& connection, std::string_view framed, const worker::CallView& call, bool may_block,
                     std::string* reply) {
  std::shared_ptr<ExecutionWorker> worker;
  auto session = SessionOf(connection);
  Status status = session ? Status() : Status(session.error());
  if (status) {
    auto& outcomes = (*session)->outcomes();
    outcomes.Begin(call.request_id);
    status = RunCall(**session, framed, call, may_block, reply, &worker);
    if (!status) *reply = worker::ErrorReply(call.seqid, status.error());
    outcomes.Finish(call.request_id, *reply);
  } else {
    *reply = worker::ErrorReply(call.seqid, status.error());
  }
  CountStreak(connection, status ? std::move(worker) : nullptr);
}

Status Farm::RunCall(Session& session, std::string_view framed, const worker::CallView& call, bool may_block,
                     std::string* reply, std::shared_ptr<ExecutionWorker>* worker, bool in_arena,
                     const ExecutionWorker* only) {
  if (!may_block) return NoThread(config_.max_threads);
  uint32_t index = 0;
  const auto module = session.FindFunction(call.function_id, &index);
  if (module == nullptr) return UnknownFunction(call.function_id);
  const auto& name = module->info->functions[index].declaration.symbol;
  // A client's own repetition. Its places are those of buffers that may have been lost with the worker that it was made
  // for, or have gone to the arena while another session had the device.
  const auto places = in_arena || only != nullptr ? CallPlaces() : PlacesOf(call, *module, index);
  if (places.in_arena && !module->IsLoaded()) return UnknownFunction(call.function_id);
  std::optional<DeviceStore::Use> use;
  if (places.on_device) {
    RBC_ASSIGN_OR_RETURN(use, session.BeginOnDevice(module->info->target));
    only = use->worker.get();
  }
  const auto begin = std::chrono::steady_clock::now();
  Status status;
  // A worker that ended before the call began in it costs one more try, in what is left of the call's time.
  for (int tries = places.in_arena || places.on_device ? kMostTries - 1 : 0; tries < kMostTries; ++tries) {
    const auto loaded = session.Loaded(*module);
    status = loaded ? Status() : Status(loaded.error());
    if (status && only != nullptr && loaded->get() != only)
      status = Error(ErrorKind::kBufferLost, "the worker ended that had the buffers on its device; make them anew");
    if (status && in_arena) status = session.EnsureArena(**loaded);
    if (status) status = (*loaded)->Call(framed, Remaining(call, begin, config_.call_deadline_ms), reply);
    if (status) {
      *worker = *loaded;
      if (call.profile) *reply = WithQueueTime(std::move(*reply), std::chrono::steady_clock::now() - begin, config_);
      return {};
    }
    if (status.error().kind != ErrorKind::kWorkerLost || status.error().may_have_run) break;
  }
  if (MayHaveWritten(status.error())) LoseWritten(call, *module, index, status.error(), session.data());
  if (status.error().function.empty()) status.error().function = name;
  spdlog::info("session {}: call of {}: {}: {}", session.id(), name, Name(status.error().kind), status.error().message);
  return status;
}

void Farm::CountStreak(Connection& connection, std::shared_ptr<ExecutionWorker> worker) {
  if (worker == nullptr || !config_.lend || connection.ring_worker != nullptr) {
    connection.streak = 0;
    connection.streak_worker = nullptr;
    connection.lend_to = nullptr;
    return;
  }
  if (connection.streak_worker != worker.get()) {
    connection.streak_worker = worker.get();
    connection.streak = 0;
    connection.lend_to = nullptr;
  }
  const uint32_t after = std::max(connection.lend_after, static_cast<uint32_t>(config_.lend_after));
  if (++connection.streak >= after && connection.lend_to == nullptr) connection.lend_to = std::move(worker);
}

void Farm::Replied(Connection& connection, bool whole) {
  if (whole) connection.untold.clear();
  // What is not taken at once is a client that does not read: not one for a lane.
  if (!whole) CountStreak(connection, nullptr);
}

bool Farm::TryLend(Connection& connection) {
  const auto worker = std::move(connection.lend_to);
  connection.lend_to = nullptr;
  connection.streak = 0;
  // From here on calls run that this process does not see.
  connection.session->outcomes().LentEnded();
  connection.lent_at = std::chrono::steady_clock::now();
  if (worker->Lend(connection.fd.get(), connection.id)) return true;
  // No lane is free: do not ask at every call.
  connection.lend_after = std::min(std::max<uint32_t>(connection.lend_after, 16) * kLendBackOff, kMostCalls);
  return false;
}

bool Farm::TakeBack(Connection& connection, const LentReturn& returned, std::string* reply) {
  connection.streak = 0;
  connection.streak_worker = nullptr;
  if (std::chrono::steady_clock::now() - connection.lent_at < kWorthwhileLend) {
    const auto least = std::max(connection.lend_after, static_cast<uint32_t>(config_.lend_after));
    connection.lend_after = std::min(least * kLendBackOff, kMostCalls);
  } else {
    connection.lend_after = 0;
  }
  if (returned.error) {
    auto error = *returned.error;
    const auto answer = worker::ErrorReply(returned.seqid, error);
    auto& outcomes = connection.session->outcomes();
    outcomes.Begin(returned.request_id);
    outcomes.Finish(returned.request_id, answer);
    spdlog::info("session {}: lent call of {}: {}: {}", connection.session->id(), error.function, Name(error.kind),
                 error.message);
    if (!returned.close) *reply = answer;
  }
  if (returned.close) connection.in_doubt = true;
  return !returned.close;
}

}  // namespace rbc::server
