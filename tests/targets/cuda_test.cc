// Modules to PTX: what NVIDIA's assembler takes, and what is refused with which words.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

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
  for (const auto entry : {EntryKind::kCall, EntryKind::kMap, EntryKind::kReduce, EntryKind::kScan}) {
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

// What each entry computes, on the simulator.
TEST(Simulated, CallsAFunction) {
  for (uint8_t level = 0; level <= 3; ++level) {
    CompileOptions options;
    options.opt_level = level;
    Simulated module(kAdd, {kAddDeclaration}, options);
    ASSERT_TRUE(module.ok());
    EXPECT_EQ(module.Call<double>(0, 1.5, 2.25), 3.75);
    EXPECT_EQ(module.status(), 0);
    EXPECT_FALSE(module.artifact().entries[0].meets);
  }
}

struct Row {
  double a;
  double sum;
};

TEST(Simulated, MapsColumnsWithAnyStrides) {
  CompileOptions options;
  options.entry = EntryKind::kMap;
  Simulated module(kAdd, {kAddDeclaration}, options);
  ASSERT_TRUE(module.ok());
  std::vector<Row> rows(1000);
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = {static_cast<double>(i), 0};
  const double one = 0.5;
  uint64_t outcome = cuda::kAllRowsFine;
  const struct {
    cuda::MapParameters map;
    cuda::Column columns[3];
  } parameters = {{rows.size(), reinterpret_cast<uint64_t>(&outcome)},
                  {{reinterpret_cast<uint64_t>(&rows[0].a), sizeof(Row)},
                   {reinterpret_cast<uint64_t>(&one), 0},
                   {reinterpret_cast<uint64_t>(&rows[0].sum), sizeof(Row)}}};
  ASSERT_EQ(module.artifact().entries[0].parameter_bytes, sizeof parameters);
  module.Launch(0, &parameters, 3, 7);
  for (size_t i = 0; i < rows.size(); ++i) ASSERT_EQ(rows[i].sum, i + 0.5) << i;
  EXPECT_EQ(outcome, cuda::kAllRowsFine);
}

// i32 f(result*, i64 a): fails for odd rows with status a.
constexpr std::string_view kStatus = R"(
define i32 @f(ptr %r, i64 %a) {
  %odd = trunc i64 %a to i1
  br i1 %odd, label %bad, label %good
bad:
  %s = trunc i64 %a to i32
  ret i32 %s
good:
  %h = lshr i64 %a, 1
  store i64 %h, ptr %r
  ret i32 0
}
)";

TEST(Simulated, AMapReportsTheFirstFailingRow) {
  CompileOptions options;
  options.entry = EntryKind::kMap;
  const FunctionDeclaration declaration{"f", "int64(int64)", Abi::kStatusRetptr};
  ExpectAssembles(kStatus, {declaration}, options);
  Simulated module(kStatus, {declaration}, options);
  ASSERT_TRUE(module.ok());
  std::vector<int64_t> in(100, 10), out(100, -1);
  in[70] = 9;
  in[42] = 7;
  uint64_t outcome = cuda::kAllRowsFine;
  const struct {
    cuda::MapParameters map;
    cuda::Column columns[2];
  } parameters = {{in.size(), reinterpret_cast<uint64_t>(&outcome)},
                  {{reinterpret_cast<uint64_t>(in.data()), 8}, {reinterpret_cast<uint64_t>(out.data()), 8}}};
  module.Launch(0, &parameters, 2, 16);
  EXPECT_EQ(cuda::OutcomeRow(outcome), 42u);
  EXPECT_EQ(cuda::OutcomeStatus(outcome), 7);
  EXPECT_EQ(out[0], 5);
  EXPECT_EQ(out[99], 5);
}

TEST(Simulated, AReductionMeetsItsThreads) {
  CompileOptions options;
  options.entry = EntryKind::kReduce;
  Simulated module(kAdd, {kAddDeclaration}, options);
  ASSERT_TRUE(module.ok());
  const auto& entry = module.artifact().entries[0];
  EXPECT_TRUE(entry.meets);
  constexpr uint32_t kTile = 64 + sizeof(double);  // of a thread
  EXPECT_EQ(entry.shared_bytes, cuda::kReduceThreads * (sizeof(double) + kTile));
  EXPECT_EQ(entry.parameter_bytes, sizeof(cuda::ReduceParameters));
}

constexpr std::string_view kMathModule = R"(
declare double @sin(double)
declare float @powf(float, float)
declare double @llvm.exp.f64(double)
declare <2 x double> @llvm.cos.v2f64(<2 x double>)
declare { double, double } @llvm.modf.f64(double)
declare half @llvm.log2.f16(half)
declare i64 @lround(double)
define double @f(double %a, double %b) {
  %s = call double @sin(double %a)
  %e = call double @llvm.exp.f64(double %b)
  %v0 = insertelement <2 x double> poison, double %a, i32 0
  %v1 = insertelement <2 x double> %v0, double %b, i32 1
  %c = call <2 x double> @llvm.cos.v2f64(<2 x double> %v1)
  %c0 = extractelement <2 x double> %c, i32 0
  %c1 = extractelement <2 x double> %c, i32 1
  %m = call { double, double } @llvm.modf.f64(double %b)
  %m0 = extractvalue { double, double } %m, 0
  %m1 = extractvalue { double, double } %m, 1
  %q = frem double %a, %b
  %r0 = fadd double %s, %e
  %r1 = fadd double %r0, %c0
  %r2 = fadd double %r1, %c1
  %r3 = fadd double %r2, %m0
  %r4 = fmul double %m1, 100.0
  %r5 = fadd double %r3, %r4
  %r6 = fadd double %r5, %q
  ret double %r6
}
define float @g(float %a, float %b) {
  %p = call float @powf(float %a, float %b)
  %h = fptrunc float %p to half
  %l = call half @llvm.log2.f16(half %h)
  %f = fpext half %l to float
  ret float %f
}
define i64 @h(double %a) {
  %r = call i64 @lround(double %a)
  ret i64 %r
}
)";

TEST(Simulated, MathsIsLibdevices) {
  const std::vector<FunctionDeclaration> declarations = {
      {"f", "float64(float64, float64)"}, {"g", "float32(float32, float32)"}, {"h", "int64(float64)"}};
  for (uint8_t level = 0; level <= 3; ++level) {
    SCOPED_TRACE(static_cast<int>(level));
    CompileOptions options;
    options.opt_level = level;
    ExpectAssembles(kMathModule, declarations, options);
    Simulated module(kMathModule, declarations, options);
    ASSERT_TRUE(module.ok());
    for (const double a : {0.5, -3.75, 1e6, 1e300}) {
      for (const double b : {2.5, -1.25}) {
        double whole;
        const double part = std::modf(b, &whole);
        const double expected =
            std::sin(a) + std::exp(b) + std::cos(a) + std::cos(b) + part + whole * 100 + std::fmod(a, b);
        EXPECT_NEAR(module.Call<double>(0, a, b), expected, 1e-12) << a << ' ' << b;
      }
    }
    EXPECT_NEAR(module.Call<float>(1, 2.0f, 3.5f), 3.5f, 0.01f);
    EXPECT_EQ(module.Call<int64_t>(2, -2.5), -3);
  }
}

// A module emitted and the one simulated are one module up to the last step.
TEST(Simulated, IsTheModuleThatIsEmitted) {
  const std::vector<std::pair<std::string_view, std::vector<FunctionDeclaration>>> modules = {
      {kAdd, {kAddDeclaration}},
      {kStatus, {{"f", "int64(int64)", Abi::kStatusRetptr}}},
      {kMathModule, {{"f", "float64(float64, float64)"}}}};
  for (const auto& [ir, declarations] : modules) {
    for (uint8_t level = 0; level <= 3; ++level) {
      for (const auto entry : {EntryKind::kCall, EntryKind::kMap}) {
        CompileOptions options;
        options.opt_level = level;
        options.entry = entry;
        options.emit = Emit::kIr;
        auto emitted = CompileCuda(ir, declarations, options);
        options.simulate = true;
        auto simulated = CompileCuda(ir, declarations, options);
        ASSERT_TRUE(emitted) << Message(emitted);
        ASSERT_TRUE(simulated) << Message(simulated);
        EXPECT_EQ(emitted->code, simulated->code);
        EXPECT_THAT(emitted->code, HasSubstr("nvptx64-nvidia-cuda"));
      }
    }
  }
}

}  // namespace
}  // namespace rbc::testing
