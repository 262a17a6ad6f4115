// Modules to PTX: what NVIDIA's assembler takes, and what is refused with which words.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "targets/cuda/launch.h"
#include "tests/targets/clang.h"
#include "tests/targets/cuda_harness.h"
#include "tests/targets/harness.h"

namespace rbc::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view kAdd = R"(
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"
define double @add(double %a, double %b) #0 {
  %c = fadd double %a, %b
  ret double %c
}
attributes #0 = { nounwind uwtable sspstrong "target-cpu"="x86-64" "target-features"="+avx2" "probe-stack"="x" }
)";
const FunctionDeclaration kAddDeclaration{"add", "float64(float64, float64)"};

TEST(Cuda, CompilesAFunctionForTheHostToPtx) {
  const auto ptx = ExpectAssembles(kAdd, {kAddDeclaration});
  EXPECT_THAT(ptx, HasSubstr(".visible .entry rbc_call_0("));
  EXPECT_THAT(ptx, HasSubstr("add.rn.f64"));
  EXPECT_THAT(ptx, HasSubstr(".target sm_100"));
  EXPECT_THAT(ptx, Not(HasSubstr(".func"))) << "the function is inlined into its entry";
}

TEST(Cuda, EveryLevelAndEntryAssembles) {
  for (const auto entry : {EntryKind::kCall, EntryKind::kMap, EntryKind::kReduce}) {
    for (uint8_t level = 0; level <= 3; ++level) {
      SCOPED_TRACE(fmt::format("entry {}, O{}", static_cast<int>(entry), level));
      CompileOptions options;
      options.entry = entry;
      options.opt_level = level;
      ExpectAssembles(kAdd, {kAddDeclaration}, options);
    }
  }
}

TEST(Cuda, DescribesItsEntries) {
  auto options = ForPtx(80);
  auto call = CompileCuda(kAdd, {kAddDeclaration}, options);
  ASSERT_TRUE(call) << Message(call);
  ASSERT_EQ(call->entries.size(), 1u);
  EXPECT_EQ(call->entries[0].symbol, "rbc_call_0");
  EXPECT_EQ(call->entries[0].kind, EntryKind::kCall);
  EXPECT_EQ(call->entries[0].frame_size, 16u);
  EXPECT_EQ(call->entries[0].result_size, 8u);
  EXPECT_EQ(call->entries[0].parameter_bytes, sizeof(cuda::CallParameters));
  EXPECT_TRUE(call->repeatable);
  options.entry = EntryKind::kMap;
  auto map = CompileCuda(kAdd, {kAddDeclaration}, options);
  ASSERT_TRUE(map) << Message(map);
  EXPECT_EQ(map->entries[0].symbol, "rbc_map_0");
  EXPECT_EQ(map->entries[0].parameter_bytes, sizeof(cuda::MapParameters) + 3 * sizeof(cuda::Column));
  EXPECT_THAT(map->code, HasSubstr("add.rn.f64"));
  EXPECT_THAT(map->code, Not(HasSubstr(".local"))) << "a row's frame is all in registers";
  EXPECT_THAT(map->code, Not(HasSubstr(".nc"))) << "input and output may be the same array";
}

}  // namespace
}  // namespace rbc::testing
