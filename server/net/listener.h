// A listening socket.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>

#include "base/expected.h"
#include "base/unique_fd.h"
#include "server/net/address.h"

namespace rbc::server {

// Who is at the other end. The trust domain bounds what code and workers are shared.
struct Peer {
  bool local = false;  // over a Unix socket
  std::string domain;  // "uid:1000", "loopback", "net:10.0.0.7"
};

// Owns the socket and, of a Unix socket, its file, which goes with it.
class Listener {
 public:
  // Binds and listens. A Unix socket that a live farm answers on is kUnavailable; a stale one is replaced; the last
  // folder of its path is made where it is missing. kInvalidArgument, kUnavailable.
  static Expected<Listener> Open(const std::string& address);
  Listener(Listener&& other) noexcept;
  Listener& operator=(Listener&& other) = delete;
  ~Listener();

  int fd() const { return fd_.get(); }
  const std::string& address() const { return address_; }  // with the port that was picked
  void Close();

  // The next connection, or empty with errno.
  UniqueFd Accept(Peer* peer) const;

 private:
  Listener() = default;
  UniqueFd fd_;
  std::string address_;
  std::string path_;
  dev_t device_ = 0;  // of the socket's file: only our own is removed
  ino_t inode_ = 0;
};

}  // namespace rbc::server
