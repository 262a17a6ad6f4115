// A raw channel: bulk data straight between a socket and the session's arrays.
// SPDX-License-Identifier: Apache-2.0
#include "server/net/raw_channel.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace rbc::server {
namespace {

constexpr size_t kChunk = 256 * 1024;           // the fastest on TCP, of what was tried
constexpr uint64_t kTurn = uint64_t{64} << 20;  // bytes before another connection may have the thread

bool IsAgain(ssize_t result) { return result < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR); }

// The least of a body that comes before data; 0: no request is of that type.
size_t FixedBytes(uint16_t type) {
  switch (type) {
    case kChannelAttach:
      return sizeof(ChannelAttachBody);
    case kChannelPut:
      return sizeof(ChannelPutBody);
    case kChannelGet:
      return sizeof(ChannelGetBody);
    default:
      return 0;
  }
}

// All of it: an attach has a token behind.
uint64_t BytesBeforeData(const ChannelHeader& header) {
  return header.type == kChannelAttach ? header.length : FixedBytes(header.type);
}

// Whether the header is that of a request, so far as that can be told without its body.
bool IsRequest(const ChannelHeader& header) {
  return std::memcmp(header.magic, kChannelMagic.data(), sizeof header.magic) == 0 &&
         header.version == kChannelVersion && FixedBytes(header.type) != 0 &&
         header.length >= FixedBytes(header.type) &&
         (header.type != kChannelAttach || header.length <= sizeof(ChannelAttachBody) + kMostChannelToken);
}

template <typename T>
T BodyOf(const std::string& head) {
  T out;
  std::memcpy(&out, head.data() + sizeof(ChannelHeader), sizeof out);
  return out;
}

}  // namespace

RawChannel::Wait RawChannel::Run(const ChannelSocket& socket, ChannelHost& host, uint64_t* moved) {
  const uint64_t begin = *moved;
  for (;;) {
    const bool writes = !out_.empty() || (sending_ && left_ != 0);
    if (!writes && refused_) return Wait::kRefused;
    if (attached_ && host.Ended()) return Wait::kEnd;
    if (*moved - begin > kTurn && !socket.HasUnread()) return writes ? Wait::kWritable : Wait::kReadable;
    Step step;
    if (!out_.empty()) {
      step = WriteOut(socket, moved);
    } else if (left_ != 0) {
      step = sending_ ? WriteBody(socket, moved) : ReadBody(socket, moved);
    } else {
      step = ReadHead(socket, host, moved);
    }
    if (step == Step::kEnd) return Wait::kEnd;
    if (step == Step::kWait) return writes ? Wait::kWritable : Wait::kReadable;
  }
}

// First what came early.
ssize_t RawChannel::Read(const ChannelSocket& socket, char* to, size_t bytes) {
  const auto early = Early();
  if (early.empty()) return socket.Receive(to, bytes);
  const size_t taken = std::min(bytes, early.size());
  std::memcpy(to, early.data(), taken);
  early_used_ += taken;
  if (early_used_ == early_.size()) {
    std::string().swap(early_);
    early_used_ = 0;
  }
  return static_cast<ssize_t>(taken);
}

RawChannel::Step RawChannel::ReadHead(const ChannelSocket& socket, ChannelHost& host, uint64_t* moved) {
  ChannelHeader header;
  const auto needed = [&]() -> uint64_t {
    if (head_.size() < sizeof header) return sizeof header;
    std::memcpy(&header, head_.data(), sizeof header);
    return sizeof header + BytesBeforeData(header);
  };
  char bytes[256];
  const ssize_t got = Read(socket, bytes, std::min<uint64_t>(needed() - head_.size(), sizeof bytes));
  if (IsAgain(got)) return Step::kWait;
  if (got <= 0) return Step::kEnd;
  *moved += static_cast<uint64_t>(got);
  head_.append(bytes, static_cast<size_t>(got));
  if (head_.size() < sizeof header) return Step::kMore;
  std::memcpy(&header, head_.data(), sizeof header);
  // What it is decides how much more of it there is: looked at before that is waited for.
  if (!IsRequest(header)) {
    Fail(Error(ErrorKind::kProtocolMismatch,
               fmt::format("this farm speaks version {} of raw channels and knows no message of version {}, type {} "
                           "and {} bytes; update the older side",
                           kChannelVersion, header.version, header.type, header.length)),
         true);
    return Step::kMore;
  }
  if (head_.size() == needed()) Handle(header, host);
  return Step::kMore;
}

Status RawChannel::HandleAttach(const ChannelHeader& header, ChannelHost& host) const {
  if (attached_) return {ErrorKind::kInvalidArgument, "this channel has its session already"};
  const auto body = BodyOf<ChannelAttachBody>(head_);
  return host.Attach(body.session, {body.secret, sizeof body.secret}, head_.substr(sizeof header + sizeof body));
}

void RawChannel::Handle(const ChannelHeader& header, ChannelHost& host) {
  request_id_ = header.request_id;
  if (header.type != kChannelAttach) {
    HandleTransfer(header, host);
  } else if (const auto status = HandleAttach(header, host); status) {
    attached_ = true;
    Answer(kChannelDone);
  } else {
    Fail(status.error(), true);
  }
  head_.clear();
}

void RawChannel::HandleTransfer(const ChannelHeader& header, ChannelHost& host) {
  const bool put = header.type == kChannelPut;
  const auto body = BodyOf<ChannelPutBody>(head_);
  const uint64_t bytes = put ? header.length - sizeof body : BodyOf<ChannelGetBody>(head_).bytes;
  if (!put && header.length != sizeof(ChannelGetBody))
    return Fail(Error(ErrorKind::kInvalidArgument, "a get of a raw channel has a body of 24 bytes"), true);
  if (!attached_) return Fail(Error(ErrorKind::kUnknownSession, "this channel has no session; attach it first"), true);
  auto memory = host.Memory(body.buffer, body.offset, bytes);
  // After a refused put comes data that has no place: the channel ends.
  if (!memory) return Fail(memory.error(), put);
  memory_ = *std::move(memory);
  left_ = bytes;
  sending_ = !put;
  if (!put) Answer(kChannelData, bytes);
  if (put && bytes == 0) Answer(kChannelDone);
}

RawChannel::Step RawChannel::ReadBody(const ChannelSocket& socket, uint64_t* moved) {
  const size_t wanted = std::min<uint64_t>(left_, kChunk);
  const bool early = !Early().empty();
  const ssize_t got = Read(socket, memory_.data, wanted);
  if (IsAgain(got)) return Step::kWait;
  if (got <= 0) return Step::kEnd;
  memory_.data += got;
  left_ -= static_cast<uint64_t>(got);
  *moved += static_cast<uint64_t>(got);
  if (left_ == 0) {
    memory_ = {};
    Answer(kChannelDone);
  }
  // Less than asked for: the peer is slower than we are, and does not keep a thread.
  return static_cast<size_t>(got) < wanted && !early ? Step::kWait : Step::kMore;
}

RawChannel::Step RawChannel::WriteBody(const ChannelSocket& socket, uint64_t* moved) {
  const size_t wanted = std::min<uint64_t>(left_, kChunk);
  const ssize_t sent = socket.Send({memory_.data, wanted}, false);
  if (IsAgain(sent)) return Step::kWait;
  if (sent <= 0) return Step::kEnd;
  memory_.data += sent;
  left_ -= static_cast<uint64_t>(sent);
  *moved += static_cast<uint64_t>(sent);
  if (left_ == 0) memory_ = {};
  return static_cast<size_t>(sent) < wanted ? Step::kWait : Step::kMore;
}

RawChannel::Step RawChannel::WriteOut(const ChannelSocket& socket, uint64_t* moved) {
  const ssize_t sent = socket.Send(std::string_view(out_).substr(out_sent_), sending_ && left_ != 0);
  if (IsAgain(sent)) return Step::kWait;
  if (sent <= 0) return Step::kEnd;
  *moved += static_cast<uint64_t>(sent);
  out_sent_ += static_cast<size_t>(sent);
  if (out_sent_ == out_.size()) {
    std::string().swap(out_);
    out_sent_ = 0;
  }
  return Step::kMore;
}

void RawChannel::Answer(ChannelType type, uint64_t bytes) { out_ += ChannelHead(type, request_id_, bytes); }

void RawChannel::Fail(const Error& error, bool for_good) {
  out_ += ChannelError(error, request_id_);
  head_.clear();
  refused_ = refused_ || for_good;
}

}  // namespace rbc::server
