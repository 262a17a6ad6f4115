// The program rbc-farm itself: its command line, its ready line, its signals, its socket file, its real workers.
// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/unique_fd.h"
#include "server/config/config.h"
#include "tests/harness/proc.h"
#include "tests/server/farm_fixture.h"
#include "thrift/handle.h"

namespace rbc::server::testing {
namespace {

constexpr const char* kAdd =
    "define double @add(double %a, double %b) {\n  %c = fadd double %a, %b\n  ret double %c\n}\n";

// A process of rbc-farm with its standard output read by us; killed at the end if it still runs.
class Program {
 public:
  explicit Program(std::vector<std::string> arguments) {
    int out[2];
    EXPECT_EQ(pipe2(out, O_CLOEXEC), 0);
    arguments.insert(arguments.begin(), RBC_FARM_PATH);
    std::vector<char*> argv;
    for (auto& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    pid_ = fork();
    if (pid_ == 0) {
      dup2(out[1], STDOUT_FILENO);
      dup2(out[1], STDERR_FILENO);
      execv(argv[0], argv.data());
      _exit(127);
    }
    close(out[1]);
    out_.Reset(out[0]);
  }
  ~Program() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
  }
  // The addresses of the ready line; empty where it ends or takes half a minute without one.
  std::vector<std::string> WaitReady() {
    while (text_.find("ready ") == std::string::npos || text_.find('\n', text_.find("ready ")) == std::string::npos)
      if (!ReadSome(30'000)) return {};
    const auto at = text_.find("ready ") + 6;
    std::istringstream line(text_.substr(at, text_.find('\n', at) - at));
    std::vector<std::string> addresses;
    for (std::string address; line >> address;) addresses.push_back(address);
    return addresses;
  }
  void Signal(int signal) { kill(pid_, signal); }
  // The exit status, or minus the signal.
  int Wait() {
    while (ReadSome(20'000)) {
    }
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  const std::string& text() const { return text_; }

 private:
  bool ReadSome(int timeout_ms) {
    pollfd wait{.fd = out_.get(), .events = POLLIN, .revents = 0};
    char bytes[4096];
    if (poll(&wait, 1, timeout_ms) != 1) return false;
    const ssize_t got = read(out_.get(), bytes, sizeof bytes);
    if (got > 0) text_.append(bytes, static_cast<size_t>(got));
    return got > 0;
  }
  pid_t pid_ = -1;
  UniqueFd out_;
  std::string text_;
};

class ProgramTest : public ::testing::Test {
 protected:
  void SetUp() override { WriteConfig(""); }
  void WriteConfig(const std::string& more) {
    std::ofstream(config()) << "[server]\nstate_dir = \"" << folder_.path() << "/state\"\n" << more;
  }
  std::string config() const { return folder_.path() + "/rbc-farm.toml"; }
  std::string socket() const { return folder_.path() + "/farm.sock"; }
  std::vector<std::string> Arguments() const {
    return {"--config", config(), "--listen", "unix:" + socket(), "--listen", "127.0.0.1:0"};
  }
  static double CallAdd(Client& client, int64_t function) {
    const double values[] = {1.5, 2.0};
    const auto result = client.Call(function, std::string(reinterpret_cast<const char*>(values), 16)).result;
    double sum = 0;
    EXPECT_EQ(result.size(), 8u);
    std::memcpy(&sum, result.data(), sizeof sum);
    return sum;
  }
  static wire::CompileReply CompileAdd(Client& client) {
    auto request = MakeRequest(kAdd, "add");
    request.functions[0].signature = "float64(float64, float64)";
    request.handle.assign(Bytes(HandleOf(request.target, request.functions, request.options, request.ir)));
    wire::CompileReply reply;
    client->compile(reply, request);
    return reply;
  }

  TemporaryFolder folder_;
};

TEST_F(ProgramTest, AnswersCallsAndStopsOnTerm) {
  Program farm(Arguments());
  const auto addresses = farm.WaitReady();
  ASSERT_EQ(addresses.size(), 2u) << farm.text();
  for (const auto& address : addresses) {
    Client client(address);
    client.Hello();
    const auto f = CompileAdd(client).functions[0].function_id;
    for (int i = 0; i < 50; ++i) EXPECT_EQ(CallAdd(client, f), 3.5);
  }
  farm.Signal(SIGTERM);
  EXPECT_EQ(farm.Wait(), 0) << farm.text();
  EXPECT_FALSE(std::filesystem::exists(socket()));
}

TEST_F(ProgramTest, StopsWhenStandardInputEnds) {
  int in[2];
  ASSERT_EQ(pipe2(in, O_CLOEXEC), 0);
  const int kept = dup(STDIN_FILENO);
  dup2(in[0], STDIN_FILENO);
  close(in[0]);
  auto arguments = Arguments();
  arguments.emplace_back("--until-eof");
  Program farm(arguments);
  dup2(kept, STDIN_FILENO);
  close(kept);
  const auto addresses = farm.WaitReady();
  ASSERT_EQ(addresses.size(), 2u) << farm.text();
  ASSERT_EQ(write(in[1], "noise", 5), 5);
  Client client(addresses[0]);
  client.Hello();
  EXPECT_EQ(CallAdd(client, CompileAdd(client).functions[0].function_id), 3.5);
  close(in[1]);
  EXPECT_EQ(farm.Wait(), 0) << farm.text();
  EXPECT_FALSE(std::filesystem::exists(socket()));
}

// Nothing is in flight when the worker is killed, not even the end of its last send, and the next call is sent when the
// process is gone: none may fail, lent connection or not.
class KilledWorker : public ProgramTest, public ::testing::WithParamInterface<const char*> {};
INSTANTIATE_TEST_SUITE_P(Lend, KilledWorker, ::testing::Values("false", "true"));

TEST_P(KilledWorker, IsReplaced) {
  WriteConfig(std::string("[sessions]\nlend = ") + GetParam() + "\n");
  Program farm(Arguments());
  const auto addresses = farm.WaitReady();
  ASSERT_FALSE(addresses.empty()) << farm.text();
  Client client(addresses[0]), control(addresses[0]);
  client.Hello();
  control.Hello();
  const auto f = CompileAdd(client).functions[0].function_id;
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 10; ++i) EXPECT_EQ(CallAdd(client, f), 3.5);
    wire::FarmStatus status;
    control->status(status);
    const auto json = nlohmann::json::parse(status.json);
    usleep(20'000);
    for (const auto& worker : json["workers"]) {
      if (worker["role"] != "execute") continue;
      EXPECT_TRUE(Eventually([&] { return harness::IsAsleep(worker["pid"].get<int>()); })) << "its last send is over";
    }
    int killed = 0;
    for (const auto& worker : json["workers"]) {
      const int pid = worker["pid"].get<int>();
      if (worker["role"] != "execute" || kill(pid, SIGKILL) != 0) continue;
      ++killed;
      EXPECT_TRUE(Eventually([&] { return kill(pid, 0) != 0; }));
    }
    EXPECT_EQ(killed, 1) << status.json;
    EXPECT_EQ(CallAdd(client, f), 3.5) << "nothing was in flight";
  }
  EXPECT_EQ(CallAdd(client, f), 3.5);
}

TEST_F(ProgramTest, KilledFarmLeavesNothingInTheWay) {
  std::string id;
  {
    Program farm(Arguments());
    ASSERT_FALSE(farm.WaitReady().empty()) << farm.text();
    Client client("unix:" + socket());
    id = client.Hello().farm_id;
    const auto module = CompileAdd(client);
    wire::PublishRequest publish;
    publish.module_id = module.module_id;
    publish.function_id = module.functions[0].function_id;
    publish.name = "add";
    client->publish(publish);
    farm.Signal(SIGKILL);
    EXPECT_EQ(farm.Wait(), -SIGKILL);
  }
  EXPECT_TRUE(std::filesystem::exists(socket()));
  Program farm(Arguments());
  ASSERT_FALSE(farm.WaitReady().empty()) << farm.text();
  Client client("unix:" + socket());
  EXPECT_EQ(client.Hello().farm_id, id);
  wire::PublishedFunction found;
  client->lookup(found, "add");
  EXPECT_EQ(CallAdd(client, found.info.function_id), 3.5);
}

TEST_F(ProgramTest, SecondFarmOnTheSameSocketIsRefused) {
  Program farm(Arguments());
  ASSERT_FALSE(farm.WaitReady().empty()) << farm.text();
  Program second({"--config", config(), "--listen", "unix:" + socket()});
  EXPECT_EQ(second.Wait(), 1);
  EXPECT_NE(second.text().find("another farm answers on"), std::string::npos) << second.text();
  Client client("unix:" + socket());
  EXPECT_EQ(client.Hello().protocol_major, 1);
}

TEST_F(ProgramTest, FilesThatAreNoSocketsAreLeftAlone) {
  std::ofstream(socket()) << "precious";
  Program farm(Arguments());
  EXPECT_EQ(farm.Wait(), 1);
  EXPECT_EQ(std::filesystem::file_size(socket()), 8u);
}

TEST_F(ProgramTest, PublicAddressesNeedLeave) {
  Program refused({"--config", config(), "--listen", "0.0.0.0:0"});
  EXPECT_EQ(refused.Wait(), 1);
  EXPECT_NE(refused.text().find("insecure = true"), std::string::npos) << refused.text();
  WriteConfig("insecure = true\n");
  Program checked({"--config", config(), "--listen", "0.0.0.0:0", "--check-config"});
  EXPECT_EQ(checked.Wait(), 0) << checked.text();
}

TEST_F(ProgramTest, ConfigurationIsCheckedAndPrinted) {
  WriteConfig("lissten = []\n");
  Program wrong({"--config", config(), "--check-config"});
  EXPECT_EQ(wrong.Wait(), 1);
  EXPECT_NE(wrong.text().find("rbc-farm.toml:3:1: unknown key \"lissten\""), std::string::npos) << wrong.text();
  WriteConfig("[store]\nmax_bytes = \"5 MiB\"\n");
  Program print({"--config", config(), "--print-config"});
  EXPECT_EQ(print.Wait(), 0);
  const auto back = ParseConfig(print.text(), "printed");
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->store_bytes, 5u << 20);
  Program usage({"--no-such-option"});
  EXPECT_EQ(usage.Wait(), 2);
}

}  // namespace
}  // namespace rbc::server::testing
