// Opens sockets to a farm, within a deadline.
// SPDX-License-Identifier: Apache-2.0
#include "client/src/dial.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/platform.h"
#include "client/src/interrupt.h"

namespace rbc::client {
namespace {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

SocketAddress FromInfo(const addrinfo& info) {
  SocketAddress out;
  std::memcpy(&out.storage, info.ai_addr, info.ai_addrlen);
  out.size = info.ai_addrlen;
  return out;
}

struct Lookup {
  std::mutex mutex;
  std::condition_variable done_changed;
  bool done = false;
  int code = 0;
  std::vector<SocketAddress> found;
};

void LookUp(Lookup& lookup, const std::string& host, const std::string& port, int flags) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* list = nullptr;
  const int code = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &list);
  const std::lock_guard lock(lookup.mutex);
  for (const addrinfo* info = list; code == 0 && info != nullptr; info = info->ai_next)
    lookup.found.push_back(FromInfo(*info));
  if (list != nullptr) ::freeaddrinfo(list);
  lookup.code = code;
  lookup.done = true;
  lookup.done_changed.notify_all();
}

Error Interrupted(const Address& address) {
  return Error(ErrorKind::kCancelled, fmt::format("connecting to the farm at {} was interrupted", address.text));
}

// False: the deadline has passed, or the thread gives up.
bool Wait(Lookup& lookup, const Deadline& deadline) {
  for (;;) {
    {
      std::unique_lock lock(lookup.mutex);
      const auto step = std::chrono::milliseconds(PatientMs(deadline.RemainingMs()));
      if (lookup.done_changed.wait_for(lock, step, [&] { return lookup.done; })) return true;
    }
    if (deadline.Expired() || ThisThreadGivesUp()) return false;
  }
}

// Names are looked up on a thread of their own: the resolver knows no deadline.
Expected<std::vector<SocketAddress>> Resolve(const Address& address, const Deadline& deadline) {
  const auto lookup = std::make_shared<Lookup>();
  const std::string port = std::to_string(address.port);
  // "localhost" is loopback, whatever a hosts file says.
  const std::string host = address.host == "localhost" ? "127.0.0.1" : address.host;
  LookUp(*lookup, host, port, AI_NUMERICHOST);
  if (lookup->code != 0) {
    lookup->done = false;
    std::thread([lookup, host, port] { LookUp(*lookup, host, port, 0); }).detach();
    if (!Wait(*lookup, deadline)) {
      if (!deadline.Expired()) return Interrupted(address);
      return Error(ErrorKind::kDeadlineExceeded,
                   fmt::format("the name of the farm at {} is not resolved within {} ms; give its address in numbers",
                               address.text, deadline.GivenMs()));
    }
  }
  const std::lock_guard lock(lookup->mutex);
  if (lookup->code != 0) {
    Error error(ErrorKind::kConnectionLost,
                fmt::format("the host of the farm at {} is not known: {}; check the address", address.text,
                            ::gai_strerror(lookup->code)));
    error.role = "client";
    error.cause = "unknown host";
    return error;
  }
  return lookup->found;
}

SocketAddress UnixAddress(const std::string& path) {
  SocketAddress out;
  auto* unix_address = reinterpret_cast<sockaddr_un*>(&out.storage);
  unix_address->sun_family = AF_UNIX;
  std::memcpy(unix_address->sun_path, path.data(), path.size());
  out.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  return out;
}

Error CannotConnect(const Address& address, int code) {
  const char* const advice = code == ECONNREFUSED || code == ENOENT ? "start it with rbc-farm or give another address"
                             : code == EACCES || code == EPERM      ? "ask its operator for access to the socket"
                                                                    : "check the address and the network";
  Error error(ErrorKind::kConnectionLost,
              fmt::format("the farm at {} cannot be reached: {}; {}", address.text, std::strerror(code), advice));
  error.role = "client";
  if (code == ECONNREFUSED || code == ENOENT) error.cause = "no farm there";
  error.retry_safe = true;
  return error;
}

Error TooSlow(const Address& address, const Deadline& deadline) {
  Error error(ErrorKind::kDeadlineExceeded,
              fmt::format("the farm at {} does not take a connection within {} ms; check the address and the network",
                          address.text, deadline.GivenMs()));
  error.role = "client";
  error.retry_safe = true;
  return error;
}

bool IsLoopback(const SocketAddress& to) {
  if (to.storage.ss_family == AF_UNIX) return true;
  if (to.storage.ss_family == AF_INET)
    return (ntohl(reinterpret_cast<const sockaddr_in&>(to.storage).sin_addr.s_addr) >> 24) == 127;
  return to.storage.ss_family == AF_INET6 &&
         IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6&>(to.storage).sin6_addr);
}

// 0, or the errno; EINTR: the thread gives up. A full backlog of a Unix socket answers EAGAIN at once: try again until
// the deadline.
int Connect(int fd, const SocketAddress& to, const Deadline& deadline) {
  for (;;) {
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&to.storage), to.size) == 0) return 0;
    if (errno == EINPROGRESS) break;
    if (errno != EAGAIN && errno != EINTR) return errno;
    const int ms = deadline.RemainingMs();
    if (ms == 0) return ETIMEDOUT;
    ::poll(nullptr, 0, std::min(ms, 5));
    if (ThisThreadGivesUp()) return EINTR;
  }
  for (;;) {
    const int ms = deadline.RemainingMs();
    if (ms == 0) return ETIMEDOUT;
    pollfd wait{fd, POLLOUT, 0};
    if (::poll(&wait, 1, PatientMs(ms)) > 0) break;
    if (ThisThreadGivesUp()) return EINTR;
  }
  int code = 0;
  socklen_t size = sizeof code;
  ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size);
  return code;
}

// The flag is off again afterwards: waiting for a reply is one blocking recv().
void MakeBlocking(int fd) { ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) & ~O_NONBLOCK); }

}  // namespace

Expected<Dialed> Dial(const Address& address, const Deadline& deadline) {
  std::vector<SocketAddress> candidates;
  if (address.kind == Address::Kind::kUnix) {
    candidates.push_back(UnixAddress(address.path));
  } else {
    RBC_ASSIGN_OR_RETURN(candidates, Resolve(address, deadline));
  }
  int code = EADDRNOTAVAIL;
  for (const SocketAddress& to : candidates) {
    UniqueFd fd(platform::OpenSocket(to.storage.ss_family));
    if (!fd)
      return Error(ErrorKind::kResourceExhausted,
                   fmt::format("no socket can be made: {}; raise the limit of open files", std::strerror(errno)));
    code = Connect(fd.get(), to, deadline);
    if (code == EINTR) return Interrupted(address);
    if (code == ETIMEDOUT && deadline.Expired()) return TooSlow(address, deadline);
    if (code != 0) continue;
    MakeBlocking(fd.get());
    const int on = 1;
    if (to.storage.ss_family != AF_UNIX) ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return Dialed{std::move(fd), IsLoopback(to)};
  }
  return CannotConnect(address, code);
}

}  // namespace rbc::client
