// A connected socket that carries length-prefixed frames.
// SPDX-License-Identifier: Apache-2.0
#include "client/src/frame_socket.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/platform.h"
#include "client/src/interrupt.h"
#include "client/src/tls.h"

namespace rbc::client {
namespace {

constexpr size_t kFirstBuffer = 4096;
constexpr size_t kStep = size_t{1} << 20;  // memory grows at most so far ahead of what arrived
constexpr size_t kLimitBeforeHello = size_t{1} << 20;
// A wake across CPUs costs 60 us and more, a reply of a small call 3: worth polling so long.
constexpr uint32_t kSpinUs = 50;

uint32_t LengthAt(const char* p) {
  uint32_t big;
  std::memcpy(&big, p, sizeof big);
  return __builtin_bswap32(big);
}

}  // namespace

Waiting& ThisWaiting() {
  thread_local Waiting waiting;
  return waiting;
}

FrameSocket::FrameSocket(UniqueFd fd, std::string peer, bool same_machine, std::unique_ptr<TlsStream> tls)
    : fd_(std::move(fd)),
      tls_(std::move(tls)),
      peer_(std::move(peer)),
      limit_(kLimitBeforeHello),
      spin_(same_machine ? kSpinUs : 0) {
  buffer_.resize(kFirstBuffer);
}

Error FrameSocket::Silent(const Deadline& deadline) const {
  return Error(
      ErrorKind::kDeadlineExceeded,
      fmt::format("the farm at {} does not answer within {} ms; raise the deadline or see whether it is stopped", peer_,
                  deadline.GivenMs()));
}

Error FrameSocket::Lost(std::string_view what, int code) const {
  if (code == EPROTO && tls_ != nullptr) {
    const std::string why = ExplainAlert(tls_->alert());
    Error error(ErrorKind::kConnectionLost, fmt::format("the farm at {} ends TLS: {}", peer_,
                                                        why.empty() ? tls_->failure() + "; ask its operator" : why));
    if (!why.empty()) error.cause = kWrongCertificate;
    return error;
  }
  const std::string why = code == 0 ? std::string() : fmt::format(": {}", std::strerror(code));
  return Error(ErrorKind::kConnectionLost,
               fmt::format("the connection to the farm at {} {}{}; see whether it still runs", peer_, what, why));
}

Status FrameSocket::Send(std::string_view frame, const Deadline& deadline) {
  sent_ = 0;
  while (sent_ < frame.size()) {
    const ssize_t n = SendBytes(frame.substr(sent_));
    if (n > 0) {
      sent_ += static_cast<size_t>(n);
    } else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      const int ms = deadline.RemainingMs();
      if (ms == 0) return Silent(deadline);
      const bool for_read = tls_ != nullptr && tls_->write_wants_read();
      pollfd wait{fd_.get(), static_cast<short>(for_read ? POLLIN : POLLOUT), 0};
      ::poll(&wait, 1, ms);
    } else if (n < 0 && errno != EINTR) {
      return Lost("broke while a request was sent", errno);
    }
  }
  return {};
}

void FrameSocket::Grow(size_t size) {
  if (buffer_.size() < size) buffer_.resize(size);
}

Expected<std::string_view> FrameSocket::Receive(const Deadline& deadline) {
  memory_.Trim(received_, &buffer_);
  Grow(kFirstBuffer);
  size_t have = 0;
  while (have < 4) {
    RBC_ASSIGN_OR_RETURN(const size_t n, ReceiveSome(have, deadline));
    have += n;
  }
  const size_t whole = size_t{LengthAt(buffer_.data())} + 4;
  if (whole - 4 > limit_)
    return Error(ErrorKind::kProtocolMismatch,
                 fmt::format("the farm at {} announces a message of {} bytes, more than the limit of {}", peer_,
                             whole - 4, limit_));
  while (have < whole) {
    Grow(std::min(whole, have + kStep));
    RBC_ASSIGN_OR_RETURN(const size_t n, ReceiveSome(have, deadline));
    have += n;
  }
  if (have > whole)
    return Error(ErrorKind::kProtocolMismatch,
                 fmt::format("the farm at {} sends {} bytes that nobody asked for", peer_, have - whole));
  received_ = whole;
  return std::string_view(buffer_).substr(4, whole - 4);
}

Expected<size_t> FrameSocket::ReceiveSome(size_t have, const Deadline& deadline) {
  char* const to = buffer_.data() + have;
  const size_t room = buffer_.size() - have;
  const ssize_t n = Poll(to, room);
  if (n > 0) return static_cast<size_t>(n);
  if (n == 0) return Lost("was closed by the farm", 0);
  return Block(to, room, deadline);
}

// Polls for a short while: > 0 bytes, 0 closed, -1 nothing came or an error that Block() will see again.
ssize_t FrameSocket::Poll(char* to, size_t room) {
  ssize_t n = -1;
  spin_.Until([&] {
    n = ReceiveBytes(to, room, MSG_DONTWAIT);
    return n >= 0 || (errno != EAGAIN && errno != EINTR);
  });
  return n;
}

Expected<size_t> FrameSocket::Block(char* to, size_t room, const Deadline& deadline) {
  for (;;) {
    int ms = deadline.RemainingMs();
    if (ms == 0) return Silent(deadline);
    if (ThisWaiting().impatience != nullptr) ms = std::min(ms, kImpatienceMs);
    if (ms != receive_timeout_ms_) {
      const timeval time{ms / 1000, ms % 1000 * 1000};
      if (::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time) != 0)
        return Lost("takes no timeout", errno);
      receive_timeout_ms_ = ms;
    }
    const ssize_t n = ReceiveBytes(to, room, 0);
    if (n > 0) return static_cast<size_t>(n);
    if (n == 0) return Lost("was closed by the farm", 0);
    if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) return Lost("broke", errno);
    if (ThisThreadLeaves()) return Error(ErrorKind::kCancelled, "the wait for the farm's answer was interrupted");
  }
}

ssize_t FrameSocket::SendBytes(std::string_view bytes) {
  if (tls_ != nullptr) return tls_->Write(bytes);
  return platform::Send(fd_.get(), bytes.data(), bytes.size());
}

// As recv() does it, at most the receive timeout long where it waits.
ssize_t FrameSocket::ReceiveTls(char* to, size_t room, bool wait) {
  const ssize_t n = tls_->Read(to, room);
  if (n >= 0 || errno != EAGAIN || !wait) return n;
  pollfd arrival{fd_.get(), static_cast<short>(tls_->read_wants_write() ? POLLOUT : POLLIN), 0};
  if (::poll(&arrival, 1, receive_timeout_ms_) > 0) return tls_->Read(to, room);
  errno = EAGAIN;
  return -1;
}

ssize_t FrameSocket::ReceiveBytes(char* to, size_t room, int flags) {
  if (tls_ != nullptr) return ReceiveTls(to, room, (flags & MSG_DONTWAIT) == 0);
  if (!expects_descriptor_) return ::recv(fd_.get(), to, room, flags);
  int descriptor = -1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof descriptor)];
  iovec piece{to, room};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t n = platform::ReceiveMessage(fd_.get(), &message, flags);
  if (n < 0) return n;
  const cmsghdr* const header = CMSG_FIRSTHDR(&message);
  if (header != nullptr && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
      header->cmsg_len == CMSG_LEN(sizeof descriptor)) {
    std::memcpy(&descriptor, CMSG_DATA(header), sizeof descriptor);
    descriptor_.Reset(descriptor);
  }
  return n;
}

bool FrameSocket::Alive() const {
  if (tls_ != nullptr) return tls_->IsQuiet();
  char byte;
  const ssize_t n = ::recv(fd_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

}  // namespace rbc::client
