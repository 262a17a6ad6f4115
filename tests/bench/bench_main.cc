// The benchmark table: rbc_bench [--quick] [--json] [--rounds N] [--calls N] [--only TEXT] [--bin FOLDER].
// Every source of every chosen row is sampled once a round, each time in a fresh process; the table holds medians.
// SPDX-License-Identifier: Apache-2.0
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
  std::string_view floor;
  double goal = 0;
  bool in_1cpu = true;
  bool in_2cpu = false;
};

constexpr Row kRows[] = {
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
  for (const auto sources : {PeerSources(), GrpcSources()}) {
    for (const Source& source : sources) {
      if (source.name != name) continue;
      if (!PinTo(0)) return Sample{.error = "this process cannot be pinned to CPU 0"};
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

// Every source once a round, so that a slow minute of the machine touches all of them alike.
bool RunRounds(const Options& options, const std::vector<Chosen>& chosen, std::map<Key, Series>& series) {
  for (const Chosen& entry : chosen) {
    series[{entry.mode, entry.row->ours}];
    series[{entry.mode, entry.row->floor}];
  }
  for (int round = 0; round < options.rounds; ++round) {
    for (auto& [key, values] : series) {
      const auto sample = SampleInProcess(options, key.second, key.first);
      if (!sample) return false;
      values.p50.push_back(sample->p50);
      values.p99.push_back(sample->p99);
      values.switches.push_back(sample->switches);
    }
  }
  return true;
}

void Print(const Options& options, const std::vector<Chosen>& chosen, std::map<Key, Series>& series) {
  if (options.json) {
    std::printf("[");
  } else {
    std::printf("%-5s %-38s %9s %9s %7s %6s %5s %9s %9s\n", "mode", "name", "ours us", "floor us", "ratio", "goal",
                "met", "p99 us", "switches");
  }
  const char* separator = "\n";
  for (const auto& [row, mode] : chosen) {
    const Series& ours = series[{mode, row->ours}];
    const double value = Quantile(ours.p50, 0.5);
    const double p99 = Quantile(ours.p99, 0.5);
    const double switches = Quantile(ours.switches, 0.5);
    const double floor = Quantile(series[{mode, row->floor}].p50, 0.5);
    const double ratio = value / floor;
    const bool has_goal = row->goal > 0;
    const char* met = !has_goal            ? (options.json ? "null" : "-")
                      : ratio <= row->goal ? (options.json ? "true" : "yes")
                                           : (options.json ? "false" : "NO");
    char goal[16] = "null";
    if (has_goal) std::snprintf(goal, sizeof goal, "%.2f", row->goal);
    if (options.json) {
      std::printf(
          "%s{\"name\": \"%s\", \"mode\": \"%s\", \"ours\": %.3f, \"floor\": %.3f, \"ratio\": %.3f, "
          "\"goal\": %s, \"met\": %s, \"p99\": %.3f, \"switches\": %.2f}",
          separator, row->name.data(), Name(mode).data(), value, floor, ratio, goal, met, p99, switches);
      separator = ",\n";
    } else {
      std::printf("%-5s %-38s %9.2f %9.2f %7.2f %6s %5s %9.2f %9.2f\n", Name(mode).data(), row->name.data(), value,
                  floor, ratio, has_goal ? goal : "-", met, p99, switches);
    }
  }
  if (options.json) std::printf("\n]\n");
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
  std::map<Key, Series> series;
  if (!RunRounds(options, chosen, series)) return 1;
  Print(options, chosen, series);
  return 0;
}
