// C++ types as the farm spells them.
// SPDX-License-Identifier: Apache-2.0
#include "rbc/signature.h"

#include <gtest/gtest.h>

#include "rbc/array_view.h"
#include "types/type.h"

namespace {
struct Point {
  int32_t x;
  double y;
};
}  // namespace

template <>
struct rbc::TypeText<Point> : rbc::Struct<&Point::x, &Point::y> {};

namespace rbc {
namespace {

static_assert(kSignature<double(double, int32_t)> == "float64(float64, int32)");
static_assert(kSignature<void()> == "void(void)");
static_assert(kSignature<bool(char, signed char, unsigned char)> == "bool(char8, int8, uint8)");
static_assert(kSignature<long(long long, unsigned long)> == "int64(int64, uint64)");
static_assert(kSignature<__int128(unsigned __int128)> == "int128(uint128)");
static_assert(kSignature<float(long double)> == "float32(float128)");
static_assert(kSignature<std::complex<float>(std::complex<double>, std::complex<long double>)> ==
              "complex64(complex128, complex256)");
static_assert(kSignature<char16_t(wchar_t, char32_t, char8_t)> == "char16(char32, char32, char8)");
static_assert(kSignature<std::string(const char*, char*, std::string_view)> == "string(string, char8*, string)");
static_assert(kSignature<void(const double*, void*, int16_t**)> == "void(float64*, void*, int16**)");
static_assert(kSignature<void(std::span<const float>, std::span<int64_t>)> == "void(float32*, int64*)");
static_assert(kSignature<void(Out<double>, const std::string&)> == "void(float64*, string)");
static_assert(kSignature<int(int (*)(double))> == "int32(int32(float64)*)");
static_assert(kSignature<Point(Point*)> == "{int32, float64}({int32, float64}*)");

// What the compiler joins is what the type system prints.
template <typename F>
void ExpectNormalForm() {
  const auto type = types::Type::Parse(kSignature<F>);
  ASSERT_TRUE(type) << kSignature<F>;
  EXPECT_EQ(type->ToString(), kSignature<F>);
}

TEST(Signature, IsInNormalForm) {
  ExpectNormalForm<double(double, int32_t)>();
  ExpectNormalForm<void()>();
  ExpectNormalForm<Point(const Point*, std::complex<float>)>();
  ExpectNormalForm<std::string(const char*, bool, char16_t)>();
  ExpectNormalForm<double(ArrayView<const double>, ArrayView<float, 2>)>();
}

}  // namespace
}  // namespace rbc
