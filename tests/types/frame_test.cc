// Frames: where parameters lie, what is sent and what comes back.
// SPDX-License-Identifier: Apache-2.0
#include "types/frame.h"

#include <gtest/gtest.h>

#include <cstring>
#include <iostream>
#include <limits>
#include <random>

#include "tests/types/random_types.h"
#include "types/array.h"
#include "types/pack.h"

namespace rbc::types {
namespace {

Type T(std::string_view text) { return Type::Parse(text).value(); }
FrameLayout LayoutFor(std::string_view text) { return FrameLayout::Make(T(text)).value(); }
PackedCall Pack(std::string_view function, std::vector<Value> values) {
  Expected<PackedCall> call = PackArguments(T(function), values);
  EXPECT_TRUE(call) << function << ": " << (call ? "" : call.error().message);
  return call ? *std::move(call) : PackedCall();
}
// What the caller sees of an error.
struct Failure {
  ErrorKind kind = ErrorKind::kInternal;
  std::string message;
};
Failure PackError(std::string_view function, std::vector<Value> values) {
  const Expected<PackedCall> call = PackArguments(T(function), values);
  EXPECT_FALSE(call) << function;
  return call ? Failure() : Failure{call.error().kind, call.error().message};
}
template <typename V>
V At(std::string_view bytes, size_t offset) {
  V value{};
  EXPECT_LE(offset + sizeof value, bytes.size());
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

TEST(Frame, ParametersLieAsInAStruct) {
  const FrameLayout layout = LayoutFor("complex64(bool, float64, int8, complex64, int128, string, float16)");
  struct Same {
    bool a;
    double b;
    int8_t c;
    float d[2];
    Int128 e;
    uint64_t f;
    uint16_t g;
  };
  const size_t offsets[] = {offsetof(Same, a), offsetof(Same, b), offsetof(Same, c), offsetof(Same, d),
                            offsetof(Same, e), offsetof(Same, f), offsetof(Same, g)};
  for (size_t i = 0; i < std::size(offsets); ++i) EXPECT_EQ(layout.slots()[i].offset, offsets[i]) << i;
  EXPECT_EQ(layout.fixed_size(), offsetof(Same, g) + 2);
  EXPECT_EQ(layout.alignment(), alignof(Same));
  EXPECT_EQ(layout.result_size(), 8u);
  EXPECT_EQ(layout.result_alignment(), 4u);
}

TEST(Frame, RandomParametersLieAsStructMembers) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 2000; ++i) {
    std::vector<Type> parameters;
    for (size_t n = random() % 6; n > 0; --n) parameters.push_back(RandomPlainType(random, 2));
    const StructLayout expected = LayoutOfStruct(Type::Struct(parameters)).value();
    const FrameLayout layout = FrameLayout::Make(Type::Function(Type::Void(), parameters)).value();
    for (size_t k = 0; k < parameters.size(); ++k) ASSERT_EQ(layout.slots()[k].offset, expected.offsets[k]);
    ASSERT_EQ(layout.alignment(), expected.alignment);
    ASSERT_LE(layout.fixed_size(), expected.size);
  }
}

TEST(Frame, Results) {
  EXPECT_EQ(LayoutFor("void()").result_size(), 0u);
  EXPECT_EQ(LayoutFor("void()").fixed_size(), 0u);
  EXPECT_EQ(LayoutFor("bool()").result_size(), 1u);
  EXPECT_EQ(LayoutFor("float128()").result_alignment(), 16u);
  EXPECT_EQ(LayoutFor("{i8,f64}()").result_size(), 16u);
  EXPECT_TRUE(LayoutFor("string()").returns_text());
  EXPECT_TRUE(LayoutFor("char8*()").returns_text());
  EXPECT_EQ(LayoutFor("string()").result_size(), 8u);
}

TEST(Frame, WhatCannotTravelIsNamed) {
  for (const auto& [function, part] :
       std::initializer_list<std::pair<const char*, const char*>>{{"void(int5)", "`int5`"},
                                                                  {"void(i, foo)", "parameter 2"},
                                                                  {"void({i, i*})", "pointers"},
                                                                  {"void({i, {string}})", "`{int32, {string}}`"},
                                                                  {"void(i*[:])", "`int32*`"},
                                                                  {"void({i, d[:]})", "float64[:]"},
                                                                  {"void(d[:][:])", "float64[:]"},
                                                                  {"void(i(i))", "`int32(int32)`"},
                                                                  {"void(i**)", "`int32*`"},
                                                                  {"void(i(i)*)", "int32(int32)"},
                                                                  {"i*()", "pointer"},
                                                                  {"foo()", "`foo`"},
                                                                  {"void({i*}*)", "pointers"},
                                                                  {"foo[:]()", "the result"},
                                                                  {"{i*}()", "the result"}}) {
    const Expected<FrameLayout> layout = FrameLayout::Make(T(function));
    ASSERT_FALSE(layout) << function;
    EXPECT_EQ(layout.error().kind, ErrorKind::kUnsupported) << function;
    EXPECT_NE(layout.error().message.find(part), std::string::npos) << layout.error().message;
  }
  EXPECT_EQ(FrameLayout::Make(T("i")).error().kind, ErrorKind::kInvalidArgument);
}

TEST(Pack, ScalarsInPlace) {
  const PackedCall call = Pack("i(d, i, f, bool, i64)", {1.5, -2, 0.25, true, int64_t{1} << 40});
  EXPECT_EQ(call.frame.size(), 32u);
  EXPECT_EQ(At<double>(call.frame, 0), 1.5);
  EXPECT_EQ(At<int32_t>(call.frame, 8), -2);
  EXPECT_EQ(At<float>(call.frame, 12), 0.25f);
  EXPECT_EQ(At<uint8_t>(call.frame, 16), 1);
  EXPECT_EQ(At<int64_t>(call.frame, 24), int64_t{1} << 40);
  EXPECT_EQ(call.out_bytes, 0u);
  EXPECT_EQ(call.return_from, 32u);
  EXPECT_TRUE(call.returned.empty());
}

TEST(Pack, IntegersConvertToFloatsAndComplex) {
  const PackedCall call = Pack("void(d, c64, c128)", {3, 2.5, 7});
  EXPECT_EQ(At<double>(call.frame, 0), 3.0);
  EXPECT_EQ(At<std::complex<float>>(call.frame, 8), std::complex<float>(2.5f, 0));
  EXPECT_EQ(At<std::complex<double>>(call.frame, 16), std::complex<double>(7, 0));
}

TEST(Pack, PayloadInOrderOfDirection) {
  int32_t in[3] = {1, 2, 3}, inout[2] = {4, 5}, out[5] = {9, 9, 9, 9, 9};
  const Buffer in_buffer{in, sizeof in, Direction::kIn}, inout_buffer{inout, sizeof inout, Direction::kInOut},
      out_buffer{out, sizeof out, Direction::kOut};
  const PackedCall call =
      Pack("void(i*, i*, string, i*, i*)", {out_buffer, inout_buffer, "text", in_buffer, NullPointer()});
  const auto cell = [&](size_t index) { return At<FrameCell>(call.frame, 8 * index); };
  EXPECT_EQ(cell(2).offset, 48u);
  EXPECT_EQ(cell(2).length, 4u);
  EXPECT_EQ(call.frame.substr(48, 5), std::string("text\0", 5));
  EXPECT_EQ(cell(3).offset, 64u);
  EXPECT_EQ(cell(3).length, 12u);
  EXPECT_EQ(std::memcmp(call.frame.data() + 64, in, sizeof in), 0);
  EXPECT_EQ(cell(1).offset, 80u);
  EXPECT_EQ(call.return_from, 80u);
  EXPECT_EQ(call.frame.size(), 88u);
  EXPECT_EQ(cell(0).offset, 96u);
  EXPECT_EQ(cell(0).length, 20u);
  EXPECT_EQ(call.out_bytes, 96u + 20 - 88);
  EXPECT_EQ(cell(4).offset, kNullOffset);

  std::string memory = call.frame + std::string(call.out_bytes, '\0');
  const int32_t changed[2] = {40, 50}, made[5] = {1, 2, 3, 4, 5};
  std::memcpy(memory.data() + 80, changed, sizeof changed);
  std::memcpy(memory.data() + 96, made, sizeof made);
  ASSERT_TRUE(CopyReturned(call, std::string_view(memory).substr(call.return_from)));
  EXPECT_EQ(std::memcmp(inout, changed, sizeof changed), 0);
  EXPECT_EQ(std::memcmp(out, made, sizeof made), 0);
  EXPECT_EQ(in[0], 1);
}

// The example of docs/types.md.
TEST(Pack, DocumentedExample) {
  double numbers[2] = {1, 2};
  const PackedCall call = Pack("void(int32, float64*, string)", {7, Buffer{numbers, sizeof numbers}, "hi"});
  constexpr uint8_t kHead[] = {7, 0, 0, 0, 0, 0, 0, 0, 0x30, 0, 0, 0, 0x10, 0, 0,   0,   0x20, 0,
                               0, 0, 2, 0, 0, 0, 0, 0, 0,    0, 0, 0, 0,    0, 'h', 'i', 0};
  ASSERT_EQ(call.frame.size(), 64u);
  EXPECT_EQ(std::memcmp(call.frame.data(), kHead, sizeof kHead), 0);
  EXPECT_EQ(call.return_from, 48u);
}

TEST(Pack, OnlyOutBuffers) {
  double out[2] = {};
  const PackedCall call = Pack("void(i, d*)", {1, Buffer{out, sizeof out, Direction::kOut}});
  EXPECT_EQ(call.frame.size(), 16u);
  EXPECT_EQ(call.return_from, 16u);
  EXPECT_EQ(call.out_bytes, 16u);
  EXPECT_EQ(call.total_bytes(), 32u);
}

TEST(Pack, EmptyBuffersAndReuse) {
  int32_t number = 5;
  const FrameLayout layout = LayoutFor("void(i*, i*)");
  PackedCall call;
  ASSERT_TRUE(PackArguments(layout, std::vector<Value>{Buffer{&number, 0}, Buffer{&number, 4}}, &call));
  EXPECT_EQ(At<FrameCell>(call.frame, 0).offset, 16u);
  EXPECT_EQ(At<FrameCell>(call.frame, 0).length, 0u);
  EXPECT_EQ(call.returned.size(), 2u);
  ASSERT_TRUE(PackArguments(layout, std::vector<Value>{NullPointer(), NullPointer()}, &call));
  EXPECT_TRUE(call.returned.empty());
  EXPECT_EQ(call.frame.size(), 16u);
  EXPECT_EQ(call.return_from, 16u);
}

TEST(Pack, ArraysLieInCOrderWhateverTheirStrides) {
  int32_t numbers[6] = {1, 2, 3, 4, 5, 6};
  // The transpose of 2 x 3.
  const Buffer array{.data = numbers,
                     .bytes = 24,
                     .direction = Direction::kInOut,
                     .element = Type::Int(32),
                     .shape = {3, 2},
                     .strides = {4, 12}};
  const PackedCall call = Pack("void(i[:,:], i)", {array, 7});
  const FrameArray slot = LoadFrameArray(call.frame.data(), 2);
  EXPECT_EQ(slot.where, 48u);
  EXPECT_EQ(slot.shape, (std::vector<int64_t>{3, 2}));
  EXPECT_EQ(slot.strides, (std::vector<int64_t>{8, 4}));
  EXPECT_EQ(At<int32_t>(call.frame, 40), 7);
  const int32_t packed[6] = {1, 4, 2, 5, 3, 6};
  EXPECT_EQ(call.frame.substr(48), std::string_view(reinterpret_cast<const char*>(packed), sizeof packed));
  const int32_t written[6] = {10, 40, 20, 50, 30, 60};
  ASSERT_TRUE(CopyReturned(call, std::string_view(reinterpret_cast<const char*>(written), sizeof written)));
  EXPECT_EQ(numbers[1], 20);
  EXPECT_EQ(numbers[3], 40);
}

TEST(Pack, WhatIsNoSuchArrayIsRefused) {
  double numbers[4] = {};
  Buffer array{.data = numbers, .bytes = 16, .element = Type::Float(64), .shape = {2}, .strides = {16}};
  PackError("void(d[])", {array});
  EXPECT_NE(PackError("void(d*)", {array}).message.find("contiguous"), std::string::npos);
  PackError("void(f[:])", {array});
  PackError("void(d[:,:])", {array});
  PackError("void(d[:])", {1.0});
  PackError("void(d[:])", {NullPointer()});
  array.bytes = 24;
  PackError("void(d[:])", {array});
  array.shape = {-2};
  PackError("void(d[:])", {array});
}

TEST(Pack, ArrayResultsOfAPeerThatLiesAreRefused) {
  const Type type = T("d[:,:]");
  const double numbers[3] = {1, 2, 3};
  const std::string_view data(reinterpret_cast<const char*>(numbers), sizeof numbers);
  std::string result(FrameArrayBytes(2), '\0');
  const auto unpack = [&](uint64_t where, std::vector<int64_t> shape) {
    StoreFrameArray({where, std::move(shape), {0, 0}}, result.data());
    return UnpackResult(type, result, data);
  };
  const Expected<Value> good = unpack(8, {1, 2});
  ASSERT_TRUE(good);
  EXPECT_EQ(ToPythonRepr(*good, type), "[[2.0, 3.0]]");
  EXPECT_EQ(ToPythonRepr(*unpack(24, {3, 0}), type), "[[], [], []]");
  for (const auto& [where, rows] : std::initializer_list<std::pair<uint64_t, int64_t>>{
           {8, 3}, {16, 2}, {25, 0}, {0, -1}, {~uint64_t{0}, 1}, {0, int64_t{1} << 61}, {8, int64_t{1} << 32}}) {
    const Expected<Value> lie = unpack(where, {rows, 1});
    ASSERT_FALSE(lie) << where << " " << rows;
    EXPECT_EQ(lie.error().kind, ErrorKind::kInternal);
  }
  EXPECT_FALSE(UnpackResult(type, "short", data));
}

TEST(Pack, StructsWithArraysOfAPeerThatLiesAreRefused) {
  const Type type = T("{bool, d[:], i}");
  const FrameLayout layout = *FrameLayout::Make(T("{bool, d[:], i}()"));
  ASSERT_EQ(layout.result_slots().size(), 3u);
  EXPECT_EQ(layout.result_slots()[1].offset, 8u);
  EXPECT_EQ(layout.result_slots()[2].offset, 40u);  // behind the array's 24 bytes and its owner's 8
  EXPECT_EQ(layout.result_size(), 48u);
  const double numbers[2] = {1, 2};
  const std::string_view data(reinterpret_cast<const char*>(numbers), sizeof numbers);
  std::string result(48, '\0');
  result[0] = 1;
  result[40] = 7;
  StoreFrameArray({8, {1}, {8}}, result.data() + 8);
  const Expected<Value> good = UnpackResult(type, result, data);
  ASSERT_TRUE(good);
  EXPECT_EQ(ToPythonRepr(*good, type), "(True, [2.0], 7)");
  EXPECT_FALSE(UnpackResult(type, result.substr(0, 40), data));
  StoreFrameArray({8, {2}, {8}}, result.data() + 8);
  EXPECT_EQ(UnpackResult(type, result, data).error().kind, ErrorKind::kInternal);
  for (const char* refused : {"{{d[:], i}, i}()", "{d[:], string}()", "{d[:], d*}()", "void({d[:], i})"})
    EXPECT_EQ(FrameLayout::Make(T(refused)).error().kind, ErrorKind::kUnsupported) << refused;
}

TEST(Pack, CopyReturnedTakesExactlyWhatWasLent) {
  int32_t number = 5;
  const PackedCall call = Pack("void(i*)", {Buffer{&number, 4}});
  for (const size_t size : {0u, 3u, 5u, 100u}) {
    const Status status = CopyReturned(call, std::string(size, 'x'));
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().kind, ErrorKind::kInternal);
  }
  EXPECT_EQ(number, 5);
  EXPECT_TRUE(CopyReturned(Pack("void()", {}), ""));
}

TEST(Pack, ErrorsNameValueParameterAndRange) {
  const Failure error = PackError("void(d, i)", {1.0, int64_t{1} << 40});
  EXPECT_EQ(error.kind, ErrorKind::kInvalidArgument);
  for (const char* part : {"1099511627776", "`int32`", "-2147483648 to 2147483647", "parameter 2"}) {
    EXPECT_NE(error.message.find(part), std::string::npos) << error.message;
  }
  EXPECT_NE(PackError("void(i)", {}).message.find("takes 1 arguments, got 0"), std::string::npos);
  EXPECT_NE(PackError("void(i)", {1.5}).message.find("`float64`"), std::string::npos);
  PackError("void(bool)", {1});
  PackError("void(i)", {true});
  PackError("void(i*)", {"text"});
  PackError("void(i*)", {5});
  PackError("void(string)", {5});
  PackError("void(string)", {std::string("a\0b", 3)});
  EXPECT_TRUE(PackArguments(T("void(char8*)"), std::vector<Value>{ByteString{std::string("a\0b", 3)}}));
  int32_t numbers[2];
  PackError("void(i*)", {Buffer{numbers, 7}});
  PackError("void(i*)", {Buffer{nullptr, 8}});
  PackError("void(d*)", {Buffer{numbers, 8, Direction::kIn, Type::Int(32), nullptr}});
  PackError("void({i,i})", {Value::Struct({1})});
  PackError("void({i,i8})", {Value::Struct({1, 300})});
}

TEST(Pack, TooMuchIsRefusedBeforeItIsCopied) {
  char byte = 0;
  const Buffer huge{&byte, size_t{3} << 30, Direction::kOut};
  const Failure error = PackError("void(void*, void*)", {huge, huge});
  EXPECT_EQ(error.kind, ErrorKind::kResourceExhausted);
}

Value RandomValue(std::mt19937_64& random, const Type& type) {
  if (type.is(Kind::kStruct)) {
    std::vector<Value> members;
    for (const Type& member : type.members()) members.push_back(RandomValue(random, member));
    return Value::Struct(std::move(members));
  }
  char bytes[32];
  for (char& byte : bytes) byte = static_cast<char>(random());
  if (type.is(Kind::kFloat) || type.is(Kind::kComplex)) {
    const double part = static_cast<double>(static_cast<int64_t>(random() % 2001) - 1000) / 8;
    if (type.is(Kind::kFloat)) return type.bits() == 128 ? Value(static_cast<long double>(part)) : Value(part);
    if (type.bits() == 256) return std::complex<long double>(part, -part);
    return std::complex<double>(part, part + 1);
  }
  return LoadValue(type, bytes);
}

// What is packed as a parameter reads back as a result of that type, and both equal the value.
TEST(Pack, RandomValuesSurviveTheRoundTrip) {
  const uint64_t seed = std::random_device()();
  std::cout << "seed " << seed << std::endl;
  std::mt19937_64 random(seed);
  for (int i = 0; i < 20'000; ++i) {
    const Type type = RandomPlainType(random, 3);
    const Value value = RandomValue(random, type);
    const std::vector<Value> values = {true, value};
    const FrameLayout layout = FrameLayout::Make(Type::Function(type, {Type::Bool(), type})).value();
    const Expected<PackedCall> call = PackArguments(layout, values);
    ASSERT_TRUE(call) << type.ToString() << ": " << call.error().message;
    const std::string_view bytes = std::string_view(call->frame).substr(layout.slots()[1].offset);
    ASSERT_EQ(bytes.size(), layout.result_size());
    const Expected<Value> back = UnpackResult(type, bytes, "");
    ASSERT_TRUE(back) << type.ToString();
    ASSERT_EQ(*back, value) << type.ToString() << " " << ToPythonRepr(value, type) << " " << ToPythonRepr(*back, type);
  }
}

TEST(Unpack, LiesAreTypedErrors) {
  EXPECT_EQ(UnpackResult(T("i"), "abc", "").error().kind, ErrorKind::kInternal);
  EXPECT_EQ(UnpackResult(T("i"), "abcde", "").error().kind, ErrorKind::kInternal);
  EXPECT_EQ(UnpackResult(T("i*"), "abcdefgh", "").error().kind, ErrorKind::kUnsupported);
  EXPECT_EQ(UnpackResult(T("string"), "abc", "").error().kind, ErrorKind::kInternal);
  EXPECT_EQ(*UnpackResult(T("void"), "", ""), Value());
  const auto text = [](uint32_t offset, uint32_t length, std::string_view data, std::string_view type = "string") {
    const FrameCell cell{offset, length};
    return UnpackResult(T(type), std::string_view(reinterpret_cast<const char*>(&cell), sizeof cell), data);
  };
  EXPECT_EQ(*text(1, 3, "xabcx"), Value("abc"));
  EXPECT_EQ(*text(1, 3, "xabcx", "char8*"), Value(ByteString{"abc"}));
  EXPECT_EQ(*text(5, 0, "xabcx"), Value(""));
  EXPECT_EQ(*text(kNullOffset, 7, ""), Value(NullPointer()));
  EXPECT_FALSE(text(1, 5, "xabcx"));
  EXPECT_FALSE(text(6, 0, "xabcx"));
  EXPECT_FALSE(text(4, 0xFFFFFFFF, "xabcx"));
}

TEST(Unpack, AnyBytesOfALongDoubleAreANumber) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 5000; ++i) {
    char bytes[32];
    for (char& byte : bytes) byte = static_cast<char>(random());
    for (const char* type : {"f128", "c256", "f16", "bool", "char32", "{f128, bool}"}) {
      const Type parsed = T(type);
      EXPECT_FALSE(ToPythonRepr(LoadValue(parsed, bytes), parsed).empty() && parsed.kind() != Kind::kChar);
    }
  }
}

}  // namespace
}  // namespace rbc::types
