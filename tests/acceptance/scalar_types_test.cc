// Every scalar that x86-64 has, complex in both forms, at every optimisation level, through the real farm.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cfloat>
#include <complex>
#include <limits>

#include "tests/harness/farm_test.h"
#include "tests/harness/toolchain.h"

namespace rbc::harness {
namespace {

using types::Int128;
using types::Uint128;

// `T NAME(bool choose, T a, T b)`: one of two values, bit for bit, through a branch that no level folds.
std::string SelectIr(const std::string& type) {
  return "define " + type + " @pick(i1 %c, " + type + " %a, " + type +
         " %b) {\n  br i1 %c, label %x, label %y\nx:\n  ret " + type + " %a\ny:\n  ret " + type + " %b\n}\n";
}

struct Scalar {
  const char* name;  // in the signature
  const char* ir;    // in LLVM
  Value low, high;
};

constexpr Int128 kInt128Max = static_cast<Int128>((~Uint128{0}) >> 1);

std::vector<Scalar> Scalars() {
  return {
      {"bool", "i1", false, true},
      {"char8", "i8", types::Character{'A', 8}, types::Character{0xff, 8}},
      {"char16", "i16", types::Character{0x20ac, 16}, types::Character{0xffff, 16}},
      {"char32", "i32", types::Character{0x1f600, 32}, types::Character{'z', 32}},
      {"int8", "i8", -128, 127},
      {"int16", "i16", -32768, 32767},
      {"int32", "i32", std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max()},
      {"int64", "i64", std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()},
      {"int128", "i128", Value(-kInt128Max - 1), Value(kInt128Max)},
      {"uint8", "i8", 0, 255},
      {"uint16", "i16", 1, 65535},
      {"uint32", "i32", 0u, std::numeric_limits<uint32_t>::max()},
      {"uint64", "i64", 0, std::numeric_limits<uint64_t>::max()},
      {"uint128", "i128", 1, Value(~Uint128{0})},
      {"float16", "half", -65504.0, 0.5},
      {"float32", "float", double(FLT_MAX), double(-FLT_MIN)},
      {"float64", "double", DBL_MAX, -DBL_MIN},
      {"float128", "x86_fp80", LDBL_MAX, -LDBL_MIN},
      {"complex32", "{ half, half }", std::complex<double>(1.5, -2), std::complex<double>(-65504, 0.25)},
      {"complex64", "{ float, float }", std::complex<double>(1.5, -2), std::complex<double>(0, 1)},
      {"complex128", "{ double, double }", std::complex<double>(DBL_MAX, -0.0), std::complex<double>(0, 1)},
      {"complex256", "{ x86_fp80, x86_fp80 }", std::complex<long double>(LDBL_MAX, 1),
       std::complex<long double>(0, -1)},
      {"size_t", "i64", 0, std::numeric_limits<uint64_t>::max()},
      {"{int32, float64}", "{ i32, double }", Value::Struct({-7, 2.5}), Value::Struct({7, -2.5})},
      {"{int8, {bool, complex64}, uint16}", "{ i8, { i8, { float, float } }, i16 }",
       Value::Struct({-1, Value::Struct({true, std::complex<double>(1, 2)}), 65535}),
       Value::Struct({1, Value::Struct({false, std::complex<double>(3, 4)}), 0})},
  };
}

class ScalarTypes : public FarmTest, public ::testing::WithParamInterface<int> {};

TEST_P(ScalarTypes, TravelBothWaysUnchanged) {
  Client client = farm().Connect();
  for (const Scalar& scalar : Scalars()) {
    SCOPED_TRACE(scalar.name);
    const std::string signature = std::string(scalar.name) + "(bool, " + scalar.name + ", " + scalar.name + ")";
    const auto pick = client.Load(MakeModule(SelectIr(scalar.ir), "pick", signature, wire::Abi::Direct, GetParam()));
    ASSERT_TRUE(pick) << Describe(pick.error());
    for (const bool first : {true, false}) {
      const auto result = client.Call(*pick, {first, scalar.low, scalar.high});
      ASSERT_TRUE(result) << Describe(result.error());
      EXPECT_TRUE(result->value == (first ? scalar.low : scalar.high)) << "choose " << first;
    }
  }
}

TEST_P(ScalarTypes, ComputeAsTheirWidthsDo) {
  Client client = farm().Connect();
  const auto call = [&](const std::string& type, const std::string& ir, const std::string& operation, Value a,
                        Value b) {
    const std::string text = "define " + ir + " @op(" + ir + " %a, " + ir + " %b) {\n  %r = " + operation + " " + ir +
                             " %a, %b\n  ret " + ir + " %r\n}\n";
    const auto op =
        Must(client.Load(MakeModule(text, "op", type + "(" + type + ", " + type + ")", wire::Abi::Direct, GetParam())),
             type + " " + operation);
    return Must(client.Call(op, {std::move(a), std::move(b)}), type + " " + operation).value;
  };
  EXPECT_TRUE(call("int8", "i8", "add", 127, 1) == Value(-128));
  EXPECT_TRUE(call("uint16", "i16", "sub", 0, 1) == Value(65535));
  EXPECT_TRUE(call("int32", "i32", "sdiv", -7, 2) == Value(-3));
  EXPECT_TRUE(call("uint64", "i64", "udiv", std::numeric_limits<uint64_t>::max(), 3) == Value(0x5555555555555555ull));
  EXPECT_TRUE(call("int128", "i128", "sdiv", Value(kInt128Max), 1000000007) == Value(kInt128Max / 1000000007));
  EXPECT_TRUE(call("uint128", "i128", "urem", Value(~Uint128{0}), 1000) == Value(~Uint128{0} % 1000));
  EXPECT_TRUE(call("float16", "half", "fadd", 1.5, 0.25) == Value(1.75));
  EXPECT_TRUE(call("float32", "float", "fdiv", 1.0, 3.0) == Value(double(1.0f / 3.0f)));
  EXPECT_TRUE(call("float64", "double", "fdiv", 1.0, 3.0) == Value(1.0 / 3.0));
  EXPECT_TRUE(call("float128", "x86_fp80", "fdiv", 1.0L, 3.0L) == Value(1.0L / 3.0L));
}

TEST_P(ScalarTypes, ComplexAsClangPassesIt) {
  Client client = farm().Connect();
  const std::string ir = CompileC(R"(
    _Complex float mulf(_Complex float a, _Complex float b) { return a * b; }
    _Complex double mul(_Complex double a, _Complex double b) { return a * b; }
    _Complex long double mull(_Complex long double a, _Complex long double b) { return a * b; }
    _Complex double third(int a, _Complex double b, float c, _Complex float d) { return a + b + c + d; }
  )");
  Module module{ir,
                {Declare("mulf", "complex64(complex64, complex64)", wire::Abi::Sysv),
                 Declare("mul", "complex128(complex128, complex128)", wire::Abi::Sysv),
                 Declare("mull", "complex256(complex256, complex256)", wire::Abi::Sysv),
                 Declare("third", "complex128(int32, complex128, float32, complex64)", wire::Abi::Sysv)},
                {}};
  module.options.opt_level = GetParam();
  const auto reply = Must(client.Compile(module), "complex by sysv");
  const std::complex<double> a(1, 2), b(3, -4);
  EXPECT_TRUE(Must(client.Call(reply.functions[0], {a, b})).value == Value(a * b));
  EXPECT_TRUE(Must(client.Call(reply.functions[1], {a, b})).value == Value(a * b));
  EXPECT_TRUE(Must(client.Call(reply.functions[2], {a, b})).value == Value(std::complex<long double>(11, 2)));
  EXPECT_TRUE(Must(client.Call(reply.functions[3], {1, a, 0.5, b})).value == Value(std::complex<double>(5.5, -2)));
}

INSTANTIATE_TEST_SUITE_P(Levels, ScalarTypes, ::testing::Values(0, 1, 2, 3),
                         [](const auto& info) { return "O" + std::to_string(info.param); });

class TypeErrors : public FarmTest {};

TEST_F(TypeErrors, ADeclarationThatIsNotTheFunctionsTypeNamesBoth) {
  Client client = farm().Connect();
  const Error error = MustFail(client.Load(MakeModule(SelectIr("i32"), "pick", "int64(bool, int64, int64)")));
  EXPECT_EQ(error.kind, ErrorKind::kInvalidModule) << Describe(error);
  EXPECT_THAT(error.message,
              ::testing::AllOf(::testing::HasSubstr("pick"), ::testing::HasSubstr("i64"), ::testing::HasSubstr("i32")));
}

TEST_F(TypeErrors, LlvmsFp128IsNotTheHostsFloat128) {
  Client client = farm().Connect();
  const Error error =
      MustFail(client.Load(MakeModule(SelectIr("fp128"), "pick", "float128(bool, float128, float128)")));
  EXPECT_TRUE(error.kind == ErrorKind::kInvalidModule || error.kind == ErrorKind::kUnsupported) << Describe(error);
}

TEST_F(TypeErrors, WidthsThatNoFrameHoldsAreRefusedByName) {
  Client client = farm().Connect();
  const Error error = MustFail(client.Load(MakeModule(SelectIr("i5"), "pick", "int5(bool, int5, int5)")));
  EXPECT_EQ(error.kind, ErrorKind::kUnsupported) << Describe(error);
  EXPECT_THAT(error.message, ::testing::HasSubstr("int5"));
}

TEST_F(TypeErrors, AFrameOfTheWrongSizeIsRefusedBeforeTheWorker) {
  Client client = farm().Connect();
  const auto pick = Must(client.Load(MakeModule(SelectIr("i32"), "pick", "int32(bool, int32, int32)")));
  for (const size_t size : {size_t{0}, size_t{1}, size_t{11}}) {
    wire::CallRequest request;
    request.function_id = pick.function_id;
    request.frame.assign(size, '\0');
    EXPECT_EQ(MustFail(client.CallRaw(request)).kind, ErrorKind::kInvalidArgument) << size << " bytes";
  }
  EXPECT_TRUE(Must(client.Call(pick, {true, 5, 6})).value == Value(5));
}

TEST_F(TypeErrors, AnUnknownTargetListsTheOnesThereAre) {
  Client client = farm().Connect();
  Module module = MakeModule(SelectIr("i32"), "pick", "int32(bool, int32, int32)");
  module.target = "abacus";
  const Error error = MustFail(client.Load(module));
  EXPECT_EQ(error.kind, ErrorKind::kUnknownTarget) << Describe(error);
  EXPECT_THAT(error.message, ::testing::AllOf(::testing::HasSubstr("abacus"), ::testing::HasSubstr("host")));
}

}  // namespace
}  // namespace rbc::harness
