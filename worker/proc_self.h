// What the kernel tells a process of itself, before lock-down.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace rbc::worker {

// A file below /proc/self ("status"); "" where it cannot be read.
std::string ReadSelf(const std::string& file);
// The names in a folder below /proc/self ("fd"), but those that begin with a dot.
std::vector<std::string> ListSelf(const std::string& folder);
// The number behind a word of such a file ("VmData:"), 0 where it is not there.
uint64_t NumberBehind(const std::string& text, const std::string& word, int base = 10);

}  // namespace rbc::worker
