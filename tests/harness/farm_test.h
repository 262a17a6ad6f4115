// The fixture of tests that need a farm: one of its own for each test, checked at the end.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "tests/harness/farm.h"

namespace rbc::harness {

// After each test the daemon must still be the process that was started, unless the test ended it itself.
class FarmTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;
  virtual FarmOptions Options() const { return {}; }
  Farm& farm() { return *farm_; }
  // The test ends or restarts the daemon: do not expect one process throughout.
  void DaemonMayChange() { may_change_ = true; }

 private:
  std::unique_ptr<Farm> farm_;
  ProcessId daemon_;
  bool may_change_ = false;
};

// Sanitizers keep freed memory and slow everything down: figures of memory say nothing there.
#ifdef RBC_SANITIZED
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif
// That the daemon's memory is at most `bytes` above `before`; always true under sanitizers.
bool HasGrownAtMost(const Farm& farm, uint64_t before, uint64_t bytes);

// Seed of a random test: RBC_SEED, else `fallback`. Print it with every failure.
uint64_t TestSeed(uint64_t fallback);
// RBC_LONG=1: the long run was asked for.
bool LongRun();

// RBC_REQUIRE=cuda: what may run on a simulated GPU shall run on this machine's, and fail without one.
bool OnHardware();
// A farm whose target cuda is this machine's GPU or, where nobody asks for that, the simulator.
FarmOptions WithCuda();

}  // namespace rbc::harness
