// Starting, measuring and stopping a farm.
// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/farm_process.h"

#include <fcntl.h>
#include <poll.h>

#include <fstream>
#include <sstream>

#include "base/unique_fd.h"

namespace rbc::bench {
namespace {

constexpr int kReadyMs = 10'000;

// The line that the farm prints when it answers, "" if it does not come in time.
std::string ReadLine(int fd) {
  std::string line;
  const int64_t give_up = NowNs() + kReadyMs * 1'000'000LL;
  while (line.empty() || line.back() != '\n') {
    pollfd entry{fd, POLLIN, 0};
    const auto left_ms = static_cast<int>((give_up - NowNs()) / 1'000'000);
    char byte;
    if (left_ms <= 0 || poll(&entry, 1, left_ms) != 1 || read(fd, &byte, 1) != 1) return "";
    line += byte;
  }
  return line;
}

std::vector<pid_t> ChildrenOf(pid_t pid) {
  std::vector<pid_t> children;
  std::error_code ignored;
  for (const auto& task : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task", ignored)) {
    std::ifstream file(task.path() / "children");
    for (pid_t child; file >> child;) children.push_back(child);
  }
  return children;
}

double PrivateKiB(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/smaps_rollup");
  double sum = 0;
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("Private_Dirty:")) continue;
    sum += std::stod(line.substr(line.find(':') + 1));
  }
  return sum;
}

double TreeKiBOf(pid_t pid) {
  double sum = PrivateKiB(pid);
  for (const pid_t child : ChildrenOf(pid)) sum += TreeKiBOf(child);
  return sum;
}

}  // namespace

FarmProcess::FarmProcess(const Work& work, const std::string& configuration) {
  const std::string program = work.bin + "/rbc-farm";
  if (access(program.c_str(), X_OK) != 0) {
    error_ = program + " is missing; build it first";
    return;
  }
  const std::string file = folder_.path() + "/rbc-farm.toml";
  std::ofstream(file) << "[server]\nlisten = [\"unix:" << unix_path() << "\", \"127.0.0.1:0\"]\nstate_dir = \""
                      << folder_.path() << "/state\"\nlog_level = \"warn\"\n"
                      << configuration;
  int out[2];
  if (pipe2(out, O_CLOEXEC) != 0) {
    error_ = "no pipe can be made";
    return;
  }
  pid_ = fork();
  if (pid_ == 0) {
    dup2(out[1], STDOUT_FILENO);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (PinFarm(work.mode)) execl(program.c_str(), program.c_str(), "--config", file.c_str(), nullptr);
    _exit(127);
  }
  close(out[1]);
  const UniqueFd ready(out[0]);
  const std::string line = ReadLine(ready.get());
  const auto port = line.find("127.0.0.1:");
  if (!line.starts_with("ready ") || port == std::string::npos) {
    error_ = "rbc-farm does not say that it is ready within 10 s";
    return;
  }
  tcp_port_ = std::atoi(line.c_str() + port + 10);
}

double FarmProcess::DaemonKiB() const { return PrivateKiB(pid_); }
double FarmProcess::TreeKiB() const { return TreeKiBOf(pid_); }

int64_t FarmProcess::Stop() {
  if (pid_ <= 0) return 0;
  rusage before{}, after{};
  getrusage(RUSAGE_CHILDREN, &before);
  kill(pid_, SIGTERM);
  waitpid(pid_, nullptr, 0);
  getrusage(RUSAGE_CHILDREN, &after);
  pid_ = -1;
  return Switches(after) - Switches(before);
}

}  // namespace rbc::bench
