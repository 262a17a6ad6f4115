// The in-process floor of a compile: the same passes, entry points and verifier on the same bytes, everything warm, no
// farm around it. Prints one JSON object a module. Usage: compile_floor [--rounds N] [--level L] FILE SYMBOL
// SIGNATURE...
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>

#include "tests/targets/harness.h"

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::string_view kAdd = R"(
define double @add(double %a, double %b) {
  %c = fadd double %a, %b
  ret double %c
}
)";

double Micros(Clock::duration time) { return std::chrono::duration<double, std::micro>(time).count(); }

double Median(std::vector<double>* values) {
  std::nth_element(values->begin(), values->begin() + values->size() / 2, values->end());
  return (*values)[values->size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  int rounds = 200;
  rbc::CompileOptions options;
  std::string ir(kAdd);
  std::string file = "add";
  std::vector<rbc::FunctionDeclaration> functions = {{"add", "float64(float64, float64)", rbc::Abi::kDirect}};
  int at = 1;
  for (; at + 1 < argc && argv[at][0] == '-'; at += 2) {
    const std::string_view option = argv[at];
    if (option == "--rounds") rounds = std::max(1, std::atoi(argv[at + 1]));
    if (option == "--level") options.opt_level = std::atoi(argv[at + 1]);
  }
  if (argc - at >= 3) {
    file = argv[at];
    std::ifstream in(file, std::ios::binary);
    ir.assign(std::istreambuf_iterator<char>(in), {});
    functions.clear();
    for (++at; at + 1 < argc; at += 2) functions.push_back({argv[at], argv[at + 1], rbc::Abi::kSysv});
  }
  std::vector<double> compile, load;
  compile.reserve(rounds);
  load.reserve(rounds);
  std::map<std::string, std::vector<double>> phases;
  for (int i = 0; i < rounds; ++i) {
    const auto start = Clock::now();
    auto artifact = rbc::testing::Compile(ir, functions, options);
    const auto compiled = Clock::now();
    if (!artifact) {
      std::fprintf(stderr, "compile_floor: %s\n", rbc::testing::Message(artifact).c_str());
      return 1;
    }
    auto module = rbc::testing::HostDevice().Load(artifact->code);
    const auto loaded = Clock::now();
    if (!module) {
      std::fprintf(stderr, "compile_floor: %s\n", rbc::testing::Message(module).c_str());
      return 1;
    }
    compile.push_back(Micros(compiled - start));
    load.push_back(Micros(loaded - compiled));
    for (const auto& [phase, spent] : artifact->timings_us) phases[phase].push_back(spent);
  }
  const double first = compile.front();
  std::string parts;
  for (auto& [phase, spent] : phases)
    parts += fmt::format("{}\"{}\": {:.0f}", parts.empty() ? "" : ", ", phase, Median(&spent));
  std::printf(
      "%s\n",
      fmt::format("{{\"module\": \"{}\", \"level\": {}, \"rounds\": {}, \"first_us\": {:.1f}, \"compile_us\": {:.1f}, "
                  "\"load_us\": {:.1f}, \"phases_us\": {{{}}}}}",
                  file, options.opt_level, rounds, first, Median(&compile), Median(&load), parts)
          .c_str());
  return 0;
}
