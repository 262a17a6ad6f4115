// Batches through librbc: many calls in one message, each with its own result, error and output.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <complex>
#include <optional>
#include <tuple>
#include <vector>

#include "rbc/rbc.h"
#include "tests/harness/farm_test.h"

namespace rbc::harness {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

using UserValue = ::rbc::Value;  // the harness has one of its own by the same name

// root: a status for negative numbers; crash: of 7; print: each number.
constexpr char kSource[] = R"(
int printf(const char *, ...);
double add(double x, double y) { return x + y; }
int root(double *out, double x) { if (x < 0) return 33; *out = x * 0.5; return 0; }
long crash(long n) { if (n == 7) *(volatile int *)8 = 1; return n + 1; }
_Bool odd(signed char n) { printf("%d;", n); return n & 1; }
void say(long n) { printf("<%ld>", n); }
unsigned long length(const char *text) { unsigned long n = 0; while (text[n]) n++; return n; }
)";

class LibraryBatch : public FarmTest, public ::testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {
    FarmTest::SetUp();
    RemoteJIT::Options options;
    options.on_output = [this](std::string_view text) { printed_.append(text); };
    jit_.emplace(std::string(GetParam()) == "unix" ? farm().unix_address() : farm().tcp_address(), options);
  }
  template <typename F>
  Function<F> Of(const char* name) const {
    return jit_->function<F>(Source::C(kSource), name);
  }
  std::optional<RemoteJIT> jit_;
  std::string printed_;
};
INSTANTIATE_TEST_SUITE_P(Over, LibraryBatch, ::testing::Values("unix", "tcp"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(LibraryBatch, EachRowHasItsResult) {
  const auto add = Of<double(double, double)>("add");
  std::vector<std::tuple<double, double>> rows;
  for (int i = 0; i < 10'000; ++i) rows.emplace_back(i, 0.25);
  for (const size_t count : {size_t{0}, size_t{1}, size_t{10'000}}) {
    const std::vector<double> sums = add.batch(std::span(rows).first(count));
    ASSERT_THAT(sums, SizeIs(count));
    for (size_t i = 0; i < count; ++i) ASSERT_EQ(sums[i], static_cast<double>(i) + 0.25);
  }
  const uint64_t before = farm().StatusJson()["connections"]["messages"].get<uint64_t>();
  add.batch(rows);
  EXPECT_LT(farm().StatusJson()["connections"]["messages"].get<uint64_t>() - before, 10u) << "not a message each";
}

TEST_P(LibraryBatch, PlainTypesOfAllKinds) {
  const auto odd = Of<bool(int8_t)>("odd");
  EXPECT_EQ(odd.batch(std::vector<std::tuple<int8_t>>{1, 2, -3}), (std::vector<bool>{true, false, true}));
  EXPECT_EQ(printed_, "1;2;-3;");
  Of<void(int64_t)>("say").batch(std::vector<std::tuple<int64_t>>{4, 5});
  EXPECT_EQ(printed_, "1;2;-3;<4><5>");
  const auto told = Of<void(int64_t)>("say").try_batch(std::vector<std::tuple<int64_t>>{6});
  ASSERT_TRUE(told);
  ASSERT_THAT(*told, SizeIs(1));
  EXPECT_TRUE((*told)[0].has_value());
}

TEST_P(LibraryBatch, ARowThatFailsStopsNoOther) {
  FunctionOptions options;
  options.abi = CallAbi::kStatusRetptr;
  const auto root = jit_->function<double(double)>(Source::C(kSource), "root", options);
  const std::vector<std::tuple<double>> rows{4.0, -1.0, 6.0};
  const auto results = ValueOrThrow(root.try_batch(rows));
  ASSERT_THAT(results, SizeIs(3));
  EXPECT_EQ(results[0].value(), 2.0);
  ASSERT_FALSE(results[1]);
  EXPECT_THAT(results[1].error().message, HasSubstr("status 33"));
  EXPECT_EQ(results[2].value(), 3.0);
  try {
    root.batch(rows);
    FAIL() << "nothing was thrown";
  } catch (const Exception& thrown) {
    EXPECT_THAT(thrown.error().message, HasSubstr("row 1: "));
    EXPECT_EQ(thrown.error().function, "root");
  }
}

TEST_P(LibraryBatch, ACrashIsTheErrorOfItsRow) {
  const auto crash = Of<int64_t(int64_t)>("crash");
  const std::vector<std::tuple<int64_t>> rows{5, 6, 7, 8};
  const auto results = ValueOrThrow(crash.try_batch(rows));
  ASSERT_THAT(results, SizeIs(4));
  EXPECT_EQ(results[0].value(), 6);
  EXPECT_EQ(results[1].value(), 7);
  ASSERT_FALSE(results[2]);
  EXPECT_EQ(results[2].error().kind, ErrorKind::kRemoteCrash);
  EXPECT_EQ(results[2].error().function, "crash");
  EXPECT_EQ(results[3].value(), 9) << "a new worker goes on";
}

TEST_P(LibraryBatch, ValuesTakeTheSignatureThatFitsEachRow) {
  auto caller = jit_->function(Source::C(kSource), "add", {"float64(float64, float64)"});
  const std::vector<std::vector<UserValue>> rows{
      {UserValue(1.5), UserValue(2.0)}, {UserValue("text"), UserValue(2.0)}, {UserValue(1), UserValue(2)}};
  const auto results = ValueOrThrow(caller.try_batch(rows));
  ASSERT_THAT(results, SizeIs(3));
  ASSERT_TRUE(results[0]) << results[0].error().message;
  ASSERT_TRUE(results[2]) << results[2].error().message;
  EXPECT_EQ(results[0]->value.as<double>(), 3.5);
  EXPECT_EQ(results[0]->signature, "float64(float64, float64)");
  ASSERT_FALSE(results[1]);
  EXPECT_EQ(results[1].error().kind, ErrorKind::kNoMatch);
  EXPECT_EQ(results[2]->value.as<double>(), 3.0);
  const auto length = jit_->function(Source::C(kSource), "length", {"uint64(string)"});
  const auto lengths =
      ValueOrThrow(length.try_batch(std::vector<std::vector<UserValue>>{{UserValue("ab")}, {UserValue("")}}));
  for (const auto& each : lengths) ASSERT_TRUE(each) << each.error().message;
  EXPECT_EQ(lengths[0]->value.repr(), "2");
  EXPECT_EQ(lengths[1]->value.repr(), "0");
}

TEST_P(LibraryBatch, WhatIsWrongWithAllOfThemIsToldOnce) {
  const auto add = Of<double(double, double)>("add");
  const auto broken = jit_->function<double(double)>(Source::Ir("define double @f(double %x) {\n nonsense\n}\n"), "f");
  const auto compiled = broken.try_batch(std::vector<std::tuple<double>>{1.0});
  ASSERT_FALSE(compiled);
  EXPECT_EQ(compiled.error().kind, ErrorKind::kInvalidModule);
  farm().KillDaemon();
  DaemonMayChange();
  const auto lost = add.try_batch(std::vector<std::tuple<double, double>>{{1.0, 2.0}});
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().kind, ErrorKind::kConnectionLost) << lost.error().message;
}

}  // namespace
}  // namespace rbc::harness
