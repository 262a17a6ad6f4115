// TLS connections until the farm knows who is there: their handshake, and the bounds on those who do not get on.
// SPDX-License-Identifier: Apache-2.0
#include <spdlog/spdlog.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>

#include "server/net/loop.h"
#include "server/net/loop_thread.h"
#include "server/net/transport.h"

namespace rbc::server {
namespace {

constexpr unsigned char kHandshakeRecord = 0x16;  // what each TLS connection begins with

}  // namespace

void Loop::ArmHandshake(Connection* connection, bool wants_write) {
  epoll_event event{.events = (wants_write ? EPOLLOUT : EPOLLIN | EPOLLRDHUP) | EPOLLONESHOT,
                    .data = {.ptr = connection}};
  const int fd = connection->fd.get();
  connection->holder.store(Holder::kArmed, std::memory_order_release);
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

// Who speaks plain text here is told so, in plain text. TLS begins with nothing that a framed message begins with.
bool Loop::SeeFirstByte(Connection* connection) {
  unsigned char first;
  const ssize_t got = recv(connection->fd.get(), &first, 1, MSG_PEEK | MSG_DONTWAIT);
  if (got == 1) {
    if (first == kHandshakeRecord) {
      connection->tls = std::make_unique<TlsStream>(connection->tls_context, connection->fd.get(), true);
      connection->phase = TlsPhase::kHandshake;
    } else {
      connection->phase = TlsPhase::kPlainText;
    }
    return true;
  }
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
    ArmHandshake(connection, false);
  } else {
    Close(connection, nullptr);
  }
  return false;
}

bool Loop::Handshake(Connection* connection) {
  if (connection->phase == TlsPhase::kFirstByte && !SeeFirstByte(connection)) return false;
  if (connection->phase != TlsPhase::kHandshake) return true;
  const auto result = connection->tls->Handshake();
  switch (result) {
    case TlsStream::Result::kDone:
      connection->phase = TlsPhase::kNone;
      return true;
    case TlsStream::Result::kWantsRead:
    case TlsStream::Result::kWantsWrite:
      ArmHandshake(connection, result == TlsStream::Result::kWantsWrite);
      return false;
    case TlsStream::Result::kClosed:
      Close(connection, nullptr);
      return false;
    case TlsStream::Result::kFailed:
      break;
  }
  ++tls_failed_;
  spdlog::info("connection {} of {}: no TLS: {}", connection->id, connection->peer.domain, connection->tls->failure());
  // The alert that says why is on its way; unread bytes of the client would make the kernel take it back.
  connection->tls = nullptr;
  connection->phase = TlsPhase::kNone;
  connection->discarding = true;
  shutdown(connection->fd.get(), SHUT_WR);
  return true;
}

void Loop::AddStranger(Connection* connection) {
  if (strangers_.size() >= options_.max_handshakes) {
    const auto oldest = strangers_.begin();
    const auto found = connections_.find(oldest->first);
    if (found != connections_.end()) shutdown(found->second->fd.get(), SHUT_RDWR);  // whoever this wakes closes it
    strangers_.erase(oldest);
    ++tls_evicted_;
  }
  strangers_.emplace(connection->id, NowMs());
  connection->stranger = true;
}

void Loop::Welcome(Connection* connection) {
  connection->stranger = false;
  const std::lock_guard lock(mutex_);
  strangers_.erase(connection->id);
}

void Loop::SweepStrangers() {
  const int64_t latest = NowMs() - options_.handshake_timeout.count();
  while (!strangers_.empty() && strangers_.begin()->second <= latest) {
    const uint64_t id = strangers_.begin()->first;
    strangers_.erase(strangers_.begin());  // by id is by age
    const auto found = connections_.find(id);
    if (found == connections_.end()) continue;
    ++timed_out_;
    spdlog::info("connection {} of {}: no TLS handshake and hello within {} ms", id, found->second->peer.domain,
                 options_.handshake_timeout.count());
    shutdown(found->second->fd.get(), SHUT_RDWR);
  }
}

}  // namespace rbc::server
