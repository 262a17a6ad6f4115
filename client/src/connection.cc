// One connection to a farm. The one place where Thrift's exceptions become errors.
// SPDX-License-Identifier: Apache-2.0
#include "client/src/connection.h"

#include <fmt/format.h>
#include <thrift/TApplicationException.h>
#include <thrift/protocol/TBinaryProtocol.h>

#include <algorithm>
#include <new>
#include <utility>

#include "thrift/error_wire.h"

namespace rbc::client {
namespace {

using apache::thrift::protocol::TBinaryProtocol;

// Elements of a list that a reply may hold: Thrift makes room for them before it has seen them.
constexpr int32_t kMostElements = 1 << 16;
// No farm may make us take more than this in one message.
constexpr size_t kMostMessage = size_t{1} << 30;

std::shared_ptr<TBinaryProtocol> Protocol(const std::shared_ptr<Channel>& channel) {
  return std::make_shared<TBinaryProtocol>(channel, 0, kMostElements, true, true);
}

constexpr int32_t kShortSequence = 0;  // short calls have no number on their lane

// Asked once in a while where the farm has no lane to spare.
constexpr auto kRingPause = std::chrono::seconds(1);

}  // namespace

Connection::Connection(UniqueFd fd, std::string peer, bool same_machine, std::unique_ptr<TlsStream> tls)
    : socket_(std::move(fd), std::move(peer), same_machine, std::move(tls)),
      channel_(std::make_shared<Channel>(&socket_)),
      client_(Protocol(channel_)) {}

void Connection::SetLimit(size_t bytes) {
  const size_t limit = std::clamp(bytes, size_t{1} << 16, kMostMessage);
  socket_.SetLimit(limit);
  channel_->SetMostSent(limit);
}

Error Connection::Caught() {
  try {
    throw;
  } catch (const wire::FarmError& error) {
    return FromWire(error);
  } catch (ChannelError& error) {
    // A request that was refused for its size before anything was sent leaves the connection as it was.
    broken_ = error.error().kind != ErrorKind::kResourceExhausted;
    if (error.error().role.empty()) error.error().role = "client";
    return std::move(error.error());
  } catch (const apache::thrift::TApplicationException& error) {
    return Error(ErrorKind::kProtocolMismatch,
                 fmt::format("the farm at {} answers '{}'; update the older of the two sides", peer(), error.what()));
  } catch (const std::bad_alloc&) {
    broken_ = true;
    return Error(ErrorKind::kResourceExhausted, "this machine has no memory left for the farm's reply");
  } catch (const std::exception& error) {
    broken_ = true;
    return Error(ErrorKind::kProtocolMismatch,
                 fmt::format("the reply of the farm at {} is malformed: {}; check that a farm listens there", peer(),
                             error.what()));
  }
}

Expected<CallAnswer> Connection::Call(const CallMessage& call, const Deadline& deadline) {
  if (call.frame.size() + 256 > channel_->most_sent())
    return Error(ErrorKind::kResourceExhausted,
                 fmt::format("the arguments take {} bytes, more than the {} of a message of the farm at {}; pass less",
                             call.frame.size(), channel_->most_sent(), peer()));
  if (wants_ring_ != 0) OpenRing(std::exchange(wants_ring_, 0), deadline);
  sent_ = false;  // whatever became of that: this call has not begun
  if (broken_) return Error(ErrorKind::kConnectionLost, fmt::format("the connection to the farm at {} broke", peer()));
  memory_.Trim(out_.size(), &out_);
  // Buffers are found by the farm itself.
  const bool is_direct = ring_ && call.buffers.empty() && ring_use_.IsDirect(call.function_id);
  if (is_direct && Ring::IsShort(call)) {
    out_.clear();
    if (auto answer = CallShortOverRing(call, deadline)) return *std::move(answer);
  }
  EncodeCall(call, ++sequence_, out_);
  if (is_direct && !Ring::IsShort(call) && Ring::Fits(out_.size())) {
    if (auto answer = CallOverRing(call, deadline)) return *std::move(answer);
  }
  auto answer = CallOverSocket(deadline);
  if (ring_allowed_ && answer && ring_use_.CalledOverSocket(call.function_id) && !ring_) {
    // Asked for with the next call: the answer's views lie where the farm's next reply goes.
    if (!answer->error && Clock::now() >= no_ring_before_) wants_ring_ = call.function_id;
  }
  return answer;
}

Expected<std::vector<CallAnswer>> Connection::CallBatch(std::span<const CallMessage> calls, const Deadline& deadline) {
  sent_ = false;
  if (broken_) return Error(ErrorKind::kConnectionLost, fmt::format("the connection to the farm at {} broke", peer()));
  EncodeBatch(calls, ++sequence_, out_);
  if (out_.size() - sizeof(uint32_t) > channel_->most_sent())
    return Error(
        ErrorKind::kResourceExhausted,
        fmt::format("the batch takes {} bytes, more than the {} of a message of the farm at {}; send fewer calls",
                    out_.size(), channel_->most_sent(), peer()));
  RBC_ASSIGN_OR_RETURN(const std::string_view reply, Exchange(deadline));
  auto answer = DecodeBatchReply(reply, sequence_);
  broken_ = !answer.has_value();
  if (!answer) return std::move(answer).error();
  if (answer->error) return std::move(*answer->error);
  return std::move(answer->calls);
}

Expected<std::string_view> Connection::Exchange(const Deadline& deadline) {
  broken_ = true;  // until the reply is here and whole
  const Status written = socket_.Send(out_, deadline);
  sent_ = socket_.sent() != 0;
  if (!written) return written.error();
  return socket_.Receive(deadline);
}

Expected<CallAnswer> Connection::CallOverSocket(const Deadline& deadline) {
  RBC_ASSIGN_OR_RETURN(const std::string_view reply, Exchange(deadline));
  return Decode(reply, sequence_);
}

std::optional<Expected<CallAnswer>> Connection::CallOverRing(const CallMessage& call, const Deadline& deadline) {
  sent_ = broken_ = true;
  ring_->Post(out_);
  return Settle(call, AnswerOf(AwaitRing(deadline), sequence_, deadline));
}

std::optional<Expected<CallAnswer>> Connection::CallShortOverRing(const CallMessage& call, const Deadline& deadline) {
  PostShort(call);
  return Settle(call, AnswerOf(AwaitRing(deadline), kShortSequence, deadline));
}

RingEvent Connection::AwaitRing(const Deadline& deadline) {
  return ring_->Await(deadline, [this] { return Alive(); });
}

void Connection::PostShort(const CallMessage& call) {
  sent_ = broken_ = true;
  ring_->Post(call);
}

std::optional<int32_t> Connection::TakeShort(const CallMessage& call, std::span<char> result, const Deadline& deadline,
                                             std::optional<Expected<CallAnswer>>* other) {
  const RingEvent event = AwaitRing(deadline);
  if (event == RingEvent::kShortReply) {
    if (const auto status = ring_->TakeShortReply(result)) {
      broken_ = false;
      return status;
    }
  }
  *other = Settle(call, AnswerOf(event, kShortSequence, deadline));
  return std::nullopt;
}

std::optional<Expected<CallAnswer>> Connection::Settle(const CallMessage& call, Expected<CallAnswer> answer) {
  if (!answer || !answer->error || answer->error->may_have_run) return answer;
  // What never began goes to the farm itself, which brings the function or another worker. With another worker buffers
  // may be lost that the call names by their places.
  const ErrorKind kind = answer->error->kind;
  if (kind != ErrorKind::kUnknownModule && kind != ErrorKind::kWorkerLost) return answer;
  if (kind == ErrorKind::kWorkerLost && call.repeats != 0) return answer;
  if (kind == ErrorKind::kUnknownModule) ring_use_.Refused(call.function_id);
  return std::nullopt;
}

Expected<CallAnswer> Connection::AnswerOf(RingEvent event, int32_t sequence, const Deadline& deadline) {
  switch (event) {
    case RingEvent::kShortReply:
      broken_ = false;
      return ring_->TakeShortReply();
    case RingEvent::kReply:
      return Decode(ring_->TakeReply(), sequence);
    case RingEvent::kElsewhere: {
      auto fetched = Ask(deadline, [](wire::FarmClient& client) {
        std::string framed;
        client.ring_reply(framed);
        return framed;
      });
      sent_ = true;                      // the call, whatever became of the question
      if (ring_->dead()) ring_.reset();  // the next call goes over the socket, and a new ring is asked for
      if (!fetched) return std::move(fetched).error();
      ring_reply_ = *std::move(fetched);
      if (ring_reply_.size() < 4) return Error(ErrorKind::kProtocolMismatch, "the farm sends an empty reply of a lane");
      return Decode(std::string_view(ring_reply_).substr(4), sequence);
    }
    case RingEvent::kTimeout:
      return Error(ErrorKind::kDeadlineExceeded,
                   fmt::format("the farm at {} does not answer within {} ms; raise the deadline or see whether it is "
                               "stopped",
                               peer(), deadline.GivenMs()));
    case RingEvent::kLeft:
      return Error(ErrorKind::kCancelled, "the wait for the farm's answer was interrupted");
    case RingEvent::kLost:
      break;
  }
  return Error(
      ErrorKind::kConnectionLost,
      fmt::format("the connection to the farm at {} was closed by the farm; see whether it still runs", peer()));
}

Expected<CallAnswer> Connection::Decode(std::string_view reply, int32_t sequence) {
  auto answer = DecodeCallReply(reply, sequence);
  broken_ = !answer.has_value();
  return answer;
}

Expected<std::shared_ptr<const ArenaMap>> Connection::MapArena(const Deadline& deadline) {
  socket_.ExpectDescriptor();
  auto shared = Ask(deadline, [](wire::FarmClient& client) {
    wire::ArenaReply reply;
    client.arena(reply);
    return reply;
  });
  UniqueFd descriptor = socket_.TakeDescriptor();
  if (!shared) return std::move(shared).error();
  return ArenaMap::Map(std::move(descriptor), static_cast<uint64_t>(shared->size));
}

void Connection::OpenRing(int64_t function_id, const Deadline& deadline) {
  socket_.ExpectDescriptor();
  auto shared = Ask(deadline, [&](wire::FarmClient& client) {
    wire::RingReply reply;
    client.ring(reply, function_id);
    return reply;
  });
  UniqueFd descriptor = socket_.TakeDescriptor();
  if (shared) {
    auto ring = Ring::Map(std::move(descriptor), shared->layout, static_cast<uint64_t>(shared->size),
                          static_cast<uint32_t>(shared->lanes), static_cast<uint32_t>(shared->lane));
    if (ring) {
      ring_ = *std::move(ring);
      return;
    }
  } else if (shared.error().kind == ErrorKind::kUnsupported || shared.error().kind == ErrorKind::kProtocolMismatch) {
    ring_allowed_ = false;  // it will not change its mind
  }
  no_ring_before_ = Clock::now() + kRingPause;
}

}  // namespace rbc::client
