// Clocks, processor pinning, quantiles and context switches for the benchmarks.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sched.h>
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rbc::bench {

// k1Cpu: every process on CPU 0. k2Cpu: of a floor or peer the client on CPU 0, everybody else on CPU 1; the farm and
// its clients may use both, since they poll only where they may use more than one.
enum class Mode { k1Cpu, k2Cpu };
inline std::string_view Name(Mode mode) { return mode == Mode::k1Cpu ? "1cpu" : "2cpu"; }
inline int ServerCpu(Mode mode) { return mode == Mode::k1Cpu ? 0 : 1; }

// Microseconds, and context switches of all processes together; both per call.
struct Sample {
  double p50 = 0;
  double p99 = 0;
  double switches = 0;
  std::string error = {};  // empty: every result was right
};

// Pins the calling thread and what it forks; false if the machine does not let us.
inline bool PinTo(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  return sched_setaffinity(0, sizeof set, &set) == 0;
}

// The farm's and its clients' share of the CPUs.
inline bool PinFarm(Mode mode) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(0, &set);
  if (mode == Mode::k2Cpu) CPU_SET(1, &set);
  return sched_setaffinity(0, sizeof set, &set) == 0;
}

inline int64_t NowNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

inline int64_t Switches(const rusage& usage) { return usage.ru_nvcsw + usage.ru_nivcsw; }
inline int64_t SwitchesOfSelf() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return Switches(usage);
}

// The value below which `share` of the values lie; 0 for an empty list.
template <typename T>
T Quantile(std::vector<T> values, double share) {
  if (values.empty()) return T{};
  const auto index = static_cast<size_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(index), values.end());
  return values[index];
}

}  // namespace rbc::bench
