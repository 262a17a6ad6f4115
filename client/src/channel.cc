// Thrift's transport over a FrameSocket.
// SPDX-License-Identifier: Apache-2.0
#include "client/src/channel.h"

#include <fmt/format.h>

#include <cstring>

#include "base/append_to_message.h"

namespace rbc::client {
namespace {

constexpr size_t kMostBeforeHello = size_t{1} << 20;
constexpr int kNesting = 16;

std::shared_ptr<apache::thrift::TConfiguration> Limits() {
  // The bound that counts is FrameSocket's on the whole frame; these are Thrift's own, explicit instead of its
  // defaults.
  constexpr int kMost = 1 << 30;
  return std::make_shared<apache::thrift::TConfiguration>(kMost, kMost, kNesting);
}

}  // namespace

Channel::Channel(FrameSocket* socket)
    : TVirtualTransport(Limits()), socket_(socket), deadline_(Deadline::AfterMs(0)), most_sent_(kMostBeforeHello) {}

void Channel::Begin(const Deadline& deadline) {
  deadline_ = deadline;
  memory_.Trim(out_.size(), &out_);
  out_.assign(4, '\0');
  in_ = {};
  received_ = false;
  resetConsumedMessageSize();
}

void Channel::write(const uint8_t* from, uint32_t size) {
  if (out_.size() - 4 + size > most_sent_)
    throw ChannelError(
        Error(ErrorKind::kResourceExhausted,
              fmt::format("the request is larger than the {} bytes that the farm at {} takes in a message", most_sent_,
                          socket_->peer())));
  AppendToMessage({reinterpret_cast<const char*>(from), size}, &out_);
}

void Channel::flush() {
  const uint32_t size = __builtin_bswap32(static_cast<uint32_t>(out_.size() - 4));
  std::memcpy(out_.data(), &size, 4);
  if (Status sent = socket_->Send(out_, deadline_); !sent) throw ChannelError(std::move(sent).error());
}

void Channel::EnsureReceived() {
  if (received_) return;
  auto frame = socket_->Receive(deadline_);
  if (!frame) throw ChannelError(std::move(frame).error());
  in_ = *frame;
  received_ = true;
  updateKnownMessageSize(static_cast<long>(in_.size()));
}

void Channel::Short() const {
  throw ChannelError(
      Error(ErrorKind::kProtocolMismatch,
            fmt::format("a reply of the farm at {} is cut short or lies about a length", socket_->peer())));
}

uint32_t Channel::read(uint8_t* into, uint32_t size) {
  EnsureReceived();
  if (size > in_.size()) Short();
  std::memcpy(into, in_.data(), size);
  in_.remove_prefix(size);
  return size;
}

const uint8_t* Channel::borrow(uint8_t*, uint32_t* size) {
  EnsureReceived();
  if (*size > in_.size()) Short();
  return reinterpret_cast<const uint8_t*>(in_.data());
}

void Channel::consume(uint32_t size) {
  if (size > in_.size()) Short();
  in_.remove_prefix(size);
}

uint32_t Channel::readEnd() {
  if (!in_.empty())
    throw ChannelError(
        Error(ErrorKind::kProtocolMismatch,
              fmt::format("a reply of the farm at {} has {} bytes too many", socket_->peer(), in_.size())));
  return 0;
}

}  // namespace rbc::client
