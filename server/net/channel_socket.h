// A raw channel's bytes, in and out: by the socket itself or by TLS.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <string_view>

#include "thrift/tls_stream.h"

namespace rbc::server {

// Whether a result of the functions below means: later.
inline bool IsAgain(ssize_t result) {
  return result < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
}

// A view of a connection, for one turn of the thread that serves it.
struct ChannelSocket {
  int fd = -1;
  TlsStream* tls = nullptr;
  bool patient = false;  // may wait a short time for the peer: the socket's own timeouts, or `wait` of TLS
  std::chrono::milliseconds wait{0};
  bool local = false;  // a Unix socket

  // As recv(): all that is wanted where it is there or comes soon, else less.
  ssize_t Receive(char* to, size_t bytes) const;
  // As send(). `more` comes right behind. Bytes that were refused with EAGAIN must be offered again before any others.
  ssize_t Send(std::string_view bytes, bool more) const;
  // Bytes have been taken from the descriptor and not been read: it wakes nobody for them.
  bool HasUnread() const { return tls != nullptr && tls->HasUnread(); }

 private:
  // Whether TLS may go on.
  bool WaitForPeer(short events) const;
};

}  // namespace rbc::server
