// A real rbc-farm for one sample: started in a folder of its own, pinned, asked to stop at the end.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "tests/bench/peer.h"

namespace rbc::bench {

class FarmProcess {
 public:
  // Starts work.bin/rbc-farm on the servers' CPU and waits until it says that it is ready. `configuration` is TOML
  // for what differs from the defaults. Check error() afterwards.
  explicit FarmProcess(const Work& work, const std::string& configuration = "");
  ~FarmProcess() { Stop(); }
  FarmProcess(const FarmProcess&) = delete;
  FarmProcess& operator=(const FarmProcess&) = delete;

  const std::string& error() const { return error_; }
  std::string unix_path() const { return folder_.path() + "/farm.sock"; }
  int tcp_port() const { return tcp_port_; }
  // KiB of private anonymous memory of the daemon.
  double DaemonKiB() const;
  // The same of all processes of the farm together.
  double TreeKiB() const;
  // TERM, then waits. The context switches of the whole life of the farm's processes.
  int64_t Stop();

 private:
  TemporaryFolder folder_;
  std::string error_;
  pid_t pid_ = -1;
  int tcp_port_ = 0;
};

}  // namespace rbc::bench
