// Control packets as nursery and worker send and receive them. Allocates nothing after construction.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstring>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"
#include "worker/protocol.h"

namespace rbc::worker {

// Sends one packet; blocks while the socket is full. Thread-safe: packets are whole. False: the daemon is gone, or the
// body is longer than kMaxControlMessage allows.
bool SendPacket(int fd, MessageType type, std::string_view body);
template <typename T>
bool SendPacket(int fd, MessageType type, const T& body) {
  return SendPacket(fd, type, std::string_view(reinterpret_cast<const char*>(&body), sizeof body));
}

// A received packet. Reused for the next.
class PacketReceiver {
 public:
  PacketReceiver() : buffer_(kMaxControlMessage) {}

  // Blocks. False: end of stream, error or a malformed packet; the caller ends.
  bool Receive(int fd);
  MessageType type() const { return header_.type; }
  std::string_view body() const { return {buffer_.data() + sizeof(MessageHeader), header_.size}; }
  // The body as a T; false if it has another size.
  template <typename T>
  bool As(T* out) const {
    if (header_.size != sizeof(T)) return false;
    std::memcpy(out, body().data(), sizeof(T));
    return true;
  }
  // Descriptors that came with it, close-on-exec; those not taken are closed by the next Receive.
  std::array<UniqueFd, 4>& fds() { return fds_; }

 private:
  std::vector<char> buffer_;
  MessageHeader header_{};
  std::array<UniqueFd, 4> fds_;
};

}  // namespace rbc::worker
