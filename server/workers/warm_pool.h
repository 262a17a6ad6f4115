// Execution workers with a GPU that wait for a session: a context takes far longer to make than all else of a start.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "server/workers/device_pool.h"
#include "server/workers/nursery.h"
#include "server/workers/supervisor.h"

namespace rbc::server {

class WorkerHost;

// What an execution worker of `target` (without a device's number) is told at its start, its device left out.
worker::SpawnBody SpawnOf(const SupervisorOptions& options, const std::string& target);

// CudaOptions::warm of them for each trust domain and target that used a GPU lately: workers are forked within their
// domain. One that is taken or ends is replaced in the background. They take places on devices, and give them back to
// sessions that find none. Thread-safe.
class WarmPool {
 public:
  struct Worker {
    SpawnedWorker process;
    DevicePool::Place place;
  };

  explicit WarmPool(WorkerHost& host);
  ~WarmPool();  // ends those that wait

  // For a session: one that waits, else a new one, on device number `pin` if that is not negative. Either way some will
  // wait for the next session. Errors of DevicePool::Take and of the start.
  Expected<Worker> TakeOrStart(const std::string& domain, const std::string& target, int pin);
  std::vector<WorkerStatus> Describe() const;

 private:
  using Key = std::pair<std::string, std::string>;  // domain, target
  struct Line {
    std::list<Worker> waiting;
    Clock::time_point asked;  // by a session
  };

  std::optional<Worker> Take(const std::string& domain, const std::string& target, int pin);
  bool MakeRoom(int pin);  // ends one that waits; false: there is none
  void Run();
  void EndTheDead(std::list<Worker>* gone);       // REQUIRES: mutex_ held
  void ForgetTheUnused(std::list<Worker>* gone);  // REQUIRES: mutex_ held
  std::optional<Key> NextWanted() const;          // REQUIRES: mutex_ held
  Expected<Worker> Start(const std::string& domain, const std::string& target, DevicePool::Place place);

  WorkerHost& host_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  Clock::time_point not_before_{};  // after a start that failed
  std::map<Key, Line> lines_;
  std::thread thread_;  // the last member: it uses the others
};

}  // namespace rbc::server
