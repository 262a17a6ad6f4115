// Each runtime symbol is called by its name and gives what it should; a name without a check fails the last test.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <complex>
#include <csignal>
#include <cstdarg>
#include <cstring>
#include <functional>
#include <map>
#include <set>

#include "worker/call_context.h"
#include "worker/fault.h"
#include "worker/runtime/symbols.h"
#include "worker/stack.h"

namespace rbc::worker {
namespace {

using ::testing::HasSubstr;

std::set<std::string>& Called() {
  static std::set<std::string> called;
  return called;
}

// The function of that name, noted as called.
template <typename Signature>
Signature* F(const std::string& name) {
  Called().insert(name);
  void* address = ClientSymbols().Find(name);
  EXPECT_NE(address, nullptr) << name;
  return reinterpret_cast<Signature*>(address);
}

template <typename T>
void ExpectSame(T got, T want, const std::string& name) {
  if (std::isnan(want)) {
    EXPECT_TRUE(std::isnan(got)) << name;
  } else {
    EXPECT_EQ(got, want) << name;
  }
}

// Functions of one argument, each with the C++ library's overload of the same name, which is its oracle.
template <typename T>
std::map<std::string, std::function<T(T)>> UnaryOracles() {
  return {
      {"acos", [](T v) { return std::acos(v); }},
      {"asin", [](T v) { return std::asin(v); }},
      {"asinh", [](T v) { return std::asinh(v); }},
      {"atan", [](T v) { return std::atan(v); }},
      {"atanh", [](T v) { return std::atanh(v); }},
      {"cbrt", [](T v) { return std::cbrt(v); }},
      {"ceil", [](T v) { return std::ceil(v); }},
      {"cos", [](T v) { return std::cos(v); }},
      {"cosh", [](T v) { return std::cosh(v); }},
      {"erf", [](T v) { return std::erf(v); }},
      {"erfc", [](T v) { return std::erfc(v); }},
      {"exp", [](T v) { return std::exp(v); }},
      {"exp2", [](T v) { return std::exp2(v); }},
      {"expm1", [](T v) { return std::expm1(v); }},
      {"fabs", [](T v) { return std::fabs(v); }},
      {"floor", [](T v) { return std::floor(v); }},
      {"lgamma", [](T v) { return std::lgamma(v); }},
      {"log", [](T v) { return std::log(v); }},
      {"log10", [](T v) { return std::log10(v); }},
      {"log1p", [](T v) { return std::log1p(v); }},
      {"log2", [](T v) { return std::log2(v); }},
      {"logb", [](T v) { return std::logb(v); }},
      {"nearbyint", [](T v) { return std::nearbyint(v); }},
      {"rint", [](T v) { return std::rint(v); }},
      {"round", [](T v) { return std::round(v); }},
      {"sin", [](T v) { return std::sin(v); }},
      {"sinh", [](T v) { return std::sinh(v); }},
      {"sqrt", [](T v) { return std::sqrt(v); }},
      {"tan", [](T v) { return std::tan(v); }},
      {"tanh", [](T v) { return std::tanh(v); }},
      {"tgamma", [](T v) { return std::tgamma(v); }},
      {"trunc", [](T v) { return std::trunc(v); }},
  };
}

template <typename T>
void CheckUnary(const std::string& suffix) {
  for (const auto& [name, oracle] : UnaryOracles<T>()) {
    volatile T argument = static_cast<T>(0.4375);
    ExpectSame(F<T(T)>(name + suffix)(argument), oracle(argument), name + suffix);
  }
  EXPECT_NEAR(static_cast<double>(F<T(T)>("acosh" + suffix)(2)), std::acosh(2.0), 1e-6);
  EXPECT_NEAR(static_cast<double>(F<T(T)>("exp10" + suffix)(2)), 100, 1e-4);
  EXPECT_EQ(F<T(T)>("roundeven" + suffix)(static_cast<T>(2.5)), 2);
  EXPECT_TRUE(std::isnan(F<T(const char*)>("nan" + suffix)("")));
}

// At 1, from tables.
template <typename T>
void CheckBessel(const std::string& suffix) {
  EXPECT_NEAR(static_cast<double>(F<T(T)>("j0" + suffix)(1)), 0.7651976865579666, 1e-6);
  EXPECT_NEAR(static_cast<double>(F<T(T)>("j1" + suffix)(1)), 0.4400505857449335, 1e-6);
  EXPECT_NEAR(static_cast<double>(F<T(int, T)>("jn" + suffix)(2, 1)), 0.1149034849319005, 1e-6);
  EXPECT_NEAR(static_cast<double>(F<T(T)>("y0" + suffix)(1)), 0.0882569642156769, 1e-6);
  EXPECT_NEAR(static_cast<double>(F<T(T)>("y1" + suffix)(1)), -0.7812128213002887, 1e-6);
  EXPECT_NEAR(static_cast<double>(F<T(int, T)>("yn" + suffix)(2, 1)), -1.6506826068162546, 1e-6);
}

template <typename T>
void CheckTwoAndMoreArguments(const std::string& suffix) {
  EXPECT_EQ(F<T(T, T)>("atan2" + suffix)(0, 1), 0);
  EXPECT_EQ(F<T(T, T)>("copysign" + suffix)(3, -1), -3);
  EXPECT_EQ(F<T(T, T)>("fdim" + suffix)(5, 3), 2);
  EXPECT_EQ(F<T(T, T)>("fmax" + suffix)(5, 3), 5);
  EXPECT_EQ(F<T(T, T)>("fmin" + suffix)(5, 3), 3);
  EXPECT_EQ(F<T(T, T)>("fmod" + suffix)(5, 3), 2);
  EXPECT_EQ(F<T(T, T)>("hypot" + suffix)(3, 4), 5);
  EXPECT_EQ(F<T(T, T)>("pow" + suffix)(2, 10), 1024);
  EXPECT_EQ(F<T(T, T)>("remainder" + suffix)(5, 3), -1);
  EXPECT_GT(F<T(T, T)>("nextafter" + suffix)(1, 2), 1);
  EXPECT_GT(F<T(T, long double)>("nexttoward" + suffix)(1, 2), 1);
  EXPECT_EQ(F<T(T, T, T)>("fma" + suffix)(2, 3, 4), 10);
  EXPECT_EQ(F<T(T, int)>("ldexp" + suffix)(3, 4), 48);
  EXPECT_EQ(F<T(T, int)>("scalbn" + suffix)(3, 4), 48);
  EXPECT_EQ(F<T(T, long)>("scalbln" + suffix)(3, 4), 48);
}

template <typename T>
void CheckWholeNumbers(const std::string& suffix) {
  EXPECT_EQ(F<int(T)>("ilogb" + suffix)(8), 3);
  EXPECT_EQ(F<long(T)>("lrint" + suffix)(static_cast<T>(2.5)), 2);
  EXPECT_EQ(F<long(T)>("lround" + suffix)(static_cast<T>(2.5)), 3);
  EXPECT_EQ(F<long long(T)>("llrint" + suffix)(static_cast<T>(2.5)), 2);
  EXPECT_EQ(F<long long(T)>("llround" + suffix)(static_cast<T>(2.5)), 3);
  EXPECT_NE(F<int(T)>("__signbit" + suffix)(-1), 0);
  EXPECT_EQ(F<int(T)>("__fpclassify" + suffix)(0), FP_ZERO);
  EXPECT_NE(F<int(T)>("__isnan" + suffix)(static_cast<T>(NAN)), 0);
  EXPECT_EQ(F<int(T)>("__isinf" + suffix)(static_cast<T>(INFINITY)), 1);
  EXPECT_NE(F<int(T)>("__finite" + suffix)(1), 0);
}

template <typename T>
void CheckTwoResults(const std::string& suffix) {
  int number = 0;
  EXPECT_EQ(F<T(T, int*)>("frexp" + suffix)(8, &number), static_cast<T>(0.5));
  EXPECT_EQ(number, 4);
  EXPECT_EQ(F<T(T, T, int*)>("remquo" + suffix)(7, 2, &number), -1);
  T whole;
  EXPECT_EQ(F<T(T, T*)>("modf" + suffix)(static_cast<T>(2.5), &whole), static_cast<T>(0.5));
  EXPECT_EQ(whole, 2);
  T sine, cosine;
  F<void(T, T*, T*)>("sincos" + suffix)(0, &sine, &cosine);
  EXPECT_EQ(sine, 0);
  EXPECT_EQ(cosine, 1);
}

template <typename T>
void CheckMath(const std::string& suffix) {
  CheckUnary<T>(suffix);
  CheckBessel<T>(suffix);
  CheckTwoAndMoreArguments<T>(suffix);
  CheckWholeNumbers<T>(suffix);
  CheckTwoResults<T>(suffix);
}

TEST(RuntimeSymbols, Math) {
  CheckMath<double>("");
  CheckMath<float>("f");
  CheckMath<long double>("l");
  int sign = 0;
  EXPECT_EQ(F<double(double, int*)>("lgamma_r")(1, &sign), 0);
  EXPECT_EQ(F<float(float, int*)>("lgammaf_r")(1, &sign), 0);
  EXPECT_EQ(sign, 1);
  F<double(double)>("lgamma")(-0.5);
  EXPECT_EQ(*F<int>("signgam"), -1);
  EXPECT_NE(F<int(double)>("isnan")(NAN), 0);
  EXPECT_NE(F<int(double)>("isinf")(INFINITY), 0);
  EXPECT_NE(F<int(double)>("finite")(1), 0);
  EXPECT_EQ(F<int()>("fegetround")(), 0);
  EXPECT_EQ(F<int(int)>("fesetround")(0), 0);
  EXPECT_EQ(F<int(int)>("feclearexcept")(0x3f), 0);
  EXPECT_EQ(F<int(int)>("feraiseexcept")(0x20), 0);
  EXPECT_EQ(F<int(int)>("fetestexcept")(0x3f), 0x20);
  F<int(int)>("feclearexcept")(0x3f);
}

template <typename T>
struct ComplexOf;
template <>
struct ComplexOf<float> {
  using Type = _Complex float;
};
template <>
struct ComplexOf<double> {
  using Type = _Complex double;
};
template <>
struct ComplexOf<long double> {
  using Type = _Complex long double;
};
template <>
struct ComplexOf<_Float16> {
  typedef _Complex float Type __attribute__((mode(HC)));
};
template <>
struct ComplexOf<__float128> {
  typedef _Complex float Type __attribute__((mode(TC)));
};

// _Complex has the same layout and calling convention as __complex__ here.
template <typename T>
void CheckComplex(const std::string& suffix) {
  using C = typename ComplexOf<T>::Type;
  C z;
  __real__ z = static_cast<T>(0.5);
  __imag__ z = static_cast<T>(0.25);
  const std::complex<T> s(static_cast<T>(0.5), static_cast<T>(0.25));
  const std::map<std::string, std::complex<T>> functions = {{"conj", std::conj(s)},  {"cproj", s},
                                                            {"cacos", std::acos(s)}, {"cacosh", std::acosh(s)},
                                                            {"casin", std::asin(s)}, {"casinh", std::asinh(s)},
                                                            {"catan", std::atan(s)}, {"catanh", std::atanh(s)},
                                                            {"ccos", std::cos(s)},   {"ccosh", std::cosh(s)},
                                                            {"cexp", std::exp(s)},   {"clog", std::log(s)},
                                                            {"csin", std::sin(s)},   {"csinh", std::sinh(s)},
                                                            {"csqrt", std::sqrt(s)}, {"ctan", std::tan(s)},
                                                            {"ctanh", std::tanh(s)}};
  for (const auto& [name, want] : functions) {
    const C got = F<C(C)>(name + suffix)(z);
    EXPECT_NEAR(static_cast<double>(__real__ got), static_cast<double>(want.real()), 1e-6) << name << suffix;
    EXPECT_NEAR(static_cast<double>(__imag__ got), static_cast<double>(want.imag()), 1e-6) << name << suffix;
  }
  EXPECT_NEAR(static_cast<double>(F<T(C)>("cabs" + suffix)(z)), std::sqrt(0.3125), 1e-6);
  EXPECT_NEAR(static_cast<double>(F<T(C)>("carg" + suffix)(z)), std::atan2(0.25, 0.5), 1e-6);
  EXPECT_EQ(F<T(C)>("creal" + suffix)(z), static_cast<T>(0.5));
  EXPECT_EQ(F<T(C)>("cimag" + suffix)(z), static_cast<T>(0.25));
  const C square = F<C(C, C)>("cpow" + suffix)(z, C{2});
  EXPECT_NEAR(static_cast<double>(__real__ square), 0.1875, 1e-6);
  EXPECT_NEAR(static_cast<double>(__imag__ square), 0.25, 1e-6);
}

TEST(RuntimeSymbols, Complex) {
  CheckComplex<double>("");
  CheckComplex<float>("f");
  CheckComplex<long double>("l");
}

using I128 = __int128;
using U128 = unsigned __int128;

TEST(RuntimeSymbols, WideIntegers) {
  const I128 big = I128{7} << 90;
  EXPECT_TRUE(F<I128(I128, I128)>("__divti3")(-big, 7) == -(I128{1} << 90));
  EXPECT_TRUE(F<I128(I128, I128)>("__modti3")(big + 3, 7) == 3);
  EXPECT_TRUE(F<U128(U128, U128)>("__udivti3")(~U128{0}, U128{1} << 64) == ~uint64_t{0});
  EXPECT_TRUE(F<U128(U128, U128)>("__umodti3")(~U128{0}, 10) == 5);
  I128 rest;
  EXPECT_TRUE(F<I128(I128, I128, I128*)>("__divmodti4")(100, 7, &rest) == 14 && rest == 2);
  U128 urest;
  EXPECT_TRUE(F<U128(U128, U128, U128*)>("__udivmodti4")(100, 7, &urest) == 14 && urest == 2);
  EXPECT_TRUE(F<I128(I128, I128)>("__multi3")(I128{1} << 60, I128{1} << 60) == I128{1} << 120);
  EXPECT_TRUE(F<I128(I128)>("__negti2")(big) == -big);
  EXPECT_TRUE(F<I128(I128, int)>("__ashlti3")(1, 100) == I128{1} << 100);
  EXPECT_TRUE(F<I128(I128, int)>("__ashrti3")(-big, 90) == -7);
  EXPECT_TRUE(F<U128(U128, int)>("__lshrti3")(static_cast<U128>(big), 90) == 7);
  EXPECT_EQ(F<int(I128, I128)>("__cmpti2")(-1, 1), 0);
  EXPECT_EQ(F<int(U128, U128)>("__ucmpti2")(~U128{0}, 1), 2);
  for (const auto* op : {"abs", "neg"}) {
    const auto name = "__" + std::string(op) + "v";
    EXPECT_EQ(F<int(int)>(name + "si2")(-4), 4);
    EXPECT_EQ(F<long(long)>(name + "di2")(-4), 4);
    EXPECT_TRUE(F<I128(I128)>(name + "ti2")(-4) == 4);
  }
  const std::map<std::string, int> operations = {{"add", 9}, {"sub", 5}, {"mul", 14}};
  for (const auto& [op, want] : operations) {
    const auto name = "__" + op + "v";
    EXPECT_EQ(F<int(int, int)>(name + "si3")(7, 2), want);
    EXPECT_EQ(F<long(long, long)>(name + "di3")(7, 2), want);
    EXPECT_TRUE(F<I128(I128, I128)>(name + "ti3")(7, 2) == want);
  }
  const std::map<std::string, std::pair<int, int>> bits = {{"ffs", {5, 5}},    {"clz", {59, 123}},
                                                           {"ctz", {4, 4}},    {"popcount", {1, 1}},
                                                           {"parity", {1, 1}}, {"clrsb", {58, 122}}};
  for (const auto& [op, want] : bits) {
    EXPECT_EQ(F<int(long)>("__" + op + "di2")(16), want.first) << op;
    EXPECT_EQ(F<int(I128)>("__" + op + "ti2")(16), want.second) << op;
  }
  EXPECT_EQ(F<uint32_t(uint32_t)>("__bswapsi2")(0x01020304), 0x04030201u);
  EXPECT_EQ(F<uint64_t(uint64_t)>("__bswapdi2")(1), uint64_t{1} << 56);
}

template <typename T>
void CheckConversions(const std::string& letter) {
  EXPECT_TRUE(F<I128(T)>("__fix" + letter + "fti")(static_cast<T>(-4096)) == -4096);
  EXPECT_TRUE(F<U128(T)>("__fixuns" + letter + "fti")(static_cast<T>(4096)) == 4096);
  EXPECT_EQ(F<T(I128)>("__floatti" + letter + "f")(-4096), static_cast<T>(-4096));
  EXPECT_EQ(F<T(U128)>("__floatunti" + letter + "f")(4096), static_cast<T>(4096));
}

template <typename T>
void CheckComplexArithmetic(const std::string& letter) {
  using C = typename ComplexOf<T>::Type;
  const C product = F<C(T, T, T, T)>("__mul" + letter + "c3")(1, 2, 3, 4);
  EXPECT_EQ(static_cast<double>(__real__ product), -5);
  EXPECT_EQ(static_cast<double>(__imag__ product), 10);
  const C quotient = F<C(T, T, T, T)>("__div" + letter + "c3")(-5, 10, 3, 4);
  EXPECT_NEAR(static_cast<double>(__real__ quotient), 1, 1e-3);
  EXPECT_NEAR(static_cast<double>(__imag__ quotient), 2, 1e-3);
}

TEST(RuntimeSymbols, FloatingPointSupport) {
  CheckConversions<float>("s");
  CheckConversions<double>("d");
  CheckConversions<long double>("x");
  CheckConversions<_Float16>("h");
  CheckConversions<__float128>("t");
  EXPECT_EQ(F<uint64_t(float)>("__fixunssfdi")(5), 5u);
  EXPECT_EQ(F<uint64_t(double)>("__fixunsdfdi")(5), 5u);
  EXPECT_EQ(F<uint64_t(long double)>("__fixunsxfdi")(5), 5u);
  EXPECT_EQ(F<float(float, int)>("__powisf2")(3, 4), 81);
  EXPECT_EQ(F<double(double, int)>("__powidf2")(3, 4), 81);
  EXPECT_EQ(F<long double(long double, int)>("__powixf2")(3, 4), 81);
  EXPECT_TRUE(F<__float128(__float128, int)>("__powitf2")(3, 4) == 81);
  CheckComplexArithmetic<float>("s");
  CheckComplexArithmetic<double>("d");
  CheckComplexArithmetic<long double>("x");
  CheckComplexArithmetic<_Float16>("h");
  CheckComplexArithmetic<__float128>("t");
  const auto half = static_cast<_Float16>(1.5f);
  EXPECT_EQ(F<float(_Float16)>("__extendhfsf2")(half), 1.5f);
  EXPECT_EQ(F<double(_Float16)>("__extendhfdf2")(half), 1.5);
  EXPECT_EQ(F<long double(_Float16)>("__extendhfxf2")(half), 1.5L);
  EXPECT_TRUE(F<__float128(_Float16)>("__extendhftf2")(half) == 1.5);
  EXPECT_TRUE(F<_Float16(float)>("__truncsfhf2")(1.5f) == half);
  EXPECT_TRUE(F<_Float16(double)>("__truncdfhf2")(1.5) == half);
  EXPECT_TRUE(F<_Float16(long double)>("__truncxfhf2")(1.5L) == half);
  EXPECT_TRUE(F<_Float16(__float128)>("__trunctfhf2")(1.5) == half);
}

uint16_t Bits(_Float16 value) {
  uint16_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

TEST(RuntimeSymbols, BfloatIsRoundedToNearestEven) {
  auto* from_float = F<_Float16(float)>("__truncsfbf2");
  auto* from_double = F<_Float16(double)>("__truncdfbf2");
  EXPECT_EQ(Bits(from_float(1.0f)), 0x3f80);
  EXPECT_EQ(Bits(from_float(1.00390625f)), 0x3f80);  // half way: to even
  EXPECT_EQ(Bits(from_float(1.01171875f)), 0x3f82);
  EXPECT_EQ(Bits(from_float(INFINITY)), 0x7f80);
  EXPECT_EQ(Bits(from_float(3.4e38f)), 0x7f80);
  EXPECT_NE(Bits(from_float(NAN)) & 0x7f, 0);
  EXPECT_EQ(Bits(from_double(-1.0)), 0xbf80);
  // A little above half way: rounding to float first would make it a tie and lose that.
  EXPECT_EQ(Bits(from_double(1.00390625 + 1e-12)), 0x3f81);
  EXPECT_EQ(Bits(from_double(1.00390625 - 1e-12)), 0x3f80);
}

TEST(RuntimeSymbols, QuadPrecision) {
  using Q = __float128;
  EXPECT_TRUE(F<Q(Q, Q)>("__addtf3")(1, 2) == 3);
  EXPECT_TRUE(F<Q(Q, Q)>("__subtf3")(1, 2) == -1);
  EXPECT_TRUE(F<Q(Q, Q)>("__multf3")(3, 2) == 6);
  EXPECT_TRUE(F<Q(Q, Q)>("__divtf3")(3, 2) == 1.5);
  EXPECT_TRUE(F<Q(Q)>("__negtf2")(3) == -3);
  EXPECT_EQ(F<int(Q, Q)>("__eqtf2")(1, 1), 0);
  EXPECT_NE(F<int(Q, Q)>("__netf2")(1, 2), 0);
  EXPECT_LT(F<int(Q, Q)>("__lttf2")(1, 2), 0);
  EXPECT_LE(F<int(Q, Q)>("__letf2")(1, 2), 0);
  EXPECT_GT(F<int(Q, Q)>("__gttf2")(2, 1), 0);
  EXPECT_GE(F<int(Q, Q)>("__getf2")(2, 1), 0);
  EXPECT_EQ(F<int(Q, Q)>("__unordtf2")(2, 1), 0);
  EXPECT_TRUE(F<Q(float)>("__extendsftf2")(1.5f) == 1.5);
  EXPECT_TRUE(F<Q(double)>("__extenddftf2")(1.5) == 1.5);
  EXPECT_TRUE(F<Q(long double)>("__extendxftf2")(1.5L) == 1.5);
  EXPECT_EQ(F<float(Q)>("__trunctfsf2")(1.5), 1.5f);
  EXPECT_EQ(F<double(Q)>("__trunctfdf2")(1.5), 1.5);
  EXPECT_EQ(F<long double(Q)>("__trunctfxf2")(1.5), 1.5L);
  EXPECT_EQ(F<int(Q)>("__fixtfsi")(-3), -3);
  EXPECT_EQ(F<long(Q)>("__fixtfdi")(-3), -3);
  EXPECT_EQ(F<unsigned(Q)>("__fixunstfsi")(3), 3u);
  EXPECT_EQ(F<uint64_t(Q)>("__fixunstfdi")(3), 3u);
  EXPECT_TRUE(F<Q(int)>("__floatsitf")(-3) == -3);
  EXPECT_TRUE(F<Q(long)>("__floatditf")(-3) == -3);
  EXPECT_TRUE(F<Q(unsigned)>("__floatunsitf")(3) == 3);
  EXPECT_TRUE(F<Q(uint64_t)>("__floatunditf")(3) == 3);
}

TEST(RuntimeSymbols, Memory) {
  char a[32] = "hello", b[32] = {};
  F<int()>("__cpu_indicator_init")();
  EXPECT_NE(*F<unsigned>("__cpu_model"), 0u);
  for (const char* name : {"memcpy", "memmove", "mempcpy"}) {
    std::memset(b, 0, sizeof b);
    F<void*(void*, const void*, size_t)>(name)(b, a, 6);
    EXPECT_STREQ(b, "hello") << name;
    std::memset(b, 0, sizeof b);
    F<void*(void*, const void*, size_t, size_t)>("__" + std::string(name) + "_chk")(b, a, 6, sizeof b);
    EXPECT_STREQ(b, "hello") << name;
  }
  F<void*(void*, int, size_t)>("memset")(b, 'x', 3);
  EXPECT_STREQ(b, "xxxlo");
  F<void*(void*, int, size_t, size_t)>("__memset_chk")(b, 'y', 2, sizeof b);
  EXPECT_STREQ(b, "yyxlo");
  EXPECT_GT(F<int(const void*, const void*, size_t)>("memcmp")("b", "a", 1), 0);
  EXPECT_NE(F<int(const void*, const void*, size_t)>("bcmp")("b", "a", 1), 0);
  EXPECT_EQ(F<void*(const void*, int, size_t)>("memchr")(a, 'l', 5), a + 2);
  EXPECT_EQ(F<void*(const void*, int, size_t)>("memrchr")(a, 'l', 5), a + 3);
  EXPECT_EQ(F<void*(const void*, int)>("rawmemchr")(a, 'o'), a + 4);
  EXPECT_EQ(F<void*(const void*, size_t, const void*, size_t)>("memmem")(a, 5, "lo", 2), a + 3);
  EXPECT_EQ(F<void*(void*, const void*, int, size_t)>("memccpy")(b, a, 'e', 5), b + 2);
  F<void(const void*, void*, size_t)>("bcopy")(a, b, 6);
  EXPECT_STREQ(b, "hello");
  F<void(void*, size_t)>("bzero")(b, 6);
  EXPECT_STREQ(b, "");
  EXPECT_EQ(F<int(int)>("ffs")(8), 4);
  EXPECT_EQ(F<int(long)>("ffsl")(8), 4);
  EXPECT_EQ(F<int(long long)>("ffsll")(8), 4);
}

TEST(RuntimeSymbols, Strings) {
  char a[32] = "hello", b[32] = {};
  EXPECT_EQ(F<size_t(const char*)>("strlen")(a), 5u);
  EXPECT_EQ(F<size_t(const char*, size_t)>("strnlen")(a, 3), 3u);
  for (const char* name : {"strcpy", "stpcpy"}) {
    F<char*(char*, const char*)>(name)(b, "one");
    EXPECT_STREQ(b, "one");
    F<char*(char*, const char*, size_t)>("__" + std::string(name) + "_chk")(b, "two", sizeof b);
    EXPECT_STREQ(b, "two");
  }
  F<char*(char*, const char*, size_t)>("strncpy")(b, "three", 32);
  F<char*(char*, const char*, size_t)>("stpncpy")(b, "four", 32);
  F<char*(char*, const char*, size_t, size_t)>("__strncpy_chk")(b, "five", 32, 32);
  F<char*(char*, const char*)>("strcat")(b, "+");
  F<char*(char*, const char*, size_t)>("strncat")(b, "12", 1);
  F<char*(char*, const char*, size_t)>("__strcat_chk")(b, "2", 32);
  F<char*(char*, const char*, size_t, size_t)>("__strncat_chk")(b, "34", 1, 32);
  EXPECT_STREQ(b, "five+123");
  EXPECT_LT(F<int(const char*, const char*)>("strcmp")("a", "b"), 0);
  EXPECT_EQ(F<int(const char*, const char*, size_t)>("strncmp")("ab", "ac", 1), 0);
  EXPECT_EQ(F<int(const char*, const char*)>("strcasecmp")("aB", "Ab"), 0);
  EXPECT_EQ(F<int(const char*, const char*, size_t)>("strncasecmp")("aBc", "Abd", 2), 0);
  EXPECT_LT(F<int(const char*, const char*)>("strcoll")("a", "b"), 0);
  EXPECT_EQ(F<size_t(char*, const char*, size_t)>("strxfrm")(b, "abc", 32), 3u);
  EXPECT_EQ(F<char*(char*, int)>("strchr")(a, 'l'), a + 2);
  EXPECT_EQ(F<char*(char*, int)>("index")(a, 'l'), a + 2);
  EXPECT_EQ(F<char*(char*, int)>("strchrnul")(a, 'z'), a + 5);
  EXPECT_EQ(F<char*(char*, int)>("strrchr")(a, 'l'), a + 3);
  EXPECT_EQ(F<char*(char*, int)>("rindex")(a, 'l'), a + 3);
  EXPECT_EQ(F<char*(char*, const char*)>("strstr")(a, "lo"), a + 3);
  EXPECT_EQ(F<char*(char*, const char*)>("strcasestr")(a, "LO"), a + 3);
  EXPECT_EQ(F<size_t(const char*, const char*)>("strspn")(a, "eh"), 2u);
  EXPECT_EQ(F<size_t(const char*, const char*)>("strcspn")(a, "l"), 2u);
  EXPECT_EQ(F<char*(char*, const char*)>("strpbrk")(a, "ol"), a + 2);
  char list[] = "a,b,c", *rest = nullptr;
  EXPECT_STREQ(F<char*(char*, const char*)>("strtok")(list, ","), "a");
  char list2[] = "a,b,c";
  EXPECT_STREQ(F<char*(char*, const char*, char**)>("strtok_r")(list2, ",", &rest), "a");
  EXPECT_STREQ(F<char*(char**, const char*)>("strsep")(&rest, ","), "b");
  char* copy = F<char*(const char*)>("strdup")("copy");
  EXPECT_STREQ(copy, "copy");
  F<void(void*)>("free")(copy);
  copy = F<char*(const char*, size_t)>("strndup")("copy", 2);
  EXPECT_STREQ(copy, "co");
  F<void(void*)>("free")(copy);
  EXPECT_THAT(F<char*(int)>("strerror")(2), HasSubstr("No such file"));
  wchar_t wide[8] = {};
  F<wchar_t*(wchar_t*, wchar_t, size_t)>("wmemset")(wide, L'w', 3);
  EXPECT_EQ(F<size_t(const wchar_t*)>("wcslen")(wide), 3u);
  F<wchar_t*(wchar_t*, const wchar_t*, size_t)>("wmemcpy")(wide, L"xyz", 3);
  EXPECT_EQ(F<int(const wchar_t*, const wchar_t*, size_t)>("wmemcmp")(wide, L"xyz", 3), 0);
  EXPECT_EQ(F<int(const wchar_t*, const wchar_t*)>("wcscmp")(wide, L"xyz"), 0);
}

TEST(RuntimeSymbols, Characters) {
  const std::map<std::string, std::pair<int, int>> classes = {
      {"alnum", {'a', '.'}}, {"alpha", {'a', '1'}}, {"blank", {' ', 'a'}}, {"cntrl", {'\n', 'a'}},
      {"digit", {'1', 'a'}}, {"graph", {'a', ' '}}, {"lower", {'a', 'A'}}, {"print", {'a', '\n'}},
      {"punct", {'.', 'a'}}, {"space", {' ', 'a'}}, {"upper", {'A', 'a'}}, {"xdigit", {'f', 'g'}}};
  for (const auto& [name, pair] : classes) {
    EXPECT_NE(F<int(int)>("is" + name)(pair.first), 0) << name;
    EXPECT_EQ(F<int(int)>("is" + name)(pair.second), 0) << name;
  }
  EXPECT_EQ(F<int(int)>("tolower")('A'), 'a');
  EXPECT_EQ(F<int(int)>("toupper")('a'), 'A');
  EXPECT_NE((*F<const unsigned short**()>("__ctype_b_loc")())['a'], 0);
  EXPECT_EQ((*F<const int**()>("__ctype_tolower_loc")())['A'], 'a');
  EXPECT_EQ((*F<const int**()>("__ctype_toupper_loc")())['a'], 'A');
  EXPECT_EQ(F<int*()>("__errno_location")(), &errno);
  EXPECT_NE(F<void*()>("localeconv")(), nullptr);
}

int Descending(const void* a, const void* b) { return *static_cast<const int*>(b) - *static_cast<const int*>(a); }
int DescendingWith(const void* a, const void* b, void*) { return Descending(a, b); }

TEST(RuntimeSymbols, HeapSortAndNumbers) {
  auto* release = F<void(void*)>("free");
  void* p = F<void*(size_t)>("malloc")(10);
  EXPECT_GE(F<size_t(void*)>("malloc_usable_size")(p), 10u);
  p = F<void*(void*, size_t)>("realloc")(p, 100);
  p = F<void*(void*, size_t, size_t)>("reallocarray")(p, 10, 10);
  release(p);
  p = F<void*(size_t, size_t)>("calloc")(4, 4);
  EXPECT_EQ(*static_cast<int*>(p), 0);
  release(p);
  p = F<void*(size_t, size_t)>("aligned_alloc")(64, 128);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(p) % 64, 0u);
  release(p);
  p = F<void*(size_t, size_t)>("memalign")(64, 128);
  release(p);
  EXPECT_EQ(F<int(void**, size_t, size_t)>("posix_memalign")(&p, 64, 128), 0);
  release(p);
  int numbers[] = {1, 3, 2};
  F<void(void*, size_t, size_t, int (*)(const void*, const void*))>("qsort")(numbers, 3, 4, Descending);
  EXPECT_EQ(numbers[0], 3);
  int key = 2;
  EXPECT_EQ((F<void*(const void*, const void*, size_t, size_t, int (*)(const void*, const void*))>("bsearch")(
                &key, numbers, 3, 4, Descending)),
            numbers + 1);
  F<void(void*, size_t, size_t, int (*)(const void*, const void*, void*), void*)>("qsort_r")(numbers, 3, 4,
                                                                                             DescendingWith, nullptr);
  EXPECT_EQ(F<int(int)>("abs")(-3), 3);
  EXPECT_EQ(F<long(long)>("labs")(-3), 3);
  EXPECT_EQ(F<long long(long long)>("llabs")(-3), 3);
  EXPECT_EQ(F<div_t(int, int)>("div")(7, 2).rem, 1);
  EXPECT_EQ(F<ldiv_t(long, long)>("ldiv")(7, 2).quot, 3);
  EXPECT_EQ(F<lldiv_t(long long, long long)>("lldiv")(7, 2).quot, 3);
  EXPECT_EQ(F<int(const char*)>("atoi")("12"), 12);
  EXPECT_EQ(F<long(const char*)>("atol")("12"), 12);
  EXPECT_EQ(F<long long(const char*)>("atoll")("12"), 12);
  EXPECT_EQ(F<double(const char*)>("atof")("1.5"), 1.5);
  for (const char* name : {"strtol", "strtoll", "strtoul", "strtoull"}) {
    EXPECT_EQ(F<long(const char*, char**, int)>(name)("ff", nullptr, 16), 255);
    EXPECT_EQ(F<long(const char*, char**, int)>("__isoc23_" + std::string(name))("ff", nullptr, 16), 255);
  }
  EXPECT_EQ(F<double(const char*, char**)>("strtod")("1.5", nullptr), 1.5);
  EXPECT_EQ(F<float(const char*, char**)>("strtof")("1.5", nullptr), 1.5f);
  EXPECT_EQ(F<long double(const char*, char**)>("strtold")("1.5", nullptr), 1.5L);
}

TEST(RuntimeSymbols, MemoryGivenAwayIsFreedAfterTheCall) {
  auto* give_away = F<void(void*)>("rbc_free_after_call");
  CallContext context;
  SetCurrentContext(&context);
  give_away(malloc(10));
  give_away(nullptr);
  give_away(malloc(20));
  EXPECT_EQ(context.free_after_call.size(), 2u);  // a leak checker sees whether they are freed
  context.FreeAfterCall();
  EXPECT_TRUE(context.free_after_call.empty());
  SetCurrentContext(nullptr);
  give_away(nullptr);
}

// Call functions of a va_list.
int CallV(int (*function)(char*, size_t, const char*, va_list), char* out, size_t size, const char* format, ...) {
  va_list list;
  va_start(list, format);
  const int result = function(out, size, format, list);
  va_end(list);
  return result;
}
template <typename Body>
int List(Body body, ...) {
  va_list list;
  va_start(list, body);
  const int result = body(list);
  va_end(list);
  return result;
}

TEST(RuntimeSymbols, Formatting) {
  char out[64];
  const auto check = [&](const char* name, int size) {
    EXPECT_EQ(size, 4) << name;
    EXPECT_STREQ(out, "n 12") << name;
    out[0] = 0;
  };
  check("snprintf", F<int(char*, size_t, const char*, ...)>("snprintf")(out, 64, "n %d", 12));
  check("sprintf", F<int(char*, const char*, ...)>("sprintf")(out, "n %d", 12));
  check("__snprintf_chk",
        F<int(char*, size_t, int, size_t, const char*, ...)>("__snprintf_chk")(out, 64, 1, 64, "n %d", 12));
  check("__sprintf_chk", F<int(char*, int, size_t, const char*, ...)>("__sprintf_chk")(out, 1, 64, "n %d", 12));
  check("vsnprintf", CallV(F<int(char*, size_t, const char*, va_list)>("vsnprintf"), out, 64, "n %d", 12));
  check("vsprintf",
        List([&](va_list l) { return F<int(char*, const char*, va_list)>("vsprintf")(out, "n %d", l); }, 12));
  check("__vsnprintf_chk", List(
                               [&](va_list l) {
                                 return F<int(char*, size_t, int, size_t, const char*, va_list)>("__vsnprintf_chk")(
                                     out, 64, 1, 64, "n %d", l);
                               },
                               12));
  check("__vsprintf_chk", List(
                              [&](va_list l) {
                                return F<int(char*, int, size_t, const char*, va_list)>("__vsprintf_chk")(out, 1, 64,
                                                                                                          "n %d", l);
                              },
                              12));
  char* made = nullptr;
  EXPECT_EQ(F<int(char**, const char*, ...)>("asprintf")(&made, "n %d", 12), 4);
  std::free(made);
  EXPECT_EQ(List([&](va_list l) { return F<int(char**, const char*, va_list)>("vasprintf")(&made, "n %d", l); }, 12),
            4);
  std::free(made);
  int number = 0;
  for (const char* name : {"sscanf", "__isoc99_sscanf", "__isoc23_sscanf"}) {
    number = 0;
    EXPECT_EQ(F<int(const char*, const char*, ...)>(name)("n 12", "n %d", &number), 1);
    EXPECT_EQ(number, 12) << name;
  }
  for (const char* name : {"vsscanf", "__isoc99_vsscanf"}) {
    number = 0;
    EXPECT_EQ(
        List([&](va_list l) { return F<int(const char*, const char*, va_list)>(name)("n 12", "n %d", l); }, &number),
        1);
    EXPECT_EQ(number, 12) << name;
  }
}

TEST(RuntimeSymbols, OutputIsCaptured) {
  char bytes[1024];
  std::atomic<uint32_t> size{0};
  CallContext context;
  context.capture = Capture(bytes, &size, sizeof bytes);
  SetCurrentContext(&context);
  const auto expect = [&](const std::string& want, const char* name) {
    EXPECT_EQ(std::string(bytes, size), want) << name;
    context.capture.Reset();
  };
  void* out = *F<void*>("stdout");
  void* err = *F<void*>("stderr");
  EXPECT_EQ(F<int(const char*, ...)>("printf")("n %d", 12), 4);
  expect("n 12", "printf");
  F<int(int, const char*, ...)>("__printf_chk")(1, "n %d", 12);
  expect("n 12", "__printf_chk");
  F<int(void*, const char*, ...)>("fprintf")(err, "n %d", 12);
  expect("n 12", "fprintf");
  F<int(void*, int, const char*, ...)>("__fprintf_chk")(out, 1, "n %d", 12);
  expect("n 12", "__fprintf_chk");
  List([&](va_list l) { return F<int(const char*, va_list)>("vprintf")("n %d", l); }, 12);
  expect("n 12", "vprintf");
  List([&](va_list l) { return F<int(int, const char*, va_list)>("__vprintf_chk")(1, "n %d", l); }, 12);
  expect("n 12", "__vprintf_chk");
  List([&](va_list l) { return F<int(void*, const char*, va_list)>("vfprintf")(out, "n %d", l); }, 12);
  expect("n 12", "vfprintf");
  List([&](va_list l) { return F<int(void*, int, const char*, va_list)>("__vfprintf_chk")(out, 1, "n %d", l); }, 12);
  expect("n 12", "__vfprintf_chk");
  F<int(const char*)>("puts")("line");
  expect("line\n", "puts");
  for (const char* name : {"putchar", "putchar_unlocked"}) {
    EXPECT_EQ(F<int(int)>(name)('c'), 'c');
    expect("c", name);
  }
  for (const char* name : {"fputc", "fputc_unlocked", "putc", "putc_unlocked", "_IO_putc"}) {
    EXPECT_EQ(F<int(int, void*)>(name)('c', out), 'c');
    expect("c", name);
  }
  for (const char* name : {"fputs", "fputs_unlocked"}) {
    EXPECT_GE(F<int(const char*, void*)>(name)("text", err), 0);
    expect("text", name);
  }
  for (const char* name : {"fwrite", "fwrite_unlocked"}) {
    EXPECT_EQ(F<size_t(const void*, size_t, size_t, void*)>(name)("abcdef", 2, 3, out), 3u);
    expect("abcdef", name);
  }
  EXPECT_EQ(F<int(void*)>("fflush")(nullptr), 0);
  EXPECT_EQ(F<int(void*)>("ferror")(out), 0);
  errno = 2;
  F<void(const char*)>("perror")("open");
  expect("open: No such file or directory\n", "perror");
  SetCurrentContext(nullptr);
}

TEST(RuntimeSymbols, RandomTimeAndCxx) {
  F<void(unsigned)>("srand")(7);
  const int first = F<int()>("rand")();
  F<void(unsigned)>("srand")(7);
  EXPECT_EQ(F<int()>("rand")(), first);
  unsigned seed = 7;
  EXPECT_GE(F<int(unsigned*)>("rand_r")(&seed), 0);
  F<void(unsigned)>("srandom")(7);
  EXPECT_EQ(F<long()>("random")(), first);
  F<void(long)>("srand48")(7);
  unsigned short state[3] = {1, 2, 3};
  EXPECT_LT(F<double()>("drand48")(), 1);
  EXPECT_LT(F<double(unsigned short*)>("erand48")(state), 1);
  EXPECT_GE(F<long()>("lrand48")(), 0);
  EXPECT_GE(F<long(unsigned short*)>("nrand48")(state), 0);
  EXPECT_NE(F<long()>("mrand48")(), 0);
  EXPECT_NE(F<long(unsigned short*)>("jrand48")(state), 0);
  EXPECT_GT(F<long(long*)>("time")(nullptr), 1'600'000'000);
  EXPECT_GE(F<long()>("clock")(), 0);
  timespec now{};
  EXPECT_EQ(F<int(int, timespec*)>("clock_gettime")(1, &now), 0);
  timeval day{};
  EXPECT_EQ(F<int(timeval*, void*)>("gettimeofday")(&day, nullptr), 0);
  EXPECT_EQ(F<double(long, long)>("difftime")(5, 3), 2);
  // new and delete, by the shape of their names: n and d, w and l for one, a for arrays.
  const auto* nothrow = F<char>("_ZSt7nothrow");
  for (const auto& [make, drop] : {std::pair<std::string, std::string>{"_Znwm", "_ZdlPv"}, {"_Znam", "_ZdaPv"}}) {
    F<void(void*)>(drop)(F<void*(size_t)>(make)(8));
    F<void(void*, size_t)>(drop + "m")(F<void*(size_t)>(make)(8), 8);
    F<void(void*)>(drop)(F<void*(size_t, const void*)>(make + "RKSt9nothrow_t")(8, nothrow));
    auto* aligned = F<void*(size_t, size_t)>(make + "St11align_val_t");
    F<void(void*, size_t)>(drop + "St11align_val_t")(aligned(64, 64), 64);
    F<void(void*, size_t, size_t)>(drop + "mSt11align_val_t")(aligned(64, 64), 64, 64);
  }
  long guard = 0;
  EXPECT_EQ(F<int(long*)>("__cxa_guard_acquire")(&guard), 1);
  F<void(long*)>("__cxa_guard_abort")(&guard);
  EXPECT_EQ(F<int(long*)>("__cxa_guard_acquire")(&guard), 1);
  F<void(long*)>("__cxa_guard_release")(&guard);
  EXPECT_EQ(F<int(long*)>("__cxa_guard_acquire")(&guard), 0);
  void* exception = F<void*(size_t)>("__cxa_allocate_exception")(8);
  F<void(void*)>("__cxa_free_exception")(exception);
  // Tables that casts and exceptions point to: their addresses are all that is used.
  for (const char* name : {"_ZTVN10__cxxabiv117__class_type_infoE", "_ZTVN10__cxxabiv120__si_class_type_infoE",
                           "_ZTVN10__cxxabiv121__vmi_class_type_infoE", "__gxx_personality_v0", "__dso_handle"})
    EXPECT_NE(F<void>(name), nullptr);
  struct Base {
    virtual ~Base() = default;
  };
  struct Derived : Base {};
  Derived derived;
  Base* base = &derived;
  EXPECT_EQ((F<void*(const void*, const void*, const void*, long)>("__dynamic_cast")(base, &typeid(Base),
                                                                                     &typeid(Derived), 0)),
            static_cast<void*>(&derived));
  // Outside of a module nobody can be told of an exit.
  EXPECT_EQ(F<int(void (*)())>("atexit")([] {}), -1);
  EXPECT_EQ((F<int(void (*)(void*), void*, void*)>("__cxa_atexit")([](void*) {}, nullptr, nullptr)), -1);
}

// Runs an ending in a child with a fault record of its own.
FaultRecord* EndingOf(const std::function<void()>& body) {
  static RingHeader* ring = static_cast<RingHeader*>(
      mmap(nullptr, sizeof(RingHeader), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  std::memset(static_cast<void*>(ring), 0, sizeof *ring);
  const pid_t child = fork();
  if (child == 0) {
    RecordFaultsIn(ring);
    body();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == kFaultExitStatus) << status;
  return &ring->fault;
}

TEST(RuntimeSymbols, EndingsWriteTheRecord) {
  const std::map<std::string, FaultCause> plain = {{"abort", FaultCause::kAbort},
                                                   {"__stack_chk_fail", FaultCause::kStackSmash},
                                                   {"__chk_fail", FaultCause::kAbort},
                                                   {"__cxa_pure_virtual", FaultCause::kAbort},
                                                   {"__cxa_deleted_virtual", FaultCause::kAbort},
                                                   {"_ZSt9terminatev", FaultCause::kAbort},
                                                   {"__cxa_rethrow", FaultCause::kRefused},
                                                   {"_Unwind_Resume", FaultCause::kRefused},
                                                   {"__cxa_begin_catch", FaultCause::kRefused},
                                                   {"__cxa_end_catch", FaultCause::kRefused},
                                                   {"__cxa_throw_bad_array_new_length", FaultCause::kRefused},
                                                   {"_ZSt17__throw_bad_allocv", FaultCause::kOutOfMemory},
                                                   {"_ZSt28__throw_bad_array_new_lengthv", FaultCause::kRefused},
                                                   {"_ZSt25__throw_bad_function_callv", FaultCause::kRefused}};
  for (const auto& [name, cause] : plain) {
    auto* function = F<void(void*)>(name);
    EXPECT_EQ(static_cast<int>(EndingOf([&] { function(nullptr); })->cause), static_cast<int>(cause)) << name;
  }
  for (const char* name : {"exit", "_exit", "_Exit", "quick_exit"}) {
    auto* function = F<void(int)>(name);
    const auto* record = EndingOf([&] { function(3); });
    EXPECT_EQ(static_cast<int>(record->cause), static_cast<int>(FaultCause::kExit)) << name;
    EXPECT_EQ(record->code, 3);
  }
  for (const char* name :
       {"_ZSt20__throw_length_errorPKc", "_ZSt19__throw_logic_errorPKc", "_ZSt20__throw_out_of_rangePKc",
        "_ZSt24__throw_out_of_range_fmtPKcz", "_ZSt24__throw_invalid_argumentPKc"}) {
    auto* function = F<void(const char*)>(name);
    EXPECT_STREQ(EndingOf([&] { function("vector is too long"); })->message, "vector is too long") << name;
  }
  auto* fail = F<void(const char*, const char*, unsigned, const char*)>("__assert_fail");
  EXPECT_STREQ(EndingOf([&] { fail("a == b", "/x/y.c", 3, "f"); })->message, "a == b, y.c:3");
  auto* short_fail = F<void(const char*, const char*, int)>("__assert");
  EXPECT_STREQ(EndingOf([&] { short_fail("a == b", "y.c", 3); })->message, "a == b, y.c:3");
  auto* raise = F<void(void*, const void*, void*)>("__cxa_throw");
  EXPECT_THAT(std::string(EndingOf([&] { raise(nullptr, &typeid(int), nullptr); })->message), HasSubstr("of type i "));
}

TEST(RuntimeSymbols, FilesOfOthersEndTheCall) {
  auto* print = F<int(void*, const char*, ...)>("fprintf");
  const auto* record = EndingOf([&] { print(stdout, "x"); });
  EXPECT_EQ(static_cast<int>(record->cause), static_cast<int>(FaultCause::kRefused));
}

__attribute__((noinline)) int Recurse(volatile int* depth) {
  volatile char frame[512];
  frame[0] = 1;
  *depth = *depth + 1;
  return *depth < 0 ? 0 : Recurse(depth) + frame[0];
}

TEST(FaultRecord, StackOverflowOfTheMainThread) {
  const auto* record = EndingOf([] {
    const rlimit stack{kStackSize, kStackSize};
    setrlimit(RLIMIT_STACK, &stack);
    CallContext context;
    DescribeMainStack(&context);
    SetCurrentContext(&context);
    UseAlternateStack();
    volatile int depth = 0;
    Recurse(&depth);
  });
  EXPECT_EQ(static_cast<int>(record->cause), static_cast<int>(FaultCause::kStackOverflow));
  EXPECT_EQ(record->signal, SIGSEGV);
}

TEST(FaultRecord, OrdinaryExitOfALibraryIsNoSuccess) {
  const auto* record = EndingOf([] { std::exit(1); });
  EXPECT_EQ(static_cast<int>(record->cause), static_cast<int>(FaultCause::kExit));
  EXPECT_EQ(record->code, 1);
}

TEST(FaultRecord, ExhaustedMemoryIsNamed) {
#ifdef RBC_SANITIZED
  GTEST_SKIP() << "sanitizers have allocators of their own";
#endif
  const auto* record = EndingOf([] {
    const rlimit data{1 << 26, 1 << 26};
    setrlimit(RLIMIT_DATA, &data);
    volatile size_t size = size_t{1} << 40;
    static_cast<volatile char*>(::operator new(size))[0] = 1;
  });
  EXPECT_EQ(static_cast<int>(record->cause), static_cast<int>(FaultCause::kOutOfMemory));
}

TEST(RuntimeSymbols, RefusalsHaveAReasonAndAreNotOffered) {
  for (const char* name : {"fopen", "read", "getenv", "fork", "socket", "dlopen", "pthread_create", "stdin", "longjmp",
                           "localtime", "syscall", "signal", "_ZSt4cout"}) {
    EXPECT_NE(ClientSymbols().WhyRefused(name), "") << name;
    EXPECT_EQ(ClientSymbols().Find(name), nullptr) << name;
  }
  for (const char* name : {"", "f", "ope", "open fopen", "my_function", "sin"})
    EXPECT_EQ(ClientSymbols().WhyRefused(name), "") << name;
  for (const auto& symbol : AllSymbols()) EXPECT_EQ(ClientSymbols().WhyRefused(symbol.name), "") << symbol.name;
}

// Last by its name's place in this file: all the tests above have run.
TEST(RuntimeSymbolsAll, EachIsCalledByATestAndListedOnce) {
  std::string last;
  for (const auto& symbol : AllSymbols()) {
    EXPECT_TRUE(Called().contains(std::string(symbol.name))) << symbol.name << " is called by no test";
    EXPECT_NE(std::string(symbol.name), last) << "listed twice";
    last = symbol.name;
  }
}

}  // namespace
}  // namespace rbc::worker
