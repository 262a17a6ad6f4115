// A polling thread notices that it shares its CPU, and leaves it.
// SPDX-License-Identifier: Apache-2.0
#include "base/step_aside.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <atomic>
#include <thread>

#include "base/adaptive_spin.h"

namespace rbc {
namespace {

cpu_set_t Allowed() {
  cpu_set_t set;
  CPU_ZERO(&set);
  sched_getaffinity(0, sizeof set, &set);
  return set;
}

TEST(StepAside, LeavesTheCpuAndKeepsTheSet) {
  const cpu_set_t before = Allowed();
  if (CPU_COUNT(&before) < 2) GTEST_SKIP() << "needs two CPUs";
  int moved = 0;
  for (int i = 0; i < 200 && moved < 10; ++i) {
    // A fresh one has no pause to keep. Its thread may be preempted and moved back just after, hence the many tries.
    const int here = sched_getcpu();
    StepAside().Try();
    moved += sched_getcpu() != here;
    const cpu_set_t after = Allowed();
    ASSERT_TRUE(CPU_EQUAL(&before, &after));
  }
  EXPECT_GE(moved, 10);
}

// Two threads hand a number to and fro, each polling for the other's.
uint64_t ShareOfCrowdedPolls(bool one_cpu) {
  std::atomic<uint32_t> turn{0};
  uint64_t crowded = 0;
  const auto play = [&](uint32_t me) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(one_cpu ? 0 : me, &set);
    AdaptiveSpin spin(1000);  // made while two CPUs are allowed
    sched_setaffinity(0, sizeof set, &set);
    for (uint32_t i = 0; i < 2000; ++i) {
      while (!spin.Until([&] { return turn.load() % 2 == me; })) sched_yield();
      if (me == 0 && spin.SharesCpu()) ++crowded;
      turn.fetch_add(1);
    }
  };
  std::thread other(play, 1);
  std::thread(play, 0).join();
  other.join();
  return crowded;
}

TEST(AdaptiveSpin, TellsAPeerOnItsOwnCpuFromOneElsewhere) {
  const cpu_set_t allowed = Allowed();
  if (!CPU_ISSET(0, &allowed) || !CPU_ISSET(1, &allowed)) GTEST_SKIP() << "needs CPUs 0 and 1";
  // What else runs on these CPUs crowds them too: seen once is seen.
  uint64_t together = 0, apart = 0;
  for (int i = 0; i < 20 && (together <= 50 || together <= 2 * apart); ++i) {
    together = ShareOfCrowdedPolls(true);
    apart = ShareOfCrowdedPolls(false);
  }
  EXPECT_GT(together, 50u);
  EXPECT_GT(together, 2 * apart);
}

}  // namespace
}  // namespace rbc
