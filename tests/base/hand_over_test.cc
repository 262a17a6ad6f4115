// Waiting on the only CPU by letting others run: where it does so, and when it stops.
// SPDX-License-Identifier: Apache-2.0
#include "base/hand_over.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <atomic>
#include <thread>

namespace rbc {
namespace {

void AllowOnly(const cpu_set_t& set) { ASSERT_EQ(sched_setaffinity(0, sizeof set, &set), 0); }

// Everything happens on one CPU, in threads of the test's own.
class HandOverOnOneCpu : public testing::Test {
 protected:
  void SetUp() override {
    CPU_ZERO(&before_);
    ASSERT_EQ(sched_getaffinity(0, sizeof before_, &before_), 0);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    AllowOnly(one);
  }
  void TearDown() override { AllowOnly(before_); }
  cpu_set_t before_;
};

TEST(HandOver, DoesNothingWhereThereIsAnotherCpu) {
  if (platform::AllowedCpus() < 2) GTEST_SKIP() << "needs two CPUs";
  HandOver hand_over;
  int polls = 0;
  EXPECT_FALSE(hand_over.Until([&] { return ++polls > 0; }));
  EXPECT_EQ(polls, 0);
}

TEST_F(HandOverOnOneCpu, APeerRunsMeanwhile) {
  constexpr int kTurns = 20'000;
  std::atomic<int> turn{0};
  int handed = 0;
  // Each asks in vain at most now and then, and then gives way as anybody would.
  const auto play = [&](int me, int* counted) {
    HandOver hand_over;
    for (int i = 0; i < kTurns; ++i) {
      const auto mine = [&] { return turn.load() % 2 == me; };
      if (!mine() && hand_over.Until(mine) && counted != nullptr) ++*counted;
      while (!mine()) sched_yield();
      turn.fetch_add(1);
    }
  };
  std::thread other(play, 1, nullptr);
  std::thread(play, 0, &handed).join();
  other.join();
  EXPECT_EQ(turn.load(), 2 * kTurns);
  EXPECT_GT(handed, 0);
}

TEST_F(HandOverOnOneCpu, PausesAfterAWaitInVainAndTriesAgain) {
  HandOver hand_over;
  int polls = 0;
  const auto never = [&] { return ++polls < 0; };
  EXPECT_FALSE(hand_over.Until(never));
  const int first = polls;
  EXPECT_GT(first, 0);
  EXPECT_FALSE(hand_over.Until(never));
  EXPECT_EQ(polls, first) << "it does not pause";
  for (int i = 0; i < 100'000 && polls == first; ++i) (void)hand_over.Until(never);
  EXPECT_GT(polls, first) << "it never tries again";
}

// Whoever computes on the CPU takes milliseconds of each wait: few of many waits may end so.
TEST_F(HandOverOnOneCpu, StopsWhereOthersCompute) {
  HandOver hand_over;
  int waits = 0;
  const auto slow = [&] {
    ++waits;
    for (const uint64_t end = MonotonicNanoseconds() + 200'000; MonotonicNanoseconds() < end;) sched_yield();
    return true;
  };
  for (int i = 0; i < 10'000; ++i) (void)hand_over.Until(slow);
  EXPECT_GT(waits, 1);
  EXPECT_LE(waits, 6);
}

}  // namespace
}  // namespace rbc
