// Lock-down as the status reports it and as the kernel sees it from outside. As root all of it must be active.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

#include "tests/harness/farm_test.h"
#include "tests/harness/ir.h"

namespace rbc::harness {
namespace {

using ::testing::HasSubstr;

class Sandbox : public FarmTest {
 protected:
  // One worker of each role, after work. The client must live as long as they are looked at.
  std::vector<WorkerProcess> WorkersAtWork(Client& client) {
    Must(client.Call(Must(client.Load(AddModule())), {1.0, 2.0}));
    auto workers = farm().WorkersOf("execute");
    EXPECT_EQ(workers.size(), 1u);
    for (auto& worker : farm().WorkersOf("compile")) workers.push_back(worker);
    EXPECT_GE(workers.size(), 2u) << "no compile worker is kept";
    return workers;
  }
};

const char* const kParts[] = {
    "no-new-privileges", "seccomp", "landlock", "user", "network", "pid", "ipc", "mount", "limits", "capabilities"};

TEST_F(Sandbox, StatusReportsAllOfItAsActive) {
  Client client = farm().Connect();
  WorkersAtWork(client);
  const auto status = farm().StatusJson();
  for (const char* role : {"compile", "execute"}) {
    const std::string active = status.at("sandbox").at(role).get<std::string>();
    for (const char* part : kParts) EXPECT_THAT(active, HasSubstr(part)) << role << ": " << active;
    EXPECT_THAT(active, ::testing::Not(HasSubstr("wide"))) << role;
  }
}

TEST_F(Sandbox, TheKernelSeesItInEveryThreadOfEveryWorker) {
  Client client = farm().Connect();
  for (const WorkerProcess& worker : WorkersAtWork(client)) {
    SCOPED_TRACE(worker.role + " " + std::to_string(worker.pid));
    EXPECT_EQ(StatusField(worker.pid, "Seccomp"), "2");
    EXPECT_EQ(StatusField(worker.pid, "NoNewPrivs"), "1");
    for (const char* set : {"CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb"})
      EXPECT_EQ(StatusField(worker.pid, set), "0000000000000000") << set;
    for (const ProcessStat& thread : ThreadsOf(worker.pid)) {
      const std::string task =
          ReadWholeFile("/proc/" + std::to_string(worker.pid) + "/task/" + std::to_string(thread.id.pid) + "/status");
      EXPECT_THAT(task, HasSubstr("Seccomp:\t2\n")) << "thread " << thread.id.pid;
      EXPECT_THAT(task, HasSubstr("NoNewPrivs:\t1\n")) << "thread " << thread.id.pid;
    }
    // A pid namespace of its own: the last of its numbers is 1.
    EXPECT_THAT(StatusField(worker.pid, "NSpid"), ::testing::EndsWith("\t1"));
  }
}

TEST_F(Sandbox, NamespacesAreNotTheDaemonsNorShared) {
  Client client = farm().Connect();
  const pid_t daemon = farm().pid();
  std::vector<std::string> pid_namespaces;
  for (const WorkerProcess& worker : WorkersAtWork(client)) {
    for (const char* space : {"user", "net", "ipc", "mnt", "pid"}) {
      const std::string own = NamespaceOf(worker.pid, space);
      ASSERT_FALSE(own.empty()) << space;
      EXPECT_NE(own, NamespaceOf(daemon, space)) << worker.role << " shares the daemon's " << space << " namespace";
    }
    pid_namespaces.push_back(NamespaceOf(worker.pid, "pid"));
  }
  std::sort(pid_namespaces.begin(), pid_namespaces.end());
  EXPECT_EQ(std::unique(pid_namespaces.begin(), pid_namespaces.end()), pid_namespaces.end());
}

TEST_F(Sandbox, LimitsAreSet) {
  Client client = farm().Connect();
  for (const WorkerProcess& worker : WorkersAtWork(client)) {
    EXPECT_EQ(SoftLimit(worker.pid, "Max core file size"), "0") << worker.role;
    EXPECT_EQ(SoftLimit(worker.pid, "Max file size"), "0") << worker.role;
    EXPECT_NE(SoftLimit(worker.pid, "Max data size"), "unlimited") << worker.role;
    EXPECT_LT(std::stoi(SoftLimit(worker.pid, "Max open files")), 128) << worker.role;
  }
}

// The descriptors of a worker are its three and /dev/null: nothing of the daemon's or of another session's.
TEST_F(Sandbox, AWorkerHoldsNoDescriptorOfOthers) {
  Client other = farm().Connect();
  Must(other.Call(Must(other.Load(AddModule())), {1.0, 2.0}));
  Client client = farm().Connect();
  const auto add = Must(client.Load(AddModule()));
  Must(client.Call(add, {1.0, 2.0}));
  for (const WorkerProcess& worker : farm().Workers()) {
    if (worker.role == "nursery") continue;
    EXPECT_LE(OpenDescriptors(worker.pid), 8u) << worker.role;
    for (int fd = 0; fd < 64; ++fd) {
      char target[256];
      const std::string link = "/proc/" + std::to_string(worker.pid) + "/fd/" + std::to_string(fd);
      const ssize_t size = readlink(link.c_str(), target, sizeof target);
      if (size <= 0) continue;
      const std::string what(target, static_cast<size_t>(size));
      EXPECT_TRUE(what == "/dev/null" || what.starts_with("socket:") || what.starts_with("/memfd:"))
          << worker.role << " has " << what;
    }
  }
}

class StrictSandbox : public FarmTest {
 protected:
  FarmOptions Options() const override { return FarmOptions().Set("workers", "sandbox", "\"strict\""); }
};

TEST_F(StrictSandbox, StartsWhereAllOfItCanBeHad) {
  Client client = farm().Connect();
  EXPECT_TRUE(Must(client.Call(Must(client.Load(AddModule())), {1.0, 2.0})).value == Value(3.0));
}

}  // namespace
}  // namespace rbc::harness
