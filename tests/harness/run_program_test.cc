// The harness's own promises: limits, output, exit codes.
// SPDX-License-Identifier: Apache-2.0
#include "tests/harness/run_program.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/harness/proc.h"

namespace rbc::harness {
namespace {

TEST(RunProgram, GivesOutputErrorAndExitCode) {
  const Finished run = RunProgram({"sh", "-c", "cat; echo oops >&2; exit 3"}, {.input = "hello"});
  EXPECT_EQ(run.exit_code, 3) << run.ToString();
  EXPECT_EQ(run.out, "hello");
  EXPECT_EQ(run.err, "oops\n");
}

TEST(RunProgram, KillsWhatRunsTooLong) {
  const Finished run = RunProgram({"sleep", "30"}, {.limit = std::chrono::milliseconds(100)});
  EXPECT_TRUE(run.timed_out);
  EXPECT_LT(run.took.count(), 5000);
}

TEST(RunProgram, MovesMoreThanAPipeHolds) {
  const std::string bytes(3 << 20, 'x');
  EXPECT_EQ(RunProgram({"cat"}, {.input = bytes}).out, bytes);
}

TEST(Proc, SeesThisProcessAndNoOther) {
  const auto self = ReadStat(getpid());
  ASSERT_TRUE(self);
  EXPECT_TRUE(IsAlive(self->id));
  EXPECT_FALSE(IsAlive({getpid(), self->id.start_time + 1}));
  EXPECT_GT(WorkingBytes(getpid()), 0u);
}

}  // namespace
}  // namespace rbc::harness
