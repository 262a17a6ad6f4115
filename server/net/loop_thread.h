// What a thread of the loop keeps between requests.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "base/adaptive_spin.h"
#include "base/step_aside.h"
#include "server/net/loop.h"

namespace rbc::server {

// Bytes that reset the clock of a message in parts: a slow line may go on, a trickle may not.
inline constexpr uint64_t kProgressBytes = 64 * 1024;

int64_t NowMs();  // monotonic

// Bytes of one connection only while it is served; the rest of a message moves into the connection.
struct Loop::Thread {
  explicit Thread(uint32_t spin_us) : spin(spin_us) {}
  static constexpr size_t kBuffer = 32 * 1024;
  static constexpr size_t kKeptReply = 256 * 1024;

  std::unique_ptr<char[]> buffer = std::make_unique_for_overwrite<char[]>(kBuffer);
  size_t begin = 0, end = 0;
  std::string reply;
  AdaptiveSpin spin;
  StepAside step_aside;
  bool last = false;          // nobody else waits for requests and nobody can be started
  bool left_waiting = false;  // uncounted already

  std::string_view view() const { return {buffer.get() + begin, end - begin}; }
  size_t left() const { return end - begin; }
  void Trim() {
    begin = end = 0;
    if (reply.capacity() > kKeptReply) std::string().swap(reply);
  }
};

}  // namespace rbc::server
