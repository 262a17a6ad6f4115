// Reductions and scans of arrays through a real farm, on host and on the simulator, against plain C++.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <random>

#include "rbc/rbc.h"
#include "tests/harness/farm_test.h"

namespace rbc::harness {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kFunctions[] = R"(
define double @add(double %x, double %y) { %r = fadd double %x, %y
  ret double %r }
define i64 @addi(i64 %x, i64 %y) { %r = add i64 %x, %y
  ret i64 %r }
define i64 @most(i64 %x, i64 %y) { %c = icmp sgt i64 %x, %y
  %r = select i1 %c, i64 %x, i64 %y
  ret i64 %r }
define i64 @last(i64 %x, i64 %y) {
  ret i64 %y }
define i64 @first(i64 %x, i64 %y) {
  ret i64 %x }
define {i64, i64} @then({i64, i64} %x, {i64, i64} %y) {
  %xa = extractvalue {i64, i64} %x, 0
  %xb = extractvalue {i64, i64} %x, 1
  %ya = extractvalue {i64, i64} %y, 0
  %yb = extractvalue {i64, i64} %y, 1
  %a = mul i64 %xa, %ya
  %t = mul i64 %xb, %ya
  %b = add i64 %t, %yb
  %r0 = insertvalue {i64, i64} poison, i64 %a, 0
  %r = insertvalue {i64, i64} %r0, i64 %b, 1
  ret {i64, i64} %r }
define i32 @careful(ptr %result, i64 %x, i64 %y) {
  %bad = icmp eq i64 %y, -1
  br i1 %bad, label %refuse, label %fine
refuse:
  ret i32 9
fine:
  %r = add i64 %x, %y
  store i64 %r, ptr %result
  ret i32 0
}
define double @other(double %x, i64 %y) {
  ret double %x }
)";

class ArrayReductions : public FarmTest, public ::testing::WithParamInterface<const char*> {
 protected:
  FarmOptions Options() const override { return FarmOptions().Set("targets.cuda", "simulate", "true"); }
  bool is_host() const { return std::string_view(GetParam()) == "host"; }
  Caller Named(const std::string& name, const std::string& signature, CallAbi abi = CallAbi::kDirect) {
    RemoteJIT::Options options;
    options.target = GetParam();
    FunctionOptions how;
    how.abi = abi;
    return RemoteJIT(farm().unix_address(), std::move(options))
        .function(Source::Ir(kFunctions), name, {signature}, how);
  }
  static Error ErrorOf(const Result<ArrayResult>& result) {
    if (!result) return result.error();
    ADD_FAILURE() << "no error";
    return {};
  }
  static std::vector<int64_t> Numbers(size_t count, uint64_t seed) {
    std::mt19937_64 random(seed);
    std::vector<int64_t> out(count);
    for (int64_t& value : out) value = static_cast<int64_t>(random() % 1000) - 500;
    return out;
  }
};

TEST_P(ArrayReductions, OfAnyLengthAreThoseOfAPlainLoop) {
  const Caller add = Named("addi", "int64(int64, int64)"), most = Named("most", "int64(int64, int64)");
  for (const size_t count : {1u, 2u, 63u, 64u, 65u, 8191u, 8192u, 8193u, 100'003u}) {
    const auto x = Numbers(count, count);
    EXPECT_THAT(add.reduce(ArrayArgument::Of(x)).as<int64_t>(),
                ElementsAre(std::accumulate(x.begin(), x.end(), int64_t{0})))
        << count;
    EXPECT_THAT(most.reduce(ArrayArgument::Of(x)).as<int64_t>(), ElementsAre(*std::max_element(x.begin(), x.end())))
        << count;
  }
}

TEST_P(ArrayReductions, AlongEachAxis) {
  const Caller add = Named("addi", "int64(int64, int64)");
  const auto x = Numbers(3 * 5 * 7, 1);
  const ArrayArgument cube = ArrayArgument::Of(std::span(x), {3, 5, 7});
  const int64_t steps[] = {35, 7, 1}, lengths[] = {3, 5, 7};
  for (int axis = -3; axis < 3; ++axis) {
    const size_t along = static_cast<size_t>((axis + 3) % 3);
    ArrayReduceOptions options;
    options.axis = axis;
    const auto result = add.reduce(cube, options);
    const auto values = result.as<int64_t>();
    std::vector<int64_t> expected;
    for (int64_t i = 0; i < 3; ++i)
      for (int64_t j = 0; j < 5; ++j)
        for (int64_t k = 0; k < 7; ++k) {
          if ((along == 0 ? i : along == 1 ? j : k) != 0) continue;
          int64_t sum = 0;
          for (int64_t n = 0; n < lengths[along]; ++n)
            sum += x[static_cast<size_t>(i * 35 + j * 7 + k + n * steps[along])];
          expected.push_back(sum);
        }
    EXPECT_EQ(values, expected) << axis;
  }
  ArrayReduceOptions options;
  options.axis = 3;
  EXPECT_EQ(ErrorOf(add.try_reduce(cube, options)).kind, ErrorKind::kInvalidArgument);
}

// Each row a result, in its order.
TEST_P(ArrayReductions, OfManyShortRows) {
  const Caller add = Named("addi", "int64(int64, int64)"), last = Named("last", "int64(int64, int64)");
  const auto x = Numbers(200'000 * 5, 23);
  const ArrayArgument rows = ArrayArgument::Of(std::span(x), {200'000, 5});
  ArrayReduceOptions options;
  options.axis = 1;
  const auto sums = add.reduce(rows, options).as<int64_t>(), ends = last.reduce(rows, options).as<int64_t>();
  ASSERT_EQ(sums.size(), 200'000u);
  for (size_t i = 0; i < sums.size(); ++i) {
    ASSERT_EQ(sums[i], std::accumulate(&x[5 * i], &x[5 * i] + 5, int64_t{0})) << i;
    ASSERT_EQ(ends[i], x[5 * i + 4]) << i;
  }
}

// Whatever the strides, the elements meet in the same order: the bits are the same.
TEST_P(ArrayReductions, OfDoublesAreTheSameBitsForAnyStrides) {
  const Caller add = Named("add", "float64(float64, float64)");
  std::mt19937_64 random(3);
  std::vector<double> x(30'011), wide(2 * x.size()), back(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    x[i] = std::ldexp(static_cast<double>(random() % 1'000'003), static_cast<int>(random() % 80) - 40);
    wide[2 * i] = x[i];
    back[x.size() - 1 - i] = x[i];
  }
  ArrayArgument sparse = ArrayArgument::Of(wide), reversed = ArrayArgument::Of(back);
  sparse.shape = {static_cast<int64_t>(x.size())};
  sparse.strides = {16};
  reversed.data = &back.back();
  reversed.strides = {-8};
  const auto plain = add.reduce(ArrayArgument::Of(x)).data;
  EXPECT_EQ(add.reduce(sparse).data, plain);
  EXPECT_EQ(add.reduce(reversed).data, plain);
  EXPECT_EQ(add.reduce(ArrayArgument::Of(x)).data, plain) << "again";
  double sum = 0;
  std::memcpy(&sum, plain.data(), sizeof sum);
  long double exact = 0;
  for (const double value : x) exact += value;
  EXPECT_NEAR(sum, static_cast<double>(exact), static_cast<double>(exact) * 1e-12);
}

TEST_P(ArrayReductions, OfNothingAreTheIdentity) {
  const Caller add = Named("addi", "int64(int64, int64)");
  const std::vector<int64_t> none;
  EXPECT_THAT(ErrorOf(add.try_reduce(ArrayArgument::Of(none))).message, HasSubstr("identity"));
  ArrayReduceOptions options;
  options.identity = ArrayArgument::One(int64_t{5});
  EXPECT_THAT(add.reduce(ArrayArgument::Of(none), options).as<int64_t>(), ElementsAre(5));
  options.axis = 0;
  ArrayArgument flat = ArrayArgument::Of(none);
  flat.shape = {0, 3};
  EXPECT_THAT(add.reduce(flat, options).as<int64_t>(), ElementsAre(5, 5, 5));
  const std::vector<int64_t> some = {1, 2};
  options.axis.reset();
  EXPECT_THAT(add.reduce(ArrayArgument::Of(some), options).as<int64_t>(), ElementsAre(3));
}

TEST_P(ArrayReductions, InOrderGoFromFirstToLast) {
  const Caller last = Named("last", "int64(int64, int64)");
  const auto x = Numbers(20'001, 9);
  ArrayReduceOptions options;
  options.ordered = true;
  const auto result = last.try_reduce(ArrayArgument::Of(x), options);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_THAT(result->as<int64_t>(), ElementsAre(x.back()));
  // And along an axis, whose elements are far apart.
  options.axis = 0;
  const auto rows = last.reduce(ArrayArgument::Of(std::span(x).first(20'000), {4, 5'000}), options).as<int64_t>();
  EXPECT_EQ(rows, std::vector<int64_t>(x.begin() + 15'000, x.begin() + 20'000));
  // Sums of doubles are those of a plain loop, to the bit.
  const std::vector<double> tenths(10'001, 0.1);
  options.axis.reset();
  const Caller add = Named("add", "float64(float64, float64)");
  EXPECT_THAT(add.reduce(ArrayArgument::Of(tenths), options).as<double>(),
              ElementsAre(std::accumulate(tenths.begin(), tenths.end(), 0.0)));
}

TEST_P(ArrayReductions, ScansAreThoseOfAPlainLoop) {
  const Caller add = Named("addi", "int64(int64, int64)");
  for (const size_t count : {0u, 1u, 2u, 31u, 32u, 33u, 65u, 257u, 8192u, 8193u, 50'000u}) {
    const auto x = Numbers(count, count + 1);
    std::vector<int64_t> expected(count);
    std::partial_sum(x.begin(), x.end(), expected.begin());
    EXPECT_EQ(add.scan(ArrayArgument::Of(x)).as<int64_t>(), expected) << count;
  }
  const std::vector<int64_t> x = {1, 2, 3, 4, 5, 6};
  const ArrayArgument matrix = ArrayArgument::Of(std::span(x), {2, 3});
  ArrayScanOptions options;
  options.axis = 0;
  EXPECT_THAT(add.scan(matrix, options).as<int64_t>(), ElementsAre(1, 2, 3, 5, 7, 9));
  options.axis = -1;
  EXPECT_THAT(add.scan(matrix, options).as<int64_t>(), ElementsAre(1, 3, 6, 4, 9, 15));
  options.axis.reset();
  const auto flat = add.scan(matrix, options);
  EXPECT_THAT(flat.shape, ElementsAre(6));
  EXPECT_THAT(flat.as<int64_t>(), ElementsAre(1, 3, 6, 10, 15, 21));
}

// By functions that do not commute.
TEST_P(ArrayReductions, KeepTheOrderOfTheirElements) {
  const Caller first = Named("first", "int64(int64, int64)"), last = Named("last", "int64(int64, int64)");
  const auto x = Numbers(3'000, 5);
  EXPECT_THAT(first.reduce(ArrayArgument::Of(x)).as<int64_t>(), ElementsAre(x[0]));
  EXPECT_THAT(last.reduce(ArrayArgument::Of(x)).as<int64_t>(), ElementsAre(x.back()));
  EXPECT_EQ(last.scan(ArrayArgument::Of(x)).as<int64_t>(), x);
  EXPECT_EQ(first.scan(ArrayArgument::Of(x)).as<int64_t>(), std::vector<int64_t>(x.size(), x[0]));
  // Affine maps, one after the other: x -> a x + b.
  struct Affine {
    uint64_t a, b;
    bool operator==(const Affine&) const = default;
  };
  std::vector<Affine> steps(2'500), expected;
  std::mt19937_64 random(11);
  for (Affine& step : steps) step = {random() | 1, random()};
  Affine sum = steps[0];
  expected.push_back(sum);
  for (size_t i = 1; i < steps.size(); ++i)
    expected.push_back(sum = {sum.a * steps[i].a, sum.b * steps[i].a + steps[i].b});
  ArrayArgument in;
  in.dtype = "{uint64, uint64}";
  in.data = steps.data();
  in.shape = {static_cast<int64_t>(steps.size())};
  const Caller then = Named("then", "{uint64, uint64}({uint64, uint64}, {uint64, uint64})");
  const auto whole = then.reduce(in);
  EXPECT_EQ(std::memcmp(whole.data.data(), &expected.back(), sizeof(Affine)), 0);
  const auto scanned = then.scan(in);
  ASSERT_EQ(scanned.data.size(), expected.size() * sizeof(Affine));
  EXPECT_EQ(std::memcmp(scanned.data.data(), expected.data(), scanned.data.size()), 0);
}

// More than crosses to a device at once: what came before goes on with the next piece.
TEST_P(ArrayReductions, LargeScansGoOnFromPieceToPiece) {
  const Caller add = Named("addi", "int64(int64, int64)");
  ArrayArgument sevens = ArrayArgument::One(int64_t{7});
  sevens.shape = {(4 << 20) + 12'345};
  sevens.strides = {0};
  const auto sums = add.scan(sevens).as<int64_t>();
  ASSERT_EQ(sums.size(), static_cast<size_t>(sevens.shape[0]));
  for (size_t i = 0; i < sums.size(); ++i) ASSERT_EQ(sums[i], static_cast<int64_t>(7 * (i + 1)));
  const auto x = Numbers((4 << 20) + 12'345, 17);
  ArrayReduceOptions options;
  options.ordered = true;
  EXPECT_THAT(add.reduce(ArrayArgument::Of(x), options).as<int64_t>(),
              ElementsAre(std::accumulate(x.begin(), x.end(), int64_t{0})));
}

TEST_P(ArrayReductions, AStatusIsTold) {
  const Caller careful = Named("careful", "int64(int64, int64)", CallAbi::kStatusRetptr);
  auto x = std::vector<int64_t>(40'000, 1);
  EXPECT_THAT(careful.reduce(ArrayArgument::Of(x)).as<int64_t>(), ElementsAre(40'000));
  x[39'000] = -1;
  EXPECT_EQ(careful.reduce(ArrayArgument::Of(x)).status, 9);
  EXPECT_EQ(careful.scan(ArrayArgument::Of(x)).status, 9);
}

TEST_P(ArrayReductions, OtherSignaturesAreRefused) {
  const std::vector<double> x = {1, 2};
  const auto kind = ErrorOf(Named("other", "float64(float64, int64)").try_reduce(ArrayArgument::Of(x))).kind;
  EXPECT_THAT(kind, ::testing::AnyOf(ErrorKind::kInvalidArgument, ErrorKind::kNoMatch));
}

INSTANTIATE_TEST_SUITE_P(Targets, ArrayReductions, ::testing::Values("host", "cuda"),
                         [](const auto& target) { return std::string(target.param); });

}  // namespace
}  // namespace rbc::harness
