// A listening socket.
// SPDX-License-Identifier: Apache-2.0
#include "server/net/listener.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

namespace rbc::server {
namespace {

constexpr int kBacklog = 1024;

Error Failure(const std::string& address, const char* what) {
  return {ErrorKind::kUnavailable, fmt::format("cannot {} {}: {}", what, address, std::strerror(errno))};
}

// Makes way for a new socket at `path`: removes a stale one.
Status ClearPath(const Address& address) {
  struct stat info;
  if (lstat(address.path.c_str(), &info) != 0) {
    const auto folder = address.path.substr(0, address.path.rfind('/'));
    if (!folder.empty() && folder != address.path) mkdir(folder.c_str(), 0755);
    return {};
  }
  if (!S_ISSOCK(info.st_mode))
    return {ErrorKind::kInvalidArgument, fmt::format("{} exists and is no socket; choose another path", address.path)};
  const UniqueFd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  // EAGAIN: its backlog is full, so somebody holds it.
  if (connect(probe.get(), address.get(), address.size) == 0 || errno == EAGAIN)
    return {ErrorKind::kUnavailable,
            fmt::format("another farm answers on {}; stop it or choose another path", address.path)};
  if (errno == ECONNREFUSED) unlink(address.path.c_str());
  return {};
}

}  // namespace

Expected<Listener> Listener::Open(const std::string& text, TlsContext tls) {
  RBC_ASSIGN_OR_RETURN(const Address address, ParseAddress(text));
  if (address.tls && tls == nullptr)
    return {ErrorKind::kInvalidArgument, fmt::format("{} has no certificate; set tls.certificate and tls.key", text)};
  if (address.is_unix()) RBC_RETURN_IF_ERROR(ClearPath(address));
  Listener listener;
  listener.fd_.Reset(socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener.fd_) return Failure(text, "make a socket for");
  const int one = 1;
  if (!address.is_unix()) setsockopt(listener.fd(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listener.fd(), address.get(), address.size) != 0) return Failure(text, "listen on");
  if (address.is_unix()) {
    struct stat info;
    // Every user of the machine may connect: each is a trust domain of its own.
    if (chmod(address.path.c_str(), 0666) != 0 || stat(address.path.c_str(), &info) != 0) return Failure(text, "share");
    listener.path_ = address.path;
    listener.device_ = info.st_dev;
    listener.inode_ = info.st_ino;
  }
  if (listen(listener.fd(), kBacklog) != 0) return Failure(text, "listen on");
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  getsockname(listener.fd(), reinterpret_cast<sockaddr*>(&bound), &size);
  listener.address_ = (address.tls ? std::string(kTlsScheme) : "") + PrintAddress(bound);
  if (address.tls) listener.tls_ = std::move(tls);
  return listener;
}

Listener::Listener(Listener&& other) noexcept
    : fd_(std::move(other.fd_)),
      address_(std::move(other.address_)),
      path_(std::exchange(other.path_, {})),
      tls_(std::move(other.tls_)),
      device_(other.device_),
      inode_(other.inode_) {}

void Listener::Close() {
  struct stat info;
  if (!path_.empty() && lstat(path_.c_str(), &info) == 0 && info.st_dev == device_ && info.st_ino == inode_)
    unlink(path_.c_str());
  path_.clear();
  fd_.Reset();
}

Listener::~Listener() { Close(); }

UniqueFd Listener::Accept(Peer* peer) const {
  sockaddr_storage from{};
  socklen_t size = sizeof from;
  UniqueFd fd(accept4(fd_.get(), reinterpret_cast<sockaddr*>(&from), &size, SOCK_CLOEXEC));
  if (!fd) return fd;
  if (path_.empty()) {
    const int one = 1;
    setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd.get(), SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    peer->local = false;
    peer->encrypted = tls_ != nullptr;
    peer->loopback = IsLoopback(from);
    if (peer->loopback) {
      peer->domain = "loopback";
    } else {
      const auto address = PrintAddress(from);
      peer->domain = "net:" + address.substr(0, address.rfind(':'));
    }
    return fd;
  }
  ucred credentials{};
  socklen_t length = sizeof credentials;
  if (getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) return UniqueFd();
  peer->local = peer->loopback = true;
  peer->domain = fmt::format("uid:{}", credentials.uid);
  return fd;
}

}  // namespace rbc::server
