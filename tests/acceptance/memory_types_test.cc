// Structs by value and by pointer, strings, pointers in all directions, status_retptr functions.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "tests/harness/farm_test.h"
#include "tests/harness/ir.h"
#include "tests/harness/toolchain.h"

namespace rbc::harness {
namespace {

using types::Buffer;
using types::Direction;

template <typename T>
Value Memory(std::vector<T>& data, Direction direction, const types::Type& element) {
  return Buffer{data.data(), data.size() * sizeof(T), direction, element, nullptr};
}

class MemoryTypes : public FarmTest, public ::testing::WithParamInterface<int> {
 protected:
  // C of one function, at the test's optimisation level.
  wire::FunctionInfo LoadC(Client& client, const std::string& source, const std::string& symbol,
                           const std::string& signature) {
    return Must(client.Load(MakeModule(CompileC(source), symbol, signature, wire::Abi::Sysv, GetParam())), symbol);
  }
};

TEST_P(MemoryTypes, StructsByValueOfEveryClass) {
  Client client = farm().Connect();
  const auto roundtrip = [&](const std::string& c_struct, const std::string& signature, const Value& value) {
    SCOPED_TRACE(signature);
    const std::string source = "typedef struct " + c_struct + " S; S f(int before, S s, double after) { return s; }";
    const auto f = LoadC(client, source, "f", signature + "(int32, " + signature + ", float64)");
    EXPECT_TRUE(Must(client.Call(f, {1, value, 2.0}), signature).value == value);
  };
  roundtrip("{ int a; }", "{int32}", Value::Struct({-5}));
  roundtrip("{ signed char a; short b; int c; }", "{int8, int16, int32}", Value::Struct({-1, -2, -3}));
  roundtrip("{ float a, b; }", "{float32, float32}", Value::Struct({1.5, 2.5}));
  roundtrip("{ float a, b, c; }", "{float32, float32, float32}", Value::Struct({1.5, 2.5, 3.5}));
  roundtrip("{ double a; int b; }", "{float64, int32}", Value::Struct({1.25, 7}));
  roundtrip("{ long a; double b; }", "{int64, float64}", Value::Struct({1 << 20, 0.125}));
  roundtrip("{ long a, b, c; }", "{int64, int64, int64}", Value::Struct({1, 2, 3}));
  roundtrip("{ long double a; }", "{float128}", Value::Struct({0.1L}));
  roundtrip("{ double a, b, c, d; char e; }", "{float64, float64, float64, float64, int8}",
            Value::Struct({1.0, 2.0, 3.0, 4.0, 5}));
  roundtrip("{ struct { float x; int y; } p; _Complex float z; }", "{{float32, int32}, complex64}",
            Value::Struct({Value::Struct({0.5, 6}), std::complex<double>(1, -1)}));
}

TEST_P(MemoryTypes, StructsByPointerAreReadAndWritten) {
  struct Point {
    double x;
    int32_t n;
  };
  Client client = farm().Connect();
  const auto f = LoadC(client, "typedef struct { double x; int n; } P; int f(P *p) { p->x *= 2; return p->n++; }", "f",
                       "int32({float64, int32}*)");
  std::vector<Point> points = {{1.5, 41}};
  const auto element = Must(types::Type::Parse("{float64, int32}"));
  EXPECT_TRUE(Must(client.Call(f, {Memory(points, Direction::kInOut, element)})).value == Value(41));
  EXPECT_EQ(points[0].x, 3.0);
  EXPECT_EQ(points[0].n, 42);
}

TEST_P(MemoryTypes, ArraysOfTheCallerInOutAndBoth) {
  Client client = farm().Connect();
  const auto f = LoadC(client, R"(
      double f(const double *in, double *out, double *both, long n) {
        double sum = 0;
        for (long i = 0; i < n; i++) { sum += in[i]; out[i] = in[i] * 2; both[i] += in[i]; }
        return sum;
      })",
                       "f", "float64(float64*, float64*, float64*, int64)");
  for (const size_t n : {size_t{1}, size_t{100}, size_t{5000}, size_t{1} << 20}) {
    std::vector<double> in(n), out(n, -1), both(n, 1);
    std::iota(in.begin(), in.end(), 0.0);
    const auto element = types::Type::Float(64);
    const auto result = client.Call(f, {Memory(in, Direction::kIn, element), Memory(out, Direction::kOut, element),
                                        Memory(both, Direction::kInOut, element), static_cast<int64_t>(n)});
    ASSERT_TRUE(result) << n << ": " << Describe(result.error());
    EXPECT_TRUE(result->value == Value(double(n) * double(n - 1) / 2)) << n;
    EXPECT_EQ(out[n - 1], 2.0 * double(n - 1));
    EXPECT_EQ(both[n - 1], double(n));
    EXPECT_EQ(in[n - 1], double(n - 1));
  }
}

TEST_P(MemoryTypes, OutMemoryStartsAsZeros) {
  Client client = farm().Connect();
  const auto f = LoadC(client, "long f(long *p, long n) { long s = 0; while (n--) s += *p, *p++ = 7; return s; }", "f",
                       "int64(int64*, int64)");
  for (int round = 0; round < 3; ++round) {
    std::vector<int64_t> out(300, 99);
    EXPECT_TRUE(Must(client.Call(f, {Memory(out, Direction::kOut, types::Type::Int(64)), 300})).value == Value(0));
    EXPECT_EQ(out, std::vector<int64_t>(300, 7));
  }
}

TEST_P(MemoryTypes, StringsInAndOut) {
  Client client = farm().Connect();
  const auto f = LoadC(client, R"(
      #include <stddef.h>
      size_t strlen(const char *); void *malloc(size_t);
      char *f(const char *s) {
        size_t n = strlen(s);
        char *r = malloc(n + 1);
        for (size_t i = 0; i < n; i++) r[i] = s[n - 1 - i];
        r[n] = 0;
        return r;
      })",
                       "f", "string(string)");
  for (const size_t n : {size_t{0}, size_t{1}, size_t{5}, size_t{3000}, size_t{200'000}}) {
    std::string text;
    for (size_t i = 0; i < n; ++i) text += static_cast<char>('a' + i % 26);
    const auto result = client.Call(f, {text});
    ASSERT_TRUE(result) << n << ": " << Describe(result.error());
    EXPECT_TRUE(result->value == Value(std::string(text.rbegin(), text.rend()))) << n;
  }
}

TEST_P(MemoryTypes, StringsOfConstantsAndNull) {
  Client client = farm().Connect();
  const auto constant =
      LoadC(client, "const char *f(int n) { return n ? \"gr\\303\\274n\" : 0; }", "f", "string(int32)");
  EXPECT_TRUE(Must(client.Call(constant, {1})).value == Value("gr\xC3\xBCn"));
  EXPECT_TRUE(Must(client.Call(constant, {0})).value == Value(types::NullPointer{}));
  const auto is_null =
      LoadC(client, "_Bool f(const char *s, int *p) { return !s && !p; }", "f", "bool(string, int32*)");
  EXPECT_TRUE(Must(client.Call(is_null, {types::NullPointer{}, types::NullPointer{}})).value == Value(true));
}

TEST_P(MemoryTypes, StatusFunctionsGiveStatusAndResult) {
  Client client = farm().Connect();
  const std::string ir = R"(define i32 @divide(ptr %out, i64 %a, i64 %b) {
  %zero = icmp eq i64 %b, 0
  br i1 %zero, label %bad, label %good
bad:
  ret i32 7
good:
  %r = sdiv i64 %a, %b
  store i64 %r, ptr %out
  ret i32 0
}
)";
  const auto f =
      Must(client.Load(MakeModule(ir, "divide", "int64(int64, int64)", wire::Abi::StatusRetptr, GetParam())));
  const auto good = Must(client.Call(f, {42, 6}));
  EXPECT_EQ(good.status, 0);
  EXPECT_TRUE(good.value == Value(7));
  EXPECT_EQ(Must(client.Call(f, {42, 0})).status, 7);
  EXPECT_TRUE(Must(client.Call(f, {45, 6})).value == Value(7));
}

INSTANTIATE_TEST_SUITE_P(Levels, MemoryTypes, ::testing::Values(0, 1, 2, 3),
                         [](const auto& info) { return "O" + std::to_string(info.param); });

class HostileCells : public FarmTest {};

// A pointer parameter is a cell into the call's own memory; anything else is refused before the worker sees it.
TEST_F(HostileCells, CellsOutsideOfTheCallsMemoryAreRefused) {
  Client client = farm().Connect();
  const auto f = Must(client.Load(
      MakeModule("define i64 @f(ptr %p) {\n  %v = load i64, ptr %p\n  ret i64 %v\n}\n", "f", "int64(int64*)")));
  struct Cell {
    uint32_t offset, length;
  };
  const Cell cells[] = {{8, 8},          {0, 9},           {16, 0x7fffffff}, {0x7fffffff, 8},
                        {0xfffffffe, 8}, {0xfffffff0, 32}, {8, 0xffffffff},  {0xffffff00, 0x100}};
  for (const Cell& cell : cells) {
    SCOPED_TRACE(std::to_string(cell.offset) + "+" + std::to_string(cell.length));
    wire::CallRequest request;
    request.function_id = f.function_id;
    request.frame.assign(reinterpret_cast<const char*>(&cell), sizeof cell);
    const auto reply = client.CallRaw(request);
    ASSERT_FALSE(reply) << "accepted";
    EXPECT_EQ(reply.error().kind, ErrorKind::kInvalidArgument) << Describe(reply.error());
  }
}

TEST_F(HostileCells, AStringWithoutItsNulIsRefused) {
  Client client = farm().Connect();
  const auto f = Must(client.Load(MakeModule(
      "declare i64 @strlen(ptr)\ndefine i64 @f(ptr %p) {\n  %v = call i64 @strlen(ptr %p)\n  ret i64 %v\n}\n", "f",
      "int64(string)")));
  wire::CallRequest request = PackRequest(f, {"four"});
  EXPECT_TRUE(Must(client.Call(f, {"four"})).value == Value(4));
  request.frame.resize(20);  // the cell, padding and the four characters
  const auto reply = client.CallRaw(request);
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().kind, ErrorKind::kInvalidArgument) << Describe(reply.error());
}

TEST_F(HostileCells, SizesOfGigabytesAreRefusedAtOnce) {
  Client client = farm().Connect();
  const auto f = Must(client.Load(MakeModule("define i64 @f(i64 %x) {\n  ret i64 %x\n}\n", "f", "int64(int64)")));
  const uint64_t before = ResidentBytes(farm().pid());
  for (const int32_t out : {0x7fffffff, 0x7ffffff0, -1, -2147483647 - 1}) {
    wire::CallRequest request = PackRequest(f, {1});
    request.__set_out_bytes(out);
    request.__set_return_from(0);
    const Error error = MustFail(client.CallRaw(request));
    EXPECT_TRUE(error.kind == ErrorKind::kInvalidArgument || error.kind == ErrorKind::kResourceExhausted)
        << out << ": " << Describe(error);
  }
  EXPECT_TRUE(HasGrownAtMost(farm(), before, 16 << 20));
  EXPECT_TRUE(Must(client.Call(f, {3})).value == Value(3));
}

TEST_F(HostileCells, AReturnedStringWithoutEndIsBounded) {
  Client client = farm().Connect();
  const auto f = Must(client.Load(MakeModule(CompileC(R"(
      #include <stddef.h>
      void *malloc(size_t); void *memset(void *, int, size_t);
      char *f(long n) { char *p = malloc(n + 1); memset(p, 'x', n); p[n] = 0; return p; })"),
                                             "f", "string(int64)", wire::Abi::Sysv)));
  EXPECT_TRUE(Must(client.Call(f, {1000})).value == Value(std::string(1000, 'x')));
  const Error error = MustFail(client.Call(f, {8 << 20}));
  EXPECT_EQ(error.kind, ErrorKind::kResourceExhausted) << Describe(error);
  EXPECT_TRUE(Must(client.Call(f, {10})).value == Value(std::string(10, 'x')));
}

}  // namespace
}  // namespace rbc::harness
