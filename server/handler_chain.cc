// Requests that run in order and hand their arrays on.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <chrono>

#include "server/chain.h"
#include "server/handler.h"

namespace rbc::server {
namespace {

using Clock = std::chrono::steady_clock;

wire::ChainOutcome Failed(const Error& error) {
  wire::ChainOutcome outcome;
  outcome.__set_error(rbc::ToWire(error));
  if (!outcome.error.__isset.role) outcome.error.__set_role("daemon");
  return outcome;
}

uint64_t BytesOf(const wire::ChainOutcome& outcome) {
  return outcome.call.result.size() + outcome.call.data.size() + outcome.call.output.size() +
         outcome.array.result.data.size() + outcome.array.output.size();
}

// The time that a chain may take, where it has a limit.
class TimeLeft {
 public:
  explicit TimeLeft(const wire::ChainRequest& chain) : given_ms_(chain.__isset.deadline_ms ? chain.deadline_ms : 0) {}
  bool limited() const { return given_ms_ != 0; }
  int32_t given_ms() const { return given_ms_; }
  int32_t ms() const {
    const auto spent = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin_).count();
    return static_cast<int32_t>(std::max<int64_t>(given_ms_ - spent, 0));
  }

 private:
  const int32_t given_ms_;
  const Clock::time_point begin_ = Clock::now();
};

bool HasHungUp(int fd) {
  pollfd probe{.fd = fd, .events = POLLRDHUP, .revents = 0};
  return poll(&probe, 1, 0) == 1 && (probe.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

}  // namespace

void Handler::RunStep(const ReadyStep& ready, wire::ChainOutcome* outcome) try {
  const wire::ChainStep& step = ready.request;
  made_ = ready.made;
  if (step.__isset.call) {
    call(outcome->call, step.call);
  } else if (step.__isset.launch) {
    launch(outcome->call, step.launch);
  } else if (step.__isset.map_arrays) {
    map_arrays(outcome->array, step.map_arrays);
  } else if (step.__isset.reduce_array) {
    reduce_array(outcome->array, step.reduce_array);
  } else {
    scan_array(outcome->array, step.scan_array);
  }
  outcome->__isset.call = step.__isset.call || step.__isset.launch;
  outcome->__isset.array = !outcome->__isset.call;
} catch (const wire::FarmError& error) {
  *outcome = {};
  outcome->__set_error(error);
}

void Handler::chain(std::vector<wire::ChainOutcome>& reply, const wire::ChainRequest& request) {
  const auto mine = session();
  OrThrow(CheckChain(request));
  if (!may_block_) Throw(NoThread(farm_->config().max_threads));
  const Waiting waiting(*mine, request.request_id, connection_->id, true);
  mine->outcomes().Begin(request.request_id);
  in_chain_ = true;
  const TimeLeft time(request);
  ChainProgress progress(request);
  uint64_t bytes = 0;
  while (progress.done() < request.steps.size()) {
    const size_t index = progress.done();
    wire::ChainOutcome outcome;
    const int32_t left_ms = time.ms();
    if (waiting.token()->cancelled) {
      outcome = Failed({ErrorKind::kCancelled, fmt::format("the chain was cancelled before its step {}", index)});
    } else if (time.limited() && left_ms == 0) {
      outcome = Failed({ErrorKind::kDeadlineExceeded,
                        fmt::format("the {} ms of the chain were over before its step {}", time.given_ms(), index)});
    } else if (bytes > farm_->config().max_message) {
      outcome = Failed({ErrorKind::kResourceExhausted,
                        fmt::format("the replies of the chain have more than {} bytes before its step {}; keep its "
                                    "arrays on the farm, or send fewer steps",
                                    farm_->config().max_message, index)});
    } else if (const auto step = progress.Next(left_ms)) {
      RunStep(*step, &outcome);
    } else {
      outcome = Failed(step.error());
    }
    made_ = {};
    bytes += BytesOf(outcome);
    progress.Add(std::move(outcome));
  }
  in_chain_ = false;
  mine->outcomes().FinishUnkept(request.request_id);
  for (const uint64_t id : progress.Dropped()) (void)mine->FreeBuffer(id);
  reply = std::move(progress).Finish();
  if (!HasHungUp(connection_->fd.get())) return;
  // Nobody reads this: what stays for it would have no name.
  for (const uint64_t id : connection_->untold) (void)mine->FreeBuffer(id);
}

}  // namespace rbc::server
