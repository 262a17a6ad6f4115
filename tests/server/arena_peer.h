// A client that maps its session's arena.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <string>

#include "base/unique_fd.h"
#include "tests/server/farm_fixture.h"

namespace rbc::server::testing {

// Asks for the arena over a socket of its own making: generated clients take no descriptors.
struct RawArena {
  std::string reply;
  UniqueFd fd;
  std::shared_ptr<void> keep;  // the connection
};
inline RawArena AskArena(const std::string& address, const wire::HelloReply& session) {
  RawArena out;
  const int fd = RawConnect(address);
  out.keep = std::shared_ptr<void>(nullptr, [fd](void*) { close(fd); });
  const auto hello = FrameAttach(1, session);
  EXPECT_EQ(send(fd, hello.data(), hello.size(), 0), static_cast<ssize_t>(hello.size()));
  EXPECT_FALSE(ReadFrame(fd).empty());
  const auto ask = FrameRequest("arena", 2, wire::Farm_arena_args());
  EXPECT_EQ(send(fd, ask.data(), ask.size(), 0), static_cast<ssize_t>(ask.size()));
  char bytes[4096];
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  iovec piece{bytes, sizeof bytes};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
  if (got > 0) out.reply.assign(bytes, static_cast<size_t>(got));
  if (const cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr && header->cmsg_type == SCM_RIGHTS) {
    int received;
    std::memcpy(&received, CMSG_DATA(header), sizeof received);
    out.fd.Reset(received);
  }
  return out;
}

}  // namespace rbc::server::testing
