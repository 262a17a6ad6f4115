// A worker process seen from the daemon: control socket, death.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/expected.h"
#include "base/unique_fd.h"
#include "server/data/shared_memory.h"
#include "worker/protocol.h"

namespace rbc::server {

using Clock = std::chrono::steady_clock;

// One control packet.
struct Packet {
  worker::MessageType type{};
  std::string body;
  // A body of fixed size; false if the size is not that of T.
  template <typename T>
  bool As(T* out) const {
    if (body.size() < sizeof(T)) return false;
    __builtin_memcpy(out, body.data(), sizeof(T));
    return true;
  }
};

// Sends one packet with descriptors. Blocks while the socket is full. False: the peer is gone.
bool SendPacket(int fd, worker::MessageType type, std::string_view body, std::span<const int> fds = {});
template <typename T>
bool SendPacket(int fd, worker::MessageType type, const T& body, std::span<const int> fds = {}) {
  return SendPacket(fd, type, std::string_view(reinterpret_cast<const char*>(&body), sizeof body), fds);
}

enum class Receive : uint8_t { kPacket, kNothing, kClosed };
// Takes one packet if there is one. kClosed also for a malformed packet.
Receive ReceivePacket(int fd, Packet* packet);
// Waits for a packet until `until`. kNothing: the time is over.
Receive AwaitPacket(int fd, Clock::time_point until, Packet* packet);

// A socketpair of packets: [0] for the daemon, [1] for the child.
Expected<std::pair<UniqueFd, UniqueFd>> ControlPair();

// A child of the daemon, reaped by the supervisor. Thread-safe.
class ChildProcess {
 public:
  ChildProcess(pid_t pid, UniqueFd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}
  static Expected<std::shared_ptr<ChildProcess>> Open(pid_t pid);

  pid_t pid() const { return pid_; }
  int pidfd() const { return pidfd_.get(); }
  void Kill();
  // For a process that nobody watches yet.
  void KillAndReap();
  // Called by the supervisor when the process ended. Returns false if it has not.
  bool Reap();
  // Wait status once reaped, or nothing when `until` comes first.
  std::optional<int> AwaitExit(Clock::time_point until);
  bool exited() const;

 private:
  const pid_t pid_;
  const UniqueFd pidfd_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<int> status_;
};

// "signal 11 (Segmentation fault)", "exit status 3".
std::string DescribeExit(int wait_status);

}  // namespace rbc::server
