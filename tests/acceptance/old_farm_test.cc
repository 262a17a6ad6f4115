// Today's library with a farm of protocol 1.3: what that farm knew works, the rest is refused by name and never sent.
// SPDX-License-Identifier: Apache-2.0
#include "tests/harness/old_farm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rbc/rbc.h"
#include "tests/harness/farm_test.h"
#include "tests/harness/library.h"

namespace rbc::harness {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kSource[] = R"(
double add(double x, double y) { return x + y; }
double sum(const double *x, long n) {
  double sum = 0;
  for (long i = 0; i < n; i++) sum += x[i];
  return sum;
}
)";
constexpr char kKernel[] = R"(
define void @zero(ptr %x) {
  store double 0.0, ptr %x
  ret void
}
)";
// An array that a C function gives: its memory, length and stride, and who frees it.
constexpr char kSame[] = R"(
define {ptr, i64, i64, ptr} @same(ptr %x, i64 %n) {
  %a = insertvalue {ptr, i64, i64, ptr} zeroinitializer, ptr %x, 0
  %b = insertvalue {ptr, i64, i64, ptr} %a, i64 %n, 1
  %c = insertvalue {ptr, i64, i64, ptr} %b, i64 8, 2
  ret {ptr, i64, i64, ptr} %c
}
)";

class OldFarmTest : public FarmTest {
 protected:
  FarmOptions Options() const override { return FarmOptions().Set("targets.cuda", "simulate", "true"); }
  void SetUp() override {
    FarmTest::SetUp();
    old_.emplace(farm().tcp_address());
    RemoteJIT::Options options;
    options.compress = RemoteJIT::Saving::kOn;
    options.recall = RemoteJIT::Saving::kOn;
    jit_.emplace(old_->address(), options);
  }
  void TearDown() override {
    EXPECT_EQ(old_->refused(), 0) << "nothing was tried that it does not know";
    EXPECT_EQ(old_->skipped_bytes(), 0u) << "no field of later was sent that makes a difference";
    jit_.reset(), old_.reset();
    FarmTest::TearDown();
  }
  Caller Add() { return jit_->function(Source::C(kSource), "add", {"float64(float64, float64)"}); }
  Caller Sum() { return jit_->function(Source::C(kSource), "sum", {"float64(float64[::1])"}); }

  std::optional<OldFarm> old_;
  std::optional<RemoteJIT> jit_;
};

TEST_F(OldFarmTest, CallsMapsAndArraysThatStayWork) {
  const auto add = Add();
  EXPECT_EQ(add(2.0, 3.0).as<double>(), 5);
  EXPECT_EQ(Sum()(Numbers{1, 2, 4}).as<double>(), 7);
  const Buffer x = jit_->to_device(Counting(200'000), {.name = "x"});  // 1.6 MB, over a raw channel
  EXPECT_EQ(x.to_host<double>(), Counting(200'000));
  EXPECT_EQ(jit_->to_device(Counting(200'000)).to_host<double>(), Counting(200'000)) << "recalled";
  EXPECT_EQ(add.reduce(ArrayArgument::Of(x)).as<double>(), Numbers{19'999'900'000.0});
  for (int i = 0; i < 3; ++i) {  // the same map again, which 1.4 repeats as a call
    ArrayMapOptions into;
    const Buffer y = jit_->empty<double>({200'000});
    into.out = ArrayArgument::Of(y);
    add.map_arrays({ArrayArgument::Of(x), ArrayArgument::One(1.0)}, into);
    EXPECT_EQ(y.slice(0, 7, 8).to_host<double>()[0], 8);
  }
  EXPECT_EQ(Sum()(x).as<double>(), 19'999'900'000.0) << "by its place";
}

TEST_F(OldFarmTest, ChainsOfMapsWork) {
  const auto add = Add();
  auto queue = jit_->queue();
  const auto y = queue.map(add, {Numbers{1, 2, 3}, 1.0});
  const auto z = queue.map(add, {y, y});
  EXPECT_EQ(queue.reduce(add, z).value<double>(), 18);
  EXPECT_THAT(z.to_host<double>(), ElementsAre(4, 6, 8));
  EXPECT_EQ(queue.call(Sum(), z.get()).get().as<double>(), 18) << "by its place";
}

TEST_F(OldFarmTest, WhatItDoesNotKnowIsRefusedByName) {
  const auto same = jit_->function(Source::Ir(kSame), "same", {"float64[:](float64[:])"});
  const auto zero =
      jit_->function(Source::Ir(kKernel), "zero", {"void(float64*)"}, {.target = "cuda", .abi = CallAbi::kKernel});
  const auto expect = [](const Error& error) {
    EXPECT_EQ(error.kind, ErrorKind::kUnsupported) << error.message;
    EXPECT_THAT(error.message, HasSubstr("update"));
  };
  const Buffer here = jit_->to_device(Numbers{1, 2, 3});
  const Buffer there = jit_->to_device(Numbers{1, 2, 3}, {.target = "cuda"});
  expect(ErrorOf([&] { (void)same.keep(here); }));
  expect(ErrorOf([&] { zero.launch({{1}, {1}, 0}, there); }));
  expect(ErrorOf([&] { zero.launch({{1}, {1}, 0}, here); }));
  auto queue = jit_->queue();
  const auto made = queue.map(Add(), {here, 1.0});
  expect(ErrorOf([&] { (void)queue.call(Sum(), made).get(); }));
  EXPECT_THAT(made.to_host<double>(), ElementsAre(2, 3, 4)) << "what it knows ran";
  EXPECT_THAT(there.to_host<double>(), ElementsAre(1, 2, 3));
}

}  // namespace
}  // namespace rbc::harness
