// The daemon's end of one lane: post a request, wait for its reply.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/adaptive_spin.h"
#include "base/hand_over.h"
#include "server/workers/process.h"
#include "worker/protocol.h"

namespace rbc::server {

enum class LaneEvent : uint8_t {
  kReply,     // a reply waits
  kBigReply,  // a reply waits that needs a place in the arena
  kDead,      // the worker is gone
  kTimeout,
  kViolation,  // a state that the worker may not set: kill it
};

// One user at a time. The worker's writes are checked by whoever reads them through this class.
class LanePort {
 public:
  LanePort(worker::Lane* lane, uint32_t spin_us) : lane_(lane), spin_(spin_us, worker::kRingParties) {}
  worker::Lane* lane() const { return lane_; }

  // Hands the request, already in the lane, to the worker. False: the lane is dead.
  bool Post(worker::LaneState as = worker::kCall);
  // After kBigReply: tells the worker where its reply goes.
  void Continue(uint64_t reply_offset);
  LaneEvent Await(Clock::time_point until);
  // Of a batch of at most so many calls: kTimeout where one of them runs longer than `each`, to within an eighth.
  LaneEvent AwaitBatch(Clock::duration each, uint64_t calls);
  // The lane is the daemon's again.
  void Release() { lane_->state.store(worker::kIdle); }
  // From any thread: wakes the waiter for good.
  void MarkDead();

 private:
  LaneEvent Classify(uint32_t state) const;
  worker::Lane* lane_;
  AdaptiveSpin spin_;
  HandOver hand_over_;
};

}  // namespace rbc::server
