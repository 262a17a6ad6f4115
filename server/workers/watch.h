// What the supervisor offers to the classes that own workers.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "server/workers/device_pool.h"
#include "server/workers/nursery.h"
#include "server/workers/supervisor.h"
#include "server/workers/warm_pool.h"

namespace rbc::server {

// Told about a worker, on the supervisor's thread. Must be quick.
class WorkerEvents {
 public:
  virtual ~WorkerEvents() = default;
  virtual void OnPacket(const Packet& packet) = 0;  // only if its control socket is watched
  virtual void OnControlClosed() = 0;
  virtual void OnExit(int wait_status) = 0;        // the last call; packets sent before were delivered
  virtual void OnTick(Clock::time_point now) = 0;  // some 50 times a second while anyone asked for ticks
  virtual WorkerStatus Describe() const = 0;
};

class WorkerHost {
 public:
  virtual ~WorkerHost() = default;
  virtual const SupervisorOptions& options() const = 0;
  // A worker of `domain`, whose nursery is started if need be. `spawn` gives role, target, lanes and limits.
  virtual Expected<SpawnedWorker> Spawn(const std::string& domain, const worker::SpawnBody& spawn, size_t ring_size,
                                        size_t arena_size) = 0;
  // Watches death and, where control >= 0, the control socket. `events` is kept until the process is reaped.
  virtual void Watch(std::shared_ptr<ChildProcess> process, int control, std::shared_ptr<WorkerEvents> events) = 0;
  // While the count is above zero the workers get ticks.
  virtual void AddTickUser(int change) = 0;
  virtual DevicePool& devices() = 0;
  virtual WarmPool& warm() = 0;
  virtual const std::vector<TargetInfo>& targets() const = 0;
};

std::unique_ptr<CompilePool> MakeCompilePool(WorkerHost& host);
Expected<std::shared_ptr<ExecutionWorker>> MakeExecutionWorker(WorkerHost& host, const std::string& domain,
                                                               const std::string& target, uint64_t session,
                                                               std::function<void(LentReturn)> on_return);

}  // namespace rbc::server
