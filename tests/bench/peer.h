// One client against one forked server: what the sources of other RPC systems have in common.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "tests/bench/source.h"

namespace rbc::bench {

// A folder for sockets, removed with everything in it.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    char path[] = "/tmp/rbc-bench-XXXXXX";
    if (mkdtemp(path) != nullptr) path_ = path;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// A server in a process of its own on the servers' CPU, killed on Stop() and with its parent.
class ServerProcess {
 public:
  template <typename Serve>
  ServerProcess(Mode mode, Serve serve) {
    const pid_t parent = getpid();
    pid_ = fork();
    if (pid_ != 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || !PinTo(ServerCpu(mode))) _exit(1);
    serve();
    _exit(0);
  }
  ~ServerProcess() { Stop(); }
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;
  // Context switches of its whole life.
  int64_t Stop() {
    if (pid_ <= 0) return 0;
    rusage usage{};
    kill(pid_, SIGKILL);
    wait4(pid_, nullptr, 0, &usage);
    pid_ = -1;
    return Switches(usage);
  }

 private:
  pid_t pid_ = -1;
};

// Times `calls` calls of add(a, b) after a warm-up and checks each sum. `add` is double(double, double) and gives NaN
// for a call that failed. `server` has Stop(), which gives the context switches of its life.
template <typename Server, typename Add>
Sample TimeCalls(const Work& work, Server& server, Add add) {
  constexpr int kWarmUp = 500;
  Sample sample;
  std::vector<int32_t> latencies;
  latencies.reserve(static_cast<size_t>(work.calls));
  const int64_t before = SwitchesOfSelf();
  for (int i = 0; i < work.calls + kWarmUp; ++i) {
    const int64_t start = NowNs();
    const double sum = add(i, 0.5);
    const int64_t end = NowNs();
    if (sum != i + 0.5) {
      sample.error = "a reply is not the sum of what was sent";
      return sample;
    }
    if (i >= kWarmUp) latencies.push_back(static_cast<int32_t>(end - start));
  }
  const int64_t switches = SwitchesOfSelf() - before + server.Stop();
  sample.switches = static_cast<double>(switches) / (work.calls + kWarmUp);
  sample.p50 = Quantile(latencies, 0.50) / 1000.0;
  sample.p99 = Quantile(latencies, 0.99) / 1000.0;
  return sample;
}

}  // namespace rbc::bench
