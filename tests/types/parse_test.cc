// Spellings row by row, the grammar, names, and the errors of Type::Parse.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <chrono>

#include "types/type.h"

namespace rbc::types {
namespace {

Type MustParse(std::string_view text, const DataModel& model = kHostX86_64) {
  Expected<Type> type = Type::Parse(text, model);
  EXPECT_TRUE(type) << text << ": " << (type ? "" : type.error().message);
  return type ? *type : Type();
}
std::string Normal(std::string_view text, const DataModel& model = kHostX86_64) {
  return MustParse(text, model).ToString();
}
// The message of the error.
std::string ParseError(std::string_view text) {
  Expected<Type> type = Type::Parse(text);
  EXPECT_FALSE(type) << text << " parses as " << (type ? type->ToString() : "");
  if (type) return {};
  EXPECT_EQ(type.error().kind, ErrorKind::kInvalidArgument);
  return type.error().message;
}

struct Row {
  const char* normal;
  const char* mangled;
  std::vector<const char*> spellings;
};

const Row kRows[] = {
    {"void", "v", {"none", "", "  ", "void"}},
    {"bool", "b", {"boolean", "b", "_Bool"}},
    {"char8", "c", {"char", "char8_t"}},
    {"char16", "z", {"char16_t"}},
    {"char32", "w", {"char32_t", "wchar", "wchar_t"}},
    {"int8", "B", {"i8", "byte", "signed char", "char signed", "int8_t"}},
    {"int16", "s", {"i16", "short", "short int", "signed short", "signed short int", "int16_t"}},
    {"int32", "i", {"i32", "i", "int", "signed", "signed int", "int32_t"}},
    {"int64",
     "l",
     {"i64", "long", "long int", "signed long", "long long", "long  long", "longlong", "long long int", "int64_t",
      "ssize_t", "intp", "intptr_t", "ptrdiff_t"}},
    {"int128", "q", {"i128", "__int128", "int128_t"}},
    {"uint8", "U", {"u8", "ubyte", "uchar", "unsigned char", "uint8_t"}},
    {"uint16", "S", {"u16", "ushort", "unsigned short", "unsigned short int", "uint16_t"}},
    {"uint32", "I", {"u32", "u", "uint", "unsigned", "unsigned int", "uint32_t"}},
    {"uint64",
     "L",
     {"u64", "ulong", "unsigned long", "unsigned long long", "ulonglong", "long unsigned int", "unsigned\tlong",
      "uint64_t", "size_t", "uintp", "uintptr_t"}},
    {"uint128", "Q", {"u128", "unsigned __int128", "uint128_t"}},
    {"float16", "h", {"f16"}},
    {"float32", "f", {"f32", "f", "float"}},
    {"float64", "d", {"f64", "d", "double"}},
    {"float128", "x", {"f128", "long double"}},
    {"complex32", "H", {"c32"}},
    {"complex64", "F", {"c64", "c", "complex", "float _Complex"}},
    {"complex128", "D", {"c128", "double _Complex", "_Complex double"}},
    {"complex256", "X", {"c256", "long double _Complex"}},
    {"string", "t", {"str"}},
};

TEST(Parse, EverySpellingOfTheTable) {
  for (const Row& row : kRows) {
    EXPECT_EQ(Normal(row.normal), row.normal);
    EXPECT_EQ(MustParse(row.normal).Mangle(), row.mangled);
    for (const char* spelling : row.spellings) {
      EXPECT_EQ(Normal(spelling), row.normal) << spelling;
      EXPECT_EQ(Normal(std::string("  ") + spelling + "\n"), row.normal) << spelling;
      EXPECT_EQ(MustParse(spelling), MustParse(row.normal)) << spelling;
      EXPECT_EQ(MustParse(spelling).hash(), MustParse(row.normal).hash()) << spelling;
    }
  }
}

TEST(Parse, TargetDecidesPointerSizedNames) {
  for (const char* name : {"size_t", "uintp"}) {
    EXPECT_EQ(Normal(name, kHostX86_64), "uint64");
    EXPECT_EQ(Normal(name, kCuda), "uint64");
    EXPECT_EQ(Normal(name, kCuda32), "uint32");
  }
  for (const char* name : {"ssize_t", "intp", "long", "signed long int"}) {
    EXPECT_EQ(Normal(name, kCuda), "int64");
    EXPECT_EQ(Normal(name, kCuda32), "int32");
  }
  EXPECT_EQ(Normal("ulong", kCuda32), "uint32");
  EXPECT_EQ(Normal("long long", kCuda32), "int64");
  DataModel windows;
  windows.long_bits = 32;
  windows.wchar_bits = 16;
  EXPECT_EQ(Normal("long(wchar_t)", windows), "int32(char16)");
}

TEST(Parse, AnyWidth) {
  EXPECT_EQ(Normal("int5"), "int5");
  EXPECT_EQ(Normal("u35"), "uint35");
  EXPECT_EQ(MustParse("i24").bits(), 24u);
  EXPECT_EQ(Normal("f80"), "float80");
  EXPECT_EQ(MustParse("int8388608").bits(), kMaxTypeBits);
  ParseError("int0");
  ParseError("u8388609");
  ParseError("float99999999999999999999");
}

TEST(Parse, Composites) {
  EXPECT_EQ(Normal("int32*"), "int32*");
  EXPECT_EQ(Normal("*"), "void*");
  EXPECT_EQ(Normal("void**"), "void**");
  EXPECT_EQ(Normal("{i32,f64}"), "{int32, float64}");
  EXPECT_EQ(Normal("{}"), "{}");
  EXPECT_EQ(Normal(" { i , { d } } * "), "{int32, {float64}}*");
  EXPECT_EQ(Normal("f64(f64,f64)"), "float64(float64, float64)");
  EXPECT_EQ(Normal("f(d)(f(d,d))"), "float32(float64)(float32(float64, float64))");
  EXPECT_EQ(Normal("()"), "void(void)");
  EXPECT_EQ(Normal("void(void)"), "void(void)");
  EXPECT_EQ(Normal("()*"), "void(void)*");
  EXPECT_TRUE(MustParse("f(none)").parameters().empty());
  EXPECT_EQ(MustParse("f(d,i)").parameters()[1], Type::Int(32));
  EXPECT_EQ(MustParse("f(d,i)").result(), Type::Float(32));
  EXPECT_EQ(Normal("float64[:]"), "float64[:]");
  EXPECT_EQ(Normal("int32[]"), "int32[::1]");
  EXPECT_EQ(Normal("d[::1]"), "float64[::1]");
  EXPECT_EQ(Normal("d[:,:]"), "float64[:,:]");
  EXPECT_EQ(Normal("d[ : , : , ::1 ]"), "float64[:,:,::1]");
  EXPECT_EQ(MustParse("d[:,:,:]").rank(), 3u);
  EXPECT_FALSE(MustParse("d[:,:,:]").contiguous());
  EXPECT_TRUE(MustParse("d[:,::1]").contiguous());
  EXPECT_TRUE(MustParse("d[]") == MustParse("d[::1]"));
  EXPECT_FALSE(MustParse("d[]") == MustParse("d[:]"));
  EXPECT_EQ(Normal("double[:](double[:], double[:])"), "float64[:](float64[:], float64[:])");
  EXPECT_EQ(Normal("{i[], d}(d[:,:]*)"), "{int32[::1], float64}(float64[:,:]*)");
}

TEST(Parse, UnknownAtomsAreKeptVerbatim) {
  const Type foo = MustParse(" foo ");
  EXPECT_TRUE(foo.is(Kind::kUnknown));
  EXPECT_EQ(foo.atom(), "foo");
  EXPECT_EQ(Normal("std::vector<int>(a.b)"), "std::vector<int>(a.b)");
  EXPECT_EQ(Normal("Int32"), "Int32");
  EXPECT_EQ(Normal("int08"), "int08");
  EXPECT_EQ(Normal("unsigned float"), "unsigned float");
  EXPECT_EQ(Type::Unknown("foo"), foo);
}

TEST(Parse, NamesStandBesideTheType) {
  const Type add = MustParse("int64 add(int64 a, int64 b)");
  EXPECT_EQ(add, MustParse("int64(int64, int64)"));
  EXPECT_EQ(add.hash(), MustParse("int64(int64, int64)").hash());
  EXPECT_EQ(add.name(), "add");
  EXPECT_EQ(add.parameters()[0].name(), "a");
  EXPECT_EQ(add.parameters()[1].name(), "b");
  EXPECT_EQ(add.ToString(), "int64(int64, int64)");
  EXPECT_EQ(add.ToDeclaration(), "int64 add(int64 a, int64 b)");
  EXPECT_EQ(add.Mangle(), "_lallA");
}

TEST(Parse, NamesThatLookLikeTypes) {
  const Type type = MustParse("void f(double d, unsigned long u, float* f, T t, {i,d} s, f64 x[], i i)");
  EXPECT_EQ(type.ToString(), "void(float64, uint64, float32*, T, {int32, float64}, float64[::1], int32)");
  EXPECT_EQ(type.ToDeclaration(),
            "void f(float64 d, uint64 u, float32* f, T t, {int32, float64} s, float64[::1] x, int32 i)");
  EXPECT_EQ(MustParse(type.ToDeclaration()).ToDeclaration(), type.ToDeclaration());
  EXPECT_EQ(MustParse("void g(double *x)").ToDeclaration(), "void g(float64* x)");
  EXPECT_EQ(MustParse("void g(int32(int32)* callback)").parameters()[0].name(), "callback");
}

TEST(Parse, ErrorsAreTypedAndNameTheText) {
  EXPECT_NE(ParseError("f(d").find("unbalanced `(`"), std::string::npos);
  EXPECT_NE(ParseError("f d)").find("unbalanced `)`"), std::string::npos);
  for (const char* bad :
       {"(]",      "{i,d",  "i}",     "i,d",  "f(d)x y(", "f(i,)",    "f(,i)", "f(void,i)", "f(void x)",
        "{void}",  "{i,}",  "void[]", "a{i}", "d[3]",     "d[::1,:]", "d[:,]", "a b c",     "int64 a*",
        "f(\x01)", "f{d}x", "f(d)+x", "[",    "]",        "[]",       "[:]"}) {
    EXPECT_FALSE(ParseError(bad).empty()) << bad;
  }
  EXPECT_FALSE(Type::Parse(std::string_view("fo\0o", 4)));
}

TEST(Parse, DepthIsBounded) {
  const std::string deepest = "i" + std::string(kMaxTypeDepth, '*');
  EXPECT_EQ(MustParse(deepest).depth(), kMaxTypeDepth);
  EXPECT_EQ(MustParse(deepest).Mangle().size(), 1 + 2 * kMaxTypeDepth);
  EXPECT_NE(ParseError(deepest + "*").find("128"), std::string::npos);
  for (const char* open : {"{", "i(", "("}) {
    std::string text;
    for (int i = 0; i < 10'000; ++i) text += open;
    text += "i";
    for (int i = 0; i < 10'000; ++i) text += open == std::string("{") ? "}" : ")";
    ParseError(text);
  }
  ParseError("i" + std::string(10'000, '*'));
  std::string arrays = "i", calls = "i";
  for (int i = 0; i < 10'000; ++i) arrays += "[]", calls += "(i)";
  ParseError(arrays);
  ParseError(calls);
}

TEST(Parse, SizeIsBounded) {
  EXPECT_NE(ParseError(std::string(kMaxTypeText + 1, 'x')).find("65536"), std::string::npos);
  EXPECT_EQ(Normal(std::string(kMaxTypeText, 'x')).size(), kMaxTypeText);
}

// The longest texts of several shapes: quadratic work would take minutes.
TEST(Parse, TimeIsNearlyLinear) {
  const auto start = std::chrono::steady_clock::now();
  std::string wide = "i(";
  while (wide.size() + 8 < kMaxTypeText) wide += "{i,d},";
  wide.back() = ')';
  EXPECT_TRUE(Type::Parse(wide));
  std::string nested(100, '{');
  while (nested.size() + 300 < kMaxTypeText) nested += "i,";
  nested += "i" + std::string(100, '}');
  EXPECT_TRUE(Type::Parse(nested));
  std::string words;
  while (words.size() + 8 < kMaxTypeText) words += "a b ";
  EXPECT_FALSE(Type::Parse(words));
  EXPECT_TRUE(Type::Parse(std::string(kMaxTypeText - 1, ' ') + "i"));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(12));
}

}  // namespace
}  // namespace rbc::types
