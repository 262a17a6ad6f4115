// The daemon's end of a lane against a thread that plays the worker, honest and not.
// SPDX-License-Identifier: Apache-2.0
#include "server/workers/lane_port.h"

#include <gtest/gtest.h>

#include <thread>

namespace rbc::server {
namespace {

using std::chrono::milliseconds;

class LanePortTest : public ::testing::TestWithParam<uint32_t> {
 protected:
  LanePortTest()
      : memory_(*SharedMemory::Create("test", worker::RingSize(1))),
        lane_(worker::LaneAt(memory_.data(), 0)),
        port_(lane_, GetParam()) {}
  static Clock::time_point In(int ms) { return Clock::now() + milliseconds(ms); }

  SharedMemory memory_;
  worker::Lane* lane_;
  LanePort port_;
};

TEST_P(LanePortTest, EveryPostedRequestIsAnswered) {
  constexpr int kCalls = 2000;
  std::thread peer([&] {
    for (int i = 0; i < kCalls; ++i) {
      while (lane_->state.load() != worker::kCall) std::this_thread::yield();
      lane_->reply[0] = static_cast<uint8_t>(lane_->request[0] + 1);
      lane_->state.store(worker::kReply);
    }
  });
  for (int i = 0; i < kCalls; ++i) {
    lane_->request[0] = static_cast<uint8_t>(i);
    ASSERT_TRUE(port_.Post());
    // The peer here never wakes a futex: a short wait is renewed until the reply is seen.
    LaneEvent event;
    do event = port_.Await(In(1));
    while (event == LaneEvent::kTimeout);
    ASSERT_EQ(event, LaneEvent::kReply);
    ASSERT_EQ(lane_->reply[0], static_cast<uint8_t>(i + 1));
    port_.Release();
  }
  peer.join();
}

TEST_P(LanePortTest, AwaitEndsAtItsDeadline) {
  ASSERT_TRUE(port_.Post());
  const auto begin = Clock::now();
  EXPECT_EQ(port_.Await(In(30)), LaneEvent::kTimeout);
  EXPECT_GE(Clock::now() - begin, milliseconds(30));
}

TEST_P(LanePortTest, DeathWakesTheWaiter) {
  ASSERT_TRUE(port_.Post());
  std::thread reaper([&] {
    std::this_thread::sleep_for(milliseconds(30));
    port_.MarkDead();
  });
  EXPECT_EQ(port_.Await(In(20'000)), LaneEvent::kDead);
  reaper.join();
  EXPECT_FALSE(port_.Post());
}

TEST_P(LanePortTest, StatesThatTheWorkerMayNotSetAreViolations) {
  for (const uint32_t state : {uint32_t{worker::kIdle}, uint32_t{worker::kLent}, uint32_t{worker::kReturned}, 77u}) {
    lane_->state.store(worker::kIdle);
    ASSERT_TRUE(port_.Post());
    lane_->state.store(state);
    EXPECT_EQ(port_.Await(In(20'000)), LaneEvent::kViolation) << state;
  }
}

INSTANTIATE_TEST_SUITE_P(WithAndWithoutSpinning, LanePortTest, ::testing::Values(0u, 50u));

}  // namespace
}  // namespace rbc::server
