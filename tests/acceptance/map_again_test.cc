// Maps over arrays that stay, asked for again and again: librbc repeats them as calls, and nobody can tell.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/acceptance/asked_again.h"
#include "tests/harness/ir.h"
#include "tests/harness/library.h"

namespace rbc::harness {
namespace {

using std::chrono::milliseconds;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr size_t kCount = 1000;

constexpr char kCode[] = R"(
int printf(const char *, ...);
double add(double x, double y) { return x + y; }
double tell(double x) { if (x < 0) printf("%g is negative\n", x); return -x; }
double fatal(double x) { return x < 0 ? *(volatile double *)8 : 2 * x; }
double endless(double x) { volatile int on = x < 0; while (on) {} return x; }
int checked(double *out, double x) { *out = x; return x < 0 ? 7 : 0; }
)";

class MapAgain : public AskedAgain {
 protected:
  Caller Named(const std::string& name, const std::string& signature) const {
    FunctionOptions options;
    if (name == "checked") options.abi = CallAbi::kStatusRetptr;
    return jit_->function(Source::C(kCode), name, {signature}, options);
  }
  static Result<ArrayResult> Map(const Caller& caller, const std::vector<ArrayArgument>& inputs, const Buffer& out) {
    ArrayMapOptions options;
    options.out = ArrayArgument::Of(out);
    return caller.try_map_arrays(inputs, options);
  }
  // Runs `map` until it has taken the short way for long.
  template <typename F>
  void Warm(F&& map) {
    for (int i = 0; i < kTimes; ++i) ASSERT_TRUE(map());
  }
  // What a map that is cancelled, at once or when it runs, ends with.
  Error CancelAMap(const Caller& endless, const Buffer& from, const Buffer& into) const {
    std::optional<Result<ArrayResult>> ended;
    Cancelled([&] { ended = Map(endless, {ArrayArgument::Of(from)}, into); });
    EXPECT_FALSE(*ended);
    const Error error = *ended ? Error(ErrorKind::kInternal, "it ended by itself") : ended->error();
    EXPECT_EQ(error.kind, ErrorKind::kCancelled) << error.message;
    return error;
  }
};

TEST_P(MapAgain, GivesWhatTheFirstGave) {
  const Caller add = Named("add", "float64(float64, float64)");
  const Buffer x = jit_->to_device(Counting(kCount)), y = jit_->to_device(Counting(kCount)),
               z = jit_->to_device(Numbers(kCount));
  for (int i = 0; i < kTimes; ++i) {
    Numbers now = Counting(kCount);
    now[i] = 1e6 + i;
    x.copy_from(now);
    const auto done = Map(add, {ArrayArgument::Of(x), ArrayArgument::Of(y)}, z);
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_EQ(done->dtype, "float64");
    EXPECT_THAT(done->shape, ElementsAre(kCount));
    EXPECT_EQ(done->signature, "float64(float64, float64)");
    EXPECT_EQ(done->status, 0);
    EXPECT_EQ(done->row, -1);
    const Numbers got = z.to_host<double>();
    for (size_t k = 0; k < kCount; ++k) ASSERT_EQ(got[k], now[k] + static_cast<double>(k)) << i;
  }
}

TEST_P(MapAgain, TheDaemonIsNotAskedEachTime) {
  const Caller add = Named("add", "float64(float64, float64)");
  const Buffer x = jit_->to_device(Counting(kCount)), z = jit_->to_device(Numbers(kCount));
  const auto again = [&] { return Map(add, {ArrayArgument::Of(x), ArrayArgument::One(0.5)}, z).has_value(); };
  Warm(again);
  const int before = Messages();
  for (int i = 0; i < 500; ++i) ASSERT_TRUE(again());
  EXPECT_LT(Messages() - before, 50);
  EXPECT_EQ(z.to_host<double>()[3], 3.5);
}

// Each is another map, however alike.
TEST_P(MapAgain, ValuesViewsAndAccuraciesAreToldApart) {
  const Caller add = Named("add", "float64(float64, float64)");
  const Buffer x = jit_->to_device(Counting(kCount)), z = jit_->to_device(Numbers(kCount));
  const Buffer odd = x.slice(0, 1, kCount, 2), half = z.slice(0, 0, kCount / 2);
  for (int i = 0; i < kTimes; ++i) {
    ASSERT_TRUE(Map(add, {ArrayArgument::Of(x), ArrayArgument::One(i * 0.5)}, z));
    ASSERT_EQ(z.to_host<double>()[9], 9 + i * 0.5);
    ASSERT_TRUE(Map(add, {ArrayArgument::Of(odd), ArrayArgument::One(0.25)}, half));
    ASSERT_EQ(z.to_host<double>()[9], 19.25);
    ASSERT_TRUE(Map(add, {ArrayArgument::Of(x), ArrayArgument::Of(x)}, z));
    ASSERT_EQ(z.to_host<double>()[9], 18);
    ASSERT_TRUE(Map(add, {ArrayArgument::Of(z), ArrayArgument::One(1.0)}, z)) << "in place";
    ASSERT_EQ(z.to_host<double>()[9], 19);
  }
}

TEST_P(MapAgain, TellsStatusElementAndOutput) {
  const Caller checked = Named("checked", "float64(float64)"), tell = Named("tell", "float64(float64)");
  const Buffer x = jit_->to_device(Counting(kCount)), z = jit_->to_device(Numbers(kCount));
  Warm([&] { return Map(checked, {ArrayArgument::Of(x)}, z) && Map(tell, {ArrayArgument::Of(x)}, z); });
  EXPECT_EQ(printed_, "");
  Numbers bad = Counting(kCount);
  bad[400] = bad[70] = -3;
  x.copy_from(bad);
  const auto failed = Map(checked, {ArrayArgument::Of(x)}, z);
  ASSERT_TRUE(failed) << failed.error().message;
  EXPECT_EQ(failed->status, 7);
  EXPECT_EQ(failed->row, 70);
  EXPECT_THAT(failed->index, ElementsAre(70));
  const auto told = Map(tell, {ArrayArgument::Of(x)}, z);
  ASSERT_TRUE(told) << told.error().message;
  EXPECT_EQ(told->output, "-3 is negative\n-3 is negative\n");
  EXPECT_EQ(printed_, told->output);
  EXPECT_EQ(z.to_host<double>()[70], 3);
}

TEST_P(MapAgain, WhatItWroteWhenItDiedIsLostByName) {
  const Caller fatal = Named("fatal", "float64(float64)"), add = Named("add", "float64(float64, float64)");
  const Buffer x = jit_->to_device(Counting(kCount)), other = jit_->to_device(Numbers(kCount));
  const Buffer prices = jit_->to_device(Counting(kCount), {.name = "prices"});
  Warm([&] {
    return Map(fatal, {ArrayArgument::Of(x)}, prices) && Map(add, {ArrayArgument::Of(x), ArrayArgument::Of(x)}, prices);
  });
  Warm([&] { return Map(add, {ArrayArgument::Of(x), ArrayArgument::Of(x)}, other).has_value(); });
  Numbers bad = Counting(kCount);
  bad[500] = -1;
  x.copy_from(bad);
  const auto died = Map(fatal, {ArrayArgument::Of(x)}, prices);
  ASSERT_FALSE(died);
  EXPECT_EQ(died.error().kind, ErrorKind::kRemoteCrash) << died.error().message;
  EXPECT_EQ(died.error().function, "fatal");
  const auto lost = Map(add, {ArrayArgument::Of(x), ArrayArgument::Of(x)}, prices);
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().kind, ErrorKind::kBufferLost) << lost.error().message;
  EXPECT_THAT(lost.error().message, AllOf(HasSubstr("\"prices\""), HasSubstr("'fatal'"), HasSubstr("RemoteCrash")));
  Warm([&] { return Map(add, {ArrayArgument::Of(x), ArrayArgument::Of(x)}, other).has_value(); });
  EXPECT_EQ(other.to_host<double>()[500], -2);
}

TEST_P(MapAgain, EndsAtItsDeadlineOrWhenCancelled) {
  const Caller endless = Named("endless", "float64(float64)");
  const Buffer x = jit_->to_device(Counting(kCount)), z = jit_->to_device(Numbers(kCount), {.name = "z"});
  Warm([&] { return Map(endless, {ArrayArgument::Of(x)}, z).has_value(); });
  x.copy_from(Numbers(kCount, -1.0));
  const auto late = Map(endless.with_timeout(milliseconds(2000)), {ArrayArgument::Of(x)}, z);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().kind, ErrorKind::kDeadlineExceeded) << late.error().message;
  const auto lost = Map(endless, {ArrayArgument::Of(x)}, z);
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().kind, ErrorKind::kBufferLost) << lost.error().message;
  EXPECT_THAT(lost.error().message, HasSubstr("DeadlineExceeded"));

  const Buffer y = jit_->to_device(Counting(kCount)), into = jit_->to_device(Numbers(kCount));
  Warm([&] { return Map(endless, {ArrayArgument::Of(y)}, into).has_value(); });
  y.copy_from(Numbers(kCount, -1.0));
  Error cancelled = CancelAMap(endless, y, into);
  for (int i = 0; i < 20 && !cancelled.may_have_run; ++i) {  // too early: nothing ran, nothing is lost
    EXPECT_EQ(into.to_host<double>().size(), kCount);
    cancelled = CancelAMap(endless, y, into);
  }
  ASSERT_TRUE(cancelled.may_have_run);
  EXPECT_EQ(Map(endless, {ArrayArgument::Of(y)}, into).error().kind, ErrorKind::kBufferLost);
}

TEST_P(MapAgain, FreedBuffersAndModulesAreNotUsed) {
  const Buffer x = jit_->to_device(Counting(kCount)), z = jit_->to_device(Numbers(kCount));
  std::optional<Caller> add = Named("add", "float64(float64, float64)");
  const Buffer y = jit_->to_device(Counting(kCount));
  const ArrayArgument by_id{"float64", nullptr, {kCount}, {8}, y.id(), 0};
  Warm([&] { return Map(*add, {ArrayArgument::Of(x), by_id}, z).has_value(); });
  y.free();
  const auto gone = Map(*add, {ArrayArgument::Of(x), by_id}, z);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().kind, ErrorKind::kBufferLost) << gone.error().message;
  std::optional<Buffer> held = jit_->to_device(Counting(kCount));
  const ArrayArgument same{"float64", nullptr, {kCount}, {8}, held->id(), 0};
  Warm([&] { return Map(*add, {ArrayArgument::Of(x), same}, z).has_value(); });
  held.reset();
  EXPECT_EQ(Map(*add, {ArrayArgument::Of(x), same}, z).error().kind, ErrorKind::kBufferLost);
  add.reset();
  add = Named("add", "float64(float64, float64)");
  ASSERT_TRUE(Map(*add, {ArrayArgument::Of(x), ArrayArgument::Of(x)}, z));
  EXPECT_EQ(z.to_host<double>()[4], 8);
}

TEST_P(MapAgain, ManyThreadsAtOnce) {
  const Caller add = Named("add", "float64(float64, float64)");
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 6; ++t)
    threads.emplace_back([&, t] {
      const Buffer x = jit_->to_device(Counting(kCount)), z = jit_->to_device(Numbers(kCount));
      for (int i = 0; i < 100; ++i) {
        wrong += !Map(add, {ArrayArgument::Of(x), ArrayArgument::One(t * 1000.0)}, z);
        wrong += z.to_host<double>()[7] != 7 + t * 1000.0;
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

INSTANTIATE_TEST_SUITE_P(Ways, MapAgain, ::testing::Values(Way::kRing, Way::kUnix, Way::kTcp), NameOf);

}  // namespace
}  // namespace rbc::harness
