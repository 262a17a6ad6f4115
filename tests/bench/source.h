// What the benchmark table is made of: sources, each one way of doing a piece of work, and rows that set one against
// another. A new figure is one function in one of the *_sources.cc files and one line in bench_main.cc.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "tests/bench/measure.h"

namespace rbc::bench {

struct Work {
  Mode mode = Mode::k1Cpu;
  int calls = 0;    // how often to do it; a source whose work is long may do less
  std::string bin;  // folder of rbc-farm, rbc-worker and rbc
};

// One sample of one source, in microseconds. Runs in a process of its own that does nothing else, so it may pin
// itself, start threads and leave the rest to exit(); it checks what it gets back and says so in Sample::error.
struct Source {
  std::string_view name;
  Sample (*run)(const Work& work);
};

// Thrift's own servers and gRPC (peer_sources.cc, grpc_sources.cc).
std::span<const Source> PeerSources();
std::span<const Source> GrpcSources();
// The farm, by a stock Thrift client (farm_sources.cc).
std::span<const Source> FarmSources();
// The farm, by librbc (client_sources.cc).
std::span<const Source> ClientSources();
// Arrays to and from the farm, and raw streams of as many bytes (bulk_sources.cc).
std::span<const Source> BulkSources();
// Arrays over a slow line (slow_line_sources.cc).
std::span<const Source> SlowLineSources();
// Maps through the farm, and their loops without one (map_sources.cc).
std::span<const Source> MapSources();
// The host target without a farm (inprocess_source.cc).
std::span<const Source> InProcessSources();

// double NAME(double, double), which adds: what the farm and the in-process compile are both given.
inline std::string AddIr(const std::string& name) {
  return "define double @" + name + "(double %a, double %b) {\n  %s = fadd double %a, %b\n  ret double %s\n}\n";
}

}  // namespace rbc::bench
