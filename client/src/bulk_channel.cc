// A raw channel to a farm.
// SPDX-License-Identifier: Apache-2.0
#include "client/src/bulk_channel.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/platform.h"
#include "client/src/interrupt.h"

namespace rbc::client {
namespace {

constexpr uint64_t kChunk = 256 * 1024;
// At once into a socket without TLS: each send() ends with a packet that is not full.
constexpr uint64_t kMostSent = uint64_t{8} << 20;
constexpr uint64_t kMostError = 64 * 1024;
constexpr uint64_t kLeastPacked = 4096;  // smaller transfers gain nothing

}  // namespace

BulkChannel::BulkChannel(UniqueFd fd, std::unique_ptr<TlsStream> tls, std::string peer, int64_t patience_ms)
    : fd_(std::move(fd)), tls_(std::move(tls)), peer_(std::move(peer)), patience_ms_(patience_ms) {}

Error BulkChannel::Lost(std::string_view what, int code) const {
  std::string why = code == 0 ? std::string() : fmt::format(": {}", std::strerror(code));
  if (code == EPROTO && tls_ != nullptr) why = ": " + tls_->failure();
  return {ErrorKind::kConnectionLost,
          fmt::format("the data connection to the farm at {} {}{}; see whether it still runs", peer_, what, why)};
}

Status BulkChannel::Wait(short events, const Deadline& deadline) {
  for (;;) {
    int ms = deadline.RemainingMs();
    if (ms == 0)
      return Error(ErrorKind::kDeadlineExceeded,
                   fmt::format("the farm at {} moves no data for {} ms; raise the timeout or see whether it is stopped",
                               peer_, patience_ms_));
    if (ThisWaiting().impatience != nullptr) ms = std::min(ms, kImpatienceMs);
    pollfd wait{fd_.get(), events, 0};
    const bool ready = ::poll(&wait, 1, ms) > 0;
    // Also while data moves all the time: a long copy is seen, and can be stopped.
    const auto now = Clock::now();
    if (!ready || now - asked_ >= std::chrono::milliseconds(kImpatienceMs)) {
      asked_ = now;
      if (ThisThreadLeaves()) return Error(ErrorKind::kCancelled, "the copy was interrupted");
    }
    if (ready) return {};
  }
}

ssize_t BulkChannel::SendSome(const char* from, uint64_t bytes, bool more) {
  if (tls_ != nullptr) return tls_->Write({from, std::min(bytes, kChunk)});
  return platform::Send(fd_.get(), from, std::min(bytes, kMostSent), more);
}

ssize_t BulkChannel::ReceiveSome(char* to, uint64_t bytes) {
  if (tls_ != nullptr) return tls_->Read(to, bytes);
  return ::recv(fd_.get(), to, bytes, MSG_DONTWAIT);
}

bool BulkChannel::IsQuiet() const {
  if (tls_ != nullptr) return tls_->IsQuiet();
  char byte;
  const ssize_t n = ::recv(fd_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

Status BulkChannel::Send(const char* from, uint64_t bytes, bool more, const MovedBytes* moved) {
  while (bytes != 0) {
    const ssize_t sent = SendSome(from, bytes, more);
    if (sent > 0) {
      pacer_.Sent(static_cast<uint64_t>(sent));
      from += sent;
      bytes -= static_cast<uint64_t>(sent);
      if (moved != nullptr) (*moved)(static_cast<uint64_t>(sent));
      continue;
    }
    // A farm that refuses what comes says why and then takes no more.
    if (sent < 0 && (errno == EPIPE || errno == ECONNRESET)) {
      refused_ = true;
      return {};
    }
    if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
      return Lost("broke while data was sent", errno);
    pacer_.Full(Pacer::Clock::now());
    const bool for_read = tls_ != nullptr && tls_->write_wants_read();
    RBC_RETURN_IF_ERROR(Wait(for_read ? POLLIN : POLLOUT | POLLIN, Deadline::AfterMs(patience_ms_)));
    // An answer meanwhile is to an earlier put, or the refusal of this one.
    if (moved != nullptr && !IsQuiet()) RBC_RETURN_IF_ERROR(AwaitOldest());
  }
  return {};
}

Status BulkChannel::Receive(char* to, uint64_t bytes, const MovedBytes* moved) {
  while (bytes != 0) {
    const ssize_t got = ReceiveSome(to, std::min(bytes, kChunk));
    if (got > 0) {
      to += got;
      bytes -= static_cast<uint64_t>(got);
      if (moved != nullptr) (*moved)(static_cast<uint64_t>(got));
      continue;
    }
    if (got == 0) return Lost("was closed by the farm", 0);
    if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) return Lost("broke", errno);
    const bool to_send = tls_ != nullptr && tls_->read_wants_write();
    RBC_RETURN_IF_ERROR(Wait(to_send ? POLLOUT : POLLIN, Deadline::AfterMs(patience_ms_)));
  }
  return {};
}

Status BulkChannel::Expect(uint64_t request, ChannelType type, uint64_t length) {
  ChannelHeader header;
  RBC_RETURN_IF_ERROR(Receive(reinterpret_cast<char*>(&header), sizeof header, nullptr));
  const bool ours = std::memcmp(header.magic, kChannelMagic.data(), sizeof header.magic) == 0 &&
                    header.version == kChannelVersion &&
                    header.length <= (header.type == kChannelError ? kMostError : length);
  if (ours && header.type == type && header.length == length && header.request_id == request) return {};
  uint32_t kind = 0, size = 0;
  if (!ours || header.type != kChannelError || header.length < 8) return NotAnAnswer();
  std::string body(header.length, '\0');
  RBC_RETURN_IF_ERROR(Receive(body.data(), body.size(), nullptr));
  std::memcpy(&kind, body.data(), sizeof kind);
  std::memcpy(&size, body.data() + 4, sizeof size);
  Error error(ErrorKindFromNumber(static_cast<int32_t>(kind)), body.substr(8, size));
  error.role = "daemon";
  broken_ = (type != kChannelData && type != kChannelPackedData) || header.request_id != request;
  return error;
}

Error BulkChannel::NotAnAnswer() const {
  return {ErrorKind::kProtocolMismatch,
          fmt::format("the farm at {} answers a data request with something else; update the older side", peer_)};
}

template <typename Body>
Status BulkChannel::Ask(ChannelType type, const Body& body, uint64_t data_bytes) {
  const ChannelHeader header{{'R', 'B', 'C', '1'}, kChannelVersion, type, ++request_, sizeof body + data_bytes};
  char bytes[sizeof header + sizeof body];
  std::memcpy(bytes, &header, sizeof header);
  std::memcpy(bytes + sizeof header, &body, sizeof body);
  return Send(bytes, sizeof bytes, data_bytes != 0, nullptr);
}

Status BulkChannel::Attach(int64_t session, std::string_view secret, std::string_view token, Packing packing) {
  ChannelAttachBody body{static_cast<uint64_t>(session), {}};
  std::memcpy(body.secret, secret.data(), std::min(secret.size(), sizeof body.secret));
  broken_ = true;
  const bool packs = packing != Packing::kNone;
  RBC_RETURN_IF_ERROR(Ask(packs ? kChannelAttachPacking : kChannelAttach, body, token.size()));
  RBC_RETURN_IF_ERROR(Send(token.data(), token.size(), false, nullptr));
  if (packs) {
    ChannelAttachedBody attached{};
    RBC_RETURN_IF_ERROR(Expect(request_, kChannelAttached, sizeof attached));
    RBC_RETURN_IF_ERROR(Receive(reinterpret_cast<char*>(&attached), sizeof attached, nullptr));
    if ((attached.codings & 1U << kPieceZstd) != 0) packing_ = packing;
  } else {
    RBC_RETURN_IF_ERROR(Expect(request_, kChannelDone, 0));
  }
  broken_ = false;
  return {};
}

Status BulkChannel::Put(const Place& place, const char* from, uint64_t bytes, const MovedBytes& moved) {
  broken_ = true;  // until its answer is here
  ++awaited_;
  const auto buffer = static_cast<uint64_t>(place.buffer);
  if (packing_ == Packing::kNone || bytes < kLeastPacked) {
    RBC_RETURN_IF_ERROR(Ask(kChannelPut, ChannelPutBody{buffer, place.offset}, bytes));
    RBC_RETURN_IF_ERROR(Send(from, bytes, false, &moved));
  } else {
    RBC_RETURN_IF_ERROR(Ask(kChannelPackedPut, ChannelPackedPutBody{buffer, place.offset, bytes}, 0));
    RBC_RETURN_IF_ERROR(SendPieces(from, bytes, place.element, moved));
  }
  return awaited_ < kMostAhead ? Status() : AwaitPuts();
}

Status BulkChannel::SendPieces(const char* from, uint64_t bytes, uint32_t element, const MovedBytes& moved) {
  const MovedBytes counted_here = [](uint64_t) {};
  pacer_.Begin(packing_ == Packing::kAlways);
  while (bytes != 0 && !refused_) {
    const uint64_t size = std::min<uint64_t>(bytes, kMostPiece);
    const bool more = size != bytes;
    piece_.clear();
    if (pacer_.Add({from, size}, element, &packer_, &piece_)) {
      RBC_RETURN_IF_ERROR(Send(piece_.data(), piece_.size(), more, &counted_here));
      moved(size);
    } else {
      AppendPlainHead(size, &piece_);
      RBC_RETURN_IF_ERROR(Send(piece_.data(), piece_.size(), true, &counted_here));
      RBC_RETURN_IF_ERROR(Send(from, size, more, &moved));
    }
    from += size;
    bytes -= size;
  }
  return {};
}

Status BulkChannel::AwaitOldest() {
  if (awaited_ == 0) return Lost("answers what is still being asked", 0);
  RBC_RETURN_IF_ERROR(Expect(request_ - awaited_ + 1, kChannelDone, 0));
  --awaited_;
  return {};
}

Status BulkChannel::AwaitPuts() {
  while (awaited_ != 0) RBC_RETURN_IF_ERROR(AwaitOldest());
  broken_ = false;
  return {};
}

Status BulkChannel::Get(const Place& place, char* to, uint64_t bytes, const MovedBytes& moved) {
  broken_ = true;
  const auto buffer = static_cast<uint64_t>(place.buffer);
  if (packing_ == Packing::kNone || bytes < kLeastPacked) {
    RBC_RETURN_IF_ERROR(Ask(kChannelGet, ChannelGetBody{buffer, place.offset, bytes}, 0));
    RBC_RETURN_IF_ERROR(Expect(request_, kChannelData, bytes));
    RBC_RETURN_IF_ERROR(Receive(to, bytes, &moved));
  } else {
    const ChannelPackedGetBody body{buffer, place.offset, bytes, place.element, packing_ == Packing::kAlways ? 1U : 0U};
    RBC_RETURN_IF_ERROR(Ask(kChannelPackedGet, body, 0));
    ChannelPackedDataBody answer{};
    RBC_RETURN_IF_ERROR(Expect(request_, kChannelPackedData, sizeof answer));
    RBC_RETURN_IF_ERROR(Receive(reinterpret_cast<char*>(&answer), sizeof answer, nullptr));
    if (answer.bytes != bytes) return NotAnAnswer();
    RBC_RETURN_IF_ERROR(ReceivePieces(to, bytes, moved));
  }
  broken_ = false;
  return {};
}

Status BulkChannel::ReceivePieces(char* to, uint64_t bytes, const MovedBytes& moved) {
  while (bytes != 0) {
    ChannelPiece head{};
    RBC_RETURN_IF_ERROR(Receive(reinterpret_cast<char*>(&head), sizeof head, nullptr));
    if (!CheckPiece(head, bytes)) return NotAnAnswer();
    if (head.coding == kPiecePlain) {
      RBC_RETURN_IF_ERROR(Receive(to, head.bytes, &moved));
    } else {
      RBC_RETURN_IF_ERROR(ReceivePiece(head, to));
      moved(head.bytes);
    }
    to += head.bytes;
    bytes -= head.bytes;
  }
  return {};
}

Status BulkChannel::ReceivePiece(const ChannelPiece& head, char* to) {
  piece_.resize(head.packed);
  RBC_RETURN_IF_ERROR(Receive(piece_.data(), piece_.size(), nullptr));
  const Status unpacked = packer_.Unpack(head, piece_.data(), to);
  return unpacked || unpacked.error().kind == ErrorKind::kResourceExhausted ? unpacked : Status(NotAnAnswer());
}

}  // namespace rbc::client
