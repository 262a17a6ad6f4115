// The built rbc-farm as a child process.
// SPDX-License-Identifier: Apache-2.0
#include "tests/harness/farm.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <stdexcept>

#include "base/unique_fd.h"
#include "tests/harness/paths.h"
#include "tests/harness/run_program.h"

namespace rbc::harness {

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kReadyLimit{30'000};

// The child's side: dies with the thread that forked, its messages go to the log.
[[noreturn]] void ExecFarm(const ProgramCall& call, const std::string& log, int out) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  dup2(out, STDOUT_FILENO);
  const int err = open(log.c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600);
  dup2(err, STDERR_FILENO);
  const int null = open("/dev/null", O_RDONLY);
  dup2(null, STDIN_FILENO);
  call.Exec();
}

// One line of the farm's output, or "" at its end or the limit.
std::string ReadLine(int fd, Clock::time_point end) {
  std::string line;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
    pollfd wait{fd, POLLIN, 0};
    if (left <= 0 || poll(&wait, 1, static_cast<int>(left)) <= 0) return "";
    char c;
    if (read(fd, &c, 1) != 1) return "";
    if (c == '\n') return line;
    line += c;
  }
}

// RBC_WATCH_DRIVER=1: what GPU workers ask of the system after lock-down is let through and printed at the farm's end.
bool WatchesDriver() {
  const char* watch = std::getenv("RBC_WATCH_DRIVER");
  return watch != nullptr && *watch == '1';
}

void PrintWatched(const std::string& log) {
  std::istringstream lines(log);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("gpu worker: ")) std::printf("%s\n", line.c_str());
}

}  // namespace

TemporaryFolder::TemporaryFolder() {
  const char* base = std::getenv("TMPDIR");
  std::string pattern = std::string(base != nullptr ? base : "/tmp") + "/rbc-test-XXXXXX";
  if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder can be made: " + pattern);
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

Farm::Farm(FarmOptions options) : options_(std::move(options)) {
  unix_address_ = "unix:" + folder_.path() + "/farm.sock";
  Start();
}

Farm::~Farm() {
  if (pid_ != 0) KillDaemon();
  if (WatchesDriver()) PrintWatched(log());
}

void Farm::WriteConfig() const {
  auto config = options_.config;
  auto& server = config["server"];
  const std::string tcp = tcp_address_.empty() ? "127.0.0.1:0" : tcp_address_;
  const std::string tls = tls_address_.empty() ? options_.tls_listen : tls_address_;
  if (!server.contains("listen"))
    server["listen"] = "[\"" + unix_address_ + "\", \"" + tcp + "\"" + (tls.empty() ? "" : ", \"" + tls + "\"") + "]";
  if (!server.contains("state_dir")) server["state_dir"] = "\"" + folder_.path() + "/state\"";
  if (WatchesDriver()) config["targets.cuda"]["watch_driver"] = "true";
  std::ostringstream text;
  for (const auto& [section, keys] : config) {
    text << "[" << section << "]\n";
    for (const auto& [key, value] : keys) text << key << " = " << value << "\n";
  }
  WriteWholeFile(config_path(), text.str());
}

void Farm::Start() {
  WriteConfig();
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe can be made");
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  const std::string log = folder_.path() + "/farm.log";
  const ProgramCall call({ProgramPath("rbc-farm"), "--config", config_path()}, options_.environment);
  pid_ = fork();
  if (pid_ == 0) ExecFarm(call, log, write_end.get());
  if (pid_ < 0) throw std::runtime_error("fork fails");
  write_end.Reset();
  AwaitReady(read_end.get());
}

void Farm::AwaitReady(int out) {
  const std::string line = ReadLine(out, Clock::now() + kReadyLimit);
  if (!line.starts_with("ready ")) {
    KillDaemon();
    throw std::runtime_error("the farm says '" + line + "' instead of ready; its log:\n" + log());
  }
  std::istringstream words(line.substr(6));
  for (std::string word; words >> word;) {
    if (word.starts_with("tls:"))
      tls_address_ = word;
    else if (!word.starts_with("unix:"))
      tcp_address_ = word;
  }
}

bool Farm::running() { return pid_ != 0 && waitpid(pid_, nullptr, WNOHANG) == 0; }

void Farm::Signal(int signal) {
  if (pid_ > 0) kill(pid_, signal);
}

void Farm::KillDaemon() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = 0;
}

int Farm::Stop(std::chrono::milliseconds limit) {
  Signal(SIGTERM);
  int status = 0;
  if (!WaitUntil(limit, [&] { return waitpid(pid_, &status, WNOHANG) == pid_; })) {
    KillDaemon();
    return -1;
  }
  pid_ = 0;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::vector<ProcessId> Farm::Processes() const {
  std::vector<ProcessId> all;
  std::vector<pid_t> next = {pid_};
  while (!next.empty()) {
    const pid_t parent = next.back();
    next.pop_back();
    for (const ProcessStat& child : ChildrenOf(parent)) {
      if (child.state == 'Z') continue;
      all.push_back(child.id);
      next.push_back(child.id.pid);
    }
  }
  return all;
}

Client Farm::Connect(const ConnectOptions& options) const {
  return Must(Client::Connect(unix_address_, options), "connect to " + unix_address_);
}
Client Farm::ConnectTcp(const ConnectOptions& options) const {
  return Must(Client::Connect(tcp_address_, options), "connect to " + tcp_address_);
}

nlohmann::json Farm::StatusJson() const {
  Client client = Connect();
  const wire::FarmStatus status = Must(client.FarmState(), "status");
  return nlohmann::json::parse(status.json);
}

std::vector<WorkerProcess> Farm::Workers() const {
  std::vector<WorkerProcess> workers;
  const nlohmann::json status = StatusJson();
  for (const auto& entry : status.at("workers")) {
    WorkerProcess worker;
    worker.pid = entry.at("pid").get<pid_t>();
    worker.role = entry.at("role").get<std::string>();
    worker.session = entry.value("session", uint64_t{0});
    worker.state = entry.value("state", "");
    workers.push_back(std::move(worker));
  }
  return workers;
}

std::vector<WorkerProcess> Farm::WorkersOf(const std::string& role, uint64_t session) const {
  std::vector<WorkerProcess> workers = Workers();
  std::erase_if(workers, [&](const WorkerProcess& worker) {
    return worker.role != role || (session != 0 && worker.session != session);
  });
  return workers;
}

bool Farm::AwaitBusy(const std::string& role, uint64_t session) const {
  return WaitUntil(kPatience, [&] {
    for (const WorkerProcess& worker : WorkersOf(role, session))
      if (worker.state == "busy") return true;
    return false;
  });
}

bool Farm::AwaitSpinning(pid_t worker) {
  constexpr std::chrono::milliseconds kLong{300};  // of the processor: more than loading takes, also under sanitizers
  const auto before = ProcessorTime(worker);
  return WaitUntil(kPatience, [&] { return ProcessorTime(worker) >= before + kLong; });
}

}  // namespace rbc::harness
