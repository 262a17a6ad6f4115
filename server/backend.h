// What the farm asks of whoever runs its workers. The supervisor in rbc-farm, a fake in tests.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "server/workers/compile_pool.h"
#include "server/workers/execution_worker.h"
#include "server/workers/supervisor.h"

namespace rbc::server {

// Thread-safe. The comments of Supervisor hold.
class Backend {
 public:
  virtual ~Backend() = default;
  virtual const std::vector<TargetInfo>& targets() const = 0;
  virtual std::string sandbox_notes() const = 0;
  virtual CompilePool& compiles() = 0;
  virtual Expected<std::shared_ptr<ExecutionWorker>> StartExecutionWorker(
      const std::string& domain, const std::string& target, uint64_t session,
      std::function<void(LentReturn)> on_return) = 0;
  virtual std::vector<WorkerStatus> Status() const = 0;
  virtual std::vector<DeviceStatus> Devices() const { return {}; }
  virtual std::string device_notes() const { return {}; }
  virtual std::string build() const = 0;  // of daemon and workers alike
  virtual std::string SandboxNames(uint32_t bits) const = 0;
};

}  // namespace rbc::server
