// Penalties, the choice of a signature, and the errors with their exact texts.
// SPDX-License-Identifier: Apache-2.0
#include "types/match.h"

#include <gtest/gtest.h>

#include <limits>

namespace rbc::types {
namespace {

Type T(std::string_view text) { return Type::Parse(text).value(); }
std::vector<Type> Types(std::initializer_list<std::string_view> texts) {
  std::vector<Type> types;
  for (const std::string_view text : texts) types.push_back(T(text));
  return types;
}
int PenaltyOf(std::string_view parameter, std::string_view argument) {
  const std::optional<uint32_t> penalty = Penalty(T(parameter), T(argument));
  return penalty ? static_cast<int>(*penalty) : -1;
}
Expected<size_t> Choose(std::initializer_list<std::string_view> signatures, std::vector<Value> arguments) {
  return BestMatch(Types(signatures), std::span<const Value>(arguments));
}

Expected<size_t> ChooseTyped(std::initializer_list<std::string_view> signatures, std::vector<Value> arguments,
                             std::vector<std::string_view> types) {
  std::vector<Type> known;
  for (const std::string_view text : types) known.push_back(T(text));
  std::vector<const Type*> pointers;
  for (const Type& type : known) pointers.push_back(type.is(Kind::kVoid) ? nullptr : &type);
  return BestMatch(Types(signatures), std::span<const Value>(arguments), std::span<const Type* const>(pointers));
}

TEST(Match, ArgumentsWhoseTypeTheCallerKnows) {
  // By value any integer is an int64; as an int32 it has a signature of its own.
  EXPECT_EQ(Choose({"int64(int64)", "int32(int32)"}, {Value(7)}).value(), 0u);
  EXPECT_EQ(ChooseTyped({"float32(float32)", "int32(int32)"}, {Value(7)}, {"int32"}).value(), 1u);
  EXPECT_EQ(ChooseTyped({"int8(int8)", "int32(int32)"}, {Value(7)}, {"int32"}).value(), 1u);
  // void: not known, so that the value decides.
  EXPECT_EQ(
      ChooseTyped({"int8(int8, float32)", "int8(int8, float64)"}, {Value(7), Value(1.5)}, {"int8", "void"}).value(),
      1u);
  const auto none = ChooseTyped({"int32(int32)"}, {Value(1.5)}, {"complex64"});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().message, "could not find matching function to given argument types: `complex64`");
  // The value must fit all the same.
  const auto wide = ChooseTyped({"int8(int8)"}, {Value(300)}, {"int64"});
  ASSERT_FALSE(wide);
  EXPECT_EQ(wide.error().kind, ErrorKind::kInvalidArgument);
}

TEST(Match, PenaltyTable) {
  for (const char* same :
       {"bool", "int64", "string", "char8*", "{int32, float64}", "foo", "int8(int8)*", "float64[:]"}) {
    EXPECT_EQ(PenaltyOf(same, same), 0) << same;
  }
  EXPECT_EQ(PenaltyOf("int64", "int8"), 0);
  EXPECT_EQ(PenaltyOf("uint128", "uint64"), 0);
  EXPECT_EQ(PenaltyOf("float64", "float32"), 0);
  EXPECT_EQ(PenaltyOf("complex128", "complex64"), 0);
  EXPECT_EQ(PenaltyOf("char32", "char8"), 0);
  EXPECT_EQ(PenaltyOf("int32", "int64"), 32);
  EXPECT_EQ(PenaltyOf("uint8", "uint64"), 56);
  EXPECT_EQ(PenaltyOf("float32", "float64"), 32);
  EXPECT_EQ(PenaltyOf("complex64", "complex128"), 64);
  EXPECT_EQ(PenaltyOf("char8", "char32"), 24);
  EXPECT_EQ(PenaltyOf("int64", "uint64"), 10);
  EXPECT_EQ(PenaltyOf("uint8", "int64"), 10);
  EXPECT_EQ(PenaltyOf("float64", "int64"), 1000);
  EXPECT_EQ(PenaltyOf("float32", "uint64"), 1000);
  EXPECT_EQ(PenaltyOf("complex128", "float64"), 1000);
  EXPECT_EQ(PenaltyOf("complex64", "int64"), 1000);
  EXPECT_EQ(PenaltyOf("complex64", "uint8"), 1000);
  for (const auto& [parameter, argument] :
       std::initializer_list<std::pair<const char*, const char*>>{{"int64", "float64"},
                                                                  {"float64", "complex128"},
                                                                  {"int64", "bool"},
                                                                  {"bool", "int64"},
                                                                  {"string", "char8*"},
                                                                  {"char8*", "string"},
                                                                  {"int32*", "int64*"},
                                                                  {"void*", "int32*"},
                                                                  {"{int32}", "{int64}"},
                                                                  {"char8", "int8"},
                                                                  {"int8", "char8"},
                                                                  {"foo", "bar"},
                                                                  {"float64[:]", "float64[:,:]"},
                                                                  {"float64[::1]", "float64[:]"},
                                                                  {"float64[:]", "float32[:]"},
                                                                  {"float64[:]", "float64*"},
                                                                  {"float64*", "float64[:]"},
                                                                  {"void", "int8"}}) {
    EXPECT_EQ(PenaltyOf(parameter, argument), -1) << parameter << " from " << argument;
  }
}

TEST(Match, ArraysByElementDimensionsAndLayout) {
  double numbers[6] = {};
  Buffer array{.data = numbers, .bytes = 48, .element = Type::Float(64), .shape = {6}, .strides = {8}};
  EXPECT_EQ(*Choose({"f32(f32[:])", "f64(f64[:])"}, {array}), 1u);
  EXPECT_EQ(*Choose({"f64(f64[:,:])", "f64(f64[])"}, {array}), 1u);
  EXPECT_EQ(*Choose({"f64(f64*)", "f64(f64[:])"}, {array}), 0u);
  array.bytes = 24;
  array.shape = {3};
  array.strides = {16};
  EXPECT_EQ(*Choose({"f64(f64[])", "f64(f64*)", "f64(f64[:])"}, {array}), 2u);
  const Expected<size_t> none = Choose({"f64(f64[])", "f64(i64[:])", "f64(f64)"}, {array});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().message, "could not find matching function to given argument types: `float64[:]`");
  EXPECT_FALSE(Choose({"f64(f64[:])"}, {NullPointer()}));
  // Memory without a shape is an array of one dimension.
  EXPECT_EQ(
      *Choose({"f64(f64[:,:])", "f64(f64[])"}, {Buffer{.data = numbers, .bytes = 48, .element = Type::Float(64)}}), 1u);
}

TEST(Match, NotebookCalls) {
  const std::initializer_list<std::string_view> add = {"float64(float64, float64)", "int64(int64, int64)"};
  EXPECT_EQ(*Choose(add, {1, 2}), 1u);
  EXPECT_EQ(*Choose(add, {1.5, 2.0}), 0u);
  EXPECT_EQ(*Choose(add, {1.5, 2}), 0u);
  const Expected<size_t> none = Choose(add, {std::complex<double>(0, 1), 2});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().kind, ErrorKind::kNoMatch);
  EXPECT_EQ(none.error().message, "could not find matching function to given argument types: `complex128, int64`");
  EXPECT_EQ(*Choose({"f64(f64,f64)", "i64(i64,i64)", "c128(c128,c128)"}, {std::complex<double>(0, 1), 2}), 2u);
}

TEST(Match, FirstDeclaredWinsATie) {
  EXPECT_EQ(*Choose({"i64(i64)", "i128(i128)"}, {1}), 0u);
  EXPECT_EQ(*Choose({"i128(i128)", "i64(i64)"}, {1}), 0u);
  EXPECT_EQ(*Choose({"i16(i16)", "i32(i32)"}, {1}), 1u);
}

TEST(Match, ZeroArgumentsAndOtherArity) {
  EXPECT_EQ(*Choose({"i64(i64)", "i64()"}, {}), 1u);
  const Expected<size_t> none = Choose({"i64(i64)", "i64"}, {1, 2});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().message, "could not find matching function to given argument types: `int64, int64`");
}

TEST(Match, ValuesMustFit) {
  EXPECT_TRUE(Choose({"i32(i32)"}, {1}));
  const Expected<size_t> wide = Choose({"i32(f64, i32)"}, {1.0, int64_t{1} << 40});
  ASSERT_FALSE(wide);
  EXPECT_EQ(wide.error().kind, ErrorKind::kInvalidArgument);
  for (const char* part : {"1099511627776", "int32", "-2147483648 to 2147483647", "parameter 2"}) {
    EXPECT_NE(wide.error().message.find(part), std::string::npos) << wide.error().message;
  }
  EXPECT_FALSE(Choose({"u64(u64)"}, {-1}));
  EXPECT_TRUE(Choose({"u64(u64)"}, {std::numeric_limits<uint64_t>::max()}));
  EXPECT_FALSE(Choose({"i64(i64)"}, {std::numeric_limits<uint64_t>::max()}));
  EXPECT_FALSE(Choose({"f32(f32)"}, {1e300}));
  EXPECT_TRUE(Choose({"f32(f32)"}, {std::numeric_limits<double>::infinity()}));
  EXPECT_TRUE(Choose({"f32(f32)"}, {0.1}));
  EXPECT_TRUE(Choose({"f32(f32)"}, {Uint128{1} << 127}));
  EXPECT_FALSE(Choose({"f32(f32)"}, {~Uint128{0}}));  // rounds to 2^128, which float32 has not
  EXPECT_FALSE(Choose({"f16(f16)"}, {65520}));
  EXPECT_TRUE(Choose({"f16(f16)"}, {65519}));
  EXPECT_FALSE(Choose({"c64(c64)"}, {std::complex<double>(0, 1e300)}));
}

TEST(Match, NullAndUntypedBuffersFitPointers) {
  int32_t numbers[2] = {};
  Buffer untyped{numbers, sizeof numbers};
  Buffer typed = untyped;
  typed.element = T("int32");
  EXPECT_TRUE(Choose({"void(int32*)"}, {NullPointer()}));
  EXPECT_TRUE(Choose({"void(string)"}, {NullPointer()}));
  EXPECT_FALSE(Choose({"void(int32)"}, {NullPointer()}));
  EXPECT_TRUE(Choose({"void(float64*)"}, {untyped}));
  EXPECT_TRUE(Choose({"void(int32*)"}, {typed}));
  EXPECT_FALSE(Choose({"void(float64*)"}, {typed}));
  EXPECT_EQ(*Choose({"void(char8*)", "void(string)"}, {"text"}), 1u);
  EXPECT_EQ(*Choose({"void(string)", "void(char8*)"}, {ByteString{"text"}}), 1u);
}

TEST(Match, StructsMatchMemberByMember) {
  const Value pair = Value::Struct({1, 2.5});
  EXPECT_EQ(*Choose({"void({int8, float64})", "void({int32, float64})", "void({string, float64})"}, {pair}), 1u);
  EXPECT_FALSE(Choose({"void({int32})", "void({int32, float64, bool})"}, {pair}));
}

TEST(Match, SignaturesAreChecked) {
  SignatureList list(2);
  EXPECT_EQ(*list.Add(T("f64(f64,f64)")), "");
  const Expected<std::string> arity = list.Add(T("f64(f64)"));
  ASSERT_FALSE(arity);
  EXPECT_EQ(arity.error().kind, ErrorKind::kInvalidArgument);
  EXPECT_EQ(arity.error().message, "mismatch of the number of arguments: function 2, signature 1 (`float64(float64)`)");
  const Expected<std::string> kind = list.Add(T("int64"));
  ASSERT_FALSE(kind);
  EXPECT_EQ(kind.error().message, "expected signature with function kind, got `int64`");
  EXPECT_NE(list.Add(T("double add(double, double)"))->find("float64(float64, float64)"), std::string::npos);
  EXPECT_EQ(*list.Add(T("i64(i64,i64)")), "");
  ASSERT_EQ(list.types().size(), 2u);
  EXPECT_EQ(list.types()[1], T("i64(i64,i64)"));
}

}  // namespace
}  // namespace rbc::types
