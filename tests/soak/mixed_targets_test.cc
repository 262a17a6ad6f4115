// Sixteen sessions on host and simulated GPU at once, which do everything that sessions do. Every result is checked;
// afterwards no worker is left and the daemon's memory is what it was.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "tests/harness/farm_test.h"
#include "tests/soak/session_life.h"

namespace rbc::harness {
namespace {

using Clock = std::chrono::steady_clock;

class MixedTargets : public FarmTest {
 protected:
  FarmOptions Options() const override {
    return FarmOptions().Set("targets.cuda", "simulate", "true").Set("store", "max_bytes", "\"1 MiB\"");
  }

  // Sixteen at once, again and again.
  void LiveUntil(Clock::time_point end, uint64_t seed) {
    std::atomic<int> wrong{0}, lives{0};
    std::vector<std::thread> threads;
    for (uint64_t n = 0; n < 16; ++n) {
      threads.emplace_back([&, n] {
        for (uint64_t round = 0; Clock::now() < end; ++round) {
          try {
            wrong += SessionLife(farm().unix_address(), n % 2 == 0, seed + n + round * 16).Live();
          } catch (const Exception& exception) {
            ADD_FAILURE() << "session " << n << " round " << round << ": " << exception.what();
            ++wrong;
          }
          ++lives;
        }
      });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(wrong, 0) << "seed " << seed;
    std::printf("%d sessions, the daemon has %lu KiB\n", lives.load(), WorkingBytes(farm().pid()) / 1024);
  }
};

TEST_F(MixedTargets, SixteenSessionsLeaveNothingBehind) {
  const uint64_t seed = TestSeed(1);
  LiveUntil(Clock::now() + std::chrono::seconds(LongRun() ? 60 : 3), seed);
  const uint64_t before = WorkingBytes(farm().pid());
  LiveUntil(Clock::now() + std::chrono::seconds(LongRun() ? 540 : 4), seed + 1'000'000);
  EXPECT_TRUE(WaitUntil(kPatience, [&] { return farm().WorkersOf("execute").empty(); }));
  EXPECT_TRUE(WaitUntil(kPatience, [&] { return HasGrownAtMost(farm(), before, 16 << 20); }));
  // A context counts until its process is gone.
  EXPECT_TRUE(WaitUntil(kPatience, [&] {
    const auto status = farm().StatusJson();
    return status.at("data").at("bytes") == 0 && status.at("modules") == 0 &&
           status.at("devices").at(0).at("contexts") == 0;
  })) << farm().StatusJson();
}

}  // namespace
}  // namespace rbc::harness
