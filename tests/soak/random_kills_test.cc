// Processes of every role killed and stopped at random while clients work: each answer is right or a typed error.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <thread>

#include "tests/harness/farm_test.h"
#include "tests/harness/ir.h"

namespace rbc::harness {
namespace {

using std::chrono::milliseconds;

class RandomKills : public FarmTest {
 protected:
  // A stopped process is found by a deadline.
  FarmOptions Options() const override {
    return FarmOptions()
        .Set("compile", "deadline_ms", "1000")
        .Set("workers", "call_deadline_ms", "1000")
        .Set("workers", "load_deadline_ms", "1000");
  }
  bool GetsAnAnswer() {
    Client client = farm().Connect();
    const auto add = client.Load(AddModule());
    if (!add) return false;
    const auto sum = client.Call(*add, {1.0, 2.0});
    return sum && sum->value == Value(3.0);
  }
  // One client's life until `stop`: new functions, calls, new sessions.
  void Work(int number, const std::atomic<bool>& stop) {
    std::mt19937_64 random(TestSeed(77) + static_cast<uint64_t>(number));
    std::optional<Client> client;
    for (int64_t i = 0; !stop; ++i) {
      if (!client || random() % 50 == 0) {
        auto connected = Client::Connect(farm().unix_address());
        ASSERT_TRUE(connected) << Describe(connected.error());
        client = std::move(connected).value();
      }
      const int64_t factor = static_cast<int64_t>(random() % 40);
      const auto function = client->Load(ScaleModule("scale", factor));
      if (!function) {
        Note(function.error());
        if (function.error().kind == ErrorKind::kConnectionLost) client.reset();
        continue;
      }
      for (int call = 0; call < 10 && client; ++call) {
        const auto result = client->Call(*function, {i});
        if (!result) {
          Note(result.error());
          if (result.error().kind == ErrorKind::kConnectionLost) client.reset();
        } else if (!(result->value == Value(i * factor))) {
          ADD_FAILURE() << "a wrong product";
          return;
        }
        ++calls_;
      }
    }
  }
  void Note(const Error& error) {
    const std::lock_guard lock(mutex_);
    ++errors_[std::string(Name(error.kind))];
    switch (error.kind) {
      case ErrorKind::kWorkerLost:
      case ErrorKind::kDeadlineExceeded:
      case ErrorKind::kQuarantined:
      case ErrorKind::kCompileCrash:
      case ErrorKind::kRemoteCrash:
      case ErrorKind::kUnavailable:
      case ErrorKind::kConnectionLost:  // the daemon was in doubt about a reply
      case ErrorKind::kBusy:
        break;
      default:
        ADD_FAILURE() << "an error that no kill explains: " << Describe(error);
    }
  }

  std::mutex mutex_;
  std::map<std::string, int> errors_;
  std::atomic<int64_t> calls_{0};
};

TEST_F(RandomKills, OfEveryRoleUnderLoad) {
  const uint64_t seed = TestSeed(77);
  SCOPED_TRACE("RBC_SEED=" + std::to_string(seed));
  const int kills = LongRun() ? 500 : 20;
  std::mt19937_64 random(seed);
  std::atomic<bool> stop{false};
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i) clients.emplace_back([&, i] { Work(i, stop); });
  std::map<std::string, int> killed;
  for (int done = 0; done < kills && !HasFatalFailure();) {
    std::this_thread::sleep_for(milliseconds(20 + random() % 100));
    // Every role gets its share, however few its processes are.
    const char* const kRoles[] = {"nursery", "compile", "execute", "execute"};
    const auto workers = farm().WorkersOf(kRoles[random() % 4]);
    if (workers.empty()) continue;
    const WorkerProcess& victim = workers[random() % workers.size()];
    constexpr int kSignals[] = {SIGKILL, SIGKILL, SIGSEGV, SIGSTOP};
    if (kill(victim.pid, kSignals[random() % 4]) == 0) {
      ++killed[victim.role];
      ++done;
    }
  }
  const int64_t before = calls_;
  EXPECT_TRUE(WaitUntil(kPatience, [&] { return calls_ > before + 40; })) << "nobody gets answers any more";
  stop = true;
  for (auto& client : clients) client.join();
  for (const auto& [role, count] : killed) std::printf("killed %d of role %s\n", count, role.c_str());
  for (const auto& [kind, count] : errors_) std::printf("%6d %s\n", count, kind.c_str());
  std::printf("%6ld calls answered\n", calls_.load());

  // Afterwards: a right answer, no zombie. What was stopped and is not needed may wait for its deadline.
  EXPECT_TRUE(WaitUntil(kPatience, [&] { return GetsAnAnswer(); }));
  EXPECT_TRUE(WaitUntil(kPatience, [&] {
    for (const ProcessStat& child : ChildrenOf(farm().pid())) {
      if (child.state == 'Z') return false;
    }
    return true;
  })) << "a zombie is left";
}

}  // namespace
}  // namespace rbc::harness
