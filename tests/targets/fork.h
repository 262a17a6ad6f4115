// Runs a piece of a test in a child process with limits: what LLVM does to it is the outcome.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

namespace rbc::testing {

struct ForkLimits {
  unsigned cpu_seconds = 10;
  uint64_t memory_bytes = uint64_t{3} << 30;
};

struct ForkOutcome {
  bool answered = false;  // `body` returned, and this is what it gave
  std::string answer;
  int signal = 0;  // that ended the child; 0: it exited
  int exit_code = 0;
};

// `body` gives a text of at most 64 KiB.
ForkOutcome InFork(const std::function<std::string()>& body, ForkLimits limits = {});

}  // namespace rbc::testing
