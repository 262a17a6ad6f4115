// The names of libmvec's and SLEEF's functions.
// SPDX-License-Identifier: Apache-2.0
#include "targets/vector_functions.h"

#include <algorithm>
#include <vector>

namespace rbc {
namespace {

struct Function {
  const char* name;
  int arguments;
  bool has_intrinsic;
  bool in_libmvec;
  const char* sleef;  // how SLEEF marks the error in its name; null: none that is right everywhere
};

// Those that docs/vector-maths.md states and a test measures. SLEEF 3.5's log1p, pow, sinh and cosh overflow too early,
// its fmod gives NaN for large quotients: libm does these.
constexpr Function kFunctions[] = {
    {"acos", 1, true, true, "u10"},   {"asin", 1, true, true, "u10"},     {"atan", 1, true, true, "u10"},
    {"atan2", 2, true, true, "u10"},  {"cbrt", 1, false, true, "u10"},    {"cos", 1, true, true, "u10"},
    {"cosh", 1, true, true, nullptr}, {"erf", 1, false, true, "u10"},     {"erfc", 1, false, true, "u15"},
    {"exp", 1, true, true, "u10"},    {"exp2", 1, true, true, "u10"},     {"expm1", 1, false, true, "u10"},
    {"hypot", 2, false, true, "u05"}, {"lgamma", 1, false, false, "u10"}, {"log", 1, true, true, "u10"},
    {"log10", 1, true, true, "u10"},  {"log1p", 1, false, true, nullptr}, {"log2", 1, true, true, "u10"},
    {"pow", 2, true, true, nullptr},  {"sin", 1, true, true, "u10"},      {"sinh", 1, true, true, nullptr},
    {"tan", 1, true, true, "u10"},    {"tanh", 1, true, true, "u10"},     {"tgamma", 1, false, false, "u10"},
};

// Registers of one width, and what the libraries call them.
struct Registers {
  uint32_t bytes;
  char libmvec;
  const char* sleef;
};

std::vector<Registers> RegistersHere() {
  std::vector<Registers> all;
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")) all.push_back({64, 'e', "avx512f"});
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) all.push_back({32, 'd', "avx2"});
  if (__builtin_cpu_supports("sse4.1")) all.push_back({16, 'b', "sse4"});
  return all;
}

VectorFunction Make(const Function& function, const Registers& registers, bool is_float, MathAccuracy accuracy) {
  const std::string name = function.name;
  const std::string values(function.arguments, 'v');
  VectorFunction made;
  made.lanes = registers.bytes / (is_float ? 4 : 8);
  made.accuracy = accuracy;
  made.scalar = name + (is_float ? "f" : "");
  if (function.has_intrinsic) made.intrinsic = "llvm." + name + (is_float ? ".f32" : ".f64");
  const std::string lanes = std::to_string(made.lanes);
  made.prefix = "_ZGV_LLVM_N" + lanes + values;
  made.symbol = accuracy == MathAccuracy::kFast
                    ? std::string("_ZGV") + registers.libmvec + "N" + lanes + values + "_" + made.scalar
                    : "Sleef_" + name + (is_float ? "f" : "d") + lanes + "_" + function.sleef + registers.sleef;
  return made;
}

std::vector<VectorFunction> MakeAll() {
  std::vector<VectorFunction> all;
  for (const auto& registers : RegistersHere()) {
    for (const auto& function : kFunctions) {
      for (const bool is_float : {false, true}) {
        if (function.in_libmvec) all.push_back(Make(function, registers, is_float, MathAccuracy::kFast));
        if (function.sleef != nullptr) all.push_back(Make(function, registers, is_float, MathAccuracy::kAccurate));
      }
    }
  }
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.symbol < b.symbol; });
  return all;
}

}  // namespace

std::span<const VectorFunction> VectorFunctions() {
  static const auto* all = new std::vector<VectorFunction>(MakeAll());
  return *all;
}

bool IsVectorFunction(std::string_view symbol) {
  const auto all = VectorFunctions();
  const auto found = std::lower_bound(all.begin(), all.end(), symbol,
                                      [](const VectorFunction& a, std::string_view b) { return a.symbol < b; });
  return found != all.end() && found->symbol == symbol;
}

bool HasVectorForm(std::string_view scalar) {
  const auto all = VectorFunctions();
  return std::any_of(all.begin(), all.end(), [&](const VectorFunction& form) { return form.scalar == scalar; });
}

const char* VectorLibrary(MathAccuracy accuracy) {
  return accuracy == MathAccuracy::kFast ? "libmvec.so.1" : "libsleef.so.3";
}

}  // namespace rbc
