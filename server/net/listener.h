// A listening socket.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "base/expected.h"
#include "base/unique_fd.h"
#include "server/net/address.h"
#include "server/net/tls_context.h"

namespace rbc::server {

// Who is at the other end. The trust domain bounds what code and workers are shared.
struct Peer {
  bool local = false;      // over a Unix socket
  bool loopback = false;   // on this machine, by whatever kind of socket
  bool encrypted = false;  // nobody on the way can read along
  std::string domain;      // "uid:1000", "loopback", "net:10.0.0.7"; by a token "user:alice", "group:team"
};

// Owns the socket and, of a Unix socket, its file, which goes with it.
class Listener {
 public:
  // Binds and listens. A Unix socket that a live farm answers on is kUnavailable; a stale one is replaced; the last
  // folder of its path is made where it is missing. A tls:// address wants `tls`. kInvalidArgument,
  // kUnavailable.
  static Expected<Listener> Open(const std::string& address, TlsContext tls = nullptr);
  Listener(Listener&& other) noexcept;
  Listener& operator=(Listener&& other) = delete;
  ~Listener();

  int fd() const { return fd_.get(); }
  const std::string& address() const { return address_; }  // with the port that was picked
  ssl_ctx_st* tls() const { return tls_.get(); }           // null: plain text
  void Close();

  // The next connection, or empty with errno.
  UniqueFd Accept(Peer* peer) const;

 private:
  Listener() = default;
  UniqueFd fd_;
  std::string address_;
  std::string path_;
  TlsContext tls_;
  dev_t device_ = 0;  // of the socket's file: only our own is removed
  ino_t inode_ = 0;
};

}  // namespace rbc::server
