// The daemon's end of one lane.
// SPDX-License-Identifier: Apache-2.0
#include "server/workers/lane_port.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <climits>

namespace rbc::server {
namespace {

void FutexWake(std::atomic<uint32_t>* word) {
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(word), FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

void FutexWait(std::atomic<uint32_t>* word, uint32_t value, Clock::duration most) {
  const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(most).count();
  const timespec timeout{ns / 1'000'000'000, ns % 1'000'000'000};
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(word), FUTEX_WAIT, value, &timeout, nullptr, 0);
}

bool IsWorkers(uint32_t state) {
  return state == worker::kCall || state == worker::kContinue || state == worker::kBatch;
}

}  // namespace

bool LanePort::Post(worker::LaneState as) {
  uint32_t idle = worker::kIdle;
  if (!lane_->state.compare_exchange_strong(idle, as)) return false;
  if (lane_->worker_waits.load() != 0) FutexWake(&lane_->state);
  return true;
}

void LanePort::Continue(uint64_t reply_offset) {
  lane_->reply_offset = reply_offset;
  uint32_t big = worker::kReplyBig;
  if (lane_->state.compare_exchange_strong(big, worker::kContinue) && lane_->worker_waits.load() != 0)
    FutexWake(&lane_->state);
}

LaneEvent LanePort::Await(Clock::time_point until) {
  uint32_t state = 0;
  const auto ours = [&] { return !IsWorkers(state = lane_->state.load()); };
  if (spin_.Until(ours) || hand_over_.Until(ours)) return Classify(state);
  lane_->daemon_waits.store(1);
  while (IsWorkers(state = lane_->state.load())) {
    const auto left = until - Clock::now();
    if (left <= Clock::duration::zero()) break;
    FutexWait(&lane_->state, state, left);
  }
  lane_->daemon_waits.store(0);
  return IsWorkers(state) ? LaneEvent::kTimeout : Classify(state);
}

LaneEvent LanePort::AwaitBatch(Clock::duration each, uint64_t calls) {
  const uint64_t first = lane_->calls.load();
  uint64_t seen = first;
  auto until = Clock::now() + each;
  for (;;) {
    const auto event = Await(std::min(until, Clock::now() + each / 8));
    if (event != LaneEvent::kTimeout) return event;
    const uint64_t now = lane_->calls.load();
    if (now - first > 2 * calls) return LaneEvent::kViolation;
    if (now != seen)
      until = Clock::now() + each;
    else if (Clock::now() >= until)
      return LaneEvent::kTimeout;
    seen = now;
  }
}

void LanePort::MarkDead() {
  lane_->state.store(worker::kDead);
  FutexWake(&lane_->state);
}

LaneEvent LanePort::Classify(uint32_t state) const {
  switch (state) {
    case worker::kReply:
      return LaneEvent::kReply;
    case worker::kReplyBig:
      return LaneEvent::kBigReply;
    case worker::kDead:
      return LaneEvent::kDead;
    default:
      return LaneEvent::kViolation;
  }
}

}  // namespace rbc::server
