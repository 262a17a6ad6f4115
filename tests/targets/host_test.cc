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

TEST(Host, RefusesASignatureThatTheFunctionDoesNotHave) {
  auto artifact = Compile(kAdd, {{"add", "float64(float64, int64)"}});
  ASSERT_FALSE(artifact);
  EXPECT_EQ(artifact.error().kind, ErrorKind::kInvalidModule);
  EXPECT_THAT(artifact.error().message, HasSubstr("parameter 2 is expected as i64, found is double"));
}

}  // namespace
}  // namespace rbc::testing
