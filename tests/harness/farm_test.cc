// The fixture of tests that need a farm.
// SPDX-License-Identifier: Apache-2.0
#include "tests/harness/farm_test.h"

#include <cstdlib>

namespace rbc::harness {

void FarmTest::SetUp() {
  farm_ = std::make_unique<Farm>(Options());
  daemon_ = ReadStat(farm_->pid())->id;
}

void FarmTest::TearDown() {
  if (!farm_) return;
  if (!may_change_) {
    EXPECT_TRUE(IsAlive(daemon_)) << "the daemon of the start, process " << daemon_.pid << ", is gone";
  }
  if (HasFailure()) {
    const std::string log = farm_->log();
    constexpr size_t kTail = 4000;
    std::fprintf(stderr, "the farm's log:\n%s\n", log.substr(log.size() > kTail ? log.size() - kTail : 0).c_str());
  }
}

bool HasGrownAtMost(const Farm& farm, uint64_t before, uint64_t bytes) {
  return kSanitized || ResidentBytes(farm.pid()) <= before + bytes;
}

uint64_t TestSeed(uint64_t fallback) {
  const char* seed = std::getenv("RBC_SEED");
  return seed != nullptr ? std::strtoull(seed, nullptr, 0) : fallback;
}

bool OnHardware() {
  const char* required = std::getenv("RBC_REQUIRE");
  return required != nullptr && std::string_view(required) == "cuda";
}

FarmOptions WithCuda() { return FarmOptions().Set("targets.cuda", "simulate", OnHardware() ? "false" : "true"); }

bool LongRun() {
  const char* value = std::getenv("RBC_LONG");
  return value != nullptr && value[0] == '1';
}

}  // namespace rbc::harness
