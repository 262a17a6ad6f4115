// Values: their types, and their texts both ways.
// SPDX-License-Identifier: Apache-2.0
#include "types/value.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "types/half.h"

namespace rbc::types {
namespace {

Type T(std::string_view text) { return Type::Parse(text).value(); }
std::string Repr(const Value& value, std::string_view type) { return ToPythonRepr(value, T(type)); }
// What a text is as a value of a type, printed; "error" if it is none.
std::string Read(std::string_view type, std::string_view text) {
  const Expected<Value> value = ParseValue(T(type), text);
  if (value) return ToPythonRepr(*value, T(type));
  EXPECT_EQ(value.error().kind, ErrorKind::kInvalidArgument);
  return "error";
}

TEST(Value, TypesAsPythonNamesThem) {
  EXPECT_EQ(TypeOf(Value(1)).ToString(), "int64");
  EXPECT_EQ(TypeOf(Value(std::numeric_limits<uint64_t>::max())).ToString(), "uint64");
  EXPECT_EQ(TypeOf(Value(Int128{1} << 100)).ToString(), "int128");
  EXPECT_EQ(TypeOf(Value(-(Int128{1} << 64))).ToString(), "int128");
  EXPECT_EQ(TypeOf(Value(Uint128{1} << 127)).ToString(), "uint128");
  EXPECT_EQ(TypeOf(Value(Int128{5})).ToString(), "int64");
  EXPECT_EQ(TypeOf(Value(true)).ToString(), "bool");
  EXPECT_EQ(TypeOf(Value(1.5f)).ToString(), "float64");
  EXPECT_EQ(TypeOf(Value(1.5L)).ToString(), "float128");
  EXPECT_EQ(TypeOf(Value(std::complex<float>(1, 2))).ToString(), "complex128");
  EXPECT_EQ(TypeOf(Value("text")).ToString(), "string");
  EXPECT_EQ(TypeOf(Value(ByteString{"b"})).ToString(), "char8*");
  EXPECT_EQ(TypeOf(Value(NullPointer())).ToString(), "void*");
  EXPECT_EQ(TypeOf(Value(Character{'x', 16})).ToString(), "char16");
  EXPECT_EQ(TypeOf(Value()).ToString(), "void");
  EXPECT_EQ(TypeOf(Value::Struct({1, Value::Struct({2.0, true})})).ToString(), "{int64, {float64, bool}}");
}

TEST(Value, ParseNumbers) {
  EXPECT_EQ(Read("i", "2"), "2");
  EXPECT_EQ(Read("i", " -0x10 "), "-16");
  EXPECT_EQ(Read("u8", "0b1111_1111"), "255");
  EXPECT_EQ(Read("i16", "0o17"), "15");
  EXPECT_EQ(Read("i64", "-9223372036854775808"), "-9223372036854775808");
  EXPECT_EQ(Read("u64", "18446744073709551615"), "18446744073709551615");
  EXPECT_EQ(Read("i128", "-170141183460469231731687303715884105728"), "-170141183460469231731687303715884105728");
  EXPECT_EQ(Read("u128", "340282366920938463463374607431768211455"), "340282366920938463463374607431768211455");
  for (const char* bad : {"", "x", "1.5", "1__0", "_1", "1_", "0x", "--1", "+-1", "1 2", "2147483648", "-2147483649",
                          "0b2", "340282366920938463463374607431768211456"}) {
    EXPECT_EQ(Read("i32", bad), "error") << bad;
  }
  EXPECT_EQ(Read("u8", "-1"), "error");
  EXPECT_EQ(Read("d", "1.5"), "1.5");
  EXPECT_EQ(Read("d", "2"), "2.0");
  EXPECT_EQ(Read("d", "0x10"), "16.0");
  EXPECT_EQ(Read("d", "+.5e1"), "5.0");
  EXPECT_EQ(Read("d", "1_000.5"), "1000.5");
  EXPECT_EQ(Read("d", "-inf"), "-inf");
  EXPECT_EQ(Read("d", "NaN"), "nan");
  EXPECT_EQ(Read("f", "0.1"), "0.1");
  EXPECT_EQ(Read("f128", "0.1"), "0.1");
  EXPECT_EQ(Read("f16", "0.1"), "0.1");
  for (const char* bad : {"", "1e400", "1,5", "nan(1)", "--1", "+-1", "1.5x", "1e"})
    EXPECT_EQ(Read("d", bad), "error") << bad;
  EXPECT_EQ(Read("f", "1e39"), "error");
  EXPECT_EQ(Read("f16", "65520"), "error");
  EXPECT_EQ(Read("c128", "2+1j"), "(2+1j)");
  EXPECT_EQ(Read("c128", " ( 2.5e-3 - 1e+2j ) "), "(0.0025-100j)");
  EXPECT_EQ(Read("c", "1j"), "1j");
  EXPECT_EQ(Read("c", "-j"), "-1j");
  EXPECT_EQ(Read("c", "3+j"), "(3+1j)");
  EXPECT_EQ(Read("c", "3"), "(3+0j)");
  EXPECT_EQ(Read("c256", "1+0.1j"), "(1+0.1j)");
  for (const char* bad : {"", "j2", "1+2", "(1+2j", "1+2jj", "i"}) EXPECT_EQ(Read("c", bad), "error") << bad;
}

TEST(Value, ParseTheRest) {
  EXPECT_EQ(Read("bool", "True"), "True");
  EXPECT_EQ(Read("bool", "false"), "False");
  EXPECT_EQ(Read("bool", "2"), "error");
  EXPECT_EQ(Read("string", "\"a\\n\\x41\""), "a\nA");
  EXPECT_EQ(Read("string", "plain text"), "plain text");
  EXPECT_EQ(Read("string", "null"), "None");
  EXPECT_EQ(Read("string", "\"null\""), "null");
  EXPECT_EQ(Read("char8*", "'x'"), "b'x'");
  EXPECT_EQ(Read("char8", "x"), "x");
  EXPECT_EQ(Read("char8", "65"), "A");
  EXPECT_EQ(Read("char32", "\xe2\x82\xac"), "\xe2\x82\xac");
  EXPECT_EQ(Read("char8", "\xe2\x82\xac"), "error");
  EXPECT_EQ(Read("{i,d}", "{1,2.5}"), "(1, 2.5)");
  EXPECT_EQ(Read("{i,{c,bool}}", "(1, {(2+1j), True})"), "(1, ((2+1j), True))");
  EXPECT_EQ(Read("{i}", "(1,)"), "(1,)");
  EXPECT_EQ(Read("{}", "{}"), "()");
  for (const char* bad : {"1, 2", "{1}", "{1,2,3}", "{1,x}", "{1,2))", "(1,2}", "{", ""}) {
    EXPECT_EQ(Read("{i,i}", bad), "error") << bad;
  }
  EXPECT_EQ(Read("i*", "null"), "None");
  EXPECT_EQ(Read("i*", "[1, 2, 3]"), "[1, 2, 3]");
  EXPECT_EQ(Read("f*", "[]"), "[]");
  EXPECT_EQ(Read("f[:]", "[1, 0.1]"), "[1.0, 0.1]");
  EXPECT_EQ(Read("i[:,:]", "[[1, 2, 3], [4, 5, 6]]"), "[[1, 2, 3], [4, 5, 6]]");
  EXPECT_EQ(Read("i[:,:]", "[]"), "[]");
  EXPECT_EQ(Read("{i,d}*", "[(1, 2), (3, 4)]"), "[(1, 2.0), (3, 4.0)]");
  EXPECT_EQ(Read("char8*", "[65, 66]"), "['A', 'B']");
  for (const char* bad : {"1", "[1, x]", "[1", "[300000000000]", "[1]]"}) EXPECT_EQ(Read("i*", bad), "error") << bad;
  EXPECT_EQ(Read("void*", "[1]"), "error");
  EXPECT_EQ(Read("void", ""), "error");
  EXPECT_EQ(Read("foo", "1"), "error");
}

TEST(Value, BufferLiteralOwnsItsMemory) {
  Value value = ParseValue(T("i16*"), "[1, -2]").value();
  const Value copy = value;
  value = Value();
  const Buffer* buffer = copy.As<Buffer>();
  ASSERT_NE(buffer, nullptr);
  EXPECT_EQ(buffer->bytes, 4u);
  EXPECT_EQ(buffer->direction, Direction::kInOut);
  int16_t numbers[2];
  std::memcpy(numbers, buffer->data, sizeof numbers);
  EXPECT_EQ(numbers[1], -2);
}

TEST(Value, ReprOfTextInsideAndOutside) {
  EXPECT_EQ(Repr("it's", "string"), "it's");
  EXPECT_EQ(Repr(Value::Struct({"it's", "a\"b'", "\n\x01\xc3\xa9\xff"}), "{string, string, string}"),
            "(\"it's\", 'a\"b\\'', '\\n\\x01\xc3\xa9\\xff')");
  EXPECT_EQ(Repr(ByteString{"a'\xff\n"}, "char8*"), "b\"a'\\xff\\n\"");
  EXPECT_EQ(Repr(Value(), "void"), "None");
}

TEST(Value, ReprUsesTheWidthOfTheType) {
  EXPECT_EQ(Repr(static_cast<double>(0.1f), "f"), "0.1");
  EXPECT_EQ(Repr(static_cast<double>(0.1f), "d"), "0.10000000149011612");
  EXPECT_EQ(Repr(HalfToDouble(DoubleToHalf(0.1)), "f16"), "0.1");
  EXPECT_EQ(Repr(65504.0, "f16"), "65500.0");
  EXPECT_EQ(Repr(std::complex<double>(0.1f, 0.2f), "c64"), "(0.1+0.2j)");
  EXPECT_EQ(Repr(0.1L, "f128"), "0.1");
}

TEST(Half, EveryBitPatternSurvives) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const double value = HalfToDouble(half);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(HalfToDouble(DoubleToHalf(value))));
      continue;
    }
    ASSERT_EQ(DoubleToHalf(value), half) << bits;
  }
}

// Between two neighbours the nearer one is taken, and on a tie the even one.
TEST(Half, RoundsToNearestEven) {
  for (uint16_t half = 0; half < 0x7bff; ++half) {
    const double low = HalfToDouble(half), high = HalfToDouble(half + 1), middle = (low + high) / 2;
    ASSERT_EQ(DoubleToHalf(middle), half % 2 == 0 ? half : half + 1) << half;
    ASSERT_EQ(DoubleToHalf(std::nextafter(middle, 0)), half);
    ASSERT_EQ(DoubleToHalf(std::nextafter(middle, 1e9)), half + 1);
    ASSERT_EQ(DoubleToHalf(-middle), 0x8000 | (half % 2 == 0 ? half : half + 1));
  }
  EXPECT_EQ(DoubleToHalf(65519.999), 0x7bff);
  EXPECT_EQ(DoubleToHalf(65520), 0x7c00);
  EXPECT_EQ(DoubleToHalf(1e-300), 0);
}

}  // namespace
}  // namespace rbc::types
