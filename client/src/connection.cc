// One connection to a farm. The one place where Thrift's exceptions become errors.
// SPDX-License-Identifier: Apache-2.0
#include "client/src/connection.h"

#include <fmt/format.h>
#include <thrift/TApplicationException.h>
#include <thrift/protocol/TBinaryProtocol.h>

#include <algorithm>
#include <new>

#include "thrift/error_wire.h"

namespace rbc::client {
namespace {

using apache::thrift::protocol::TBinaryProtocol;

// Elements of a list that a reply may hold: Thrift makes room for them before it has seen them.
constexpr int32_t kMostElements = 1 << 16;
constexpr size_t kKeptBuffer = size_t{1} << 18;
// No farm may make us take more than this in one message.
constexpr size_t kMostMessage = size_t{1} << 30;

std::shared_ptr<TBinaryProtocol> Protocol(const std::shared_ptr<Channel>& channel) {
  return std::make_shared<TBinaryProtocol>(channel, 0, kMostElements, true, true);
}

}  // namespace

Connection::Connection(UniqueFd fd, std::string peer, bool same_machine)
    : socket_(std::move(fd), std::move(peer), same_machine),
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
  broken_ = true;  // until the reply is here and whole
  if (out_.capacity() > kKeptBuffer) std::string().swap(out_);
  EncodeCall(call, ++sequence_, out_);
  RBC_RETURN_IF_ERROR(socket_.Send(out_, deadline));
  RBC_ASSIGN_OR_RETURN(const std::string_view reply, socket_.Receive(deadline));
  auto answer = DecodeCallReply(reply, sequence_);
  broken_ = !answer.has_value();
  return answer;
}

}  // namespace rbc::client
