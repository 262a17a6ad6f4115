// Runs a program: bytes in, bytes out, within a deadline.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/expected.h"
#include "client/src/deadline.h"

namespace rbc::client {

struct Finished {
  int status = 0;  // as waitpid() has it
  std::string out, error;
};

// The absolute path of a program on PATH, or empty.
std::string FindProgram(std::string_view name);
// arguments[0] is the program's path. kDeadlineExceeded: it has been killed. kUnavailable: it cannot be started.
// Output is bounded to `most` bytes: kResourceExhausted beyond.
Expected<Finished> Run(const std::vector<std::string>& arguments, std::string_view input, size_t most,
                       const Deadline& deadline);

}  // namespace rbc::client
