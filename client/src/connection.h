// One connection to a farm: the generated client for most requests, the hand-written codec for calls.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>

#include "base/expected.h"
#include "client/src/arena_map.h"
#include "client/src/call_codec.h"
#include "client/src/channel.h"
#include "client/src/deadline.h"
#include "client/src/frame_socket.h"
#include "client/src/large_memory.h"
#include "client/src/ring.h"
#include "gen/Farm.h"

namespace rbc::client {

// One thread at a time. No exception of Thrift's leaves Ask() and Call().
class Connection {
 public:
  Connection(UniqueFd fd, std::string peer, bool same_machine, std::unique_ptr<TlsStream> tls = nullptr);

  // Runs `request(wire::FarmClient&)` and gives what it gives, or the error: the farm's own, or that of the connection.
  template <typename F>
  auto Ask(const Deadline& deadline, F&& request) -> Expected<std::invoke_result_t<F, wire::FarmClient&>> {
    using Result = std::invoke_result_t<F, wire::FarmClient&>;
    channel_->Begin(deadline);
    Error error;
    try {
      if constexpr (std::is_void_v<Result>) {
        request(client_);
        return Expected<void>();
      } else {
        return request(client_);
      }
    } catch (...) {
      error = Caught();
      sent_ = socket_.sent() != 0;
    }
    return error;
  }

  // The answer's views are valid until the next request on this connection.
  Expected<CallAnswer> Call(const CallMessage& call, const Deadline& deadline);

  // Whether a call of the function that Ring::IsShort goes over a ring, and there is nothing else to do.
  bool HasRingFor(int64_t function) const {
    return ring_ && !broken_ && wants_ring_ == 0 && !LargeMemory::IsLarge(out_) && ring_use_.IsDirect(function);
  }
  // Sends such a call. Then TakeShort() of it must follow.
  void PostShort(const CallMessage& call);
  // Its status, and `result` holds the result. Nothing: it ended as `other` says, or has not run and is left to Call.
  std::optional<int32_t> TakeShort(const CallMessage& call, std::span<char> result, const Deadline& deadline,
                                   std::optional<Expected<CallAnswer>>* other);

  // The same of many, in one message.
  Expected<std::vector<CallAnswer>> CallBatch(std::span<const CallMessage> calls, const Deadline& deadline);

  // True after an error that was not the farm's answer: the connection is of no more use.
  bool broken() const { return broken_; }
  // Whether any byte of the last request left this process.
  bool sent() const { return sent_; }
  bool Alive() const { return socket_.Alive(); }
  int fd() const { return socket_.fd(); }
  const std::string& peer() const { return socket_.peer(); }
  // Calls of often called functions go through shared memory from here on, where the farm is on this machine and likes.
  void AllowRing() { ring_allowed_ = true; }
  // What hello agreed on, for requests and replies alike.
  void SetLimit(size_t bytes);

  // The memory of the session's arrays, which comes as a descriptor. REQUIRES: a Unix socket.
  Expected<std::shared_ptr<const ArenaMap>> MapArena(const Deadline& deadline);

  uint64_t epoch = 0;           // of the session that this connection belongs to; the Farm's
  Clock::time_point last_used;  // when the Farm gave it out last

 private:
  // The exception in flight as an error. Never throws.
  Error Caught();
  // Sends out_.
  Expected<std::string_view> Exchange(const Deadline& deadline);
  Expected<CallAnswer> CallOverSocket(const Deadline& deadline);
  // The call, which lies in out_, and one that Ring::IsShort. Nothing: it has not run and is left to the socket.
  std::optional<Expected<CallAnswer>> CallOverRing(const CallMessage& call, const Deadline& deadline);
  std::optional<Expected<CallAnswer>> CallShortOverRing(const CallMessage& call, const Deadline& deadline);
  RingEvent AwaitRing(const Deadline& deadline);
  // How a call over the ring ended.
  std::optional<Expected<CallAnswer>> Settle(const CallMessage& call, Expected<CallAnswer> answer);
  Expected<CallAnswer> AnswerOf(RingEvent event, int32_t sequence, const Deadline& deadline);
  Expected<CallAnswer> Decode(std::string_view reply, int32_t sequence);
  void OpenRing(int64_t function_id, const Deadline& deadline);

  FrameSocket socket_;
  std::shared_ptr<Channel> channel_;
  wire::FarmClient client_;
  std::string out_;
  LargeMemory memory_;  // of out_
  int32_t sequence_ = 0;
  bool broken_ = false;
  bool ring_allowed_ = false;
  bool sent_ = false;
  std::unique_ptr<Ring> ring_;
  RingUse ring_use_;
  int64_t wants_ring_ = 0;  // for this function
  Clock::time_point no_ring_before_{};
  std::string ring_reply_;
};

}  // namespace rbc::client
