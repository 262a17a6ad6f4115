// A worker process seen from the daemon.
// SPDX-License-Identifier: Apache-2.0
#include "server/workers/process.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <csignal>
#include <cstring>

namespace rbc::server {
namespace {

Error SystemError(const char* what) {
  return Error(ErrorKind::kResourceExhausted, std::string(what) + " fails: " + std::strerror(errno));
}

int PollMilliseconds(Clock::time_point until) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
  return left <= 0 ? 0 : static_cast<int>(std::min<int64_t>(left, 1'000'000));
}

}  // namespace

bool SendPacket(int fd, worker::MessageType type, std::string_view body, std::span<const int> fds) {
  const worker::MessageHeader header{type, static_cast<uint32_t>(body.size())};
  iovec parts[2] = {{const_cast<worker::MessageHeader*>(&header), sizeof header},
                    {const_cast<char*>(body.data()), body.size()}};
  alignas(cmsghdr) char control[CMSG_SPACE(8 * sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  if (!fds.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(rights), fds.data(), fds.size_bytes());
  }
  ssize_t sent;
  do sent = sendmsg(fd, &message, MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  return sent >= 0;
}

Receive ReceivePacket(int fd, Packet* packet) {
  thread_local std::string buffer(worker::kMaxControlMessage, '\0');
  ssize_t size;
  do size = recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT | MSG_TRUNC);
  while (size < 0 && errno == EINTR);
  if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return Receive::kNothing;
  worker::MessageHeader header;
  if (size < static_cast<ssize_t>(sizeof header) || static_cast<size_t>(size) > buffer.size()) return Receive::kClosed;
  std::memcpy(&header, buffer.data(), sizeof header);
  if (header.size != size - sizeof header) return Receive::kClosed;
  packet->type = header.type;
  packet->body.assign(buffer.data() + sizeof header, header.size);
  return Receive::kPacket;
}

Receive AwaitPacket(int fd, Clock::time_point until, Packet* packet) {
  for (;;) {
    const Receive got = ReceivePacket(fd, packet);
    if (got != Receive::kNothing) return got;
    pollfd wait{fd, POLLIN, 0};
    const int ready = poll(&wait, 1, PollMilliseconds(until));
    if (ready == 0 && Clock::now() >= until) return Receive::kNothing;
  }
}

Expected<std::pair<UniqueFd, UniqueFd>> ControlPair() {
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) return SystemError("socketpair");
  return std::pair{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

Expected<std::shared_ptr<ChildProcess>> ChildProcess::Open(pid_t pid) {
  UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));  // glibc 2.36's header lacks extern "C"
  if (!pidfd) return SystemError("pidfd_open");
  return std::make_shared<ChildProcess>(pid, std::move(pidfd));
}

void ChildProcess::Kill() { syscall(SYS_pidfd_send_signal, pidfd(), SIGKILL, nullptr, 0); }

void ChildProcess::KillAndReap() {
  Kill();
  siginfo_t info{};
  while (waitid(P_PIDFD, static_cast<id_t>(pidfd()), &info, WEXITED) != 0 && errno == EINTR) {
  }
}

bool ChildProcess::Reap() {
  siginfo_t info{};
  if (waitid(P_PIDFD, static_cast<id_t>(pidfd()), &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0) return false;
  const int status = info.si_code == CLD_EXITED ? info.si_status << 8 : info.si_status & 0x7f;
  {
    const std::lock_guard lock(mutex_);
    status_ = status;
  }
  changed_.notify_all();
  return true;
}

std::optional<int> ChildProcess::AwaitExit(Clock::time_point until) {
  std::unique_lock lock(mutex_);
  changed_.wait_until(lock, until, [&] { return status_.has_value(); });
  return status_;
}

bool ChildProcess::exited() const {
  const std::lock_guard lock(mutex_);
  return status_.has_value();
}

std::string DescribeExit(int wait_status) {
  if (WIFSIGNALED(wait_status))
    return "signal " + std::to_string(WTERMSIG(wait_status)) + " (" + strsignal(WTERMSIG(wait_status)) + ")";
  return "exit status " + std::to_string(WEXITSTATUS(wait_status));
}

}  // namespace rbc::server
