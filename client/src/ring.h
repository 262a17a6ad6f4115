// A lane of the session's worker in shared memory: calls that do without the kernel where both sides run.
// docs/protocol.md, "Direct rings".
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/adaptive_spin.h"
#include "base/expected.h"
#include "base/hand_over.h"
#include "base/unique_fd.h"
#include "client/src/call_codec.h"
#include "client/src/deadline.h"
#include "client/src/interrupt.h"
#include "worker/protocol.h"

namespace rbc::client {

enum class RingEvent : uint8_t {
  kReply,
  kShortReply,
  kElsewhere,  // the daemon has the reply, or knows why there is none
  kTimeout,    // the deadline is over; the lane is of no more use
  kLeft,       // whoever waited does not want to any more; the lane is of no more use
  kLost,       // the daemon is gone, or the lane is damaged
};

// One thread at a time. The worker is the client's own, so that what it writes is trusted as much as a reply of it.
class Ring {
 public:
  // Maps `size` bytes of `fd`. kProtocolMismatch: another layout, or sizes that do not fit together.
  static Expected<std::unique_ptr<Ring>> Map(UniqueFd fd, int32_t layout, uint64_t size, uint32_t lanes, uint32_t lane);
  ~Ring();
  Ring(const Ring&) = delete;

  static bool Fits(size_t framed) { return framed <= worker::kLaneRequestBytes; }
  static bool IsShort(const CallMessage& call) {
    return call.frame.size() <= worker::kShortBytes && call.out_bytes == 0 && call.return_from < 0 && !call.profile &&
           call.epoch == 0 && call.buffers.empty();
  }
  // Sends the framed request, or a call without a message. REQUIRES: IsShort(call). Then Await() must follow.
  void Post(std::string_view framed) {
    Put(framed);
    Post(worker::kCall);
  }
  void Post(const CallMessage& call) {
    Put(call);
    Post(worker::kShortCall);
  }
  // Waits for how it ended. `alive` tells whether the daemon is there; asked ten times a second.
  template <typename Alive>
  RingEvent Await(const Deadline& deadline, Alive&& alive) {
    if (Poll()) return Event();
    for (;;) {
      const int ms = deadline.RemainingMs();
      if (ms == 0) return RingEvent::kTimeout;
      if (Block(std::min(ms, kLookMs))) return Event();
      if (ThisThreadLeaves()) return RingEvent::kLeft;
      if (!alive()) return RingEvent::kLost;
    }
  }
  // After kReply: the message without its length, valid until the next Post; gives the lane back to the next call.
  std::string_view TakeReply();
  // After kShortReply: the same of its result.
  CallAnswer TakeShortReply();
  // The status, with the result in its place. Nothing: it has another size, and the reply is still there.
  std::optional<int32_t> TakeShortReply(std::span<char> result);
  // The worker is gone; its successor has another ring.
  bool dead() const { return lane_->state.load() == worker::kDead; }

 private:
  static constexpr int kLookMs = 100;
  Ring(void* memory, size_t size, worker::Lane* lane);
  void Put(std::string_view framed);
  void Put(const CallMessage& call);
  void Post(worker::LaneState as);
  bool IsOurs() const {
    const uint32_t state = lane_->state.load(std::memory_order_seq_cst);
    return state != worker::kShortCall && state != worker::kCall && state != worker::kContinue;
  }
  bool Poll() {
    const auto ours = [this] { return IsOurs(); };
    return ours() || spin_.Until(ours) || hand_over_.Until(ours);
  }
  bool Block(int ms);
  RingEvent Event() const;

  void* const memory_;
  const size_t size_;
  worker::Lane* const lane_;
  worker::LaneState posted_ = worker::kIdle;  // by the last Post()
  AdaptiveSpin spin_;
  HandOver hand_over_;
  std::string reply_;
  char short_reply_[worker::kShortBytes];
};

// Which functions are called through a ring: those that were called often over the socket, by which the farm has loaded
// them into the worker, and that the ring's worker knows.
class RingUse {
 public:
  // Counts a call of `function` over the socket. True: the next may go through a ring.
  bool CalledOverSocket(int64_t function);
  bool IsDirect(int64_t function) const {
    if (function == last_) return true;
    const auto found = calls_.find(function);
    if (found == calls_.end() || found->second < kCallsBefore) return false;
    last_ = function;
    return true;
  }
  // The ring's worker does not have it: over the socket again, for a long while.
  void Refused(int64_t function) {
    calls_[function] = -kLongWhile;
    last_ = kNone;
  }

 private:
  static constexpr int kCallsBefore = 8;
  static constexpr int kLongWhile = 1 << 20;
  static constexpr size_t kMostFunctions = 4096;
  static constexpr int64_t kNone = -1;
  std::unordered_map<int64_t, int> calls_;
  mutable int64_t last_ = kNone;  // that was direct
};

}  // namespace rbc::client
