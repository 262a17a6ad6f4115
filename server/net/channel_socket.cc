// A raw channel's bytes, in and out: by the socket itself or by TLS.
// SPDX-License-Identifier: Apache-2.0
#include "server/net/channel_socket.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

namespace rbc::server {

bool ChannelSocket::WaitForPeer(short events) const {
  pollfd peer{.fd = fd, .events = events, .revents = 0};
  if (patient && poll(&peer, 1, static_cast<int>(wait.count())) > 0) return true;
  errno = EAGAIN;
  return false;
}

// TLS gives a record at a time: read until there is enough, or nothing left to wait for.
ssize_t ChannelSocket::Receive(char* to, size_t bytes) const {
  if (tls == nullptr) return recv(fd, to, bytes, MSG_WAITALL | (patient ? 0 : MSG_DONTWAIT));
  size_t have = 0;
  while (have < bytes) {
    const ssize_t got = tls->Read(to + have, bytes - have);
    if (got > 0) {
      have += static_cast<size_t>(got);
      continue;
    }
    if (got == 0 || errno != EAGAIN) return have != 0 ? static_cast<ssize_t>(have) : got;
    if (!WaitForPeer(tls->read_wants_write() ? POLLOUT : POLLIN)) break;
  }
  return have != 0 ? static_cast<ssize_t>(have) : -1;
}

ssize_t ChannelSocket::Send(std::string_view bytes, bool more) const {
  if (tls == nullptr) {
    const int flags = MSG_NOSIGNAL | (more ? MSG_MORE : 0) | (patient ? 0 : MSG_DONTWAIT);
    return send(fd, bytes.data(), bytes.size(), flags);
  }
  const ssize_t sent = tls->Write(bytes);
  if (sent >= 0 || errno != EAGAIN || !WaitForPeer(tls->write_wants_read() ? POLLIN : POLLOUT)) return sent;
  return tls->Write(bytes);
}

}  // namespace rbc::server
