// Where arrays of this process go best on their way to a map or a function over arrays, by their size: array_ways. What
// librbc's thresholds rest on (client/src/array_staging.cc, recall.h): in the message or through buffers, near and over
// TCP; and what a digest costs.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cstring>
#include <filesystem>
#include <functional>
#include <vector>

#include "base/array_digest.h"
#include "client/src/array_data.h"
#include "client/src/core.h"
#include "rbc/rbc.h"
#include "tests/bench/farm_process.h"
#include "tests/bench/measure.h"

namespace rbc::bench {
namespace {

constexpr int kRounds = 20;
constexpr int kWarmUp = 5;

using Numbers = std::vector<double>;
using Way = std::function<void()>;

// Medians, in microseconds; the ways take turns.
std::vector<double> Measure(const std::vector<Way>& ways) {
  std::vector<std::vector<double>> times(ways.size());
  for (int round = -kWarmUp; round < kRounds; ++round) {
    for (size_t i = 0; i < ways.size(); ++i) {
      const int64_t start = NowNs();
      ways[i]();
      if (round >= 0) times[i].push_back(static_cast<double>(NowNs() - start) / 1000.0);
    }
  }
  std::vector<double> out;
  for (const auto& each : times) out.push_back(Quantile(each, 0.5));
  return out;
}

void InMessage(const Caller& negate, const Numbers& x, Numbers& y) {
  const auto& state = *detail::Inside::State(negate);
  const auto prepared = ValueOrThrow(detail::Inside::State(negate)->Current());
  wire::ArrayMapRequest request;
  const auto checked = ValueOrThrow(client::CheckArray(ArrayArgument::Of(x)));
  request.inputs.push_back(ValueOrThrow(client::PackArray(checked, checked.type)));
  const auto reply = ValueOrThrow(state.core->farm->AskLoaded(
      *prepared->module, state.core->DeadlineOf(0), [&](wire::FarmClient& client, const client::Loaded& loaded) {
        request.function_id = loaded.reply->functions[*prepared->declared[0]].function_id;
        wire::ArrayReply answer;
        client.map_arrays(answer, request);
        return answer;
      }));
  std::memcpy(y.data(), reply.result.data.data(), reply.result.data.size());
}

void ThroughBuffers(const RemoteJIT& jit, const Caller& negate, const Numbers& x, Numbers& y) {
  const Buffer in = jit.to_device(x), out = jit.empty<double>({static_cast<int64_t>(x.size())});
  ArrayMapOptions options;
  options.out = ArrayArgument::Of(out);
  const ArrayArgument inputs[] = {ArrayArgument::Of(in)};
  ValueOrThrow(negate.try_map_arrays(inputs, options));
  out.copy_to(std::span(y));
}

void Table(const char* title, const std::string& address) {
  const RemoteJIT jit(address);
  const Caller negate =
      jit.function(rbc::Source::Ir("define double @negate(double %x) {\n  %y = fneg double %x\n  ret double %y\n}\n"),
                   "negate", {"float64(float64)"});
  fmt::print("{}\n{:>8} {:>12} {:>12}\n", title, "KiB", "message us", "buffers us");
  for (size_t kib = 16; kib <= 1024; kib *= 2) {
    Numbers x(kib * 128, 1.5), y(x.size());
    const auto times = Measure({[&] { InMessage(negate, x, y); }, [&] { ThroughBuffers(jit, negate, x, y); }});
    fmt::print("{:8} {:12.1f} {:12.1f}{}\n", kib, times[0], times[1], y.back() == -1.5 ? "" : " WRONG");
  }
}

constexpr char kTwice[] = R"(
define void @twice(ptr %x, i64 %n, ptr %y, i64 %m) {
  %some = icmp sgt i64 %n, 0
  br i1 %some, label %loop, label %end
loop:
  %i = phi i64 [0, %0], [%next, %loop]
  %from = getelementptr inbounds double, ptr %x, i64 %i
  %value = load double, ptr %from
  %twice = fadd double %value, %value
  %to = getelementptr inbounds double, ptr %y, i64 %i
  store double %twice, ptr %to
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %n
  br i1 %more, label %loop, label %end
end:
  ret void
}
)";

using View = ArrayView<double, 1>;
using ConstView = ArrayView<const double, 1>;

// void f(double[::1], double[::1]) over private arrays of a farm that takes them through buffers, over those of one
// that has no room for buffers, and with buffers that are made by hand.
void FunctionTable(const char* title, const std::string& address, const std::string& without_room) {
  const RemoteJIT jit(address), tight(without_room);
  const Buffer all_there_is = tight.empty<char>({1 << 20});
  const auto source = rbc::Source::Ir(kTwice);
  const auto call = jit.function<void(ConstView, View)>(source, "twice");
  const auto message = tight.function<void(ConstView, View)>(source, "twice");
  fmt::print("function over arrays, {}\n{:>8} {:>12} {:>12} {:>12} {:>12}\n", title, "KiB", "message us", "call us",
             "by hand us", "memcpy us");
  for (size_t kib = 16; kib <= 65536; kib *= kib < 1024 ? 2 : 4) {
    Numbers x(kib * 128, 1.5), y(x.size()), z(x.size());
    const auto by_hand = [&] {
      const Buffer in = jit.to_device(x), out = jit.to_device(y);
      call(in, out);
      out.copy_to(std::span(y));
    };
    const auto copies = [&] {  // as many as such a call needs
      for (int i = 0; i < 3; ++i) std::memcpy(z.data(), (i % 2 == 0 ? x : y).data(), kib << 10);
    };
    const auto times = Measure({copies, [&] { call(x, y); }, copies, by_hand});
    // By itself, as others would find their farm asleep after it.
    const auto slow = kib <= 16384 ? Measure({[&] { message(x, y); }})[0] : 0;
    fmt::print("{:8} {:12.1f} {:12.1f} {:12.1f} {:12.1f}{}\n", kib, slow, times[1], times[3], times[2],
               y.back() == 3 ? "" : " WRONG");
  }
}

void Digests(const std::string& address) {
  RemoteJIT::Options options;
  options.recall = RemoteJIT::Saving::kOff;
  const RemoteJIT jit(address, options);
  fmt::print("digest and sending over TCP\n{:>8} {:>12} {:>12}\n", "KiB", "digest us", "sending us");
  for (size_t kib = 64; kib <= 8192; kib *= 4) {
    const std::string bytes(kib << 10, 'x');
    const Buffer there = jit.empty<uint8_t>({static_cast<int64_t>(bytes.size())});
    Digest digest{};
    const auto times = Measure(
        {[&] { digest = ArrayDigest(bytes); }, [&] { ValueOrThrow(there.try_copy_from(bytes.data(), bytes.size())); }});
    fmt::print("{:8} {:12.1f} {:12.1f}\n", kib, times[0], times[1]);
  }
}

}  // namespace
}  // namespace rbc::bench

int main() try {
  using namespace rbc::bench;
  const Work work{Mode::k2Cpu, 0, std::filesystem::read_symlink("/proc/self/exe").parent_path()};
  const FarmProcess farm(work);
  if (!farm.error().empty()) throw std::runtime_error(farm.error());
  const std::string tcp = "127.0.0.1:" + std::to_string(farm.tcp_port());
  Table("same machine, shared memory", "unix:" + farm.unix_path());
  Table("TCP", tcp);
  Digests(tcp);
  const FarmProcess tight(work, "[data]\nsession_bytes = 1048576\n");
  if (!tight.error().empty()) throw std::runtime_error(tight.error());
  FunctionTable("same machine, shared memory", "unix:" + farm.unix_path(), "unix:" + tight.unix_path());
  FunctionTable("TCP", tcp, "127.0.0.1:" + std::to_string(tight.tcp_port()));
} catch (const std::exception& error) {
  fmt::print(stderr, "error: {}\n", error.what());
  return 1;
}
