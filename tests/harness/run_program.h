// A program run to its end with a time limit, its output captured.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace rbc::harness {

struct RunOptions {
  std::string input{};                                             // its standard input
  std::vector<std::pair<std::string, std::string>> environment{};  // added to ours
  std::chrono::milliseconds limit{60'000};                         // past it the program is killed
};

struct Finished {
  int exit_code = -1;  // -1: it did not exit by itself
  int signal = 0;
  bool timed_out = false;
  std::string out, err;
  std::chrono::milliseconds took{0};
  // "exit code 1 after 20 ms, out: ..., err: ...", for messages.
  std::string ToString() const;
};

// `command` starts with the program's path or its name on PATH. The child dies with the calling thread.
Finished RunProgram(const std::vector<std::string>& command, const RunOptions& options = {});

}  // namespace rbc::harness
