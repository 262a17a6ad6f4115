// Batches of plain calls: one function, nothing but frames. They go to the worker as they came, many in one turn.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <vector>

#include "server/farm.h"
#include "worker/call_message.h"

namespace rbc::server {
namespace {

constexpr size_t kTurnBytes = 128 * 1024;  // of calls for one turn of a lane, where one call is not larger
constexpr int kMostTries = 2;              // of a call that never began

struct PlainBatch {
  worker::BatchView head;
  worker::CallView call;                // the first; the others have its function and its deadline
  std::vector<std::string_view> calls;  // CallRequests
  std::vector<int64_t> ids;
};

std::optional<PlainBatch> ParsePlain(std::string_view message) {
  PlainBatch out;
  if (worker::ParseBatch(message, &out.head) != worker::CallParse::kCall || out.head.calls.empty()) return std::nullopt;
  for (std::string_view rest = out.head.calls; !rest.empty();) {
    const std::string_view begin = rest;
    worker::CallView call;
    if (worker::TakeCall(&rest, &call) != worker::CallParse::kCall || call.keep || call.profile) return std::nullopt;
    if (out.calls.empty()) out.call = call;
    if (call.function_id != out.call.function_id || call.deadline_ms != out.call.deadline_ms) return std::nullopt;
    out.calls.push_back(begin.substr(0, begin.size() - rest.size()));
    out.ids.push_back(call.request_id);
  }
  if (out.calls.size() != out.head.count) return std::nullopt;
  return out;
}

// The framed reply at the begin of `replies`, taken off it; all of it where the length lies.
std::string_view TakeFramed(std::string_view* replies) {
  uint32_t length = 0;
  if (replies->size() >= sizeof length) std::memcpy(&length, replies->data(), sizeof length);
  const auto framed = replies->substr(0, size_t{4} + __builtin_bswap32(length));
  replies->remove_prefix(framed.size());
  return framed;
}

// Runs one batch. An error of one call does not stop the others, but a cancel does.
class BatchRun {
 public:
  BatchRun(Session& session, SessionModule& module, const std::string& name, const PlainBatch& batch, uint64_t most)
      : session_(session),
        module_(module),
        name_(name),
        batch_(batch),
        most_(most),
        place_(session.outcomes().BeginAll(batch.ids)) {}

  std::string Run() {
    while (next_ < batch_.calls.size()) {
      if (outcomes_.size() > most_) {
        FailRest(Error(ErrorKind::kResourceExhausted,
                       fmt::format("the replies of the batch have more than {} bytes; send fewer calls", most_)));
      } else {
        Turn();
      }
    }
    return worker::BatchReply(batch_.head.seqid, batch_.head.count, outcomes_);
  }

 private:
  // Requests lie one behind the other in the message.
  std::string_view NextCalls() const {
    const char* const begin = batch_.calls[next_].data();
    size_t size = batch_.calls[next_].size();
    for (size_t i = next_ + 1; i < batch_.calls.size() && size + batch_.calls[i].size() <= kTurnBytes; ++i)
      size += batch_.calls[i].size();
    return {begin, size};
  }

  void Turn() {
    const size_t first = next_;
    std::string replies;
    const auto worker = session_.Loaded(module_);
    Status status = worker ? Status() : Status(worker.error());
    if (status) {
      worker::CallView call = batch_.call;
      call.request_id = batch_.ids.front();
      status = (*worker)->CallBatch(NextCalls(), call, &replies);
    }
    for (std::string_view rest = replies; !rest.empty() && next_ < batch_.calls.size();) Add(TakeFramed(&rest));
    if (next_ != first) tries_ = 0;
    if (status && next_ == first) status = Error(ErrorKind::kWorkerLost, "the worker answers none of the calls");
    if (status || next_ == batch_.calls.size()) return;
    Error& error = status.error();
    if (error.kind == ErrorKind::kWorkerLost && !error.may_have_run && ++tries_ < kMostTries) return;
    Fail(error);
    error.may_have_run = false;
    if (error.kind == ErrorKind::kCancelled) FailRest(error);
  }

  void Add(std::string_view framed) {
    if (!worker::AppendOutcome(framed, &outcomes_)) {
      Fail(Error(ErrorKind::kInternal, "the execution worker's reply is malformed"));
      return;
    }
    Finish(framed);
  }

  void Fail(Error error) {
    if (error.function.empty()) error.function = name_;
    spdlog::info("session {}: call of {} in a batch: {}: {}", session_.id(), name_, Name(error.kind), error.message);
    const std::string framed = worker::ErrorReply(0, error);
    worker::AppendOutcome(framed, &outcomes_);
    tries_ = 0;
    Finish(framed);
  }

  void FailRest(const Error& error) {
    const std::string framed = worker::ErrorReply(0, error);
    while (next_ < batch_.calls.size()) {
      worker::AppendOutcome(framed, &outcomes_);
      Finish(framed);
    }
  }

  void Finish(std::string_view framed) {
    const size_t forgotten = batch_.ids.size() - std::min(batch_.ids.size(), OutcomeTable::kKept);
    if (next_ >= forgotten) session_.outcomes().FinishAt(place_ + next_ - forgotten, batch_.ids[next_], framed);
    ++next_;
  }

  Session& session_;
  SessionModule& module_;
  const std::string& name_;
  const PlainBatch& batch_;
  const uint64_t most_;
  const size_t place_;  // of the outcomes
  size_t next_ = 0;     // the first that has no outcome yet
  int tries_ = 0;       // of that one
  std::string outcomes_;
};

}  // namespace

bool Farm::ServeBatch(Connection& connection, std::string_view framed, std::string* reply) {
  const auto batch = ParsePlain(framed.substr(sizeof(uint32_t)));
  if (!batch) return false;
  const auto session = SessionOf(connection);
  if (!session) return false;
  uint32_t index = 0;
  const auto module = (*session)->FindFunction(batch->call.function_id, &index);
  if (module == nullptr || module->info->options.entry != EntryKind::kCall) return false;
  const auto& declaration = module->info->functions[index].declaration;
  if (declaration.abi == Abi::kKernel) return false;
  *reply = BatchRun(**session, *module, declaration.symbol, *batch, config_.max_message).Run();
  return true;
}

}  // namespace rbc::server
