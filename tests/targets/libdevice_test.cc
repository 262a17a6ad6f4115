// All of libdevice: each function reached by the name that C or CUDA's C gives it, put together for every SM, and run
// on the simulator against the host's library.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <math.h>

#include <bit>
#include <cfenv>
#include <functional>
#include <limits>
#include <map>
#include <random>
#include <set>

#include "tests/targets/cuda_harness.h"
#include "tests/targets/harness.h"
#include "tests/targets/libdevice_functions.h"

namespace rbc::testing {
namespace {

using ::testing::HasSubstr;

const char* IrType(char type) {
  switch (type) {
    case 'd':
      return "double";
    case 'f':
      return "float";
    case 'i':
      return "i32";
    case 'l':
      return "i64";
    case 's':
      return "i16";
    case 'p':
      return "ptr";
    default:
      return "void";
  }
}

const char* RbcType(char type) {
  switch (type) {
    case 'd':
      return "float64";
    case 'f':
      return "float32";
    case 'i':
      return "int32";
    case 'l':
      return "int64";
    case 's':
      return "int16";
    case 'p':
      return "void*";
    default:
      return "void";
  }
}

// Which of libdevice's functions CUDA's C has under a name with two underscores: those that are not of <math.h>.
bool IsCudaIntrinsic(std::string_view bare) {
  static const std::set<std::string_view> kOthers = {"clz",
                                                     "clzll",
                                                     "popc",
                                                     "popcll",
                                                     "byte_perm",
                                                     "mulhi",
                                                     "umulhi",
                                                     "mul64hi",
                                                     "umul64hi",
                                                     "mul24",
                                                     "umul24",
                                                     "brev",
                                                     "brevll",
                                                     "sad",
                                                     "usad",
                                                     "hadd",
                                                     "rhadd",
                                                     "uhadd",
                                                     "urhadd",
                                                     "ffs",
                                                     "ffsll",
                                                     "saturatef",
                                                     "hiloint2double",
                                                     "double2loint",
                                                     "double2hiint",
                                                     "half2float",
                                                     "int_as_float",
                                                     "float_as_int",
                                                     "uint_as_float",
                                                     "float_as_uint",
                                                     "longlong_as_double",
                                                     "double_as_longlong"};
  const bool rounds = bare.ends_with("_rn") || bare.ends_with("_rz") || bare.ends_with("_rd") || bare.ends_with("_ru");
  return rounds || kOthers.contains(bare);
}

// The name in C of libdevice's function.
std::string CName(std::string_view name) {
  const std::string_view bare = name.substr(5);  // behind "__nv_"
  if (bare.starts_with("fast_")) return "__" + std::string(bare.substr(5));
  return (IsCudaIntrinsic(bare) ? "__" : "") + std::string(bare);
}

// A module in which `t_NAME` calls each function by the name that `spell` gives it.
struct Callers {
  std::string ir;
  std::vector<FunctionDeclaration> declarations;
};
Callers MakeCallers(std::span<const LibdeviceFunction> functions,
                    const std::function<std::string(std::string_view)>& spell) {
  Callers made;
  for (const auto& [name, types] : functions) {
    const std::string_view parameters = std::string_view(types).substr(1);
    std::string declared, defined, passed, signature;
    for (size_t i = 0; i < parameters.size(); ++i) {
      const char* comma = i == 0 ? "" : ", ";
      declared += fmt::format("{}{}", comma, IrType(parameters[i]));
      defined += fmt::format("{}{} %a{}", comma, IrType(parameters[i]), i);
      signature += fmt::format("{}{}", comma, RbcType(parameters[i]));
    }
    const char* result = IrType(types[0]);
    const bool is_void = types[0] == 'v';
    made.ir += fmt::format("declare {} @{}({})\ndefine {} @t{}({}) {{\n  {}call {} @{}({})\n  ret {}\n}}\n", result,
                           spell(name), declared, result, name, defined, is_void ? "" : "%r = ", result, spell(name),
                           defined, is_void ? "void" : fmt::format("{} %r", result));
    made.declarations.push_back({fmt::format("t{}", name), fmt::format("{}({})", RbcType(types[0]), signature)});
  }
  return made;
}

constexpr size_t kPart = 58;  // six modules: none too large for the assembler's patience

TEST(Libdevice, EveryFunctionIsReachedByItsCNameAndAssembles) {
  for (size_t first = 0; first < std::size(kLibdeviceFunctions); first += kPart) {
    const auto part =
        std::span(kLibdeviceFunctions).subspan(first, std::min(kPart, std::size(kLibdeviceFunctions) - first));
    const auto callers = MakeCallers(part, CName);
    CompileOptions options;
    options.opt_level = 1;
    ExpectAssembles(callers.ir, callers.declarations, options);
  }
}

// One simulated module for all tests: every function by its C name.
Simulated& All() {
  static Simulated module = [] {
    const auto callers = MakeCallers(kLibdeviceFunctions, CName);
    CompileOptions options;
    options.opt_level = 1;
    return Simulated(callers.ir, callers.declarations, options);
  }();
  return module;
}

size_t IndexOf(const std::string& name) {
  for (size_t i = 0; i < std::size(kLibdeviceFunctions); ++i) {
    if ("__nv_" + name == kLibdeviceFunctions[i].name) return i;
  }
  ADD_FAILURE() << "libdevice has no " << name;
  return 0;
}

// How many values of T lie between two results; the same NaN, zero and infinity is 0.
template <typename T>
double Ulps(T found, long double expected) {
  const T nearest = static_cast<T>(expected);
  if (std::isnan(found) || std::isnan(nearest)) return std::isnan(found) && std::isnan(nearest) ? 0 : INFINITY;
  if (found == nearest) return 0;
  if (std::isinf(found) || std::isinf(nearest)) return INFINITY;
  int exponent;
  frexpl(expected, &exponent);
  const int least = std::numeric_limits<T>::min_exponent;
  const long double unit = ldexpl(1, std::max(exponent, least) - std::numeric_limits<T>::digits);
  return static_cast<double>(fabsl(static_cast<long double>(found) - expected) / unit);
}

struct Range {
  double low, high;
};

// Points of a range: its ends, then by chance, half of them evenly and half by magnitude.
std::vector<double> Points(Range range, size_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<double> points = {range.low, range.high};
  std::uniform_real_distribution<double> even(range.low, range.high), magnitude(-30, 0);
  while (points.size() < count) {
    points.push_back(even(random));
    const double small = even(random) * std::exp2(magnitude(random));
    if (small >= range.low && small <= range.high) points.push_back(small);
  }
  return points;
}

struct Unary {
  const char* name;  // of the double function; the float one has an f behind it
  long double (*reference)(long double);
  Range range;
  double ulps;        // allowed for double
  double float_ulps;  // and for float
};

long double Rsqrt(long double x) { return 1 / sqrtl(x); }
long double Rcbrt(long double x) { return 1 / cbrtl(x); }
long double SinPi(long double x) { return sinl(M_PIl * x); }
long double CosPi(long double x) { return cosl(M_PIl * x); }
long double Erfcx(long double x) { return expl(x * x) * erfcl(x); }
long double NormCdf(long double x) { return erfcl(-x * M_SQRT1_2l) / 2; }
long double Exp10(long double x) { return exp10l(x); }

// The bounds are those that NVIDIA's programming guide states, in ulp against the correctly rounded result; against the
// true value it may be half a unit more.
double FromTrueValue(double ulps) { return ulps < 1 ? ulps : ulps + 0.5; }

const Unary kUnary[] = {
    {"sin", sinl, {-1e5, 1e5}, 2, 2},       {"cos", cosl, {-1e5, 1e5}, 2, 2},
    {"tan", tanl, {-1e5, 1e5}, 2, 4},       {"asin", asinl, {-1, 1}, 2, 2},
    {"acos", acosl, {-1, 1}, 2, 2},         {"atan", atanl, {-100, 100}, 2, 2},
    {"sinh", sinhl, {-80, 80}, 2, 3},       {"cosh", coshl, {-80, 80}, 1, 2},
    {"tanh", tanhl, {-20, 20}, 1, 2},       {"asinh", asinhl, {-1e6, 1e6}, 3, 3},
    {"acosh", acoshl, {1, 1e6}, 3, 4},      {"atanh", atanhl, {-0.999, 0.999}, 2, 3},
    {"exp", expl, {-80, 80}, 1, 2},         {"exp2", exp2l, {-120, 120}, 1, 2},
    {"exp10", Exp10, {-37, 37}, 1, 2},      {"expm1", expm1l, {-80, 80}, 1, 1},
    {"log", logl, {1e-30, 1e30}, 1, 1},     {"log2", log2l, {1e-30, 1e30}, 1, 1},
    {"log10", log10l, {1e-30, 1e30}, 1, 2}, {"log1p", log1pl, {-0.999, 1e6}, 1, 1},
    {"cbrt", cbrtl, {-1e6, 1e6}, 1, 1},     {"rcbrt", Rcbrt, {1e-6, 1e6}, 1, 1},
    {"sqrt", sqrtl, {0, 1e30}, 0.5, 0.5},   {"rsqrt", Rsqrt, {1e-30, 1e30}, 1, 2},
    {"erf", erfl, {-6, 6}, 2, 2},           {"erfc", erfcl, {-4, 9}, 5, 4},
    {"erfcx", Erfcx, {-2, 8}, 4, 4},        {"tgamma", tgammal, {0.1, 30}, 10, 5},
    {"lgamma", lgammal, {2.5, 1e6}, 4, 6},  {"sinpi", SinPi, {-0.9, 0.9}, 2, 1},
    {"cospi", CosPi, {-0.4, 0.4}, 2, 1},    {"normcdf", NormCdf, {-5, 5}, 5, 5},
    {"floor", floorl, {-1e9, 1e9}, 0, 0},   {"ceil", ceill, {-1e9, 1e9}, 0, 0},
    {"trunc", truncl, {-1e9, 1e9}, 0, 0},   {"rint", rintl, {-1e9, 1e9}, 0, 0},
    {"round", roundl, {-1e9, 1e9}, 0, 0},   {"fabs", fabsl, {-1e9, 1e9}, 0, 0},
    {"logb", logbl, {1e-30, 1e30}, 0, 0},   {"nearbyint", nearbyintl, {-1e9, 1e9}, 0, 0},
};

template <typename T, typename Reference>
double WorstUnary(const std::string& name, Reference reference, Range range, size_t count) {
  auto& all = All();
  const size_t index = IndexOf(name);
  double worst = 0;
  for (const double point : Points(range, count, 1)) {
    const T x = static_cast<T>(point);
    const double ulps = Ulps<T>(all.Call<T>(index, x), reference(static_cast<long double>(x)));
    worst = std::max(worst, ulps);
  }
  return worst;
}

TEST(Libdevice, FunctionsOfOneArgumentAreWithinTheirBounds) {
  ASSERT_TRUE(All().ok());
  for (const auto& f : kUnary) {
    const double worst = WorstUnary<double>(f.name, f.reference, f.range, 5'000);
    EXPECT_LE(worst, FromTrueValue(f.ulps)) << f.name;
    const std::string single = std::string(f.name) + "f";
    const double worst_single = WorstUnary<float>(single, f.reference, f.range, 5'000);
    EXPECT_LE(worst_single, FromTrueValue(f.float_ulps)) << single;
    RecordProperty(f.name, fmt::format("{:.2f} {:.2f}", worst, worst_single));
  }
}

struct Binary {
  const char* name;
  long double (*reference)(long double, long double);
  Range first, second;
  double ulps, float_ulps;
};
long double Rhypot(long double a, long double b) { return 1 / hypotl(a, b); }
const Binary kBinary[] = {
    {"pow", powl, {0.01, 100}, {-10, 10}, 2, 4},         {"atan2", atan2l, {-10, 10}, {-10, 10}, 2, 3},
    {"hypot", hypotl, {-1e6, 1e6}, {-1e6, 1e6}, 2, 3},   {"rhypot", Rhypot, {1, 1e6}, {1, 1e6}, 1, 2},
    {"fmod", fmodl, {-1e9, 1e9}, {1e-3, 100}, 0, 0},     {"remainder", remainderl, {-1e9, 1e9}, {1e-3, 100}, 0, 0},
    {"fdim", fdiml, {-1e6, 1e6}, {-1e6, 1e6}, 0.5, 0.5}, {"fmin", fminl, {-1e6, 1e6}, {-1e6, 1e6}, 0, 0},
    {"fmax", fmaxl, {-1e6, 1e6}, {-1e6, 1e6}, 0, 0},     {"copysign", copysignl, {-1e6, 1e6}, {-1, 1}, 0, 0},
};

template <typename T>
double WorstBinary(const std::string& name, const Binary& f, size_t count) {
  auto& all = All();
  const size_t index = IndexOf(name);
  const auto first = Points(f.first, count, 1), second = Points(f.second, count, 2);
  double worst = 0;
  for (size_t i = 0; i < std::min(first.size(), second.size()); ++i) {
    const T a = static_cast<T>(first[i]), b = static_cast<T>(second[i]);
    worst = std::max(worst, Ulps<T>(all.Call<T>(index, a, b), f.reference(a, b)));
  }
  return worst;
}

TEST(Libdevice, FunctionsOfTwoArgumentsAreWithinTheirBounds) {
  for (const auto& f : kBinary) {
    EXPECT_LE(WorstBinary<double>(f.name, f, 5'000), FromTrueValue(f.ulps)) << f.name;
    EXPECT_LE(WorstBinary<float>(std::string(f.name) + "f", f, 5'000), FromTrueValue(f.float_ulps)) << f.name << "f";
  }
}

// Bessel functions lose relative accuracy at their zeros: the error counts against their size.
template <typename T>
void ExpectNearby(const std::string& name, long double (*reference)(long double), Range range, double tolerance) {
  auto& all = All();
  const size_t index = IndexOf(name);
  for (const double point : Points(range, 2000, 3)) {
    const T x = static_cast<T>(point);
    const long double expected = reference(x);
    ASSERT_NEAR(all.Call<T>(index, x), expected, tolerance * std::max(1.0L, fabsl(expected))) << name << ' ' << point;
  }
}

TEST(Libdevice, BesselFunctions) {
  ExpectNearby<double>("j0", j0l, {0, 8}, 1e-14);
  ExpectNearby<double>("j0", j0l, {8, 50}, 5e-12);
  ExpectNearby<double>("j1", j1l, {0, 8}, 1e-14);
  ExpectNearby<double>("j1", j1l, {8, 50}, 5e-12);
  ExpectNearby<double>("y0", y0l, {0.1, 8}, 1e-14);
  ExpectNearby<double>("y0", y0l, {8, 50}, 5e-12);
  ExpectNearby<double>("y1", y1l, {0.1, 8}, 1e-14);
  ExpectNearby<double>("y1", y1l, {8, 50}, 5e-12);
  ExpectNearby<float>("j0f", j0l, {0, 8}, 1e-6);
  ExpectNearby<float>("j1f", j1l, {0, 8}, 1e-6);
  ExpectNearby<float>("y0f", y0l, {0.1, 8}, 2e-6);
  ExpectNearby<float>("y1f", y1l, {0.1, 8}, 2e-6);
  auto& all = All();
  for (const int n : {0, 1, 2, 5}) {
    for (const double x : {0.5, 3.0, 20.0}) {
      EXPECT_NEAR(all.Call<double>(IndexOf("jn"), n, x), jn(n, x), 1e-13);
      EXPECT_NEAR(all.Call<double>(IndexOf("yn"), n, x), yn(n, x), 1e-12 * std::max(1.0, std::fabs(yn(n, x))));
      EXPECT_NEAR(all.Call<float>(IndexOf("jnf"), n, static_cast<float>(x)), jn(n, x), 2e-6);
      EXPECT_NEAR(all.Call<float>(IndexOf("ynf"), n, static_cast<float>(x)), yn(n, x),
                  1e-5 * std::max(1.0, std::fabs(yn(n, x))));
    }
  }
  // The sums that define them: I0(x) = sum (x/2)^2k / k!^2, I1(x) likewise.
  for (const double x : {0.25, 1.0, 3.5}) {
    long double i0 = 0, i1 = 0, term = 1;
    for (int k = 0; k < 40; ++k) {
      i0 += term;
      i1 += term * (x / 2) / (k + 1);
      term *= (x / 2) * (x / 2) / ((k + 1.0L) * (k + 1));
    }
    EXPECT_NEAR(all.Call<double>(IndexOf("cyl_bessel_i0"), x), static_cast<double>(i0), 6e-15 * i0);
    EXPECT_NEAR(all.Call<double>(IndexOf("cyl_bessel_i1"), x), static_cast<double>(i1), 6e-15 * i1);
    EXPECT_NEAR(all.Call<float>(IndexOf("cyl_bessel_i0f"), static_cast<float>(x)), static_cast<float>(i0), 2e-6 * i0);
    EXPECT_NEAR(all.Call<float>(IndexOf("cyl_bessel_i1f"), static_cast<float>(x)), static_cast<float>(i1), 2e-6 * i1);
  }
}

TEST(Libdevice, InversesUndoTheirFunctions) {
  auto& all = All();
  for (const double y : {-0.99, -0.5, -1e-5, 0.001, 0.3, 0.999}) {
    EXPECT_NEAR(erf(all.Call<double>(IndexOf("erfinv"), y)), y, 2e-15);
    EXPECT_NEAR(erf(all.Call<float>(IndexOf("erfinvf"), static_cast<float>(y))), static_cast<float>(y), 3e-7);
  }
  for (const double y : {0.001, 0.2, 1.0, 1.7, 1.999}) {
    EXPECT_NEAR(erfc(all.Call<double>(IndexOf("erfcinv"), y)), y, 5e-15);
    EXPECT_NEAR(erfc(all.Call<float>(IndexOf("erfcinvf"), static_cast<float>(y))), static_cast<float>(y), 1e-6);
  }
  for (const double y : {0.001, 0.2, 0.5, 0.8, 0.999}) {
    EXPECT_NEAR(NormCdf(all.Call<double>(IndexOf("normcdfinv"), y)), y, 5e-15);
    EXPECT_NEAR(NormCdf(all.Call<float>(IndexOf("normcdfinvf"), static_cast<float>(y))), static_cast<float>(y), 1e-6);
  }
}

// ---- Operations that round as asked for: the host's, in that mode, to the last bit.
struct Mode {
  const char* suffix;
  int mode;
};
constexpr Mode kModes[] = {{"_rn", FE_TONEAREST}, {"_rz", FE_TOWARDZERO}, {"_rd", FE_DOWNWARD}, {"_ru", FE_UPWARD}};

template <typename T, typename F>
auto InMode(int mode, F&& operation) {
  fesetround(mode);
  const auto result = operation();
  fesetround(FE_TONEAREST);
  return result;
}

template <typename T>
void CheckRounding(const std::string& prefix) {
  auto& all = All();
  std::mt19937_64 random(4);
  std::uniform_real_distribution<T> values(-1000, 1000);
  for (const auto& [suffix, mode] : kModes) {
    for (int i = 0; i < 500; ++i) {
      volatile T a = values(random), b = values(random), c = values(random);
      const auto expect = [&](const std::string& name, T found, auto&& operation) {
        const T expected = InMode<T>(mode, operation);
        ASSERT_EQ(found, expected) << prefix << name << suffix << ' ' << a << ' ' << b;
      };
      const T x = a, y = b, z = c;
      expect("add", all.Call<T>(IndexOf(prefix + "add" + suffix), x, y), [&] {
        volatile T r = a + b;
        return T(r);
      });
      expect("sub", all.Call<T>(IndexOf(prefix + "sub" + suffix), x, y), [&] {
        volatile T r = a - b;
        return T(r);
      });
      expect("mul", all.Call<T>(IndexOf(prefix + "mul" + suffix), x, y), [&] {
        volatile T r = a * b;
        return T(r);
      });
      expect("div", all.Call<T>(IndexOf(prefix + "div" + suffix), x, y), [&] {
        volatile T r = a / b;
        return T(r);
      });
      expect("rcp", all.Call<T>(IndexOf(prefix + "rcp" + suffix), x), [&] {
        volatile T r = 1 / a;
        return T(r);
      });
      const T positive = std::fabs(x);
      volatile T p = positive;
      expect("sqrt", all.Call<T>(IndexOf(prefix + "sqrt" + suffix), positive), [&] {
        volatile T r = std::sqrt(p);
        return T(r);
      });
      expect("fma", all.Call<T>(IndexOf((sizeof(T) == 8 ? "fma" : "fmaf") + std::string(suffix)), x, y, z), [&] {
        volatile T r = std::fma(a, b, c);
        return T(r);
      });
    }
  }
}

TEST(Libdevice, ArithmeticRoundsAsItsNameSays) {
  CheckRounding<double>("d");
  CheckRounding<float>("f");
  auto& all = All();
  for (const float a : {0.3f, -1.7f, 100.25f}) {
    EXPECT_EQ(all.Call<float>(IndexOf("fmaf_ieee_rn"), a, 3.0f, 0.1f), std::fma(a, 3.0f, 0.1f));
    EXPECT_EQ(all.Call<float>(IndexOf("fmaf_ieee_rz"), a, 3.0f, 0.1f),
              all.Call<float>(IndexOf("fmaf_rz"), a, 3.0f, 0.1f));
    EXPECT_EQ(all.Call<float>(IndexOf("fmaf_ieee_rd"), a, 3.0f, 0.1f),
              all.Call<float>(IndexOf("fmaf_rd"), a, 3.0f, 0.1f));
    EXPECT_EQ(all.Call<float>(IndexOf("fmaf_ieee_ru"), a, 3.0f, 0.1f),
              all.Call<float>(IndexOf("fmaf_ru"), a, 3.0f, 0.1f));
  }
}

// A value as the integer type has it: what lies outside becomes the nearest that lies inside.
template <typename Integer>
Integer Clamped(long double value) {
  const long double low = std::numeric_limits<Integer>::min(), high = std::numeric_limits<Integer>::max();
  return value <= low    ? std::numeric_limits<Integer>::min()
         : value >= high ? std::numeric_limits<Integer>::max()
                         : static_cast<Integer>(value);
}

template <typename T, typename Integer>
void CheckConversions(const std::string& from, const std::string& to) {
  auto& all = All();
  for (const auto& [suffix, mode] : kModes) {
    for (const double point :
         {0.0, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 123456.75, -98765.25, 3e9, -3e9, 1e19, -1e19, 2147483647.0}) {
      const T x = static_cast<T>(point);
      volatile long double wide = x;
      const long double rounded = InMode<T>(mode, [&] {
        volatile long double r = rintl(wide);
        return static_cast<long double>(r);
      });
      EXPECT_EQ(all.Call<Integer>(IndexOf(from + "2" + to + suffix), x), Clamped<Integer>(rounded))
          << from << "2" << to << suffix << ' ' << point;
    }
  }
}

template <typename Integer, typename T>
void CheckToFloat(const std::string& from, const std::string& to, std::span<const Mode> modes = kModes) {
  auto& all = All();
  for (const auto& [suffix, mode] : modes) {
    for (const int64_t point : {int64_t{0}, int64_t{1}, int64_t{-1}, int64_t{16777217}, int64_t{-16777217},
                                int64_t{2147483647}, int64_t{9007199254740993}, std::numeric_limits<int64_t>::max()}) {
      volatile Integer x = static_cast<Integer>(point);
      const T expected = InMode<T>(mode, [&] {
        volatile T r = static_cast<T>(x);
        return T(r);
      });
      EXPECT_EQ(all.Call<T>(IndexOf(from + "2" + to + suffix), Integer(x)), expected)
          << from << "2" << to << suffix << ' ' << point;
    }
  }
}

TEST(Libdevice, ConversionsRoundAndSaturate) {
  CheckConversions<double, int32_t>("double", "int");
  CheckConversions<double, uint32_t>("double", "uint");
  CheckConversions<double, int64_t>("double", "ll");
  CheckConversions<double, uint64_t>("double", "ull");
  CheckConversions<float, int32_t>("float", "int");
  CheckConversions<float, uint32_t>("float", "uint");
  CheckConversions<float, int64_t>("float", "ll");
  CheckConversions<float, uint64_t>("float", "ull");
  CheckToFloat<int32_t, float>("int", "float");
  CheckToFloat<uint32_t, float>("uint", "float");
  CheckToFloat<int64_t, float>("ll", "float");
  CheckToFloat<uint64_t, float>("ull", "float");
  CheckToFloat<int64_t, double>("ll", "double");
  CheckToFloat<uint64_t, double>("ull", "double");
  CheckToFloat<int32_t, double>("int", "double", std::span(kModes).first(1));
  CheckToFloat<uint32_t, double>("uint", "double", std::span(kModes).first(1));
  auto& all = All();
  for (const auto& [suffix, mode] : kModes) {
    for (const double point : {0.1, -0.1, 1e30 / 3, 1.0000000001}) {
      volatile double x = point;
      const float expected = InMode<float>(mode, [&] {
        volatile float r = static_cast<float>(x);
        return float(r);
      });
      EXPECT_EQ(all.Call<float>(IndexOf(std::string("double2float") + suffix), point), expected) << suffix << point;
    }
  }
  EXPECT_EQ(all.Call<int16_t>(IndexOf("float2half_rn"), 1.5f), 0x3e00);
  EXPECT_EQ(all.Call<float>(IndexOf("half2float"), int16_t{0x3e00}), 1.5f);
  EXPECT_EQ(all.Call<int32_t>(IndexOf("float2int_rz"), NAN), 0);
  EXPECT_EQ(all.Call<int32_t>(IndexOf("double2int_rz"), static_cast<double>(NAN)), std::numeric_limits<int32_t>::min());
}

TEST(Libdevice, IntegersAndBits) {
  auto& all = All();
  const auto call32 = [&](const char* name, auto... a) { return all.Call<int32_t>(IndexOf(name), a...); };
  const auto call64 = [&](const char* name, auto... a) { return all.Call<int64_t>(IndexOf(name), a...); };
  EXPECT_EQ(call32("clz", 1), 31);
  EXPECT_EQ(call32("clz", 0), 32);
  EXPECT_EQ(call32("clzll", int64_t{1}), 63);
  EXPECT_EQ(call32("popc", -1), 32);
  EXPECT_EQ(call32("popcll", int64_t{-1}), 64);
  EXPECT_EQ(call32("ffs", 0), 0);
  EXPECT_EQ(call32("ffs", 8), 4);
  EXPECT_EQ(call32("ffsll", int64_t{1} << 40), 41);
  EXPECT_EQ(call32("brev", 1), std::numeric_limits<int32_t>::min());
  EXPECT_EQ(call64("brevll", int64_t{1}), std::numeric_limits<int64_t>::min());
  EXPECT_EQ(call32("byte_perm", 0x03020100, 0x07060504, 0x7531), 0x07050301);
  EXPECT_EQ(call32("byte_perm", 0x80, 0, 0x8888), static_cast<int32_t>(0x80808080)) << "three bits of a selector count";
  EXPECT_EQ(call32("min", -3, 2), -3);
  EXPECT_EQ(call32("umin", -3, 2), 2);
  EXPECT_EQ(call32("max", -3, 2), 2);
  EXPECT_EQ(call32("umax", -3, 2), -3);
  EXPECT_EQ(call64("llmin", int64_t{-3}, int64_t{2}), -3);
  EXPECT_EQ(call64("ullmin", int64_t{-3}, int64_t{2}), 2);
  EXPECT_EQ(call64("llmax", int64_t{-3}, int64_t{2}), 2);
  EXPECT_EQ(call64("ullmax", int64_t{-3}, int64_t{2}), -3);
  EXPECT_EQ(call32("mulhi", -2, 1 << 30), -1);
  EXPECT_EQ(call32("umulhi", -1, -1), -2);
  EXPECT_EQ(call64("mul64hi", int64_t{-2}, int64_t{1} << 62), -1);
  EXPECT_EQ(call64("umul64hi", int64_t{-1}, int64_t{-1}), -2);
  EXPECT_EQ(call32("mul24", -3, 5), -15);
  EXPECT_EQ(call32("umul24", 0x01000003, 5), 15);
  EXPECT_EQ(call32("sad", -3, 4, 100), 107);
  EXPECT_EQ(call32("usad", 3, 10, 100), 107);
  EXPECT_EQ(call32("abs", -7), 7);
  EXPECT_EQ(call64("llabs", int64_t{-7}), 7);
  EXPECT_EQ(call32("hadd", 7, 8), 7);
  EXPECT_EQ(call32("rhadd", 7, 8), 8);
  EXPECT_EQ(call32("uhadd", -1, -3), -2);
  EXPECT_EQ(call32("urhadd", -1, -4), -2);
  EXPECT_EQ(all.Call<double>(IndexOf("hiloint2double"), 0x3ff00000, 0), 1.0);
  EXPECT_EQ(call32("double2hiint", 1.0), 0x3ff00000);
  EXPECT_EQ(call32("double2loint", 1.0), 0);
  EXPECT_EQ(all.Call<float>(IndexOf("int_as_float"), 0x3f800000), 1.0f);
  EXPECT_EQ(all.Call<float>(IndexOf("uint_as_float"), 0x3f800000), 1.0f);
  EXPECT_EQ(call32("float_as_int", 1.0f), 0x3f800000);
  EXPECT_EQ(call32("float_as_uint", 1.0f), 0x3f800000);
  EXPECT_EQ(all.Call<double>(IndexOf("longlong_as_double"), int64_t{0x3ff0000000000000}), 1.0);
  EXPECT_EQ(call64("double_as_longlong", 1.0), 0x3ff0000000000000);
}

TEST(Libdevice, QuestionsAndParts) {
  auto& all = All();
  for (const double x : {0.0, -1.5, 3e300, static_cast<double>(INFINITY), static_cast<double>(NAN)}) {
    EXPECT_EQ(all.Call<int32_t>(IndexOf("isnand"), x) != 0, std::isnan(x));
    EXPECT_EQ(all.Call<int32_t>(IndexOf("isinfd"), x) != 0, std::isinf(x));
    EXPECT_EQ(all.Call<int32_t>(IndexOf("isfinited"), x) != 0, std::isfinite(x));
    EXPECT_EQ(all.Call<int32_t>(IndexOf("signbitd"), x) != 0, std::signbit(x));
    const float y = static_cast<float>(x);
    EXPECT_EQ(all.Call<int32_t>(IndexOf("isnanf"), y) != 0, std::isnan(y));
    EXPECT_EQ(all.Call<int32_t>(IndexOf("isinff"), y) != 0, std::isinf(y));
    EXPECT_EQ(all.Call<int32_t>(IndexOf("finitef"), y) != 0, std::isfinite(y));
    EXPECT_EQ(all.Call<int32_t>(IndexOf("signbitf"), y) != 0, std::signbit(y));
  }
  for (const double x : {0.75, -2.5, 2.5, 1e6 + 0.5, 1e-3}) {
    const float y = static_cast<float>(x);
    EXPECT_EQ(all.Call<int64_t>(IndexOf("llround"), x), llround(x));
    EXPECT_EQ(all.Call<int64_t>(IndexOf("llroundf"), y), llroundf(y));
    EXPECT_EQ(all.Call<int64_t>(IndexOf("llrint"), x), llrint(x));
    EXPECT_EQ(all.Call<int64_t>(IndexOf("llrintf"), y), llrintf(y));
    EXPECT_EQ(all.Call<int32_t>(IndexOf("ilogb"), x), ilogb(x));
    EXPECT_EQ(all.Call<int32_t>(IndexOf("ilogbf"), y), ilogbf(y));
    EXPECT_EQ(all.Call<double>(IndexOf("ldexp"), x, 5), ldexp(x, 5));
    EXPECT_EQ(all.Call<float>(IndexOf("ldexpf"), y, -5), ldexpf(y, -5));
    EXPECT_EQ(all.Call<double>(IndexOf("scalbn"), x, -3), scalbn(x, -3));
    EXPECT_EQ(all.Call<float>(IndexOf("scalbnf"), y, 3), scalbnf(y, 3));
    EXPECT_EQ(all.Call<double>(IndexOf("nextafter"), x, 10.0), nextafter(x, 10.0));
    EXPECT_EQ(all.Call<float>(IndexOf("nextafterf"), y, 10.0f), nextafterf(y, 10.0f));
    EXPECT_EQ(all.Call<double>(IndexOf("fma"), x, 3.0, 0.1), fma(x, 3.0, 0.1));
    EXPECT_EQ(all.Call<float>(IndexOf("fmaf"), y, 3.0f, 0.1f), fmaf(y, 3.0f, 0.1f));
    EXPECT_NEAR(all.Call<double>(IndexOf("powi"), x, 3), x * x * x, 1e-15 * std::fabs(x * x * x));
    EXPECT_NEAR(all.Call<float>(IndexOf("powif"), y, 3), y * y * y, 1e-6f * std::fabs(y * y * y));
    EXPECT_EQ(all.Call<float>(IndexOf("saturatef"), y), std::min(std::max(y, 0.0f), 1.0f));
  }
  EXPECT_NEAR(all.Call<double>(IndexOf("norm3d"), 1.0, 2.0, 2.0), 3.0, 1e-15);
  EXPECT_NEAR(all.Call<double>(IndexOf("rnorm3d"), 1.0, 2.0, 2.0), 1 / 3.0, 1e-16);
  EXPECT_NEAR(all.Call<double>(IndexOf("norm4d"), 1.0, 1.0, 1.0, 1.0), 2.0, 1e-15);
  EXPECT_NEAR(all.Call<double>(IndexOf("rnorm4d"), 1.0, 1.0, 1.0, 1.0), 0.5, 1e-16);
  EXPECT_NEAR(all.Call<float>(IndexOf("norm3df"), 1.0f, 2.0f, 2.0f), 3.0f, 1e-6);
  EXPECT_NEAR(all.Call<float>(IndexOf("rnorm3df"), 1.0f, 2.0f, 2.0f), 1 / 3.0f, 1e-7);
  EXPECT_NEAR(all.Call<float>(IndexOf("norm4df"), 1.0f, 1.0f, 1.0f, 1.0f), 2.0f, 1e-6);
  EXPECT_NEAR(all.Call<float>(IndexOf("rnorm4df"), 1.0f, 1.0f, 1.0f, 1.0f), 0.5f, 1e-7);
  // The hardware's first step towards a reciprocal: its high word.
  EXPECT_NEAR(all.Call<double>(IndexOf("rcp64h"), 3.0), 1 / 3.0, 1e-6);
}

// The quick forms are as exact as their name promises: a few units of float's sixth digit.
TEST(Libdevice, QuickForms) {
  auto& all = All();
  for (const float x : {0.1f, 0.5f, 1.0f, 1.5f}) {
    EXPECT_NEAR(all.Call<float>(IndexOf("fast_sinf"), x), std::sin(x), 1e-6);
    EXPECT_NEAR(all.Call<float>(IndexOf("fast_cosf"), x), std::cos(x), 1e-6);
    EXPECT_NEAR(all.Call<float>(IndexOf("fast_tanf"), x), std::tan(x), 3e-5);
    EXPECT_NEAR(all.Call<float>(IndexOf("fast_tanhf"), x), std::tanh(x), 1e-3);
    EXPECT_NEAR(all.Call<float>(IndexOf("fast_expf"), x), std::exp(x), 2e-6);
    EXPECT_NEAR(all.Call<float>(IndexOf("fast_exp10f"), x), exp10f(x), 2e-5);
    EXPECT_NEAR(all.Call<float>(IndexOf("fast_logf"), x), std::log(x), 1e-6);
    EXPECT_NEAR(all.Call<float>(IndexOf("fast_log2f"), x), std::log2(x), 1e-6);
    EXPECT_NEAR(all.Call<float>(IndexOf("fast_log10f"), x), std::log10(x), 1e-6);
    EXPECT_NEAR(all.Call<float>(IndexOf("fast_powf"), x, 2.5f), std::pow(x, 2.5f), 1e-5);
    EXPECT_NEAR(all.Call<float>(IndexOf("fast_fdividef"), x, 3.0f), x / 3.0f, 1e-6);
    EXPECT_NEAR(all.Call<float>(IndexOf("frsqrt_rn"), x), 1 / std::sqrt(x), 1e-6);
  }
}

// The functions that write through pointers, called by a module of their own that takes the values apart.
constexpr std::string_view kPointers = R"(
declare void @sincos(double, ptr, ptr)
declare void @sincosf(float, ptr, ptr)
declare void @sincospi(double, ptr, ptr)
declare double @frexp(double, ptr)
declare double @modf(double, ptr)
declare double @remquo(double, double, ptr)
define double @both(double %x) {
  %s = alloca double
  %c = alloca double
  call void @sincos(double %x, ptr %s, ptr %c)
  %a = load double, ptr %s
  %b = load double, ptr %c
  %r = fmul double %a, %b
  ret double %r
}
define float @bothf(float %x) {
  %s = alloca float
  %c = alloca float
  call void @sincosf(float %x, ptr %s, ptr %c)
  %a = load float, ptr %s
  %b = load float, ptr %c
  %r = fmul float %a, %b
  ret float %r
}
define double @bothpi(double %x) {
  %s = alloca double
  %c = alloca double
  call void @sincospi(double %x, ptr %s, ptr %c)
  %a = load double, ptr %s
  %b = load double, ptr %c
  %r = fmul double %a, %b
  ret double %r
}
define double @exponent(double %x) {
  %e = alloca i32
  %m = call double @frexp(double %x, ptr %e)
  %i = load i32, ptr %e
  %f = sitofp i32 %i to double
  %g = fmul double %f, 16.0
  %r = fadd double %m, %g
  ret double %r
}
define double @parts(double %x) {
  %w = alloca double
  %m = call double @modf(double %x, ptr %w)
  %i = load double, ptr %w
  %g = fmul double %i, 16.0
  %r = fadd double %m, %g
  ret double %r
}
define double @quotient(double %x, double %y) {
  %q = alloca i32
  %m = call double @remquo(double %x, double %y, ptr %q)
  %i = load i32, ptr %q
  %j = and i32 %i, 7
  %f = sitofp i32 %j to double
  %g = fmul double %f, 16.0
  %r = fadd double %m, %g
  ret double %r
}
)";

TEST(Libdevice, ResultsThroughPointers) {
  Simulated module(kPointers, {{"both", "float64(float64)"},
                               {"bothf", "float32(float32)"},
                               {"bothpi", "float64(float64)"},
                               {"exponent", "float64(float64)"},
                               {"parts", "float64(float64)"},
                               {"quotient", "float64(float64, float64)"}});
  ASSERT_TRUE(module.ok());
  for (const double x : {0.3, 7.25, 1e5, 1e300}) {
    EXPECT_NEAR(module.Call<double>(0, x), std::sin(x) * std::cos(x), 1e-15);
    int exponent;
    const double mantissa = frexp(x, &exponent);
    EXPECT_EQ(module.Call<double>(3, x), mantissa + exponent * 16.0);
    double whole;
    const double part = modf(x, &whole);
    EXPECT_EQ(module.Call<double>(4, x), part + whole * 16);
    int quotient;
    const double rest = remquo(x, 3.0, &quotient);
    if (x < 1e15) {
      EXPECT_EQ(module.Call<double>(5, x, 3.0), rest + (quotient & 7) * 16.0);
    }
  }
  EXPECT_NEAR(module.Call<float>(1, 0.3f), std::sin(0.3f) * std::cos(0.3f), 1e-6);
  EXPECT_NEAR(module.Call<double>(2, 0.3), std::sin(0.3 * M_PI) * std::cos(0.3 * M_PI), 1e-15);
}

// Lengths of vectors in memory, NaNs by their text, and the float forms of what writes through pointers.
constexpr std::string_view kMemory = R"(
@text = private constant [1 x i8] zeroinitializer
declare double @__nv_norm(i32, ptr)
declare double @__nv_rnorm(i32, ptr)
declare float @__nv_normf(i32, ptr)
declare float @__nv_rnormf(i32, ptr)
declare double @__nv_nan(ptr)
declare float @__nv_nanf(ptr)
declare float @frexpf(float, ptr)
declare float @modff(float, ptr)
declare float @remquof(float, float, ptr)
declare double @ldexp(double, i32)
declare float @ldexpf(float, i32)
declare void @__nv_fast_sincosf(float, ptr, ptr)
declare void @sincospif(float, ptr, ptr)
define double @length(double %x, double %y) {
  %v = alloca [3 x double]
  store double %x, ptr %v
  %second = getelementptr double, ptr %v, i64 1
  store double %y, ptr %second
  %third = getelementptr double, ptr %v, i64 2
  store double 2.0, ptr %third
  %n = call double @__nv_norm(i32 3, ptr %v)
  %r = call double @__nv_rnorm(i32 3, ptr %v)
  %s = fadd double %n, %r
  ret double %s
}
define float @lengthf(float %x, float %y) {
  %v = alloca [2 x float]
  store float %x, ptr %v
  %second = getelementptr float, ptr %v, i64 1
  store float %y, ptr %second
  %n = call float @__nv_normf(i32 2, ptr %v)
  %r = call float @__nv_rnormf(i32 2, ptr %v)
  %s = fadd float %n, %r
  ret float %s
}
define double @none(double %x) {
  %n = call double @__nv_nan(ptr @text)
  %f = call float @__nv_nanf(ptr @text)
  %w = fpext float %f to double
  %a = fadd double %n, %w
  ret double %a
}
define float @exponent(float %x) {
  %e = alloca i32
  %m = call float @frexpf(float %x, ptr %e)
  %i = load i32, ptr %e
  %f = sitofp i32 %i to float
  %g = fmul float %f, 16.0
  %r = fadd float %m, %g
  ret float %r
}
define float @parts(float %x) {
  %w = alloca float
  %m = call float @modff(float %x, ptr %w)
  %i = load float, ptr %w
  %g = fmul float %i, 16.0
  %r = fadd float %m, %g
  ret float %r
}
define float @rest(float %x, float %y) {
  %q = alloca i32
  %m = call float @remquof(float %x, float %y, ptr %q)
  %i = load i32, ptr %q
  %j = and i32 %i, 7
  %f = sitofp i32 %j to float
  %g = fmul float %f, 16.0
  %r = fadd float %m, %g
  ret float %r
}
define double @scaled(double %x, i32 %n) {
  %r = call double @ldexp(double %x, i32 %n)
  ret double %r
}
define float @scaledf(float %x, i32 %n) {
  %r = call float @ldexpf(float %x, i32 %n)
  ret float %r
}
define float @quick(float %x) {
  %s = alloca float
  %c = alloca float
  call void @__nv_fast_sincosf(float %x, ptr %s, ptr %c)
  %a = load float, ptr %s
  %b = load float, ptr %c
  %r = fmul float %a, %b
  ret float %r
}
define float @bothpi(float %x) {
  %s = alloca float
  %c = alloca float
  call void @sincospif(float %x, ptr %s, ptr %c)
  %a = load float, ptr %s
  %b = load float, ptr %c
  %r = fmul float %a, %b
  ret float %r
}
)";

TEST(Libdevice, VectorsNansAndFloatsThroughPointers) {
  Simulated module(kMemory, {{"length", "float64(float64, float64)"},
                             {"lengthf", "float32(float32, float32)"},
                             {"none", "float64(float64)"},
                             {"exponent", "float32(float32)"},
                             {"parts", "float32(float32)"},
                             {"rest", "float32(float32, float32)"},
                             {"scaled", "float64(float64, int32)"},
                             {"scaledf", "float32(float32, int32)"},
                             {"quick", "float32(float32)"},
                             {"bothpi", "float32(float32)"}});
  ASSERT_TRUE(module.ok());
  EXPECT_NEAR(module.Call<double>(0, 1.0, 2.0), 3 + 1 / 3.0, 1e-15);
  EXPECT_NEAR(module.Call<double>(0, 1e200, 1e200) / std::sqrt(2e200) / std::sqrt(1e200), 1.0, 1e-14) << "no overflow";
  EXPECT_NEAR(module.Call<float>(1, 3.0f, 4.0f), 5.2f, 1e-6);
  EXPECT_TRUE(std::isnan(module.Call<double>(2, 1.0)));
  for (const float x : {0.3f, 7.25f, 1e5f, -40.5f}) {
    int exponent, quotient;
    const float mantissa = frexpf(x, &exponent);
    EXPECT_EQ(module.Call<float>(3, x), mantissa + static_cast<float>(exponent) * 16.0f);
    float whole;
    const float part = modff(x, &whole);
    EXPECT_EQ(module.Call<float>(4, x), part + whole * 16);
    const float rest = remquof(x, 3.0f, &quotient);
    EXPECT_EQ(module.Call<float>(5, x, 3.0f), rest + static_cast<float>(quotient & 7) * 16.0f);
    for (const int32_t n : {0, 5, -7, 200, -200, 2000}) {
      EXPECT_EQ(module.Call<double>(6, double{x}, n), std::ldexp(double{x}, n)) << x << " by " << n;
      EXPECT_EQ(module.Call<float>(7, x, n), std::ldexp(x, n)) << x << " by " << n;
    }
  }
  EXPECT_NEAR(module.Call<float>(8, 0.3f), std::sin(0.3f) * std::cos(0.3f), 1e-5);
  EXPECT_NEAR(module.Call<float>(9, 0.3f), std::sin(0.3 * M_PI) * std::cos(0.3 * M_PI), 1e-6);
}

// The same functions by LLVM's intrinsics: double, float and vectors.
TEST(Libdevice, IntrinsicsAreTheFunctions) {
  constexpr const char* kNames[] = {"sin", "cos",  "tan",   "asin", "acos", "atan",  "sinh",  "cosh", "tanh",
                                    "exp", "exp2", "exp10", "log",  "log2", "log10", "round", "sqrt", "floor"};
  std::string ir;
  std::vector<FunctionDeclaration> declarations;
  for (const char* name : kNames) {
    ir += fmt::format(
        "declare double @llvm.{0}.f64(double)\ndeclare float @llvm.{0}.f32(float)\n"
        "define double @{0}_d(double %x) {{\n  %r = call double @llvm.{0}.f64(double %x)\n  ret double %r\n}}\n"
        "define float @{0}_f(float %x) {{\n  %r = call float @llvm.{0}.f32(float %x)\n  ret float %r\n}}\n",
        name);
    declarations.push_back({fmt::format("{}_d", name), "float64(float64)"});
    declarations.push_back({fmt::format("{}_f", name), "float32(float32)"});
  }
  ExpectAssembles(ir, declarations);
  Simulated module(ir, declarations);
  ASSERT_TRUE(module.ok());
  auto& all = All();
  for (size_t i = 0; i < std::size(kNames); ++i) {
    for (const double x : {0.1, 0.625, 0.99}) {
      EXPECT_EQ(module.Call<double>(2 * i, x), all.Call<double>(IndexOf(kNames[i]), x)) << kNames[i];
      EXPECT_EQ(module.Call<float>(2 * i + 1, static_cast<float>(x)),
                all.Call<float>(IndexOf(std::string(kNames[i]) + "f"), static_cast<float>(x)))
          << kNames[i] << "f";
    }
  }
}

}  // namespace
}  // namespace rbc::testing
