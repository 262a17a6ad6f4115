// Measures the floors of the call path: bare_relay [--quick] [--json] [--rounds N] [--calls N] [--only TEXT].
// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/bench/floors.h"

namespace rbc::bench {
namespace {

struct Options {
  int rounds = 7;
  int calls = 20000;
  bool json = false;
  std::string only;
};

struct Row {
  const Floor* floor;
  Mode mode;
  std::vector<double> p50, p99, switches;
};

bool Parse(int argc, char** argv, Options& options) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--json") {
      options.json = true;
    } else if (argument == "--quick") {
      options.rounds = 5;
      options.calls = 3000;
    } else if (argument == "--rounds" && i + 1 < argc) {
      options.rounds = std::atoi(argv[++i]);
    } else if (argument == "--calls" && i + 1 < argc) {
      options.calls = std::atoi(argv[++i]);
    } else if (argument == "--only" && i + 1 < argc) {
      options.only = argv[++i];
    } else {
      return false;
    }
  }
  return options.rounds > 0 && options.calls > 0;
}

std::vector<Row> ChooseRows(const Options& options) {
  std::vector<Row> rows;
  const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
  for (const Mode mode : {Mode::k1Cpu, Mode::k2Cpu}) {
    for (const Floor& floor : Floors()) {
      const bool wanted = mode == Mode::k1Cpu ? floor.in_1cpu : floor.in_2cpu && cpus >= 2;
      if (wanted && floor.name.find(options.only) != std::string_view::npos) rows.push_back({&floor, mode, {}, {}, {}});
    }
  }
  return rows;
}

// Every row once a round, so that a slow minute of the machine touches all of them. False: a result was wrong.
bool RunRounds(const Options& options, std::vector<Row>& rows) {
  for (int round = 0; round < options.rounds; ++round) {
    for (Row& row : rows) {
      const Sample sample = Run(*row.floor, row.mode, options.calls);
      if (!sample.error.empty()) {
        std::fprintf(stderr, "error: %s, %s: %s\n", row.floor->name.data(), Name(row.mode).data(),
                     sample.error.c_str());
        return false;
      }
      row.p50.push_back(sample.p50);
      row.p99.push_back(sample.p99);
      row.switches.push_back(sample.switches);
    }
  }
  return true;
}

void PrintTable(const std::vector<Row>& rows) {
  std::printf("%-5s %-30s %8s %8s %8s %8s %9s  %s\n", "mode", "name", "p50 us", "best", "worst", "p99 us", "switches",
              "what");
  for (const Row& row : rows) {
    std::printf("%-5s %-30s %8.2f %8.2f %8.2f %8.2f %9.2f  %s\n", Name(row.mode).data(), row.floor->name.data(),
                Quantile(row.p50, 0.5), Quantile(row.p50, 0), Quantile(row.p50, 1), Quantile(row.p99, 0.5),
                Quantile(row.switches, 0.5), row.floor->what.data());
  }
}

void PrintJson(const std::vector<Row>& rows) {
  const char* separator = "[\n";
  for (const Row& row : rows) {
    std::printf(
        "%s{\"name\": \"%s\", \"mode\": \"%s\", \"p50_us\": %.3f, \"best_us\": %.3f, \"worst_us\": %.3f, "
        "\"p99_us\": %.3f, \"switches\": %.2f}",
        separator, row.floor->name.data(), Name(row.mode).data(), Quantile(row.p50, 0.5), Quantile(row.p50, 0),
        Quantile(row.p50, 1), Quantile(row.p99, 0.5), Quantile(row.switches, 0.5));
    separator = ",\n";
  }
  std::printf("%s]\n", rows.empty() ? "[" : "\n");
}

}  // namespace
}  // namespace rbc::bench

int main(int argc, char** argv) {
  using namespace rbc::bench;
  Options options;
  if (!Parse(argc, argv, options)) {
    std::fprintf(stderr, "usage: bare_relay [--quick] [--json] [--rounds N] [--calls N] [--only TEXT]\n");
    return 2;
  }
  std::vector<Row> rows = ChooseRows(options);
  if (!RunRounds(options, rows)) return 1;
  options.json ? PrintJson(rows) : PrintTable(rows);
  return 0;
}
