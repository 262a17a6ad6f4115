// Calls by librbc, whose client polls before it blocks.
// SPDX-License-Identifier: Apache-2.0
#include <limits>

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

constexpr char kNoLending[] = "[sessions]\nlend = false\n";
Sample CallUnix(const Work& work) { return MeasureCalls(work, false, false, ""); }
Sample CallTcp(const Work& work) { return MeasureCalls(work, true, false, ""); }
Sample CallDirect(const Work& work) { return MeasureCalls(work, false, true, ""); }
Sample RelayUnix(const Work& work) { return MeasureCalls(work, false, false, kNoLending); }

constexpr Source kSources[] = {
    {"client_call_unix", CallUnix},
    {"client_call_tcp", CallTcp},
    {"client_call_direct", CallDirect},
    {"client_relay_unix", RelayUnix},
};

}  // namespace

std::span<const Source> ClientSources() { return kSources; }

}  // namespace rbc::bench
