// The real workers behind the farm.
// SPDX-License-Identifier: Apache-2.0
#include "server/supervisor_backend.h"

#include "base/adaptive_spin.h"
#include "worker/build_id.h"

namespace rbc::server {
namespace {

using std::chrono::milliseconds;

SupervisorOptions OptionsOf(const FarmConfig& config) {
  SupervisorOptions options;
  options.worker_path = config.worker_path;
  options.strict_sandbox = config.sandbox == "strict";
  options.lanes = static_cast<uint32_t>(config.lanes);
  options.lent_lanes = static_cast<uint32_t>(config.lent_lanes);
  options.spin_us = static_cast<uint32_t>(config.spin_us);
  options.bulk_threads =
      config.bulk_threads != 0 ? static_cast<uint32_t>(config.bulk_threads) : static_cast<uint32_t>(AllowedCpus());
  options.arena_size = config.arena_size;
  options.memory_limit = config.memory_limit;
  options.compile_memory_limit = config.compile_memory_limit;
  options.max_message = config.max_message;
  options.max_string = config.max_string;
  options.capture_limit = static_cast<uint32_t>(config.capture_limit);
  options.call_deadline = milliseconds(config.call_deadline_ms);
  options.load_deadline = milliseconds(config.load_deadline_ms);
  options.compile_workers = static_cast<uint32_t>(config.compile_workers);
  options.compile_jobs_per_worker = static_cast<uint32_t>(config.jobs_per_worker);
  options.queue_limit = static_cast<uint32_t>(config.queue_limit);
  options.queue_limit_per_client = static_cast<uint32_t>(config.queue_limit_per_client);
  options.queue_deadline = milliseconds(config.queue_deadline_ms);
  options.compile_deadline = milliseconds(config.compile_deadline_ms);
  options.quarantine = milliseconds(config.quarantine_ms);
  options.cuda = {config.cuda_simulate,
                  config.cuda_devices,
                  config.cuda_driver,
                  static_cast<uint32_t>(config.cuda_max_contexts),
                  config.cuda_memory_fraction,
                  config.cuda_session_memory,
                  static_cast<uint32_t>(config.cuda_warm),
                  config.cuda_watch_driver};
  return options;
}

class SupervisorBackend final : public Backend {
 public:
  explicit SupervisorBackend(std::unique_ptr<Supervisor> supervisor) : supervisor_(std::move(supervisor)) {}

  const std::vector<TargetInfo>& targets() const override { return supervisor_->targets(); }
  std::string sandbox_notes() const override { return supervisor_->sandbox_notes(); }
  CompilePool& compiles() override { return supervisor_->compiles(); }
  Expected<std::shared_ptr<ExecutionWorker>> StartExecutionWorker(const std::string& domain, const std::string& target,
                                                                  uint64_t session,
                                                                  std::function<void(LentReturn)> on_return) override {
    return supervisor_->StartExecutionWorker(domain, target, session, std::move(on_return));
  }
  std::vector<WorkerStatus> Status() const override { return supervisor_->Status(); }
  std::vector<DeviceStatus> Devices() const override { return supervisor_->Devices(); }
  std::string device_notes() const override { return supervisor_->device_notes(); }
  std::string build() const override { return std::string(worker::BuildId()); }
  std::string SandboxNames(uint32_t bits) const override { return DescribeSandbox(bits); }

 private:
  const std::unique_ptr<Supervisor> supervisor_;
};

}  // namespace

Expected<std::unique_ptr<Backend>> StartSupervisor(const FarmConfig& config, const std::string& first_domain) {
  RBC_ASSIGN_OR_RETURN(auto supervisor, Supervisor::Start(OptionsOf(config), first_domain));
  return std::unique_ptr<Backend>(std::make_unique<SupervisorBackend>(std::move(supervisor)));
}

}  // namespace rbc::server
