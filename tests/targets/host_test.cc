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

constexpr std::string_view kMemoryUsers = R"(
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

// Where anything that a call was given may be written to, it is not repeated, and what it was given is lost with its
// worker.
TEST(Host, TellsWhatWritesIntoItsArguments) {
  for (uint8_t level : {0, 2}) {
    CompileOptions options;
    options.opt_level = level;
    const auto repeatable = [&](const std::string& name, const std::string& signature) {
      auto artifact = Compile(kMemoryUsers, {{name, signature}}, options);
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

constexpr std::string_view kArrayUsers = R"(
declare ptr @memcpy(ptr, ptr, i64)
@kept = global ptr null
%pair = type { ptr, ptr }
define void @loop(ptr %x, i64 %n, ptr %y, i64 %m) {
  %some = icmp sgt i64 %n, 0
  br i1 %some, label %again, label %end
again:
  %i = phi i64 [0, %0], [%next, %again]
  %to = phi ptr [%y, %0], [%after, %again]
  %from = getelementptr inbounds double, ptr %x, i64 %i
  %value = load double, ptr %from
  store double %value, ptr %to
  %after = getelementptr inbounds double, ptr %to, i64 1
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %n
  br i1 %more, label %again, label %end
end:
  ret void
}
define void @either(ptr %x, i64 %n, ptr %y, i64 %m, ptr %z, i64 %k) {
  %first = icmp sgt i64 %n, %m
  %to = select i1 %first, ptr %x, ptr %y
  %at = getelementptr double, ptr %to, i64 %k
  %before = getelementptr double, ptr %at, i64 -1
  %value = load double, ptr %z
  store double %value, ptr %before
  ret void
}
define void @indirect(ptr %x, i64 %n, ptr %y, i64 %m) {
  %i = load i64, ptr %x
  %at = getelementptr double, ptr %y, i64 %i
  store double 1.0, ptr %at
  ret void
}
define void @bytes(ptr %x, i64 %n, ptr %y, i64 %m) {
  %r = call ptr @memcpy(ptr %y, ptr %x, i64 %n)
  ret void
}
define internal ptr @place(ptr %x, i64 %n) noinline {
  %at = getelementptr i8, ptr %x, i64 %n
  ret ptr %at
}
define void @found(ptr %x, i64 %n, ptr %y, i64 %m) {
  %at = call ptr @place(ptr %x, i64 %n)
  store i8 0, ptr %at
  ret void
}
define void @keep(ptr %x, i64 %n, ptr %y, i64 %m) {
  store volatile ptr %x, ptr @kept
  store double 1.0, ptr %y
  ret void
}
define void @by_number(ptr %x, i64 %n, ptr %y, i64 %m) {
  %number = ptrtoint ptr %y to i64
  %odd = xor i64 %number, %m
  %at = inttoptr i64 %odd to ptr
  store double 1.0, ptr %at
  ret void
}
define internal void @helper(ptr %from, ptr %to, i64 %n) noinline {
  %value = load double, ptr %from
  store double %value, ptr %to
  %last = icmp eq i64 %n, 0
  br i1 %last, label %end, label %on
on:
  %less = sub i64 %n, 1
  call void @helper(ptr %from, ptr %to, i64 %less)
  br label %end
end:
  ret void
}
define void @by_helper(ptr %x, i64 %n, ptr %y, i64 %m) {
  call void @helper(ptr %x, ptr %y, i64 %n)
  ret void
}
define internal void @through(ptr %pair) noinline {
  %x = load ptr, ptr %pair
  store double 2.0, ptr %x
  ret void
}
define void @by_pair(ptr %x, i64 %n, ptr %y, i64 %m) {
  %pair = alloca %pair
  store ptr %x, ptr %pair
  %second = getelementptr %pair, ptr %pair, i32 0, i32 1
  store ptr %y, ptr %second
  call void @through(ptr %pair)
  ret void
}
define void @both(ptr %x, i64 %n, ptr %y, i64 %m) {
  store double 1.0, ptr %x
  store double 1.0, ptr %y
  ret void
}
)";

// Of each function over so many arrays of float64, compiled in one module, the numbers of the arrays that are only
// read.
using Numbers = std::vector<std::vector<uint32_t>>;
Numbers OnlyRead(std::initializer_list<const char*> names, int arrays, uint8_t level) {
  std::string signature = "void(float64[::1]";
  for (int i = 1; i < arrays; ++i) signature += ", float64[::1]";
  std::vector<FunctionDeclaration> functions;
  for (const char* name : names) functions.push_back({name, signature + ")"});
  CompileOptions options;
  options.opt_level = level;
  const auto artifact = Compile(kArrayUsers, functions, options);
  if (!artifact) {
    ADD_FAILURE() << artifact.error().message;
    return {};
  }
  Numbers out;
  for (const auto& entry : artifact->entries) {
    auto& numbers = out.emplace_back();
    for (const auto& array : entry.arrays)
      if (array.read_only) numbers.push_back(array.parameter);
  }
  return out;
}

// Array by array, in a module that writes into some: the ways in which pointers come to be.
TEST(Host, TellsWhichArraysAreOnlyRead) {
  for (const char* name : {"loop", "indirect", "bytes", "by_helper"})
    EXPECT_EQ(OnlyRead({name}, 2, 2), (Numbers{{0}})) << name;
  EXPECT_EQ(OnlyRead({"either"}, 3, 2), (Numbers{{2}}));
  for (const char* name : {"found", "keep", "by_number", "by_pair", "both"})
    EXPECT_EQ(OnlyRead({name}, 2, 2), (Numbers{{}})) << name;
  EXPECT_EQ(OnlyRead({"loop", "both", "bytes"}, 2, 2), (Numbers{{0}, {}, {0}}));
  // Not optimised, as for a debugger: right, if not always found.
  for (const char* name : {"found", "keep", "by_number", "by_pair", "both"})
    EXPECT_EQ(OnlyRead({name}, 2, 0), (Numbers{{}})) << name;
}

TEST(Host, RefusesASignatureThatTheFunctionDoesNotHave) {
  auto artifact = Compile(kAdd, {{"add", "float64(float64, int64)"}});
  ASSERT_FALSE(artifact);
  EXPECT_EQ(artifact.error().kind, ErrorKind::kInvalidModule);
  EXPECT_THAT(artifact.error().message, HasSubstr("parameter 2 is expected as i64, found is double"));
}

}  // namespace
}  // namespace rbc::testing
