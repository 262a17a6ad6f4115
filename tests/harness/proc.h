// What /proc says about processes: parents, sandbox, memory.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace rbc::harness {

// A process that a reused number cannot be mistaken for.
struct ProcessId {
  pid_t pid = 0;
  uint64_t start_time = 0;  // clock ticks after boot
  friend bool operator==(const ProcessId&, const ProcessId&) = default;
};

struct ProcessStat {
  ProcessId id;
  pid_t parent = 0;
  char state = '?';  // 'Z': ended, not yet reaped
  std::string name;
};

std::optional<ProcessStat> ReadStat(pid_t pid);
// Running or stopped, and the same process: a zombie counts as gone.
bool IsAlive(const ProcessId& id);
std::vector<ProcessStat> ChildrenOf(pid_t parent);
std::vector<ProcessStat> ThreadsOf(pid_t pid);
// Of /proc/PID/status, "Seccomp" -> "2"; "" where it is not there.
std::string StatusField(pid_t pid, const std::string& key);
// Of /proc/PID/ns, "net" -> "net:[4026531840]".
std::string NamespaceOf(pid_t pid, const std::string& name);
// The soft limit of /proc/PID/limits, "Max core file size" -> "0".
std::string SoftLimit(pid_t pid, const std::string& name);
// Bytes that grow where a process leaks: heap, stacks and shared memory, from smaps_rollup. Pages of files are left
// out: how many of them count as private changes with what the kernel writes back.
uint64_t WorkingBytes(pid_t pid);
uint64_t ResidentBytes(pid_t pid);
// Pages that it has touched for the first time, or again after they were given back, in its whole life.
uint64_t FreshPages(pid_t pid);
size_t OpenDescriptors(pid_t pid);
// What the process has had of the processors, in the kernel's ticks of 10 ms.
std::chrono::milliseconds ProcessorTime(pid_t pid);
// Each of its threads waits for something: it is not about to do anything that it began.
bool IsAsleep(pid_t pid);
std::string ReadWholeFile(const std::string& path);
void WriteWholeFile(const std::string& path, const std::string& bytes);

// Tests share a busy machine, which may let any process stand still for a second or more. So long is waited for what
// happens at all; where it does not, so much later is known.
inline constexpr std::chrono::milliseconds kPatience{30'000};
// What is added to a bound on elapsed time.
inline constexpr std::chrono::milliseconds kStall{10'000};

// Polls every few milliseconds; whether `condition` became true in time.
bool WaitUntil(std::chrono::milliseconds limit, const std::function<bool()>& condition);

}  // namespace rbc::harness
