// Brings the pages of a session's large arrays together into huge ones, in the background.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "server/data/buffer.h"

namespace rbc::server {

// Loops over them wait less for the tables of pages. The content stays, whoever reads or writes meanwhile. Where the
// kernel does not do it, nothing happens. One thread's.
class PageGatherer {
 public:
  using Clock = std::chrono::steady_clock;
  // Goes on with these, large ones in the arena, until `until`. Called again and again: what has no pages yet may have
  // some later.
  void Run(const std::vector<std::shared_ptr<const Buffer>>& buffers, Clock::time_point until);

 private:
  struct Progress {
    uint64_t done = 0;  // offset in the arena up to which it is done
    uint32_t waits = 0, wait = 1;
  };
  std::map<uint64_t, Progress> progress_;  // by the buffer's id
};

}  // namespace rbc::server
