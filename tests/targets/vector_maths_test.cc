// Maths in maps: how far results are from the truth, that they are libm's where asked for, and that a row's bits do not
// depend on the rows beside it.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <map>
#include <random>
#include <sstream>

#include "targets/host/inline_maths.h"
#include "targets/vector_functions.h"
#include "tests/harness/paths.h"
#include "tests/targets/bulk.h"

namespace rbc::testing {
namespace {

struct MathsFunction {
  const char* name;
  int arguments;
  double low, high;  // where its arguments are drawn from, beside all magnitudes
  long double (*unary)(long double);
  long double (*binary)(long double, long double);
  double (*libm)(double);
  double (*libm2)(double, double);
  float (*libmf)(float);
  float (*libm2f)(float, float);
};

#define RBC_UNARY(name, low, high) \
  { #name, 1, low, high, ::name##l, nullptr, ::name, nullptr, ::name##f, nullptr }
#define RBC_BINARY(name, low, high) \
  { #name, 2, low, high, nullptr, ::name##l, nullptr, ::name, nullptr, ::name##f }
const MathsFunction kMaths[] = {
    RBC_UNARY(exp, -740, 710),  RBC_UNARY(exp2, -1070, 1024), RBC_UNARY(expm1, -40, 710), RBC_UNARY(log, 0, 100),
    RBC_UNARY(log2, 0, 100),    RBC_UNARY(log10, 0, 100),     RBC_UNARY(log1p, -1, 100),  RBC_BINARY(pow, 0, 20),
    RBC_UNARY(sqrt, 0, 100),    RBC_UNARY(cbrt, -100, 100),   RBC_UNARY(sin, -100, 100),  RBC_UNARY(cos, -100, 100),
    RBC_UNARY(tan, -100, 100),  RBC_UNARY(asin, -1, 1),       RBC_UNARY(acos, -1, 1),     RBC_UNARY(atan, -10, 10),
    RBC_BINARY(atan2, -10, 10), RBC_UNARY(sinh, -712, 712),   RBC_UNARY(cosh, -712, 712), RBC_UNARY(tanh, -5, 5),
    RBC_UNARY(erf, -4, 4),      RBC_UNARY(erfc, -4, 26),      RBC_UNARY(tgamma, 0, 170),  RBC_UNARY(lgamma, 0, 100),
    RBC_BINARY(hypot, -10, 10), RBC_BINARY(fmod, -100, 100),
};

template <typename T>
constexpr bool kIsFloat = std::is_same_v<T, float>;
template <typename T>
std::string Name(const MathsFunction& function) {
  return std::string(function.name) + (kIsFloat<T> ? "f" : "");
}

// `T f(T)` or `T f(T, T)` that calls the library's function, or LLVM's intrinsic of that name.
template <typename T>
std::string ModuleOf(const MathsFunction& function, bool intrinsic) {
  const std::string type = kIsFloat<T> ? "float" : "double";
  const std::string callee =
      intrinsic ? std::string("llvm.") + function.name + (kIsFloat<T> ? ".f32" : ".f64") : Name<T>(function);
  const bool two = function.arguments == 2;
  std::string ir = "declare " + type + " @" + callee + "(" + type + (two ? ", " + type : "") + ")\n";
  ir += "define " + type + " @f(" + type + " %x" + (two ? ", " + type + " %y" : "") + ") {\n";
  ir += "  %r = call " + type + " @" + callee + "(" + type + " %x" + (two ? ", " + type + " %y" : "") + ")\n";
  return ir + "  ret " + type + " %r\n}\n";
}

template <typename T>
FunctionDeclaration DeclarationOf(const MathsFunction& function) {
  const std::string type = kIsFloat<T> ? "float32" : "float64";
  return {"f", type + "(" + type + (function.arguments == 2 ? ", " + type : "") + ")", Abi::kDirect};
}

CompileOptions MapWith(const MathsFunction& function, MathAccuracy accuracy) {
  CompileOptions options;
  options.entry = EntryKind::kMap;
  options.map_pattern = function.arguments == 2 ? "ccc" : "cc";
  options.accuracy = accuracy;
  return options;
}

bool HasLibrary(MathAccuracy accuracy) {
  for (const auto& function : VectorFunctions()) {
    if (function.accuracy == accuracy && function.scalar == "exp" && Symbols().Find(function.symbol) != nullptr)
      return true;
  }
  return false;
}

template <typename T>
std::vector<T> Specials() {
  using Limits = std::numeric_limits<T>;
  std::vector<T> values = {0,
                           1,
                           2,
                           T(0.5),
                           10,
                           100,
                           Limits::infinity(),
                           Limits::max(),
                           Limits::min(),
                           Limits::denorm_min(),
                           Limits::denorm_min() * 1000,
                           Limits::epsilon(),
                           1 + Limits::epsilon(),
                           1 - Limits::epsilon() / 2,
                           T(1e10),
                           T(40.5),  // of here on: where results become infinite, or less than the smallest number
                           T(88.8),
                           T(89.4),
                           T(190.5),
                           T(709.9),
                           T(710.4),
                           T(1023.5)};
  for (size_t i = values.size(); i-- > 0;) values.push_back(-values[i]);
  values.push_back(Limits::quiet_NaN());
  return values;
}

template <typename T>
struct Samples {
  std::vector<T> x, y;
};

// The function's own range, all magnitudes, and every pair of special values.
template <typename T>
Samples<T> SamplesOf(const MathsFunction& function) {
  Samples<T> samples;
  std::mt19937_64 random(7);
  std::uniform_real_distribution<T> range(T(function.low), T(function.high));
  std::uniform_real_distribution<T> exponent(std::numeric_limits<T>::min_exponent,
                                             std::numeric_limits<T>::max_exponent);
  for (int i = 0; i < 20000; ++i) {
    samples.x.push_back(range(random));
    samples.y.push_back(range(random));
  }
  for (int i = 0; i < 2000; ++i) {
    const T sign = function.low < 0 && i % 2 == 1 ? -1 : 1;
    samples.x.push_back(sign * std::exp2(exponent(random)));
    samples.y.push_back(std::exp2(exponent(random)));
  }
  for (const T x : Specials<T>()) {
    for (const T y : Specials<T>()) {
      samples.x.push_back(x);
      samples.y.push_back(y);
    }
  }
  return samples;
}

template <typename T>
long double Truth(const MathsFunction& function, T x, T y) {
  return function.arguments == 2 ? function.binary(x, y) : function.unary(x);
}

template <typename T>
T Libm(const MathsFunction& function, T x, T y) {
  if constexpr (kIsFloat<T>)
    return function.arguments == 2 ? function.libm2f(x, y) : function.libmf(x);
  else
    return function.arguments == 2 ? function.libm2(x, y) : function.libm(x);
}

// What the page says comes without its sign.
template <typename T>
bool MayLackItsSign(const MathsFunction& function, MathAccuracy accuracy, T x, T got) {
  const std::string_view name = function.name;
  if (accuracy != MathAccuracy::kAccurate || got != 0) return false;
  return name == "tgamma" || (name == "tan" && std::abs(x) == std::numeric_limits<T>::denorm_min());
}

// Distance in units of the last place of the true value; huge where one is finite or a number and the other not, and
// where they have different signs.
template <typename T>
double UlpsApart(T got, long double truth, bool any_sign) {
  using Limits = std::numeric_limits<T>;
  if (std::isnan(truth) || std::isnan(got)) return std::isnan(truth) == std::isnan(got) ? 0 : 1e30;
  if (!any_sign && std::signbit(got) != std::signbit(truth)) return 1e30;
  const int exponent = truth == 0 ? Limits::min_exponent - 1 : std::max(std::ilogb(truth), Limits::min_exponent - 1);
  const long double ulp = std::ldexp(1.0L, exponent - (Limits::digits - 1));
  const long double largest = Limits::max();
  // Beyond the largest number infinity is right, and next to it both are.
  if (std::isinf(got)) {
    return std::signbit(got) == std::signbit(truth) && (std::fabs(truth) >= largest - 4 * ulp) ? 0 : 1e30;
  }
  if (std::isinf(truth)) return 1e30;
  return static_cast<double>(std::fabs(got - truth) / ulp);
}

template <typename T>
std::vector<T> RunMap(Loaded& module, const MathsFunction& function, const Samples<T>& samples, size_t first,
                      size_t rows) {
  std::vector<T> out(rows);
  std::vector<BulkColumn> columns = {{samples.x.data() + first, sizeof(T)}};
  if (function.arguments == 2) columns.push_back({samples.y.data() + first, sizeof(T)});
  columns.push_back({out.data(), sizeof(T)});
  RunBulk(module, rows, columns);
  return out;
}

// The bounds that docs/vector-maths.md states: of each function for float64 and float32.
struct Stated {
  double wide = 0, narrow = 0;
};

std::map<std::string, Stated> StatedBounds(MathAccuracy accuracy) {
  std::ifstream in(harness::SourcePath("docs/vector-maths.md"));
  std::map<std::string, Stated> bounds;
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string bar, name;
    double value[4];
    if (!(words >> bar >> name) || bar != "|") continue;
    bool all = true;
    for (double& bound : value) all = all && words >> bar >> bound;
    if (!all) continue;
    bounds[name] = accuracy == MathAccuracy::kFast ? Stated{value[0], value[1]} : Stated{value[2], value[3]};
  }
  return bounds;
}

template <typename T>
void CheckAccuracy(MathAccuracy accuracy) {
  ASSERT_TRUE(HasLibrary(accuracy)) << VectorLibrary(accuracy) << " is missing; scripts/install-deps";
  const auto bounds = StatedBounds(accuracy);
  for (const auto& function : kMaths) {
    ASSERT_TRUE(bounds.contains(function.name)) << "docs/vector-maths.md has no row for " << function.name;
    const double bound = kIsFloat<T> ? bounds.at(function.name).narrow : bounds.at(function.name).wide;
    Loaded module(ModuleOf<T>(function, false), {DeclarationOf<T>(function)}, MapWith(function, accuracy));
    ASSERT_TRUE(module.ok());
    const auto samples = SamplesOf<T>(function);
    const auto out = RunMap(module, function, samples, 0, samples.x.size());
    double worst = 0;
    size_t at = 0;
    for (size_t i = 0; i < out.size(); ++i) {
      const double apart = UlpsApart(out[i], Truth(function, samples.x[i], samples.y[i]),
                                     MayLackItsSign(function, accuracy, samples.x[i], out[i]));
      if (apart > worst) worst = apart, at = i;
    }
    std::printf("%-8s %.2f ulp\n", Name<T>(function).c_str(), worst);
    EXPECT_LE(worst, bound) << Name<T>(function) << "(" << samples.x[at] << ", " << samples.y[at] << ") gives "
                            << out[at] << ", libm " << Libm(function, samples.x[at], samples.y[at]);
  }
}

TEST(VectorMaths, FastDoublesAreAsExactAsStated) { CheckAccuracy<double>(MathAccuracy::kFast); }
TEST(VectorMaths, FastFloatsAreAsExactAsStated) { CheckAccuracy<float>(MathAccuracy::kFast); }
TEST(VectorMaths, AccurateDoublesAreAsExactAsStated) { CheckAccuracy<double>(MathAccuracy::kAccurate); }
TEST(VectorMaths, AccurateFloatsAreAsExactAsStated) { CheckAccuracy<float>(MathAccuracy::kAccurate); }

template <typename T>
void CheckPrecise() {
  for (const auto& function : kMaths) {
    Loaded module(ModuleOf<T>(function, false), {DeclarationOf<T>(function)},
                  MapWith(function, MathAccuracy::kPrecise));
    ASSERT_TRUE(module.ok());
    const auto samples = SamplesOf<T>(function);
    const auto out = RunMap(module, function, samples, 0, samples.x.size());
    for (size_t i = 0; i < out.size(); ++i) {
      const T expected = Libm(function, samples.x[i], samples.y[i]);
      if (std::isnan(expected) && std::isnan(out[i])) continue;
      ASSERT_EQ(std::memcmp(&out[i], &expected, sizeof(T)), 0)
          << Name<T>(function) << "(" << samples.x[i] << ", " << samples.y[i] << ")";
    }
  }
}

TEST(VectorMaths, PreciseIsLibm) {
  CheckPrecise<double>();
  CheckPrecise<float>();
}

template <typename T>
void CheckPlaces(const MathsFunction& function, bool intrinsic) {
  Loaded module(ModuleOf<T>(function, intrinsic), {DeclarationOf<T>(function)}, MapWith(function, MathAccuracy::kFast));
  ASSERT_TRUE(module.ok());
  const auto samples = SamplesOf<T>(function);
  const size_t rows = 700;
  const auto whole = RunMap(module, function, samples, 0, rows);
  for (const size_t length : {1, 2, 3, 7, 8, 9, 15, 16, 17, 63, 64, 65, 100, 127, 128, 129, 333}) {
    for (size_t first = 0; first + length <= rows; first += length) {
      const auto part = RunMap(module, function, samples, first, length);
      ASSERT_EQ(std::memcmp(part.data(), whole.data() + first, length * sizeof(T)), 0)
          << Name<T>(function) << ": rows " << first << " to " << first + length;
    }
  }
}

TEST(VectorMaths, ARowsBitsDoNotDependOnItsPlace) {
  for (const auto& function : kMaths) {
    CheckPlaces<double>(function, false);
    CheckPlaces<float>(function, false);
  }
}

TEST(VectorMaths, IntrinsicsAreTheSameFunctions) {
  for (const auto& function : kMaths) {
    const auto forms = VectorFunctions();
    if (std::none_of(forms.begin(), forms.end(), [&](const VectorFunction& form) {
          return form.scalar == function.name && !form.intrinsic.empty();
        }))
      continue;
    CheckPlaces<double>(function, true);
    Loaded called(ModuleOf<double>(function, false), {DeclarationOf<double>(function)},
                  MapWith(function, MathAccuracy::kFast));
    Loaded intrinsic(ModuleOf<double>(function, true), {DeclarationOf<double>(function)},
                     MapWith(function, MathAccuracy::kFast));
    ASSERT_TRUE(called.ok() && intrinsic.ok());
    const auto samples = SamplesOf<double>(function);
    const auto one = RunMap(called, function, samples, 0, 1000), other = RunMap(intrinsic, function, samples, 0, 1000);
    EXPECT_EQ(std::memcmp(one.data(), other.data(), 8000), 0) << function.name;
  }
}

// The widest form that this machine has is what the code calls.
TEST(VectorMathsCode, EachFunctionOfTheLibraryIsUsed) {
  for (const auto accuracy : {MathAccuracy::kFast, MathAccuracy::kAccurate}) {
    for (const auto& function : kMaths) {
      const VectorFunction* widest = nullptr;
      for (const auto& form : VectorFunctions()) {
        if (form.accuracy != accuracy || form.scalar != function.name || Symbols().Find(form.symbol) == nullptr)
          continue;
        if (widest == nullptr || form.lanes > widest->lanes) widest = &form;
      }
      if (widest == nullptr) continue;
      const auto artifact =
          Compile(ModuleOf<double>(function, false), {DeclarationOf<double>(function)}, MapWith(function, accuracy));
      ASSERT_TRUE(artifact) << Message(artifact);
      EXPECT_TRUE(artifact->repeatable && !artifact->stateful) << function.name;
      const bool called = artifact->code.find(widest->symbol) != std::string::npos;
      EXPECT_EQ(called, !host::IsInlined(widest->symbol)) << function.name;
    }
  }
}

const std::string kBlackScholes = R"(
declare double @log(double)
declare double @exp(double)
declare double @erf(double)
declare double @llvm.sqrt.f64(double)
define double @cdf(double %x) noinline optnone {
  %s = fdiv double %x, 0x3FF6A09E667F3BCD
  %e = call double @erf(double %s)
  %p = fadd double %e, 1.0
  %h = fmul double %p, 0.5
  ret double %h
}
define i32 @price(ptr %out, double %s, double %k, double %r, double %v, double %t) {
  %bad = fcmp ole double %t, 0.0
  br i1 %bad, label %fail, label %go
fail:
  ret i32 3
go:
)" + std::string(kBlackScholesLines) +
                                  R"(  store double %p, ptr %out
  ret i32 0
}
)";

TEST(VectorMathsCode, BlackScholesIsVectorsThroughout) {
  CompileOptions options;
  options.entry = EntryKind::kMap;
  for (const std::string pattern : {"cccccc", "ccbbbc", "csbbsc", "cccccn", "ccccss"}) {
    options.map_pattern = pattern;
    const auto artifact =
        Compile(kBlackScholes, {{"price", "float64(float64, float64, float64, float64, float64)", Abi::kStatusRetptr}},
                options);
    ASSERT_TRUE(artifact) << Message(artifact);
    ASSERT_TRUE(HasLibrary(MathAccuracy::kFast)) << "libmvec is missing";
    const auto code = Disassembly(artifact->code);
    ASSERT_FALSE(code.empty()) << "objdump is missing; scripts/install-deps";
    if (__builtin_cpu_supports("avx512dq")) {
      EXPECT_EQ(CountOf(code, "_ZGVe\\S*"), 0) << pattern;
      EXPECT_GE(CountOf(code, "vpermpd"), 60) << pattern;                           // two of erf in each of two vectors
      EXPECT_GE(CountOf(code, "vgetmantpd"), 2) << pattern;                         // log
      EXPECT_GE(CountOf(code, "vscalefpd"), pattern[4] == 'b' ? 1 : 2) << pattern;  // exp
    } else {
      EXPECT_GE(CountOf(code, "_ZGV[bd]N[24]v_erf\\S*"), 2) << pattern;
      EXPECT_GE(CountOf(code, "_ZGV[bd]N[24]v_log\\S*"), 1) << pattern;
    }
    // What depends on values for all rows alone is done once.
    EXPECT_GE(CountOf(code, pattern[4] == 'b' ? "v?sqrtsd" : "v?sqrtpd"), 1) << pattern;
    EXPECT_GE(CountOf(code, "v?divpd"), 2) << pattern;
    EXPECT_EQ(code.find("%zmm") != std::string::npos, __builtin_cpu_supports("avx512dq") != 0);
  }
}

}  // namespace
}  // namespace rbc::testing
