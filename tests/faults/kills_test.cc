// Processes that are killed or stopped at the worst moment: every role, and the daemon.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <optional>
#include <thread>

#include "tests/harness/farm_test.h"
#include "tests/harness/ir.h"
#include "tests/harness/neighbour.h"

namespace rbc::harness {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

bool HasEnded(pid_t pid) {
  const auto stat = ReadStat(pid);
  return !stat || stat->state == 'Z';
}

class Kills : public FarmTest {
 protected:
  // The one worker of the client's session, once a call made it.
  pid_t WorkerOf(const Client& client) {
    const auto workers = farm().WorkersOf("execute", static_cast<uint64_t>(client.session().session_id));
    EXPECT_EQ(workers.size(), 1u);
    return workers.empty() ? 0 : workers[0].pid;
  }
  void ExpectWorks(Client& client) {
    const auto add = client.Load(AddModule());
    ASSERT_TRUE(add) << Describe(add.error());
    const auto sum = client.Call(*add, {1.0, 2.0});
    ASSERT_TRUE(sum) << Describe(sum.error());
    EXPECT_TRUE(sum->value == Value(3.0));
  }
};

class ExecutionWorkerKills : public Kills, public ::testing::WithParamInterface<bool> {
 protected:
  FarmOptions Options() const override { return FarmOptions().Set("sessions", "lend", GetParam() ? "true" : "false"); }
};

TEST_P(ExecutionWorkerKills, AnswerWorkerLostAndTheNextCallWorks) {
  Neighbour neighbour(farm());
  Client client = farm().Connect();
  const auto add = Must(client.Load(AddModule()));
  const auto endless = Must(client.Load(EndlessModule()));
  for (int round = 0; round < 5; ++round) {
    SCOPED_TRACE(round);
    for (int i = 0; i < 6; ++i) EXPECT_TRUE(Must(client.Call(add, {double(i), 1.0})).value == Value(i + 1.0));
    const pid_t worker = WorkerOf(client);
    auto call = std::async(std::launch::async, [&] { return client.Call(endless, {1}); });
    EXPECT_TRUE(Farm::AwaitSpinning(worker));
    ASSERT_EQ(kill(worker, SIGKILL), 0);
    ASSERT_EQ(call.wait_for(kPatience), std::future_status::ready) << "no answer after the worker's death";
    const Error error = MustFail(call.get());
    EXPECT_EQ(error.kind, ErrorKind::kWorkerLost) << Describe(error);
    EXPECT_TRUE(error.may_have_run);
    EXPECT_FALSE(error.retry_safe);
    EXPECT_EQ(error.function, "endless");
    EXPECT_EQ(error.output, "loop began\n");
    ExpectWorks(client);
    EXPECT_TRUE(WaitUntil(kPatience, [&] { return !ReadStat(worker); })) << "a zombie is left";
  }
  ExpectUndisturbed(neighbour.Take());
}

// Between calls: on a lent connection nobody of the daemon is looking.
TEST_P(ExecutionWorkerKills, BetweenCallsAreNotNoticed) {
  Client client = farm().Connect();
  const auto add = Must(client.Load(AddModule()));
  int in_doubt = 0;
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 6; ++i) {
      auto sum = client.Call(add, {double(i), 1.0});
      // A worker that dies right after a reply leaves the daemon in doubt whether it was sent: the connection is
      // closed, and the session goes on over another.
      if (GetParam() && !sum && sum.error().kind == ErrorKind::kConnectionLost && ++in_doubt <= 2) {
        client = Must(client.Attach(), "attach after a doubt");
        sum = client.Call(add, {double(i), 1.0});
      }
      ASSERT_TRUE(sum) << "round " << round << " call " << i << ": " << Describe(sum.error());
      EXPECT_TRUE(sum->value == Value(i + 1.0));
    }
    const pid_t worker = WorkerOf(client);
    std::this_thread::sleep_for(milliseconds(5));
    EXPECT_TRUE(WaitUntil(kPatience, [&] { return IsAsleep(worker); })) << "the end of its last reply is over";
    kill(worker, SIGKILL);
    ASSERT_TRUE(WaitUntil(kPatience, [&] { return HasEnded(worker); }));
  }
}

TEST_P(ExecutionWorkerKills, OfAStoppedWorkerTheDeadlineHolds) {
  Client client = farm().Connect();
  const auto add = Must(client.Load(AddModule()));
  for (int i = 0; i < 6; ++i) Must(client.Call(add, {1.0, 1.0}));
  const pid_t worker = WorkerOf(client);
  kill(worker, SIGSTOP);
  ASSERT_TRUE(WaitUntil(kPatience, [&] { return ReadStat(worker)->state == 'T'; }));
  const auto begin = Clock::now();
  const auto reply = client.Call(add, {1.0, 2.0}, {.deadline_ms = 500});
  const std::chrono::duration<double> took = Clock::now() - begin;
  // A call that the worker has not begun may be answered by another one; one that was stopped while it sent its last
  // reply leaves the daemon in doubt.
  EXPECT_TRUE(reply || reply.error().kind == ErrorKind::kDeadlineExceeded ||
              reply.error().kind == ErrorKind::kWorkerLost ||
              (GetParam() && reply.error().kind == ErrorKind::kConnectionLost))
      << Describe(reply.error());
  if (!reply && reply.error().kind == ErrorKind::kConnectionLost) client = Must(client.Attach());
  EXPECT_LT(took, milliseconds(1600) + kStall) << "the deadline plus one second";
  ExpectWorks(client);
  EXPECT_TRUE(WaitUntil(kPatience, [&] { return HasEnded(worker); })) << "the stopped worker is left behind";
}

INSTANTIATE_TEST_SUITE_P(Path, ExecutionWorkerKills, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "Lent" : "Relayed"; });

class CompileWorkerKills : public Kills {
 protected:
  FarmOptions Options() const override {
    return FarmOptions()
        .Set("compile", "workers", "1")
        .Set("compile", "deadline_ms", "60000")
        .Set("compile", "quarantine_ms", "8000");
  }
  // The compile worker that is busy, or 0.
  pid_t BusyCompiler() {
    for (const WorkerProcess& worker : farm().WorkersOf("compile")) {
      if (worker.state == "busy") return worker.pid;
    }
    return 0;
  }
  pid_t AwaitBusyCompiler(pid_t other_than) {
    pid_t busy = 0;
    WaitUntil(kPatience, [&] {
      busy = BusyCompiler();
      return busy != 0 && busy != other_than;
    });
    return busy;
  }
};

TEST_F(CompileWorkerKills, CostAtMostTheJobAndTheNextWorks) {
  Client client = farm().Connect();
  auto compile = std::async(std::launch::async, [&] { return client.Compile(SlowModule(3000, 1)); });
  const pid_t compiler = AwaitBusyCompiler(0);
  ASSERT_NE(compiler, 0) << "no compile worker is busy";
  kill(compiler, SIGKILL);
  ASSERT_EQ(compile.wait_for(2 * kPatience), std::future_status::ready);
  const auto reply = compile.get();  // a fresh worker may have done it
  if (!reply) {
    EXPECT_THAT(reply.error().kind,
                ::testing::AnyOf(ErrorKind::kWorkerLost, ErrorKind::kCompileCrash, ErrorKind::kDeadlineExceeded))
        << Describe(reply.error());
  }
  ExpectWorks(client);
}

// What kills two compile workers is not tried on a third for a while.
TEST_F(CompileWorkerKills, OfTheSameModuleLeadToItsQuarantine) {
  Client client = farm().Connect();
  const Module module = SlowModule(3000, 2);
  std::atomic<bool> done{false};
  std::thread killer([&] {
    pid_t last = 0;
    while (!done) {
      const pid_t busy = BusyCompiler();
      if (busy != 0 && busy != last) {
        std::this_thread::sleep_for(milliseconds(30));
        kill(busy, SIGSEGV);
        last = busy;
      }
      std::this_thread::sleep_for(milliseconds(5));
    }
  });
  Error error;
  int attempts = 0;
  do {
    error = MustFail(client.Compile(module), "a compile whose workers are killed");
    ++attempts;
  } while (error.kind != ErrorKind::kQuarantined && attempts < 5);
  done = true;
  killer.join();
  EXPECT_EQ(error.kind, ErrorKind::kQuarantined) << Describe(error);
  EXPECT_GT(error.retry_after_ms, 0);
  EXPECT_LE(attempts, 3);
  ExpectWorks(client);
  EXPECT_EQ(MustFail(client.Compile(module)).kind, ErrorKind::kQuarantined);
  EXPECT_TRUE(BusyCompiler() == 0) << "refused without a compile";
  auto later = client.Compile(module);
  EXPECT_TRUE(WaitUntil(kPatience, [&] {
    if (!later && later.error().kind == ErrorKind::kQuarantined) later = client.Compile(module);
    return later || later.error().kind != ErrorKind::kQuarantined;
  }));
  EXPECT_TRUE(later) << Describe(later.error());
}

TEST_F(CompileWorkerKills, OfAStoppedCompilerTheDeadlineHolds) {
  Client client = farm().Connect();
  ExpectWorks(client);
  const auto compilers = farm().WorkersOf("compile");
  ASSERT_FALSE(compilers.empty());
  for (const auto& compiler : compilers) kill(compiler.pid, SIGSTOP);
  wire::CompileRequest request = RequestFor(ScaleModule("scale", 77));
  request.deadline_ms = 700;
  const auto begin = Clock::now();
  const auto reply = client.Compile(request);
  EXPECT_LT(Clock::now() - begin, milliseconds(1800) + kStall);
  EXPECT_TRUE(reply || reply.error().kind == ErrorKind::kDeadlineExceeded) << Describe(reply.error());
  Client other = farm().Connect();
  const auto next = other.Load(ScaleModule("scale", 78));
  ASSERT_TRUE(next) << Describe(next.error());
}

class NurseryKills : public Kills {};

TEST_F(NurseryKills, LeaveSessionsAloneAndNewOnesStart) {
  Client client = farm().Connect();
  const auto count = Must(client.Load(CounterModule()));
  EXPECT_TRUE(Must(client.Call(count, {1})).value == Value(101));
  for (int round = 0; round < 5; ++round) {
    SCOPED_TRACE(round);
    const auto nurseries = farm().WorkersOf("nursery");
    ASSERT_FALSE(nurseries.empty());
    for (const auto& nursery : nurseries) kill(nursery.pid, SIGKILL);
    EXPECT_TRUE(WaitUntil(kPatience, [&] { return HasEnded(nurseries[0].pid); }));
    EXPECT_TRUE(Must(client.Call(count, {1}), "the session's own worker").value == Value(102 + round));
    Client fresh = farm().Connect();
    ExpectWorks(fresh);
  }
}

TEST_F(NurseryKills, AStoppedOneIsReplacedWithinSeconds) {
  Client client = farm().Connect();
  ExpectWorks(client);
  const auto nurseries = farm().WorkersOf("nursery");
  ASSERT_FALSE(nurseries.empty());
  for (const auto& nursery : nurseries) kill(nursery.pid, SIGSTOP);
  Client fresh = farm().Connect();
  const auto begin = Clock::now();
  ExpectWorks(fresh);
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds(5) + kStall);
  EXPECT_TRUE(WaitUntil(kPatience, [&] { return HasEnded(nurseries[0].pid); })) << "the stopped nursery is left behind";
  ExpectWorks(client);
}

class DaemonKills : public Kills {};

TEST_F(DaemonKills, LeaveNoProcessAfterASecond) {
  DaemonMayChange();
  for (int round = 0; round < 5; ++round) {
    SCOPED_TRACE(round);
    std::vector<Client> clients;
    for (int i = 0; i < 4; ++i) {
      clients.push_back(i % 2 == 0 ? farm().Connect() : farm().ConnectTcp());
      ExpectWorks(clients.back());
    }
    // One is in the middle of a call, one in the middle of a compile.
    const auto endless = Must(clients[0].Load(EndlessModule()));
    auto call = std::async(std::launch::async, [&] { return clients[0].Call(endless, {1}); });
    auto compile = std::async(std::launch::async, [&] { return clients[1].Compile(SlowModule(6000, 10 + round)); });
    EXPECT_TRUE(farm().AwaitBusy("execute"));
    EXPECT_TRUE(farm().AwaitBusy("compile"));
    const std::vector<ProcessId> processes = farm().Processes();
    EXPECT_GE(processes.size(), 5u);
    farm().KillDaemon();
    const auto alive = [&] {
      return std::count_if(processes.begin(), processes.end(), [](const ProcessId& id) { return IsAlive(id); });
    };
    EXPECT_TRUE(WaitUntil(milliseconds(1000) + kStall, [&] { return alive() == 0; }))
        << alive() << " processes outlive the daemon";
    EXPECT_EQ(MustFail(call.get()).kind, ErrorKind::kConnectionLost);
    EXPECT_EQ(MustFail(compile.get()).kind, ErrorKind::kConnectionLost);
    farm().Start();
    Client fresh = farm().Connect();
    ExpectWorks(fresh);
  }
}

TEST_F(DaemonKills, ATermEndsItCleanly) {
  DaemonMayChange();
  Client client = farm().Connect();
  ExpectWorks(client);
  const auto processes = farm().Processes();
  EXPECT_EQ(farm().Stop(), 0);
  for (const ProcessId& id : processes) EXPECT_FALSE(IsAlive(id));
  EXPECT_TRUE(ReadWholeFile(farm().folder() + "/farm.sock").empty());
  EXPECT_NE(access((farm().folder() + "/farm.sock").c_str(), F_OK), 0) << "the socket's file is left";
}

TEST_F(DaemonKills, AFarmKeepsItsIdOverRestarts) {
  DaemonMayChange();
  const std::string id = farm().Connect().session().farm_id;
  const Client before = farm().Connect();
  farm().Restart();
  EXPECT_EQ(farm().Connect().session().farm_id, id);
  const auto attach = before.Attach();
  ASSERT_FALSE(attach);
  EXPECT_EQ(attach.error().kind, ErrorKind::kUnknownSession) << Describe(attach.error());
}

}  // namespace
}  // namespace rbc::harness
