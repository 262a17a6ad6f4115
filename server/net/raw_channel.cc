// A raw channel: bulk data straight between a socket and the session's arrays.
// SPDX-License-Identifier: Apache-2.0
#include "server/net/raw_channel.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace rbc::server {
namespace {

constexpr size_t kChunk = 256 * 1024;           // the fastest, of what was tried
constexpr size_t kMostSent = size_t{8} << 20;   // by TCP: each send() ends with a packet that is not full
constexpr uint64_t kTurn = uint64_t{64} << 20;  // bytes before another connection may have the thread

// The least of a body that comes before data; 0: no request is of that type.
size_t FixedBytes(uint16_t type) {
  switch (type) {
    case kChannelAttach:
    case kChannelAttachPacking:
      return sizeof(ChannelAttachBody);
    case kChannelPut:
      return sizeof(ChannelPutBody);
    case kChannelGet:
      return sizeof(ChannelGetBody);
    case kChannelPackedPut:
      return sizeof(ChannelPackedPutBody);
    case kChannelPackedGet:
      return sizeof(ChannelPackedGetBody);
    default:
      return 0;
  }
}

bool IsAttach(uint16_t type) { return type == kChannelAttach || type == kChannelAttachPacking; }

// All of it: an attach has a token behind.
uint64_t BytesBeforeData(const ChannelHeader& header) {
  return IsAttach(header.type) ? header.length : FixedBytes(header.type);
}

// Whether the header is that of a request, so far as that can be told without its body.
bool IsRequest(const ChannelHeader& header) {
  return std::memcmp(header.magic, kChannelMagic.data(), sizeof header.magic) == 0 &&
         header.version == kChannelVersion && FixedBytes(header.type) != 0 &&
         header.length >= FixedBytes(header.type) &&
         (!IsAttach(header.type) || header.length <= sizeof(ChannelAttachBody) + kMostChannelToken);
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
  unpacked_ = 0;
  for (;;) {
    const bool writes = !out_.empty() || (sending_ && left_ != 0);
    if (!writes && refused_) return Wait::kRefused;
    if (attached_ && host.Ended()) return Wait::kEnd;
    if (*moved - begin + unpacked_ > kTurn && !socket.HasUnread()) return writes ? Wait::kWritable : Wait::kReadable;
    Step step;
    if (!out_.empty()) {
      step = WriteOut(socket, moved);
    } else if (left_ != 0) {
      step = MoveBody(socket, host, moved);
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
  if (!IsAttach(header.type)) {
    HandleTransfer(header, host);
  } else if (const auto status = HandleAttach(header, host); status) {
    attached_ = true;
    if (header.type == kChannelAttach) {
      Answer(kChannelDone);
    } else {
      AnswerWith(kChannelAttached, ChannelAttachedBody{host.Packs() ? kCodings : 1U << kPiecePlain, 0});
    }
  } else {
    Fail(status.error(), true);
  }
  head_.clear();
}

RawChannel::Transfer RawChannel::TransferOf(const ChannelHeader& header) const {
  switch (header.type) {
    case kChannelPut: {
      const auto body = BodyOf<ChannelPutBody>(head_);
      return {body.buffer, body.offset, header.length - sizeof body};
    }
    case kChannelGet: {
      const auto body = BodyOf<ChannelGetBody>(head_);
      return {.buffer = body.buffer, .offset = body.offset, .bytes = body.bytes, .sending = true};
    }
    case kChannelPackedPut: {
      const auto body = BodyOf<ChannelPackedPutBody>(head_);
      return {.buffer = body.buffer, .offset = body.offset, .bytes = body.bytes, .packed = true};
    }
    default: {
      const auto body = BodyOf<ChannelPackedGetBody>(head_);
      return {body.buffer, body.offset, body.bytes, true, true, body.element, body.always != 0};
    }
  }
}

void RawChannel::HandleTransfer(const ChannelHeader& header, ChannelHost& host) {
  if (header.type != kChannelPut && header.length != FixedBytes(header.type))
    return Fail(Error(ErrorKind::kInvalidArgument, fmt::format("a request of type {} of a raw channel has {} bytes",
                                                               header.type, FixedBytes(header.type))),
                true);
  if (!attached_) return Fail(Error(ErrorKind::kUnknownSession, "this channel has no session; attach it first"), true);
  const Transfer transfer = TransferOf(header);
  auto memory = host.Memory(transfer.buffer, transfer.offset, transfer.bytes);
  // After a refused put comes data that has no place: the channel ends.
  if (!memory) return Fail(memory.error(), !transfer.sending);
  memory_ = *std::move(memory);
  left_ = transfer.bytes;
  sending_ = transfer.sending;
  packed_ = transfer.packed;
  element_ = transfer.element;
  if (packed_) pacer_.Begin(transfer.always);
  if (sending_ && packed_) AnswerWith(kChannelPackedData, ChannelPackedDataBody{left_});
  if (sending_ && !packed_) Answer(kChannelData, left_);
  if (left_ == 0) Advance(0);
}

RawChannel::Step RawChannel::MoveBody(const ChannelSocket& socket, ChannelHost& host, uint64_t* moved) {
  if (packed_) return sending_ ? WritePieces(socket, host, moved) : ReadPieces(socket, host, moved);
  return sending_ ? WritePlain(socket, left_, moved) : ReadPlain(socket, left_, moved);
}

// So much of the transfer is done.
void RawChannel::Advance(uint64_t bytes) {
  left_ -= bytes;
  memory_.data += bytes;
  if (left_ != 0) return;
  memory_ = {};
  if (!sending_) Answer(kChannelDone);
}

RawChannel::Step RawChannel::ReadPlain(const ChannelSocket& socket, uint64_t most, uint64_t* moved) {
  const size_t wanted = std::min<uint64_t>(most, kChunk);
  const bool early = !Early().empty();
  const ssize_t got = Read(socket, memory_.data, wanted);
  if (IsAgain(got)) return Step::kWait;
  if (got <= 0) return Step::kEnd;
  *moved += static_cast<uint64_t>(got);
  plain_left_ -= std::min(plain_left_, static_cast<uint64_t>(got));
  Advance(static_cast<uint64_t>(got));
  // Less than asked for: the peer is slower than we are, and does not keep a thread.
  return static_cast<size_t>(got) < wanted && !early ? Step::kWait : Step::kMore;
}

RawChannel::Step RawChannel::WritePlain(const ChannelSocket& socket, uint64_t most, uint64_t* moved) {
  const size_t wanted = std::min<uint64_t>(most, socket.tls == nullptr && !socket.local ? kMostSent : kChunk);
  const ssize_t sent = SendSome(socket, {memory_.data, wanted}, most != left_);
  if (IsAgain(sent)) return Step::kWait;
  if (sent <= 0) return Step::kEnd;
  *moved += static_cast<uint64_t>(sent);
  plain_left_ -= std::min(plain_left_, static_cast<uint64_t>(sent));
  Advance(static_cast<uint64_t>(sent));
  return static_cast<size_t>(sent) < wanted ? Step::kWait : Step::kMore;
}

RawChannel::Step RawChannel::WriteOut(const ChannelSocket& socket, uint64_t* moved) {
  const ssize_t sent = SendSome(socket, std::string_view(out_).substr(out_sent_), sending_ && left_ != 0);
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
