// The built rbc-farm as a child process with a folder of its own.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/harness/client.h"
#include "tests/harness/proc.h"

namespace rbc::harness {

struct FarmOptions {
  // Added to the configuration: section, key, value as TOML writes it.
  std::map<std::string, std::map<std::string, std::string>> config;
  std::vector<std::pair<std::string, std::string>> environment;
  // Where to listen with TLS besides, "tls://127.0.0.1:0"; its port stays over restarts.
  std::string tls_listen;

  FarmOptions& Set(const std::string& section, const std::string& key, std::string value) {
    config[section][key] = std::move(value);
    return *this;
  }
};

struct WorkerProcess {
  pid_t pid = 0;
  std::string role;  // "nursery", "compile", "execute"
  uint64_t session = 0;
  std::string state;
};

// A folder that goes with its owner.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Listens on a Unix socket and a loopback port of the kernel's choice; keeps the port over restarts. Ends only the
// processes that it started. Start and Restart belong to one thread: the daemon dies with it.
class Farm {
 public:
  // Throws std::runtime_error with the farm's log where it does not say ready.
  explicit Farm(FarmOptions options = {});
  ~Farm();  // kills what still runs
  Farm(const Farm&) = delete;
  Farm& operator=(const Farm&) = delete;

  const std::string& unix_address() const { return unix_address_; }
  const std::string& tcp_address() const { return tcp_address_; }
  const std::string& tls_address() const { return tls_address_; }
  const std::string& folder() const { return folder_.path(); }
  std::string config_path() const { return folder_.path() + "/rbc-farm.toml"; }
  pid_t pid() const { return pid_; }
  bool running();
  std::string log() const { return ReadWholeFile(folder_.path() + "/farm.log"); }

  void Start();
  void Signal(int signal);
  // SIGKILL, and waits for it.
  void KillDaemon();
  // SIGTERM; the exit code, or -1 where it did not exit by itself within `limit` (it is then killed).
  int Stop(std::chrono::milliseconds limit = std::chrono::milliseconds(20'000));
  void Restart() {
    KillDaemon();
    Start();
  }
  // All processes below the daemon: nursery and workers.
  std::vector<ProcessId> Processes() const;

  Client Connect(const ConnectOptions& options = {}) const;     // Unix socket; throws
  Client ConnectTcp(const ConnectOptions& options = {}) const;  // throws
  nlohmann::json StatusJson() const;
  std::vector<WorkerProcess> Workers() const;
  // Waits until a worker of that role, of one session where `session` is not 0, has something to do.
  bool AwaitBusy(const std::string& role = "execute", uint64_t session = 0) const;
  // Waits until a call of client code that never ends has run for a while in this worker: what comes before is over.
  static bool AwaitSpinning(pid_t worker);
  // The workers of a role; of one session where `session` is not 0.
  std::vector<WorkerProcess> WorkersOf(const std::string& role, uint64_t session = 0) const;

 private:
  void WriteConfig() const;
  void AwaitReady(int out);
  TemporaryFolder folder_;
  FarmOptions options_;
  std::string unix_address_, tcp_address_, tls_address_;
  pid_t pid_ = 0;
};

}  // namespace rbc::harness
