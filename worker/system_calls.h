// Names of system calls, for those who read that one was refused.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace rbc::worker {

// "openat"; "" for a number that is not listed. Async-signal-safe.
std::string_view SystemCallName(long number);

}  // namespace rbc::worker
