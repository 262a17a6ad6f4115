// Control packets as nursery and worker send and receive them.
// SPDX-License-Identifier: Apache-2.0
#include "worker/control_socket.h"

#include <errno.h>
#include <sys/socket.h>

namespace rbc::worker {

bool SendPacket(int fd, MessageType type, std::string_view body) {
  char packet[kMaxControlMessage];
  const MessageHeader header{type, static_cast<uint32_t>(body.size())};
  if (body.size() > sizeof packet - sizeof header) return false;
  std::memcpy(packet, &header, sizeof header);
  std::memcpy(packet + sizeof header, body.data(), body.size());
  ssize_t sent;
  // One buffer and sendto: sendmsg, which could send descriptors away, is not allowed after lock-down.
  do sent = sendto(fd, packet, sizeof header + body.size(), MSG_NOSIGNAL, nullptr, 0);
  while (sent < 0 && errno == EINTR);
  return sent >= 0;
}

bool PacketReceiver::Receive(int fd) {
  for (auto& old : fds_) old.Reset();
  iovec part{buffer_.data(), buffer_.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * 4)];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t size;
  do size = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
  while (size < 0 && errno == EINTR);
  if (size < static_cast<ssize_t>(sizeof header_)) return false;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    int fds[4];
    std::memcpy(fds, CMSG_DATA(part), count * sizeof(int));
    for (size_t i = 0; i < count; ++i) fds_[i].Reset(fds[i]);
  }
  std::memcpy(&header_, buffer_.data(), sizeof header_);
  return (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0 && header_.size == size - sizeof header_;
}

}  // namespace rbc::worker
