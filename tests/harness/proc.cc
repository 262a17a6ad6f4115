// What /proc says about processes.
// SPDX-License-Identifier: Apache-2.0
#include "tests/harness/proc.h"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

namespace rbc::harness {

namespace {

std::string PathOf(pid_t pid, const std::string& name) { return "/proc/" + std::to_string(pid) + "/" + name; }

// Sums the lines `key: N kB` of a file.
uint64_t SumKilobytes(const std::string& path, const std::vector<std::string>& keys) {
  std::ifstream in(path);
  uint64_t sum = 0;
  for (std::string line; std::getline(in, line);) {
    for (const std::string& key : keys) {
      if (line.starts_with(key + ":")) sum += std::strtoull(line.c_str() + key.size() + 1, nullptr, 10) * 1024;
    }
  }
  return sum;
}

template <typename Visit>
void ForEachEntry(const std::string& folder, Visit visit) {
  DIR* dir = opendir(folder.c_str());
  if (dir == nullptr) return;
  while (const dirent* entry = readdir(dir)) visit(entry->d_name);
  closedir(dir);
}

}  // namespace

std::string ReadWholeFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

void WriteWholeFile(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

std::optional<ProcessStat> ReadStat(pid_t pid) {
  const std::string text = ReadWholeFile(PathOf(pid, "stat"));
  const size_t open = text.find('(');
  const size_t close = text.rfind(')');
  if (open == std::string::npos || close == std::string::npos) return std::nullopt;
  ProcessStat stat;
  stat.name = text.substr(open + 1, close - open - 1);
  std::istringstream rest(text.substr(close + 1));
  rest >> stat.state >> stat.parent;
  // Field 22 is the start; 5..21 lie between.
  std::string skipped;
  for (int field = 5; field < 22; ++field) rest >> skipped;
  stat.id.pid = pid;
  rest >> stat.id.start_time;
  return stat;
}

bool IsAlive(const ProcessId& id) {
  const auto stat = ReadStat(id.pid);
  return stat && stat->id == id && stat->state != 'Z' && stat->state != 'X';
}

std::vector<ProcessStat> ChildrenOf(pid_t parent) {
  std::vector<ProcessStat> children;
  ForEachEntry("/proc", [&](const char* name) {
    if (!std::isdigit(static_cast<unsigned char>(name[0]))) return;
    if (auto stat = ReadStat(std::atoi(name)); stat && stat->parent == parent) children.push_back(*stat);
  });
  return children;
}

std::vector<ProcessStat> ThreadsOf(pid_t pid) {
  std::vector<ProcessStat> threads;
  ForEachEntry(PathOf(pid, "task"), [&](const char* name) {
    if (!std::isdigit(static_cast<unsigned char>(name[0]))) return;
    if (auto stat = ReadStat(std::atoi(name))) threads.push_back(*stat);
  });
  return threads;
}

std::string StatusField(pid_t pid, const std::string& key) {
  std::ifstream in(PathOf(pid, "status"));
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(key + ":")) continue;
    const size_t begin = line.find_first_not_of(" \t", key.size() + 1);
    return begin == std::string::npos ? "" : line.substr(begin);
  }
  return "";
}

std::string NamespaceOf(pid_t pid, const std::string& name) {
  char target[128];
  const ssize_t size = readlink(PathOf(pid, "ns/" + name).c_str(), target, sizeof target);
  return size < 0 ? "" : std::string(target, static_cast<size_t>(size));
}

std::string SoftLimit(pid_t pid, const std::string& name) {
  std::ifstream in(PathOf(pid, "limits"));
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(name)) continue;
    std::istringstream rest(line.substr(name.size()));
    std::string soft;
    rest >> soft;
    return soft;
  }
  return "";
}

uint64_t WorkingBytes(pid_t pid) { return SumKilobytes(PathOf(pid, "smaps_rollup"), {"Anonymous", "Pss_Shmem"}); }

uint64_t ResidentBytes(pid_t pid) { return SumKilobytes(PathOf(pid, "status"), {"VmRSS"}); }

size_t OpenDescriptors(pid_t pid) {
  size_t count = 0;
  ForEachEntry(PathOf(pid, "fd"), [&](const char* name) { count += name[0] != '.'; });
  return count;
}

namespace {

// The numbers of /proc/PID/stat from a field on, which are counted from 1.
std::istringstream StatFrom(pid_t pid, int first) {
  const std::string text = ReadWholeFile(PathOf(pid, "stat"));
  const size_t close = text.rfind(')');
  std::istringstream rest(close == std::string::npos ? std::string() : text.substr(close + 1));
  std::string skipped;
  for (int field = 3; field < first; ++field) rest >> skipped;
  return rest;
}

}  // namespace

uint64_t FreshPages(pid_t pid) {
  uint64_t faults = 0;
  StatFrom(pid, 10) >> faults;
  return faults;
}

std::chrono::milliseconds ProcessorTime(pid_t pid) {
  int64_t user = 0, system = 0;
  StatFrom(pid, 14) >> user >> system;
  return std::chrono::milliseconds((user + system) * 1000 / sysconf(_SC_CLK_TCK));
}

bool IsAsleep(pid_t pid) {
  const std::vector<ProcessStat> threads = ThreadsOf(pid);
  return !threads.empty() &&
         std::all_of(threads.begin(), threads.end(), [](const ProcessStat& thread) { return thread.state == 'S'; });
}

bool WaitUntil(std::chrono::milliseconds limit, const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

}  // namespace rbc::harness
