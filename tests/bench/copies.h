// Arrays over a connection: how their time is taken, and the raw stream that is their floor.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "tests/bench/source.h"

namespace rbc::bench {

struct Rounds {
  int warm_up;
  int most;  // however many the work asks for
};

// Times `copy()`; `right()` is asked once, after the last.
template <typename Copy, typename Right>
Sample TimeCopies(const Work& work, const Rounds& rounds, Copy copy, Right right) {
  std::vector<int64_t> times;
  for (int i = 0; i < std::min(work.calls, rounds.most) + rounds.warm_up; ++i) {
    const int64_t start = NowNs();
    copy();
    if (i >= rounds.warm_up) times.push_back(NowNs() - start);
  }
  if (!right()) return {.error = "what arrived is not what was sent"};
  return {.p50 = Quantile(times, 0.50) / 1000.0, .p99 = Quantile(times, 0.99) / 1000.0};
}

// As the farm's raw channels do it, a chunk a system call.
inline constexpr size_t kChunk = 256 * 1024;
inline bool SendAll(int fd, const void* bytes, size_t size) {
  const auto* from = static_cast<const char*>(bytes);
  while (size != 0) {
    const ssize_t sent = send(fd, from, std::min(size, kChunk), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    from += sent;
    size -= static_cast<size_t>(sent);
  }
  return true;
}
inline bool ReceiveAll(int fd, void* bytes, size_t size) {
  auto* to = static_cast<char*>(bytes);
  while (size != 0) {
    const ssize_t got = recv(fd, to, std::min(size, kChunk), MSG_WAITALL);
    if (got <= 0) return false;
    to += got;
    size -= static_cast<size_t>(got);
  }
  return true;
}

}  // namespace rbc::bench
