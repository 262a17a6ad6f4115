// Maps over arrays that lie in the session's arena, through the farm, and the same generated loop in this process.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "rbc/rbc.h"
#include "tests/bench/farm_process.h"
#include "tests/bench/source.h"
#include "tests/targets/bulk.h"

namespace rbc::bench {
namespace {

constexpr size_t kMany = 10'000'000;
constexpr size_t kFew = 1000;
constexpr int kWarmUp = 20;

// Times `once()`, as long as the work is; `right()` is asked at the end.
Sample TimeRuns(int calls, const std::function<bool()>& once, const std::function<bool()>& right) {
  std::vector<int64_t> times;
  for (int i = -kWarmUp; i < calls; ++i) {
    const int64_t start = NowNs();
    if (!once()) return {.error = "a map fails"};
    if (i >= 0) times.push_back(NowNs() - start);
  }
  if (!right()) return {.error = "a map gives something else"};
  return {.p50 = Quantile(times, 0.50) / 1000.0, .p99 = Quantile(times, 0.99) / 1000.0};
}

int CallsOf(const Work& work, size_t rows) { return rows == kMany ? std::clamp(work.calls, 5, 30) : work.calls; }

std::vector<double> Counting(size_t rows) {
  std::vector<double> out(rows);
  for (size_t i = 0; i < rows; ++i) out[i] = static_cast<double>(i);
  return out;
}

// On a page, as the farm has its arrays.
std::shared_ptr<double> Aligned(const std::vector<double>& values) {
  constexpr size_t kPage = 4096;
  const size_t bytes = (values.size() * sizeof(double) + kPage - 1) / kPage * kPage;
  const std::shared_ptr<double> out(static_cast<double*>(std::aligned_alloc(kPage, bytes)), std::free);
  std::copy(values.begin(), values.end(), out.get());
  return out;
}

// Within this time the farm has brought the pages of large arrays together.
constexpr std::chrono::seconds kSettled{5};

// z = x + y, all three in the arena.
Sample MeasureMap(const Work& work, size_t rows, bool settled = false) try {
  FarmProcess farm(work);
  if (!farm.error().empty()) return {.error = farm.error()};
  const RemoteJIT rjit("unix:" + farm.unix_path());
  const auto add = rjit.function(rbc::Source::Ir(AddIr("add")), "add", {"float64(float64, float64)"});
  const auto numbers = Counting(rows);
  const Buffer x = rjit.to_device(numbers), y = rjit.to_device(numbers);
  const Buffer z = rjit.to_device(std::vector<double>(rows));
  const ArrayArgument inputs[] = {ArrayArgument::Of(x), ArrayArgument::Of(y)};
  ArrayMapOptions into;
  into.out = ArrayArgument::Of(z);
  if (settled) std::this_thread::sleep_for(kSettled);
  return TimeRuns(
      CallsOf(work, rows), [&] { return add.try_map_arrays(inputs, into).has_value(); },
      [&] { return z.span<double>()[rows - 1] == 2.0 * static_cast<double>(rows - 1); });
} catch (const Exception& error) {
  return {.error = error.what()};
}

Sample MapMany(const Work& work) { return MeasureMap(work, kMany); }
Sample MapManySettled(const Work& work) { return MeasureMap(work, kMany, true); }
Sample MapFew(const Work& work) { return MeasureMap(work, kFew); }

// The loop that such a map runs, on this thread. Large results go past the caches, as the farm has it.
Sample MeasureLoop(const Work& work, size_t rows) {
  PinTo(0);
  CompileOptions options;
  options.entry = EntryKind::kMap;
  options.map_pattern = rows == kMany ? "ccn" : "ccc";
  testing::Loaded module(AddIr("add"), {{"add", "float64(float64, float64)", Abi::kDirect}}, options);
  if (!module.ok()) return {.error = "the loop does not compile"};
  const auto x = Aligned(Counting(rows)), y = Aligned(Counting(rows)), z = Aligned(std::vector<double>(rows));
  return TimeRuns(
      CallsOf(work, rows),
      [&] {
        return testing::RunBulk(module, rows, {{x.get(), 8}, {y.get(), 8}, {z.get(), 8}}).status == 0;
      },
      [&] { return z.get()[rows - 1] == 2.0 * static_cast<double>(rows - 1); });
}

// What a map of few rows may cost: the loop, and two calls of the function with scalars.
Sample LoopAndTwoCalls(const Work& work) try {
  const Sample loop = MeasureLoop(work, kFew);
  FarmProcess farm(work);
  if (!farm.error().empty()) return {.error = farm.error()};
  const RemoteJIT rjit("unix:" + farm.unix_path());
  const auto add = rjit.function<double(double, double)>(rbc::Source::Ir(AddIr("add")), "add");
  const Sample call = TimeRuns(
      work.calls, [&] { return add.try_call(1, 2).has_value(); }, [&] { return add(1, 2) == 3; });
  if (!call.error.empty()) return call;
  return {.p50 = loop.p50 + 2 * call.p50, .p99 = loop.p99 + 2 * call.p99, .error = loop.error};
} catch (const Exception& error) {
  return {.error = error.what()};
}

Sample LoopMany(const Work& work) { return MeasureLoop(work, kMany); }

constexpr Source kSources[] = {
    {"map_farm_10m", MapMany},  {"map_farm_10m_settled", MapManySettled},         {"map_farm_1000", MapFew},
    {"map_loop_10m", LoopMany}, {"map_loop_1000_and_two_calls", LoopAndTwoCalls},
};

}  // namespace

std::span<const Source> MapSources() { return kSources; }

}  // namespace rbc::bench
