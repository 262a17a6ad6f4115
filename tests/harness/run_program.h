// A program run to its end with a time limit, its output captured.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace rbc::harness {

// A program, its arguments and our environment with additions, ready before fork(): a child of a process that has
// threads must not allocate, since one of them may have held the allocator's lock.
class ProgramCall {
 public:
  // `command` starts with the program's path or its name on our PATH.
  ProgramCall(std::vector<std::string> command, const std::vector<std::pair<std::string, std::string>>& environment);
  ProgramCall(const ProgramCall&) = delete;
  ProgramCall& operator=(const ProgramCall&) = delete;
  // For the child; exits with 127 where there is no such program.
  [[noreturn]] void Exec() const;

 private:
  std::vector<std::string> command_, environment_;
  std::vector<char*> arguments_, environment_pointers_;  // of these, and null
};

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
