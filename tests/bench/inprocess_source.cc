// The floor of a compile: the very code of the host target in this process, warm, plus one socket echo.
// SPDX-License-Identifier: Apache-2.0
#include "targets/target.h"
#include "tests/bench/floors.h"
#include "tests/bench/source.h"

namespace rbc::bench {
namespace {

constexpr int kWarmUpCompiles = 20;

// The modules of the benchmark call nothing.
class NoSymbols : public RuntimeSymbols {
 public:
  void* Find(std::string_view name) const override { return nullptr; }
  std::string_view WhyRefused(std::string_view name) const override { return ""; }
};

class NoProgress : public CompileProgress {
 public:
  void Phase(const char* phase) override {}
  void Function(std::string_view name) override {}
};

// The same bytes and declaration as farm_compile_new sends.
Expected<Artifact> CompileAdd(Target& target, int number) {
  const std::string name = "add" + std::to_string(number);
  const std::string ir = AddIr(name);
  NoProgress progress;
  CompileOptions options;
  options.opt_level = 2;
  return target.Compile({.ir = ir, .functions = {{.symbol = name, .signature = "float64(float64, float64)"}}}, options,
                        &progress);
}

Sample CompileInProcess(const Work& work) {
  const TargetFactory* factory = FindTarget("host");
  if (factory == nullptr) return {.error = "there is no host target"};
  const Sample echo = Run(*FindFloor("raw_unix"), work.mode, 1000);
  if (!echo.error.empty()) return echo;
  factory->initialize();
  const NoSymbols symbols;
  const auto target = factory->create(symbols);
  const int compiles = std::min(work.calls, 200);
  std::vector<int64_t> times;
  for (int i = 0; i < compiles + kWarmUpCompiles; ++i) {
    const int64_t start = NowNs();
    const auto artifact = CompileAdd(*target, i);
    const int64_t end = NowNs();
    if (!artifact.has_value()) return {.error = artifact.error().message};
    if (artifact->code.empty() || artifact->entries.size() != 1) return {.error = "the artifact has no entry point"};
    if (i >= kWarmUpCompiles) times.push_back(end - start);
  }
  return {.p50 = Quantile(times, 0.50) / 1000.0 + echo.p50, .p99 = Quantile(times, 0.99) / 1000.0 + echo.p99};
}

constexpr Source kSources[] = {{"compile_in_process_and_echo", CompileInProcess}};

}  // namespace

std::span<const Source> InProcessSources() { return kSources; }

}  // namespace rbc::bench
