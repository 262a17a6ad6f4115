// What the kernel tells a process of itself, before lock-down.
// SPDX-License-Identifier: Apache-2.0
#include "worker/proc_self.h"

#include <dirent.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

namespace rbc::worker {

std::string ReadSelf(const std::string& file) {
  std::ifstream in("/proc/self/" + file);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<std::string> ListSelf(const std::string& folder) {
  std::vector<std::string> names;
  DIR* const open = opendir(("/proc/self/" + folder).c_str());
  if (open == nullptr) return names;
  while (const dirent* entry = readdir(open))
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  closedir(open);
  return names;
}

uint64_t NumberBehind(const std::string& text, const std::string& word, int base) {
  const size_t at = text.find(word);
  return at == std::string::npos ? 0 : std::strtoull(text.c_str() + at + word.size(), nullptr, base);
}

}  // namespace rbc::worker
