// Compile, load and call on the host target.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/targets/harness.h"

namespace rbc::testing {
namespace {

using ::testing::HasSubstr;

constexpr std::string_view kAdd = R"(
define double @add(double %a, double %b) {
  %c = fadd double %a, %b
  ret double %c
}
define i64 @addi(i64 %a, i64 %b) {
  %c = add i64 %a, %b
  ret i64 %c
}
)";

TEST(Host, CompilesLoadsAndCalls) {
  for (uint8_t level = 0; level <= 3; ++level) {
    CompileOptions options;
    options.opt_level = level;
    Loaded module(kAdd, {{"add", "float64(float64, float64)"}, {"addi", "int64(int64, int64)"}}, options);
    ASSERT_TRUE(module.ok());
    EXPECT_EQ((module.Run<double>(0, 1.5, 2.0)), 3.5);
    EXPECT_EQ((module.Run<int64_t>(1, int64_t{40}, int64_t{2})), 42);
    EXPECT_FALSE(module.artifact().stateful);
    EXPECT_TRUE(module.artifact().repeatable);
  }
}

// Where anything that a call was given may be written to, it is not repeated, and what it was given is lost with its
// worker.
TEST(Host, TellsWhatWritesIntoItsArguments) {
  constexpr char kIr[] = R"(
declare ptr @memset(ptr, i32, i64)
declare i64 @strlen(ptr)
define double @first(ptr %x, i64 %n) {
  %at = getelementptr double, ptr %x, i64 %n
  %last = getelementptr double, ptr %at, i64 -1
  %a = load volatile double, ptr %x
  %b = load double, ptr %last
  %s = fadd double %a, %b
  ret double %s
}
define i64 @length(ptr %text) {
  %n = call i64 @strlen(ptr %text)
  ret i64 %n
}
define double @scratch(ptr %x, i64 %n) {
  %room = alloca [64 x double]
  %i = and i64 %n, 63
  %at = getelementptr double, ptr %room, i64 %i
  %a = load double, ptr %x
  store volatile double %a, ptr %at
  %b = load volatile double, ptr %room
  ret double %b
}
define void @store(ptr %x, i64 %n) {
  store double 1.0, ptr %x
  ret void
}
define void @clear(ptr %x, i64 %n) {
  %r = call ptr @memset(ptr %x, i32 0, i64 %n)
  ret void
}
declare void @llvm.masked.scatter.v4f64.v4p0(<4 x double>, <4 x ptr>, i32, <4 x i1>)
define void @scatter(ptr %x, i64 %n) {
  %at = getelementptr double, ptr %x, <4 x i64> <i64 0, i64 2, i64 4, i64 7>
  call void @llvm.masked.scatter.v4f64.v4p0(<4 x double> zeroinitializer, <4 x ptr> %at, i32 8, <4 x i1> <i1 1, i1 1, i1 1, i1 1>)
  ret void
}
define void @add(ptr %x, i64 %n) {
  %r = atomicrmw add ptr %x, i64 1 seq_cst
  ret void
}
define internal void @helper(ptr %x) noinline {
  store double 2.0, ptr %x
  ret void
}
define void @by_helper(ptr %x, i64 %n) {
  call void @helper(ptr %x)
  ret void
}
)";
  for (uint8_t level : {0, 2}) {
    CompileOptions options;
    options.opt_level = level;
    const auto repeatable = [&](const std::string& name, const std::string& signature) {
      auto artifact = Compile(kIr, {{name, signature}}, options);
      EXPECT_TRUE(artifact) << (artifact ? "" : artifact.error().message);
      return artifact && artifact->repeatable;
    };
    EXPECT_TRUE(repeatable("first", "float64(float64[::1])"));
    EXPECT_TRUE(repeatable("length", "int64(string)"));
    EXPECT_TRUE(repeatable("scratch", "float64(float64[::1])"));
    for (const char* name : {"store", "clear", "scatter", "by_helper"})
      EXPECT_FALSE(repeatable(name, "void(float64[::1])")) << name;
    EXPECT_FALSE(repeatable("add", "void(int64[::1])"));
  }
}

TEST(Host, RefusesASignatureThatTheFunctionDoesNotHave) {
  auto artifact = Compile(kAdd, {{"add", "float64(float64, int64)"}});
  ASSERT_FALSE(artifact);
  EXPECT_EQ(artifact.error().kind, ErrorKind::kInvalidModule);
  EXPECT_THAT(artifact.error().message, HasSubstr("parameter 2 is expected as i64, found is double"));
}

}  // namespace
}  // namespace rbc::testing
