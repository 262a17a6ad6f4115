// What the library does when the farm, its session, its modules or a connection is lost.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>
#include <thread>

#include "rbc/rbc.h"
#include "tests/client/fake_farm.h"

namespace rbc::test {
namespace {

constexpr char kAdd[] =
    "define double @add_daddA(double %a, double %b) {\n  %s = fadd double %a, %b\n  ret double %s\n}\n";
using Add = double(double, double);

class RecoveryTest : public testing::Test {
 protected:
  TempDir directory_;
  std::optional<FakeFarm> farm_{std::in_place, directory_.path() + "/farm"};
  RemoteJIT rjit_{farm_->address()};
  Function<Add> add_ = rjit_.function<Add>(Source::Ir(kAdd), "add");
};

TEST_F(RecoveryTest, AForgottenModuleIsSentAgain) {
  EXPECT_EQ(add_(1, 2), 3);
  farm_->ForgetModules();
  EXPECT_EQ(add_(2, 2), 4);
  EXPECT_EQ(farm_->compiles_with_ir, 2);
  EXPECT_EQ(farm_->hellos, 1);
}

TEST_F(RecoveryTest, ALargeModuleIsAskedForFirst) {
  const std::string large = kAdd + std::string(100'000, ';');
  {
    const auto add = rjit_.function<Add>(Source::Ir(large), "add");
    EXPECT_EQ(add(1, 2), 3);
    EXPECT_EQ(farm_->compiles, 2) << "asked, then sent";
    const RemoteJIT other(farm_->address());
    EXPECT_EQ((other.function<Add>(Source::Ir(large), "add"))(1, 2), 3);
    EXPECT_EQ(farm_->compiles, 3) << "asked, and known";
  }
  EXPECT_EQ(farm_->compiles_with_ir, 1);
}

TEST_F(RecoveryTest, ARestartedFarmIsFoundAgain) {
  EXPECT_EQ(add_(1, 2), 3);
  farm_.reset();
  farm_.emplace(directory_.path() + "/farm");
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(add_(2, 3), 5);
  EXPECT_EQ(farm_->hellos, 1);
  EXPECT_EQ(farm_->compiles_with_ir, 1);
}

TEST_F(RecoveryTest, AFarmThatRestartsSlowlyIsWaitedFor) {
  using Clock = std::chrono::steady_clock;
  std::optional<Result<double>> sum;
  // The library waits for a second: a machine that stands still so long meanwhile shows nothing.
  for (int attempt = 0; attempt < 5 && !(sum && *sum); ++attempt) {
    EXPECT_EQ(add_(1, 2), 3);
    farm_.reset();
    const auto begin = Clock::now();
    Clock::duration away{};
    std::thread later([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
      farm_.emplace(directory_.path() + "/farm");
      away = Clock::now() - begin;
    });
    sum = add_.try_call(2, 3);
    later.join();
    ASSERT_TRUE(*sum || away > std::chrono::milliseconds(900)) << sum->error().message;
  }
  ASSERT_TRUE(*sum) << "a farm that restarts quickly was not seen";
  EXPECT_EQ(**sum, 5);
}

TEST_F(RecoveryTest, AFarmThatIsGoneIsAnErrorThatSaysWhatToDo) {
  EXPECT_EQ(add_(1, 2), 3);
  farm_.reset();
  const auto result = add_.try_call(2, 3);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::kConnectionLost);
  EXPECT_THAT(result.error().message, testing::HasSubstr("rbc-farm"));
  EXPECT_FALSE(result.error().may_have_run);
}

TEST_F(RecoveryTest, AnEndedSessionIsRenewed) {
  EXPECT_EQ(add_(1, 2), 3);
  farm_->ForgetSessions();
  EXPECT_EQ(add_(1, 3), 4) << "over the old connection: the module is unknown, then sent again";
}

TEST_F(RecoveryTest, ACallThatNeverStartedIsSentAgain) {
  EXPECT_EQ(add_(1, 2), 3);
  farm_->break_before_call = 1;
  EXPECT_EQ(add_(2, 2), 4);
  EXPECT_EQ(farm_->calls, 2);
  EXPECT_EQ(farm_->outcomes, 1);
  EXPECT_EQ(farm_->hellos, 1) << "attached to the same session";
}

TEST_F(RecoveryTest, ACallThatRanIsNotSentAgainButItsReplyIsFetched) {
  EXPECT_EQ(add_(1, 2), 3);
  farm_->break_after_call = 1;
  EXPECT_EQ(add_(2, 2), 4);
  EXPECT_EQ(farm_->calls, 2);
  EXPECT_EQ(farm_->outcomes, 1);
}

TEST_F(RecoveryTest, ACallOfUnknownFateIsAnErrorThatSaysSo) {
  EXPECT_EQ(add_(1, 2), 3);
  farm_->break_after_call = 1;
  farm_->remembers_outcome = false;
  const auto result = add_.try_call(2, 2);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::kWorkerLost);
  EXPECT_TRUE(result.error().may_have_run);
  EXPECT_EQ(farm_->calls, 2);
}

TEST_F(RecoveryTest, ARepeatableCallOfUnknownFateIsSentAgain) {
  farm_->repeatable = true;
  EXPECT_EQ(add_(1, 2), 3);
  farm_->break_after_call = 1;
  farm_->remembers_outcome = false;
  EXPECT_EQ(add_(2, 2), 4);
  EXPECT_EQ(farm_->calls, 3);
}

TEST_F(RecoveryTest, AConnectionThatAlwaysBreaksIsGivenUp) {
  EXPECT_EQ(add_(1, 2), 3);
  farm_->break_before_call = 1000;
  const auto result = add_.try_call(2, 2);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::kConnectionLost);
  EXPECT_GT(farm_->break_before_call, 990);
}

TEST_F(RecoveryTest, OneUserManyThreadsSurviveARestart) {
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0}, right{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&] {
      for (int i = 0; !stop; ++i) {
        const auto sum = add_.try_call(i, 1);
        if (sum && *sum == i + 1) ++right;
        if (sum && *sum != i + 1) ++wrong;
      }
    });
  for (int i = 0; i < 5; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    farm_->ForgetSessions();
    // Each time they go on.
    const int before = right;
    for (int wait = 0; wait < 30'000 && right < before + 20; ++wait)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    EXPECT_GE(right, before + 20) << i;
  }
  stop = true;
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(add_(4, 4), 8);
}

// The deadline is the caller's, whatever the farm's process does.
TEST(Deadlines, HoldAgainstAStoppedFarm) {
  const TempDir directory;
  const std::string path = directory.path() + "/farm";
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    FakeFarm farm(path);
    (void)!::write(ready[1], "r", 1);
    ::pause();
    ::_exit(0);
  }
  char byte;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  const RemoteJIT rjit("unix:" + path);
  const auto add = rjit.function<Add>(Source::Ir(kAdd), "add");
  EXPECT_EQ(add(1, 2), 3);
  ::kill(child, SIGSTOP);
  int stopped = 0;
  ASSERT_EQ(::waitpid(child, &stopped, WUNTRACED), child);
  ASSERT_TRUE(WIFSTOPPED(stopped));
  const auto start = std::chrono::steady_clock::now();
  const auto result = add.with_timeout(std::chrono::milliseconds(150)).try_call(1, 2);
  const auto took = std::chrono::steady_clock::now() - start;
  ::kill(child, SIGCONT);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::kDeadlineExceeded);
  EXPECT_TRUE(result.error().may_have_run);
  EXPECT_GE(took, std::chrono::milliseconds(150));
  EXPECT_LT(took, std::chrono::seconds(11)) << "where the machine stands still too";
  EXPECT_EQ(add(2, 2), 4) << "and it is of use again afterwards";
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST(Deadlines, TravelToTheFarmALittleShortened) {
  const TempDir directory;
  FakeFarm farm(directory.path() + "/farm");
  const RemoteJIT rjit(farm.address());
  const auto add = rjit.function<Add>(Source::Ir(kAdd), "add").with_timeout(std::chrono::milliseconds(30'000));
  EXPECT_EQ(add(1, 2), 3);
  EXPECT_GT(farm.last_deadline_ms, 15'000);
  EXPECT_LT(farm.last_deadline_ms, 30'000);
}

}  // namespace
}  // namespace rbc::test
