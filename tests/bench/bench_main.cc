// The benchmark table: rbc_bench [--quick] [--json] [--rounds N] [--calls N] [--only TEXT] [--bin FOLDER].
// Every source of every chosen row is sampled once a round, each time in a fresh process; the table holds medians.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>

#include "tests/bench/floors.h"
#include "tests/bench/source.h"

namespace rbc::bench {
namespace {

// `ours` against `floor`, both names of a source or of a floor. Met if ours <= goal * floor; goal 0: only shown.
struct Row {
  std::string_view name;
  std::string_view ours;
  std::string_view floor = {};
  double goal = 0;
  double constant_floor = 0;  // used where `floor` is empty
  std::string_view unit = "us";
  bool in_1cpu = true;
  bool in_2cpu = false;
};

constexpr Row kRows[] = {
    // Goal 1', calls over a connection that the farm lends to the worker; stock Thrift client.
    {.name = "call, lent, Unix / raw socket", .ours = "farm_call_unix", .floor = "raw_unix", .goal = 1.3},
    {.name = "call, lent, Unix / Thrift pool", .ours = "farm_call_unix", .floor = "thrift_pool_unix", .goal = 1.0},
    {.name = "call, lent, TCP / raw socket", .ours = "farm_call_tcp", .floor = "raw_tcp", .goal = 1.3},
    {.name = "call, lent, TCP / Thrift pool", .ours = "farm_call_tcp", .floor = "thrift_pool_tcp", .goal = 1.0},
    // Goal 1, calls through the daemon; stock Thrift client.
    {.name = "call, daemon, Unix / bare relay", .ours = "farm_relay_unix", .floor = "relay_unix", .goal = 1.15},
    {.name = "call, daemon, TCP / bare relay", .ours = "farm_relay_tcp", .floor = "relay_tcp", .goal = 1.15},
    {.name = "call, daemon, Unix / gRPC unary", .ours = "farm_relay_unix", .floor = "grpc_unary_unix", .goal = 0.5},
    // The same by librbc, which polls before it blocks, on two CPUs, against a socket that both sides poll.
    {.name = "librbc, lent, Unix / both spin",
     .ours = "client_call_unix",
     .floor = "raw_unix_both_spin",
     .goal = 1.2,
     .in_1cpu = false,
     .in_2cpu = true},
    {.name = "librbc, lent, TCP / both spin",
     .ours = "client_call_tcp",
     .floor = "raw_tcp_both_spin",
     .goal = 1.2,
     .in_1cpu = false,
     .in_2cpu = true},
    {.name = "librbc, daemon, Unix / both spin",
     .ours = "client_relay_unix",
     .floor = "raw_unix_both_spin",
     .goal = 2,
     .in_1cpu = false,
     .in_2cpu = true},
    // Goal 1'', a lane of the worker shared with the client.
    {.name = "librbc, direct / shared memory, spin",
     .ours = "client_call_direct",
     .floor = "shm_spin",
     .goal = 2,
     .in_1cpu = false,
     .in_2cpu = true},
    {.name = "librbc, direct / shared memory, futex", .ours = "client_call_direct", .floor = "shm_futex", .goal = 1.3},
    {.name = "librbc, lent, Unix / raw socket", .ours = "client_call_unix", .floor = "raw_unix", .goal = 1.3},
    // Goal 3, calls in batches of 1,000: 2 million a second are about this share of a raw socket's rate.
    {.name = "librbc, call of a batch / raw socket",
     .ours = "client_batch_unix",
     .floor = "raw_unix",
     .goal = 0.15,
     .in_2cpu = true},
    // Goal 6, a module that the farm knows, by its handle; a scalar call through the daemon is the measure.
    {.name = "known module, small / call", .ours = "farm_known_small", .floor = "farm_relay_unix", .goal = 3},
    {.name = "known module, 1 MB / call", .ours = "farm_known_large", .floor = "farm_relay_unix", .goal = 3},
    // Goal 4, a new small function at O2 on a warm worker, send to handle.
    {.name = "new function / in process + echo",
     .ours = "farm_compile_new",
     .floor = "compile_in_process_and_echo",
     .goal = 1.5,
     .in_2cpu = true},
    {.name = "fresh domain, new function / in process",
     .ours = "farm_compile_fresh_domain",
     .floor = "compile_in_process_and_echo",
     .in_2cpu = true},
    // Goal 10, arrays: at least 0.9 of a raw stream's speed, and 0.95 of memcpy's.
    {.name = "64 MiB to farm, Unix / raw stream",
     .ours = "bulk_to_unix",
     .floor = "stream_to_unix",
     .goal = 1.11,
     .in_1cpu = false,
     .in_2cpu = true},
    {.name = "64 MiB from farm, Unix / raw stream",
     .ours = "bulk_from_unix",
     .floor = "stream_from_unix",
     .goal = 1.11,
     .in_1cpu = false,
     .in_2cpu = true},
    {.name = "64 MiB to farm, TCP / raw stream",
     .ours = "bulk_to_tcp",
     .floor = "stream_to_tcp",
     .goal = 1.11,
     .in_1cpu = false,
     .in_2cpu = true},
    {.name = "64 MiB from farm, TCP / raw stream",
     .ours = "bulk_from_tcp",
     .floor = "stream_from_tcp",
     .goal = 1.11,
     .in_1cpu = false,
     .in_2cpu = true},
    {.name = "64 MiB to farm, same machine / memcpy",
     .ours = "bulk_to_local",
     .floor = "bulk_memcpy",
     .goal = 1.05,
     .in_1cpu = false,
     .in_2cpu = true},
    {.name = "64 MiB from farm, same machine / memcpy",
     .ours = "bulk_from_local",
     .floor = "bulk_memcpy",
     .goal = 1.05,
     .in_1cpu = false,
     .in_2cpu = true},
    // Over a line of 20 MB/s, packed where that is faster; what does not pack costs next to nothing more.
    {.name = "8 MiB to farm, slow line, prices / raw stream",
     .ours = "slow_to_prices",
     .floor = "slow_stream",
     .goal = 0.6,
     .in_1cpu = false,
     .in_2cpu = true},
    {.name = "8 MiB from farm, slow line, prices / raw stream",
     .ours = "slow_from_prices",
     .floor = "slow_stream",
     .goal = 0.6,
     .in_1cpu = false,
     .in_2cpu = true},
    {.name = "8 MiB to farm, slow line, random walk / raw stream",
     .ours = "slow_to_walk",
     .floor = "slow_stream",
     .goal = 0.9,
     .in_1cpu = false,
     .in_2cpu = true},
    {.name = "8 MiB to farm, slow line, noise / raw stream",
     .ours = "slow_to_noise",
     .floor = "slow_stream",
     .goal = 1.05,
     .in_1cpu = false,
     .in_2cpu = true},
    // Goal 12, x + y in the session's arena by librbc; the same generated loop on one thread of this process.
    {.name = "map of 10 M rows / the loop itself", .ours = "map_farm_10m", .floor = "map_loop_10m", .goal = 1.01},
    {.name = "map of 10 M rows, settled / the loop itself",
     .ours = "map_farm_10m_settled",
     .floor = "map_loop_10m",
     .goal = 1.01},
    {.name = "map of 1,000 rows / the loop and two calls",
     .ours = "map_farm_1000",
     .floor = "map_loop_1000_and_two_calls",
     .goal = 1.0,
     .in_2cpu = true},
    // Goals 14 and 15, against constants.
    {.name = "start to first answer / 40 ms",
     .ours = "farm_start_to_answer",
     .goal = 1,
     .constant_floor = 40'000,
     .in_1cpu = false,
     .in_2cpu = true},
    {.name = "idle connection / 24 KiB",
     .ours = "farm_idle_connection_kib",
     .goal = 1,
     .constant_floor = 24,
     .unit = "KiB"},
    {.name = "idle execution worker / 4 MiB",
     .ours = "farm_idle_worker_kib",
     .goal = 1,
     .constant_floor = 4 * 1024,
     .unit = "KiB"},
    {.name = "first call of a session / call", .ours = "farm_first_call", .floor = "farm_relay_unix", .in_2cpu = true},
    {.name = "1,000 kept functions / 9 MiB",
     .ours = "farm_kept_functions_kib",
     .goal = 1,
     .constant_floor = 9 * 1024,
     .unit = "KiB"},
    // The floors have to be honest: Thrift's own echo within 1.7x of the raw socket's.
    {.name = "peer: Thrift pool, Unix / raw", .ours = "thrift_pool_unix", .floor = "raw_unix", .goal = 1.7},
    {.name = "peer: Thrift pool, TCP / raw", .ours = "thrift_pool_tcp", .floor = "raw_tcp", .goal = 1.7},
    {.name = "peer: Thrift threaded, Unix / raw", .ours = "thrift_threaded_unix", .floor = "raw_unix", .goal = 1.7},
    {.name = "peer: gRPC unary, Unix / raw", .ours = "grpc_unary_unix", .floor = "raw_unix", .in_2cpu = true},
    // What the call path may cost at least.
    {.name = "floor: relay, Unix / raw", .ours = "relay_unix", .floor = "raw_unix"},
    {.name = "floor: relay, TCP / raw", .ours = "relay_tcp", .floor = "raw_tcp"},
    {.name = "floor: lent, Unix / raw", .ours = "lent_unix", .floor = "raw_unix"},
    {.name = "floor: relay, spinning / both spin",
     .ours = "relay_unix_spin",
     .floor = "raw_unix_both_spin",
     .in_1cpu = false,
     .in_2cpu = true},
};

struct Options {
  int rounds = 7;
  int calls = 10000;
  bool json = false;
  std::string only;
  std::string sample;  // set: be the process of one sample
  Mode mode = Mode::k1Cpu;
  std::string bin;
};

std::optional<Sample> RunSource(std::string_view name, const Work& work) {
  if (const Floor* floor = FindFloor(name)) return Run(*floor, work.mode, work.calls);
  for (const auto sources : {FarmSources(), ClientSources(), BulkSources(), SlowLineSources(), MapSources(),
                             InProcessSources(), PeerSources(), GrpcSources()}) {
    const bool of_farm = sources.data() == FarmSources().data() || sources.data() == ClientSources().data() ||
                         sources.data() == BulkSources().data() || sources.data() == SlowLineSources().data() ||
                         sources.data() == MapSources().data();
    for (const Source& source : sources) {
      if (source.name != name) continue;
      if (!(of_farm ? PinFarm(work.mode) : PinTo(0))) return Sample{.error = "this process cannot be pinned to CPU 0"};
      return source.run(work);
    }
  }
  return std::nullopt;
}

// The process of one sample: one line for the parent.
int PrintSample(const Options& options) {
  const auto sample = RunSource(options.sample, {.mode = options.mode, .calls = options.calls, .bin = options.bin});
  if (!sample) {
    std::fprintf(stderr, "error: there is no source '%s'\n", options.sample.c_str());
    return 2;
  }
  if (!sample->error.empty()) {
    std::fprintf(stderr, "error: %s, %s: %s\n", options.sample.c_str(), Name(options.mode).data(),
                 sample->error.c_str());
    return 1;
  }
  std::printf("%.4f %.4f %.4f\n", sample->p50, sample->p99, sample->switches);
  return 0;
}

// Runs this program again for one sample; nullopt if it failed, which it has explained on stderr.
std::optional<Sample> SampleInProcess(const Options& options, std::string_view source, Mode mode) {
  const std::string command = options.bin + "/rbc_bench --sample " + std::string(source) + " --mode " +
                              Name(mode).data() + " --calls " + std::to_string(options.calls) + " --bin " + options.bin;
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return std::nullopt;
  Sample sample;
  const int fields = std::fscanf(pipe, "%lf %lf %lf", &sample.p50, &sample.p99, &sample.switches);
  return pclose(pipe) == 0 && fields == 3 ? std::optional(sample) : std::nullopt;
}

struct Series {
  std::vector<double> p50, p99, switches;
  bool failed = false;
};
using Key = std::pair<Mode, std::string_view>;
struct Chosen {
  const Row* row;
  Mode mode;
};

std::vector<Chosen> Choose(const Options& options) {
  std::vector<Chosen> chosen;
  for (const Mode mode : {Mode::k1Cpu, Mode::k2Cpu}) {
    for (const Row& row : kRows) {
      const bool wanted = mode == Mode::k1Cpu ? row.in_1cpu : row.in_2cpu;
      if (wanted && row.name.find(options.only) != std::string_view::npos) chosen.push_back({&row, mode});
    }
  }
  return chosen;
}

// Every source once a round, so that a slow minute of the machine touches all of them alike. A source that fails
// once, which it has explained on stderr, is left out of the later rounds.
std::map<Key, Series> RunRounds(const Options& options, const std::vector<Chosen>& chosen) {
  std::map<Key, Series> series;
  for (const auto& [row, mode] : chosen) {
    series[{mode, row->ours}];
    if (!row->floor.empty()) series[{mode, row->floor}];
  }
  for (int round = 0; round < options.rounds; ++round) {
    for (auto& [key, values] : series) {
      if (values.failed) continue;
      const auto sample = SampleInProcess(options, key.second, key.first);
      values.failed = !sample.has_value();
      if (values.failed) continue;
      values.p50.push_back(sample->p50);
      values.p99.push_back(sample->p99);
      values.switches.push_back(sample->switches);
    }
  }
  return series;
}

// A row with its medians.
struct Result {
  const Row* row;
  Mode mode;
  double ours = 0, floor = 0, ratio = 0, p99 = 0, switches = 0;
  bool failed = false;
  bool met() const { return !failed && ratio <= row->goal; }
};

std::vector<Result> Evaluate(const std::vector<Chosen>& chosen, const std::map<Key, Series>& series) {
  std::vector<Result> results;
  for (const auto& [row, mode] : chosen) {
    Result result{.row = row, .mode = mode};
    const Series& ours = series.at({mode, row->ours});
    result.ours = Quantile(ours.p50, 0.5);
    result.p99 = Quantile(ours.p99, 0.5);
    result.switches = Quantile(ours.switches, 0.5);
    result.failed = ours.failed;
    result.floor = row->constant_floor;
    if (!row->floor.empty()) {
      const Series& floor = series.at({mode, row->floor});
      result.floor = Quantile(floor.p50, 0.5);
      result.failed |= floor.failed;
    }
    if (!result.failed) result.ratio = result.ours / result.floor;
    results.push_back(result);
  }
  return results;
}

void PrintTable(const std::vector<Result>& results) {
  std::printf("%-5s %-40s %9s %9s %-4s %7s %6s %6s %9s %9s\n", "mode", "name", "ours", "floor", "unit", "ratio", "goal",
              "met", "p99", "switches");
  for (const Result& result : results) {
    const bool has_goal = result.row->goal > 0;
    char goal[16] = "-";
    if (has_goal) std::snprintf(goal, sizeof goal, "%.2f", result.row->goal);
    const char* met = result.failed ? "FAILED" : !has_goal ? "-" : result.met() ? "yes" : "NO";
    std::printf("%-5s %-40s %9.2f %9.2f %-4s %7.2f %6s %6s %9.2f %9.2f\n", Name(result.mode).data(),
                result.row->name.data(), result.ours, result.floor, result.row->unit.data(), result.ratio, goal, met,
                result.p99, result.switches);
  }
}

void PrintJson(const std::vector<Result>& results) {
  const char* separator = "[\n";
  for (const Result& result : results) {
    const bool has_goal = result.row->goal > 0;
    char goal[16] = "null";
    if (has_goal) std::snprintf(goal, sizeof goal, "%.2f", result.row->goal);
    std::printf(
        "%s{\"name\": \"%s\", \"mode\": \"%s\", \"unit\": \"%s\", \"ours\": %.3f, \"floor\": %.3f, "
        "\"ratio\": %.3f, \"goal\": %s, \"met\": %s, \"p99\": %.3f, \"switches\": %.2f, \"failed\": %s}",
        separator, result.row->name.data(), Name(result.mode).data(), result.row->unit.data(), result.ours,
        result.floor, result.ratio, goal,
        !has_goal      ? "null"
        : result.met() ? "true"
                       : "false",
        result.p99, result.switches, result.failed ? "true" : "false");
    separator = ",\n";
  }
  std::printf("%s]\n", results.empty() ? "[" : "\n");
}

bool Parse(int argc, char** argv, Options& options) {
  std::map<std::string_view, std::function<void(const char*)>> with_value = {
      {"--rounds", [&](const char* value) { options.rounds = std::atoi(value); }},
      {"--calls", [&](const char* value) { options.calls = std::atoi(value); }},
      {"--only", [&](const char* value) { options.only = value; }},
      {"--bin", [&](const char* value) { options.bin = value; }},
      {"--sample", [&](const char* value) { options.sample = value; }},
      {"--mode", [&](const char* value) { options.mode = value == Name(Mode::k2Cpu) ? Mode::k2Cpu : Mode::k1Cpu; }},
  };
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const auto option = with_value.find(argument);
    if (argument == "--json") {
      options.json = true;
    } else if (argument == "--quick") {
      options.rounds = 5;
      options.calls = 2000;
    } else if (option != with_value.end() && i + 1 < argc) {
      option->second(argv[++i]);
    } else {
      return false;
    }
  }
  return options.rounds > 0 && options.calls > 0;
}

}  // namespace
}  // namespace rbc::bench

int main(int argc, char** argv) {
  using namespace rbc::bench;
  Options options;
  options.bin = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  if (!Parse(argc, argv, options)) {
    std::fprintf(stderr, "usage: rbc_bench [--quick] [--json] [--rounds N] [--calls N] [--only TEXT] [--bin FOLDER]\n");
    return 2;
  }
  if (!options.sample.empty()) return PrintSample(options);
  const auto chosen = Choose(options);
  const auto results = Evaluate(chosen, RunRounds(options, chosen));
  options.json ? PrintJson(results) : PrintTable(results);
  // A goal that is missed is a figure; a source that fails is an error.
  return std::none_of(results.begin(), results.end(), [](const Result& result) { return result.failed; }) ? 0 : 1;
}
