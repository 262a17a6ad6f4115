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
constexpr uint64_t kMostError = 64 * 1024;

}  // namespace

BulkChannel::BulkChannel(UniqueFd fd, std::unique_ptr<TlsStream> tls, std::string peer, int64_t patience_ms)
    : fd_(std::move(fd)), tls_(std::move(tls)), peer_(std::move(peer)), patience_ms_(patience_ms) {}

Error BulkChannel::Lost(std::string_view what, int code) const {
  std::string why = code == 0 ? std::string() : fmt::format(": {}", std::strerror(code));
  if (code == EPROTO && tls_ != nullptr) why = ": " + tls_->failure();
  return {ErrorKind::kConnectionLost,
          fmt::format("the data connection to the farm at {} {}{}; see whether it still runs", peer_, what, why)};
}

Status BulkChannel::Wait(short events, const Deadline& deadline) const {
  for (;;) {
    int ms = deadline.RemainingMs();
    if (ms == 0)
      return Error(ErrorKind::kDeadlineExceeded,
                   fmt::format("the farm at {} moves no data for {} ms; raise the timeout or see whether it is stopped",
                               peer_, patience_ms_));
    if (ThisWaiting().impatience != nullptr) ms = std::min(ms, kImpatienceMs);
    pollfd wait{fd_.get(), events, 0};
    if (::poll(&wait, 1, ms) > 0) return {};
    if (ThisThreadLeaves()) return Error(ErrorKind::kCancelled, "the copy was interrupted");
  }
}

ssize_t BulkChannel::SendSome(const char* from, uint64_t bytes, bool more) {
  if (tls_ != nullptr) return tls_->Write({from, bytes});
  return platform::Send(fd_.get(), from, bytes, more);
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
    const ssize_t sent = SendSome(from, std::min(bytes, kChunk), more);
    if (sent > 0) {
      from += sent;
      bytes -= static_cast<uint64_t>(sent);
      if (moved != nullptr) (*moved)(static_cast<uint64_t>(sent));
      continue;
    }
    // A farm that refuses what comes says why and then takes no more.
    if (sent < 0 && (errno == EPIPE || errno == ECONNRESET)) return {};
    if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
      return Lost("broke while data was sent", errno);
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
  if (!ours || header.type != kChannelError || header.length < 8)
    return Error(
        ErrorKind::kProtocolMismatch,
        fmt::format("the farm at {} answers a data request with something else; update the older side", peer_));
  std::string body(header.length, '\0');
  RBC_RETURN_IF_ERROR(Receive(body.data(), body.size(), nullptr));
  std::memcpy(&kind, body.data(), sizeof kind);
  std::memcpy(&size, body.data() + 4, sizeof size);
  Error error(ErrorKindFromNumber(static_cast<int32_t>(kind)), body.substr(8, size));
  error.role = "daemon";
  broken_ = type != kChannelData || header.request_id != request;
  return error;
}

template <typename Body>
Status BulkChannel::Ask(ChannelType type, const Body& body, uint64_t data_bytes) {
  const ChannelHeader header{{'R', 'B', 'C', '1'}, kChannelVersion, type, ++request_, sizeof body + data_bytes};
  char bytes[sizeof header + sizeof body];
  std::memcpy(bytes, &header, sizeof header);
  std::memcpy(bytes + sizeof header, &body, sizeof body);
  return Send(bytes, sizeof bytes, data_bytes != 0, nullptr);
}

Status BulkChannel::Attach(int64_t session, std::string_view secret, std::string_view token) {
  ChannelAttachBody body{static_cast<uint64_t>(session), {}};
  std::memcpy(body.secret, secret.data(), std::min(secret.size(), sizeof body.secret));
  broken_ = true;
  RBC_RETURN_IF_ERROR(Ask(kChannelAttach, body, token.size()));
  RBC_RETURN_IF_ERROR(Send(token.data(), token.size(), false, nullptr));
  RBC_RETURN_IF_ERROR(Expect(request_, kChannelDone, 0));
  broken_ = false;
  return {};
}

Status BulkChannel::Put(int64_t buffer, uint64_t offset, const char* from, uint64_t bytes, const MovedBytes& moved) {
  broken_ = true;  // until its answer is here
  ++awaited_;
  RBC_RETURN_IF_ERROR(Ask(kChannelPut, ChannelPutBody{static_cast<uint64_t>(buffer), offset}, bytes));
  RBC_RETURN_IF_ERROR(Send(from, bytes, false, &moved));
  return awaited_ < kMostAhead ? Status() : AwaitPuts();
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

Status BulkChannel::Get(int64_t buffer, uint64_t offset, char* to, uint64_t bytes, const MovedBytes& moved) {
  broken_ = true;
  RBC_RETURN_IF_ERROR(Ask(kChannelGet, ChannelGetBody{static_cast<uint64_t>(buffer), offset, bytes}, 0));
  RBC_RETURN_IF_ERROR(Expect(request_, kChannelData, bytes));
  RBC_RETURN_IF_ERROR(Receive(to, bytes, &moved));
  broken_ = false;
  return {};
}

}  // namespace rbc::client
