// Arrays that a function was given when its worker died: what it may have been writing is lost by name, on every way of
// calls; what it only reads is as it was.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/acceptance/asked_again.h"
#include "tests/harness/library.h"

namespace rbc::harness {
namespace {

using std::chrono::milliseconds;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr size_t kCount = 1000;

constexpr char kCode[] = R"(
void twice(const double *x, long n, double *out, long m) {
  for (long i = 0; i < n; i++) {
    out[i] = 2 * x[i];
    if (x[i] == -1) *(volatile int *)8 = 1;
    while (x[i] == -2) out[i] = x[i];
  }
}
double sum(const double *x, long n) {
  double sum = 0;
  for (long i = 0; i < n; i++) sum += x[i];
  if (sum < 0) __builtin_trap();
  return sum;
}
)";

class WrittenArguments : public AskedAgain {
 protected:
  void SetUp() override {
    AskedAgain::SetUp();
    x_ = jit_->to_device(Counting(kCount), {.name = "prices"});
    out_ = jit_->to_device(Counting(kCount), {.name = "result"});
    spare_ = jit_->to_device(Counting(kCount), {.name = "spare"});
  }
  void TearDown() override {
    x_.reset(), out_.reset(), spare_.reset(), jit_.reset();
    AskedAgain::TearDown();
  }
  Caller Twice() const { return jit_->function(Source::C(kCode), "twice", {"void(float64[::1], float64[::1])"}); }
  Caller Sum() const { return jit_->function(Source::C(kCode), "sum", {"float64(float64[::1])"}); }
  // Runs until it has taken the short way for long.
  void Warm(const Caller& twice) const {
    for (int i = 0; i < kTimes; ++i) twice(*x_, *out_);
    EXPECT_EQ(out_->to_host<double>()[7], 14);
  }
  void ExpectLost(const Buffer& buffer, const std::string& name, const std::string& why) const {
    Numbers copy(kCount);
    for (const Error& error : {ErrorOf([&] { buffer.copy_to(std::span(copy)); }),
                               ErrorOf([&] { buffer.copy_from(copy); }), ErrorOf([&] { Sum()(buffer); })}) {
      EXPECT_EQ(error.kind, ErrorKind::kBufferLost) << error.message;
      EXPECT_THAT(error.message, AllOf(HasSubstr("\"" + name + "\""), HasSubstr("'twice'"), HasSubstr(why)));
    }
  }

  std::optional<Buffer> x_, out_, spare_;
};

TEST_P(WrittenArguments, AreLostByNameAfterACrash) {
  const Caller twice = Twice();
  Warm(twice);
  x_->slice(0, 500, 501).copy_from(Numbers{-1});
  const Error died = ErrorOf([&] { twice(*x_, *out_); });
  EXPECT_EQ(died.kind, ErrorKind::kRemoteCrash) << died.message;
  ExpectLost(*out_, "result", "RemoteCrash");
  EXPECT_EQ(x_->to_host<double>()[7], 7) << "it is only read";
  EXPECT_TRUE(spare_->to_host<double>() == Counting(kCount)) << "the call did not have it";
  EXPECT_EQ(jit_->buffers().size(), 2u);
  const Buffer x = jit_->to_device(Counting(kCount));
  twice(x, *spare_);
  EXPECT_EQ(spare_->to_host<double>()[7], 14);
}

// Read by one name and written by another.
TEST_P(WrittenArguments, AreLostWhereTheyAreAlsoRead) {
  const Caller twice = Twice();
  Warm(twice);
  out_->slice(0, 500, 501).copy_from(Numbers{-0.5});  // doubled before it is looked at
  const Error died = ErrorOf([&] { twice(*out_, *out_); });
  EXPECT_EQ(died.kind, ErrorKind::kRemoteCrash) << died.message;
  ExpectLost(*out_, "result", "RemoteCrash");
}

// The first call, of which the daemon sees all; a view loses what it is of.
TEST_P(WrittenArguments, AViewLosesItsArray) {
  x_->slice(0, 3, 4).copy_from(Numbers{-1});
  const Error died = ErrorOf([&] { Twice()(x_->slice(0, 0, 10), out_->slice(0, 990, 1000)); });
  EXPECT_EQ(died.kind, ErrorKind::kRemoteCrash) << died.message;
  ExpectLost(*out_, "result", "RemoteCrash");
}

TEST_P(WrittenArguments, AreLostAtADeadline) {
  const Caller twice = Twice();
  Warm(twice);
  x_->slice(0, 500, 501).copy_from(Numbers{-2});
  const Error late = ErrorOf([&] { twice.with_timeout(milliseconds(2000))(*x_, *out_); });
  EXPECT_EQ(late.kind, ErrorKind::kDeadlineExceeded) << late.message;
  ExpectLost(*out_, "result", "DeadlineExceeded");
}

TEST_P(WrittenArguments, WhatIsOnlyReadStays) {
  const Caller sum = Sum();
  for (int i = 0; i < kTimes; ++i) EXPECT_EQ(sum(*x_).as<double>(), 499'500);
  x_->slice(0, 0, 1).copy_from(Numbers{-1e9});
  const Error died = ErrorOf([&] { sum(*x_); });
  EXPECT_EQ(died.kind, ErrorKind::kRemoteCrash) << died.message;
  EXPECT_EQ(x_->to_host<double>()[7], 7);
  EXPECT_EQ(jit_->buffers().size(), 3u);
}

// Of two calls at once each loses its own: one that ends the worker, and one that is in its way.
TEST_P(WrittenArguments, OfCallsThatRanBesideToo) {
  const Caller twice = Twice();
  Warm(twice);
  const Buffer y = jit_->to_device(Numbers{1, -2}), z = jit_->to_device(Numbers{0, 0}, {.name = "beside"});
  std::thread beside([&] {
    const Error died = ErrorOf([&] { twice(y, z); });
    EXPECT_EQ(died.kind, ErrorKind::kWorkerLost) << died.message;
  });
  EXPECT_TRUE(WaitUntil(kPatience, [&] {
    const auto workers = farm().StatusJson().at("workers");
    for (const auto& worker : workers)
      if (worker.at("role") == "execute" && worker.at("state") == "busy") return true;
    return false;
  }));
  x_->slice(0, 500, 501).copy_from(Numbers{-1});
  EXPECT_EQ(ErrorOf([&] { twice(*x_, *out_); }).kind, ErrorKind::kRemoteCrash);
  beside.join();
  ExpectLost(*out_, "result", "RemoteCrash");
  Numbers two(2);
  const Error lost = ErrorOf([&] { z.copy_to(std::span(two)); });
  EXPECT_EQ(lost.kind, ErrorKind::kBufferLost) << lost.message;
  EXPECT_THAT(lost.message, HasSubstr("\"beside\""));
}

INSTANTIATE_TEST_SUITE_P(Ways, WrittenArguments, ::testing::Values(Way::kRing, Way::kUnix, Way::kTcp), NameOf);

}  // namespace
}  // namespace rbc::harness
