// C++ types as types of ours, and typed arguments and results.
// SPDX-License-Identifier: Apache-2.0
#include "types/cxx_signature.h"

#include <gtest/gtest.h>

namespace {
struct Point {
  int32_t x;
  double y;
};
}  // namespace

template <>
struct rbc::types::CxxTypeName<Point> {
  static constexpr auto kText = FixedText("{int32, float64}");
};

namespace rbc::types {
namespace {

static_assert(kCxxTypeText<double(double, int32_t)> == "float64(float64, int32)");
static_assert(kCxxTypeText<void()> == "void(void)");
static_assert(kCxxTypeText<bool(char, signed char, unsigned char)> == "bool(char8, int8, uint8)");
static_assert(kCxxTypeText<long(long long, unsigned long)> == "int64(int64, uint64)");
static_assert(kCxxTypeText<Int128(Uint128)> == "int128(uint128)");
static_assert(kCxxTypeText<float(long double)> == "float32(float128)");
static_assert(kCxxTypeText<std::complex<float>(std::complex<double>, std::complex<long double>)> ==
              "complex64(complex128, complex256)");
static_assert(kCxxTypeText<char16_t(wchar_t, char32_t, char8_t)> == "char16(char32, char32, char8)");
static_assert(kCxxTypeText<std::string(const char*, char*, std::string_view)> == "string(string, char8*, string)");
static_assert(kCxxTypeText<void(const double*, void*, int16_t**)> == "void(float64*, void*, int16**)");
static_assert(kCxxTypeText<void(std::span<const float>, std::span<int64_t>)> == "void(float32*, int64*)");
static_assert(kCxxTypeText<int(int (*)(double))> == "int32(int32(float64)*)");
static_assert(kCxxTypeText<Point(Point*)> == "{int32, float64}({int32, float64}*)");

TEST(CxxSignature, TypesAreInNormalForm) {
  EXPECT_EQ((CxxType<double(double, int32_t)>().ToString()), "float64(float64, int32)");
  EXPECT_EQ((CxxType<double(double, int32_t)>().Mangle()), "_dadiA");
  EXPECT_EQ(CxxType<Point>().members().size(), 2u);
}

TEST(CxxSignature, ValuesGoBothWays) {
  EXPECT_EQ(*FromValue<int32_t>(ToValue(int32_t{-5})), -5);
  EXPECT_EQ(*FromValue<float>(ToValue(1.5f)), 1.5f);
  EXPECT_EQ(*FromValue<char>(ToValue('x')), 'x');
  EXPECT_EQ(*FromValue<std::complex<float>>(Value(std::complex<double>(1, 2))), std::complex<float>(1, 2));
  EXPECT_EQ(*FromValue<std::string>(Value("text")), "text");
  EXPECT_TRUE(FromValue<void>(Value()));
  EXPECT_FALSE(FromValue<int32_t>(Value(int64_t{1} << 40)));
  EXPECT_FALSE(FromValue<std::string>(Value(1)));
  const Expected<Point> point = FromValue<Point>(Value::Struct({7, 2.5}));
  ASSERT_TRUE(point);
  EXPECT_EQ(point->x, 7);
  EXPECT_EQ(point->y, 2.5);
}

TEST(CxxSignature, SpansAreBuffers) {
  double numbers[3] = {};
  const Value inout = ToValue(std::span<double>(numbers)), in = ToValue(std::span<const double>(numbers));
  EXPECT_EQ(inout.As<Buffer>()->direction, Direction::kInOut);
  EXPECT_EQ(in.As<Buffer>()->direction, Direction::kIn);
  EXPECT_EQ(in.As<Buffer>()->bytes, sizeof numbers);
  EXPECT_EQ(TypeOf(in).ToString(), "float64*");
}

}  // namespace
}  // namespace rbc::types
