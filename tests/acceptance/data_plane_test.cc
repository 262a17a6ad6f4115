// What really travels, and what stays: bytes on the wire, arrays that are known again, networks that go away.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

#include "rbc/rbc.h"
#include "tests/harness/farm_test.h"
#include "tests/harness/ir.h"
#include "tests/harness/library.h"
#include "tests/harness/relay.h"

namespace rbc::harness {
namespace {

using std::chrono::milliseconds;

constexpr size_t kCount = 1 << 20;
constexpr uint64_t kBytes = kCount * sizeof(double);
constexpr uint64_t kSmall = 64 * 1024;  // what requests and answers may have besides

class DataPlane : public FarmTest {
 protected:
  void SetUp() override {
    FarmTest::SetUp();
    relay_ = std::make_unique<Relay>(farm().tcp_address());
  }
  void TearDown() override {
    relay_ = nullptr;
    FarmTest::TearDown();
  }
  RemoteJIT Jit(RemoteJIT::Saving recall = RemoteJIT::Saving::kOn) const {
    RemoteJIT::Options options;
    options.recall = recall;
    return RemoteJIT(relay_->address(), options);
  }
  // Bytes that went to the farm meanwhile.
  template <typename Action>
  uint64_t Sent(Action&& action) const {
    const uint64_t before = relay_->to_farm();
    action();
    return relay_->to_farm() - before;
  }
  std::unique_ptr<Relay> relay_;
};

TEST_F(DataPlane, EachByteTravelsOnceEachWay) {
  const RemoteJIT jit = Jit(RemoteJIT::Saving::kAuto);
  const Numbers numbers = Counting(kCount);
  std::optional<Buffer> there;
  for (int i = 0; i < 2; ++i) {
    const uint64_t sent = Sent([&] { there = jit.to_device(numbers); });
    EXPECT_GE(sent, kBytes) << "on one machine nothing is asked for first";
    EXPECT_LE(sent, kBytes + kSmall);
  }
  const uint64_t before = relay_->from_farm();
  EXPECT_TRUE(there->to_host<double>() == numbers);
  EXPECT_LE(relay_->from_farm() - before, kBytes + kSmall);
}

TEST_F(DataPlane, WhatTheSessionHasIsNotSentAgain) {
  const RemoteJIT jit = Jit();
  Numbers numbers = Counting(kCount);
  std::optional<Buffer> there;
  EXPECT_GE(Sent([&] { there = jit.to_device(numbers); }), kBytes);
  std::optional<Buffer> again;
  EXPECT_LE(Sent([&] { again = jit.to_device(numbers); }), kSmall);
  EXPECT_NE(again->id(), there->id());
  EXPECT_TRUE(again->to_host<double>() == numbers);
  again->slice(0, 0, 1).copy_from(Numbers{-1});
  EXPECT_EQ(there->slice(0, 0, 1).to_host<double>(), Numbers{0}) << "they are two arrays";
  again.reset();
  there.reset();
  EXPECT_GE(Sent([&] { there = jit.to_device(numbers); }), kBytes) << "the last one that had it was changed";
  there.reset();
  EXPECT_LE(Sent([&] { there = jit.to_device(numbers); }), kSmall) << "freed, and still there";
  EXPECT_LE(Sent([&] { there->copy_from(numbers); }), kSmall) << "it holds just that";
  numbers[kCount / 2] = -1;
  EXPECT_GE(Sent([&] { again = jit.to_device(numbers); }), kBytes) << "another array";
  EXPECT_TRUE(again->to_host<double>() == numbers);
  EXPECT_GE(Sent([&] { (void)Jit().to_device(numbers); }), kBytes) << "another session";
}

// By a function, by a map, in place: what is on the farm is looked at, not remembered.
TEST_F(DataPlane, WhatWasChangedThereIsSent) {
  const RemoteJIT jit = Jit();
  const Numbers numbers = Counting(kCount);
  const Buffer there = jit.to_device(numbers);
  const auto twice = jit.function(Source::C("double twice(double x) { return 2 * x; }"), "twice", {"float64(float64)"});
  const ArrayArgument all{there.dtype(), nullptr, there.shape(), {}, there.id()};
  ArrayMapOptions into;
  into.out = all;
  ValueOrThrow(twice.try_map_arrays({&all, 1}, into));
  std::optional<Buffer> again;
  EXPECT_GE(Sent([&] { again = jit.to_device(numbers); }), kBytes);
  EXPECT_TRUE(again->to_host<double>() == numbers);
  EXPECT_EQ(there.slice(0, 3, 4).to_host<double>(), Numbers{6});
}

TEST_F(DataPlane, TheEnvironmentDecidesWhereTheProgramDoesNot) {
  ::setenv("RBC_RECALL", "on", 1);
  const RemoteJIT jit = Jit(RemoteJIT::Saving::kAuto);
  const RemoteJIT never = Jit(RemoteJIT::Saving::kOff);
  ::setenv("RBC_RECALL", "perhaps", 1);
  EXPECT_THROW(Jit(RemoteJIT::Saving::kAuto), Exception);
  ::unsetenv("RBC_RECALL");
  const Numbers numbers = Counting(kCount);
  const Buffer one = jit.to_device(numbers), other = never.to_device(numbers);
  EXPECT_LE(Sent([&] { (void)jit.to_device(numbers); }), kSmall);
  EXPECT_GE(Sent([&] { (void)never.to_device(numbers); }), kBytes);
}

// So many bytes of results go past the caches: beside their inputs, over one of them, off a line of the caches.
TEST_F(DataPlane, LargeResultsInBuffersAreWhole) {
  const RemoteJIT jit(farm().unix_address());
  constexpr int64_t kRows = (5 << 20) + 13;
  const auto add = jit.function(Source::Ir(AddModule().ir), "add", {"float64(float64, float64)"});
  const Buffer x = jit.to_device(Counting(kRows)), z = jit.to_device(Numbers(kRows));
  for (const Buffer& into : {z, x, z.slice(0, 1, kRows)}) {
    const int64_t size = into.size();
    const Numbers before = x.to_host<double>();
    const auto array = [&](const Buffer& buffer) {
      return ArrayArgument{buffer.dtype(), nullptr, {size}, {8}, buffer.id(), buffer.offset()};
    };
    ArrayMapOptions options;
    options.out = array(into);
    const ArrayArgument inputs[] = {array(x), ArrayArgument::One(1.5)};
    const auto done = add.try_map_arrays(inputs, options);
    ASSERT_TRUE(done) << done.error().message;
    const Numbers got = into.to_host<double>();
    for (size_t i = 0; i < got.size(); ++i) ASSERT_EQ(got[i], before[i] + 1.5) << i;
  }
}

// A minute in the long run, with connections broken and none to be had.
TEST_F(DataPlane, ACutNetworkLosesNoBuffer) {
  const RemoteJIT jit = Jit();
  const Numbers numbers = Counting(kCount);
  const Buffer there = jit.to_device(numbers);
  relay_->Cut();
  std::thread mend([&] {
    std::this_thread::sleep_for(LongRun() ? milliseconds(60'000) : milliseconds(500));
    relay_->Mend();
  });
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(LongRun() ? 90 : 20);
  Result<void> back = Error(ErrorKind::kInternal, "never tried");
  Numbers copy(kCount);
  while (!back && std::chrono::steady_clock::now() < until) {
    back = there.try_copy_to(copy.data(), kBytes);
    ASSERT_TRUE(back || back.error().kind == ErrorKind::kConnectionLost) << back.error().message;
  }
  mend.join();
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_TRUE(copy == numbers);
  EXPECT_EQ(jit.buffers().size(), 1u);
}

// Half of it is new and half is old: nobody is to take it for an array.
TEST_F(DataPlane, WhatACallWroteWhenItDiedIsLostByName) {
  const RemoteJIT jit = Jit();
  const Numbers numbers = Counting(kCount);
  const Buffer from = jit.to_device(numbers), into = jit.to_device(numbers, {.name = "prices"});
  const auto fatal =
      jit.function(Source::C("double fatal(double x) { return x > 1e5 ? *(volatile double *)8 : 2 * x; }"), "fatal",
                   {"float64(float64)"});
  const ArrayArgument input{from.dtype(), nullptr, from.shape(), {}, from.id()};
  ArrayMapOptions options;
  options.out = ArrayArgument{into.dtype(), nullptr, into.shape(), {}, into.id()};
  const auto died = fatal.try_map_arrays({&input, 1}, options);
  ASSERT_FALSE(died);
  EXPECT_EQ(died.error().kind, ErrorKind::kRemoteCrash) << died.error().message;
  Numbers copy(kCount);
  const auto back = into.try_copy_to(copy.data(), kBytes);
  ASSERT_FALSE(back);
  EXPECT_EQ(back.error().kind, ErrorKind::kBufferLost);
  EXPECT_THAT(back.error().message,
              ::testing::AllOf(::testing::HasSubstr("\"prices\""), ::testing::HasSubstr("'fatal'"),
                               ::testing::HasSubstr("RemoteCrash")));
  const auto again = fatal.try_map_arrays({&input, 1}, options);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind, ErrorKind::kBufferLost);
  EXPECT_TRUE(from.to_host<double>() == numbers) << "what was only read is as it was";
  EXPECT_EQ(jit.buffers().size(), 1u);
}

// No relay: these fork, and a child has what another thread's malloc was locked with.
class ShortLease : public FarmTest {
  FarmOptions Options() const override {
    return FarmOptions().Set("sessions", "lease_ms", "1000").Set("data", "session_bytes", "\"64 MiB\"");
  }

 protected:
  // `live(jit, ready)` is a remote client's life: it says that it is ready, has arrays by then, and goes on until it is
  // killed. Nothing of it is left after its lease and five seconds.
  template <typename Live>
  void ExpectNothingLeftOf(Live&& live) {
    int ready[2];
    ASSERT_EQ(pipe(ready), 0);
    const std::string address = farm().tcp_address();
    const pid_t child = fork();
    if (child == 0) {
      const RemoteJIT jit(address);
      live(jit, [&] { (void)!write(ready[1], "r", 1); });
      _exit(1);
    }
    close(ready[1]);
    char byte;
    ASSERT_EQ(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    EXPECT_GE(farm().StatusJson()["data"]["buffers"], 1);
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    EXPECT_TRUE(WaitUntil(milliseconds(1000 + 5000), [&] {
      const auto data = farm().StatusJson()["data"];
      return data["bytes"] == 0 && data["buffers"] == 0;
    }));
  }
};

// In the middle of a copy, so that a buffer is being written when its owner goes.
TEST_F(ShortLease, ARemoteClientThatDiesInATransferLeavesNothing) {
  ExpectNothingLeftOf([](const RemoteJIT& jit, const auto& is_ready) {
    const std::vector<char> bytes(48 << 20, 'x');
    const Buffer buffer = jit.to_device(bytes);
    is_ready();
    for (;;) buffer.copy_from(bytes);
  });
}

TEST_F(ShortLease, ARemoteClientThatDiesInAChainLeavesNothing) {
  ExpectNothingLeftOf([](const RemoteJIT& jit, const auto& is_ready) {
    const auto add = jit.function(Source::C("double add(double x, double y) { return x + y; }"), "add",
                                  {"float64(float64, float64)"});
    Queue queue = jit.queue({.eager = true});
    const QueuedArray begin = queue.map(add, {Numbers(100'000, 1.0), 1.0});
    begin.wait();
    is_ready();
    for (;;) {
      QueuedArray last = begin;
      for (int i = 0; i < 20; ++i) last = queue.map(add, {last, begin});
      last.wait();
    }
  });
}

}  // namespace
}  // namespace rbc::harness
