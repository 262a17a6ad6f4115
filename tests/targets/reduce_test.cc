// Reductions and scans on host, called as a worker calls them.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numeric>
#include <random>

#include "tests/targets/bulk.h"

namespace rbc::testing {
namespace {

constexpr std::string_view kFunctions = R"(
define double @add(double %a, double %b) {
  %c = fadd double %a, %b
  ret double %c
}
define double @max(double %a, double %b) {
  %m = fcmp olt double %a, %b
  %c = select i1 %m, double %b, double %a
  ret double %c
}
define i32 @xor(i32 %a, i32 %b) {
  %c = xor i32 %a, %b
  ret i32 %c
}
define i64 @mul(i64 %a, i64 %b) {
  %c = mul nsw i64 %a, %b
  ret i64 %c
}
; Associative and not commutative: the composition of x -> s x + t.
define { double, double } @compose({ double, double } %f, { double, double } %g) {
  %fs = extractvalue { double, double } %f, 0
  %ft = extractvalue { double, double } %f, 1
  %gs = extractvalue { double, double } %g, 0
  %gt = extractvalue { double, double } %g, 1
  %s = fmul double %fs, %gs
  %m = fmul double %ft, %gs
  %t = fadd double %m, %gt
  %r0 = insertvalue { double, double } undef, double %s, 0
  %r1 = insertvalue { double, double } %r0, double %t, 1
  ret { double, double } %r1
}
define i64 @last(i64 %a, i64 %b) {
  ret i64 %b
}
; Fails with 5 where the sum is over 1000.
define i32 @bounded(ptr %out, i64 %a, i64 %b) {
  %c = add i64 %a, %b
  %bad = icmp sgt i64 %c, 1000
  br i1 %bad, label %fail, label %good
fail:
  ret i32 5
good:
  store i64 %c, ptr %out
  ret i32 0
}
)";

FunctionDeclaration Of(const std::string& name, const std::string& type, Abi abi = Abi::kDirect) {
  return {name, type + "(" + type + ", " + type + ")", abi};
}

CompileOptions With(EntryKind kind) {
  CompileOptions options;
  options.entry = kind;
  return options;
}

template <typename T>
T Reduce(Loaded& module, const T* data, uint64_t rows, int64_t stride = sizeof(T), bool leaves = false) {
  alignas(16) T value[4] = {};
  EXPECT_EQ(RunBulk(module, rows, {{data, stride}}, value, leaves).status, 0);
  return value[0];
}

std::vector<double> Noise(size_t rows) {
  std::mt19937_64 random(11);
  std::normal_distribution<double> normal;
  std::vector<double> values(rows);
  for (double& value : values) value = normal(random) * std::exp2(random() % 20);
  return values;
}

constexpr size_t kSizes[] = {1, 2, 3, 63, 64, 65, 127, 1000, 8191, 8192, 8193, 20000, 100000};

TEST(Reduce, IntegersAreExactForAnyNumberOfRows) {
  Loaded bits(kFunctions, {Of("xor", "int32")}, With(EntryKind::kReduce));
  Loaded product(kFunctions, {Of("mul", "int64")}, With(EntryKind::kReduce));
  Loaded last(kFunctions, {Of("last", "int64")}, With(EntryKind::kReduce));
  ASSERT_TRUE(bits.ok() && product.ok() && last.ok());
  std::mt19937_64 random(3);
  for (const size_t rows : kSizes) {
    std::vector<int32_t> small(rows);
    std::vector<int64_t> odd(rows);
    for (auto& value : small) value = static_cast<int32_t>(random());
    for (auto& value : odd) value = static_cast<int64_t>(random() | 1);
    EXPECT_EQ(Reduce(bits, small.data(), rows), std::accumulate(small.begin(), small.end(), 0, std::bit_xor<>()));
    uint64_t expected = 1;
    for (const auto value : odd) expected *= static_cast<uint64_t>(value);
    EXPECT_EQ(Reduce(product, odd.data(), rows), static_cast<int64_t>(expected)) << rows;
    EXPECT_EQ(Reduce(last, odd.data(), rows), odd.back()) << "rows keep their order";
  }
}

TEST(Reduce, SumsAreCloserThanOneByOne) {
  Loaded module(kFunctions, {Of("add", "float64")}, With(EntryKind::kReduce));
  ASSERT_TRUE(module.ok());
  const auto values = Noise(1000000);
  const long double truth = std::accumulate(values.begin(), values.end(), 0.0L);
  const double plain = std::accumulate(values.begin(), values.end(), 0.0);
  EXPECT_LE(std::fabs(Reduce(module, values.data(), values.size()) - truth), std::fabs(plain - truth));
}

TEST(Reduce, MaximumOfAnyColumn) {
  Loaded module(kFunctions, {Of("max", "float64")}, With(EntryKind::kReduce));
  ASSERT_TRUE(module.ok());
  for (const size_t rows : kSizes) {
    auto values = Noise(3 * rows);
    EXPECT_EQ(Reduce(module, values.data(), rows), *std::max_element(values.begin(), values.begin() + rows));
    double strided = values[0];
    for (size_t i = 0; i < rows; ++i) strided = std::max(strided, values[3 * i]);
    EXPECT_EQ(Reduce(module, values.data(), rows, 24), strided);
    EXPECT_EQ(Reduce(module, &values[rows - 1], rows, -8), *std::max_element(values.begin(), values.begin() + rows));
  }
}

TEST(Reduce, AStridedColumnGivesTheBitsOfADenseOne) {
  Loaded module(kFunctions, {Of("add", "float64")}, With(EntryKind::kReduce));
  ASSERT_TRUE(module.ok());
  for (const size_t rows : kSizes) {
    const auto dense = Noise(rows);
    std::vector<double> wide(2 * rows);
    for (size_t i = 0; i < rows; ++i) wide[2 * i] = dense[i];
    EXPECT_EQ(Reduce(module, dense.data(), rows), Reduce(module, wide.data(), rows, 16));
  }
}

// As target.h says: runs of 2^k leaves, then the tree over their values.
TEST(Reduce, AnySplitAtLeavesGivesTheSameBits) {
  Loaded module(kFunctions, {Of("add", "float64")}, With(EntryKind::kReduce));
  ASSERT_TRUE(module.ok());
  for (const size_t rows : {8192, 8193, 50000, 100000, 300001}) {
    const auto values = Noise(rows);
    const double whole = Reduce(module, values.data(), rows);
    for (const size_t run : {8192, 16384, 65536, 262144}) {
      std::vector<double> parts;
      for (size_t first = 0; first < rows; first += run) {
        parts.push_back(Reduce(module, values.data() + first, std::min(run, rows - first)));
      }
      EXPECT_EQ(Reduce(module, parts.data(), parts.size(), 8, true), whole) << rows << " by " << run;
    }
  }
}

TEST(Reduce, FunctionsThatDoNotCommuteKeepTheirOrder) {
  struct Line {
    double slope, offset;
  };
  Loaded module(kFunctions, {{"compose", "complex128(complex128, complex128)", Abi::kDirect}},
                With(EntryKind::kReduce));
  ASSERT_TRUE(module.ok());
  for (const size_t rows : {1, 2, 65, 8193, 20000}) {
    std::vector<Line> lines(rows);
    // Slopes of one and small integers: exact, so that any order of brackets gives the same.
    for (size_t i = 0; i < rows; ++i) lines[i] = {i % 7 == 3 ? -1.0 : 1.0, static_cast<double>(i % 11)};
    Line expected = lines[0];
    for (size_t i = 1; i < rows; ++i) {
      expected = {expected.slope * lines[i].slope, expected.offset * lines[i].slope + lines[i].offset};
    }
    Line value;
    alignas(16) std::byte result[64];
    RunBulk(module, rows, {{lines.data(), sizeof(Line)}}, result);
    std::memcpy(&value, result, sizeof value);
    EXPECT_EQ(value.slope, expected.slope);
    EXPECT_EQ(value.offset, expected.offset);
  }
}

TEST(Reduce, AStatusEndsIt) {
  Loaded module(kFunctions, {Of("bounded", "int64", Abi::kStatusRetptr)}, With(EntryKind::kReduce));
  ASSERT_TRUE(module.ok());
  const std::vector<int64_t> few(1000, 1), many(1001, 1);
  EXPECT_EQ(Reduce(module, few.data(), few.size()), 1000);
  EXPECT_EQ(RunBulk(module, many.size(), {{many.data(), 8}}).status, 5);
}

TEST(Reduce, OnlyFunctionsOfTwoEqualValues) {
  for (const auto kind : {EntryKind::kReduce, EntryKind::kScan}) {
    auto artifact = Compile("define double @f(double %a, i64 %b) { ret double %a }",
                            {{"f", "float64(float64, int64)", Abi::kDirect}}, With(kind));
    ASSERT_FALSE(artifact);
    EXPECT_EQ(artifact.error().kind, ErrorKind::kInvalidArgument);
    EXPECT_THAT(artifact.error().message, ::testing::HasSubstr("two values of one type"));
  }
}

TEST(ReduceCode, SumsAndMaximaAreVectors) {
  for (const char* name : {"add", "max"}) {
    const auto artifact = Compile(kFunctions, {Of(name, "float64")}, With(EntryKind::kReduce));
    ASSERT_TRUE(artifact) << Message(artifact);
    const auto code = Disassembly(artifact->code);
    ASSERT_FALSE(code.empty()) << "objdump is missing; scripts/install-deps";
    EXPECT_GE(CountOf(code, name == std::string("add") ? "v?addpd" : "v?(max|min)pd"), 8) << name;
  }
}

TEST(Scan, IsInclusiveAndGoesOnFromWhatCameBefore) {
  Loaded module(kFunctions, {Of("add", "float64")}, With(EntryKind::kScan));
  ASSERT_TRUE(module.ok());
  const auto values = Noise(1000);
  std::vector<double> expected(values.size()), out(values.size());
  std::partial_sum(values.begin(), values.end(), expected.begin());
  EXPECT_EQ(RunBulk(module, values.size(), {{values.data(), 8}, {out.data(), 8}}).status, 0);
  EXPECT_EQ(out, expected);
  std::fill(out.begin(), out.end(), 0);
  for (const size_t cut : {1, 64, 999}) {
    RunBulk(module, cut, {{values.data(), 8}, {out.data(), 8}});
    const double before = out[cut - 1];
    RunBulk(module, values.size() - cut, {{&values[cut], 8}, {&out[cut], 8}}, nullptr,
            reinterpret_cast<uintptr_t>(&before));
    EXPECT_EQ(out, expected);
  }
  EXPECT_EQ(RunBulk(module, 0, {{values.data(), 8}, {out.data(), 8}}).status, 0);
}

TEST(Scan, NamesTheRowThatFails) {
  Loaded module(kFunctions, {Of("bounded", "int64", Abi::kStatusRetptr)}, With(EntryKind::kScan));
  ASSERT_TRUE(module.ok());
  std::vector<int64_t> values(2000, 1);
  const auto run = RunBulk(module, values.size(), {{values.data(), 8}, {values.data(), 8}});
  EXPECT_EQ(run.status, 5);
  EXPECT_EQ(run.failed_row, 1000);
  EXPECT_EQ(values[999], 1000);
}

}  // namespace
}  // namespace rbc::testing
