// A connection's bytes, in and out: by the socket itself or by TLS. All of the loop's reading and writing goes through
// here.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/socket.h>

#include <string_view>

#include "server/net/connection.h"

namespace rbc::server {

// What is there now, as recv() gives it: 0 at the end, -1 with errno. REQUIRES: of a TLS connection, read until EAGAIN
// before waiting for the descriptor; what TLS has taken from it wakes nobody.
inline ssize_t ReceiveNow(Connection& connection, void* to, size_t size) {
  if (connection.tls != nullptr) return connection.tls->Read(to, size);
  return recv(connection.fd.get(), to, size, MSG_DONTWAIT);
}

// What goes now, as send() says it. Bytes that were refused with EAGAIN must be offered again before any others.
inline ssize_t SendNow(Connection& connection, std::string_view bytes) {
  if (connection.tls != nullptr) return connection.tls->Write(bytes);
  return send(connection.fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

// Nothing more will be sent.
inline void EndSending(Connection& connection) {
  if (connection.tls != nullptr) connection.tls->EndWriting();
  shutdown(connection.fd.get(), SHUT_WR);
}

}  // namespace rbc::server
