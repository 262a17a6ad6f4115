// Calls by librbc, whose client polls before it blocks.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>
#include <tuple>
#include <vector>

#include "rbc/rbc.h"
#include "tests/bench/farm_process.h"

namespace rbc::bench {
namespace {

Sample MeasureCalls(const Work& work, bool tcp, bool direct, const std::string& configuration) try {
  FarmProcess farm(work, configuration);
  if (!farm.error().empty()) return {.error = farm.error()};
  RemoteJIT::Options options;
  options.direct = direct;
  const RemoteJIT rjit(tcp ? "127.0.0.1:" + std::to_string(farm.tcp_port()) : "unix:" + farm.unix_path(), options);
  const auto add = rjit.function<double(double, double)>(rbc::Source::Ir(AddIr("add")), "add");
  return TimeCalls(work, farm, [&](double a, double b) {
    const auto sum = add.try_call(a, b);
    return sum ? *sum : std::numeric_limits<double>::quiet_NaN();
  });
} catch (const Exception& error) {
  return {.error = error.what()};
}

// A sample is of one call: the time of a batch over its rows.
Sample CallBatches(const Work& work) try {
  constexpr size_t kRows = 1000;
  FarmProcess farm(work, "");
  if (!farm.error().empty()) return {.error = farm.error()};
  const RemoteJIT rjit("unix:" + farm.unix_path());
  const auto add = rjit.function<double(double, double)>(rbc::Source::Ir(AddIr("add")), "add");
  std::vector<std::tuple<double, double>> rows;
  for (size_t i = 0; i < kRows; ++i) rows.emplace_back(static_cast<double>(i), 0.5);
  Work batches = work;
  batches.calls = std::max(20, work.calls / 100);
  Sample sample = TimeCalls(batches, farm, [&](double a, double b) {
    rows[0] = {a, b};
    const std::vector<double> sums = add.batch(rows);
    for (size_t i = 1; i < kRows; ++i)
      if (sums[i] != static_cast<double>(i) + 0.5) return std::numeric_limits<double>::quiet_NaN();
    return sums[0];
  });
  for (double* figure : {&sample.p50, &sample.p99, &sample.switches}) *figure /= kRows;
  return sample;
} catch (const Exception& error) {
  return {.error = error.what()};
}

constexpr char kNoLending[] = "[sessions]\nlend = false\n";
Sample CallUnix(const Work& work) { return MeasureCalls(work, false, false, ""); }
Sample CallTcp(const Work& work) { return MeasureCalls(work, true, false, ""); }
Sample CallDirect(const Work& work) { return MeasureCalls(work, false, true, ""); }
Sample RelayUnix(const Work& work) { return MeasureCalls(work, false, false, kNoLending); }

constexpr Source kSources[] = {
    {"client_call_unix", CallUnix},   {"client_call_tcp", CallTcp},       {"client_call_direct", CallDirect},
    {"client_relay_unix", RelayUnix}, {"client_batch_unix", CallBatches},
};

}  // namespace

std::span<const Source> ClientSources() { return kSources; }

}  // namespace rbc::bench
