// Starts nurseries and workers, watches their deaths and their control sockets.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/expected.h"
#include "server/workers/execution_worker.h"
#include "targets/target.h"
#include "worker/device_description.h"

namespace rbc::server {

// From the configuration; documented in docs/configuration.md.
struct CudaOptions {
  bool simulate = false;
  std::vector<std::string> devices;  // indices and UUIDs; empty: all
  std::string driver;                // path; empty: libcuda.so.1
  uint32_t max_contexts = 16;        // of a device
  double memory_fraction = 0.9;
  uint64_t session_memory = 4ull << 30;
  uint32_t warm = 0;          // workers that wait for sessions, of each domain and target
  bool watch_driver = false;  // tell what the driver asks after lock-down, and let it
};
struct SupervisorOptions {
  std::string worker_path;             // rbc-worker; opened once, at start
  bool strict_sandbox = false;         // refuse to start without a complete lock-down
  uint32_t lanes = 16;                 // calls of one session that run at once
  uint32_t lent_lanes = 8;             // of these, how many may be bound to a client's connection
  uint32_t spin_us = 50;               // polling before blocking, where more than one CPU is allowed; 0: never
  uint32_t bulk_threads = 1;           // that share a call over many rows in a worker
  uint64_t arena_size = 1ull << 30;    // bytes of address space a session's bulk data may take; pages come when touched
  uint64_t memory_limit = 4ull << 30;  // private memory of an execution worker
  uint64_t compile_memory_limit = 4ull << 30;  // of a compile worker
  uint64_t max_message = 64ull << 20;
  uint64_t max_string = 1ull << 20;
  uint32_t capture_limit = 64 * 1024;
  std::chrono::milliseconds call_deadline{60'000};
  std::chrono::milliseconds load_deadline{10'000};
  uint32_t compile_workers = 2;
  uint32_t compile_jobs_per_worker = 500;  // replaced after so many
  uint32_t queue_limit = 256;              // waiting compile jobs, all clients together
  uint32_t queue_limit_per_client = 64;
  std::chrono::milliseconds queue_deadline{30'000};
  std::chrono::milliseconds compile_deadline{10'000};
  std::chrono::milliseconds quarantine{60'000};
  CudaOptions cuda;
};

struct WorkerStatus {
  int pid = 0;
  std::string role;  // "nursery", "compile", "execute"
  std::string domain;
  std::string target;
  uint64_t session = 0;
  uint32_t sandbox = 0;       // worker::SandboxBit
  uint64_t jobs = 0;          // compiles or calls
  uint32_t client_lanes = 0;  // lanes that serve a lent connection or a client's ring
  std::string state;          // "idle", "busy", "starting"
};

// A GPU of this farm, or its simulation.
struct DeviceStatus {
  worker::DeviceDescription description;
  uint32_t contexts = 0;  // execution workers on it
  uint32_t max_contexts = 0;
};

class CompilePool;

// Thread-safe. One thread of its own (the death signal of nurseries follows it) lives as long as the supervisor.
class Supervisor {
 public:
  // Starts the nursery of `first_domain` and reads the targets from it. kUnavailable: no rbc-worker, another build, or
  // a sandbox that strict refuses.
  static Expected<std::unique_ptr<Supervisor>> Start(SupervisorOptions options, const std::string& first_domain);
  ~Supervisor();  // ends all workers and waits for them

  const std::vector<TargetInfo>& targets() const;
  const std::string& sandbox_notes() const;
  CompilePool& compiles();

  // `on_return` is called for each lent connection that comes back, on the supervisor's thread, also after death; it
  // must be quick and must not call into the worker.
  Expected<std::shared_ptr<ExecutionWorker>> StartExecutionWorker(const std::string& domain, const std::string& target,
                                                                  uint64_t session,
                                                                  std::function<void(LentReturn)> on_return);
  std::vector<WorkerStatus> Status() const;
  // GPUs, in the order of the targets' devices.
  std::vector<DeviceStatus> Devices() const;
  // Why there is none, for a person; "" where there are.
  const std::string& device_notes() const;

  class Impl;

 private:
  explicit Supervisor(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Names of the active parts of a lock-down, "no-new-privileges seccomp landlock ...".
std::string DescribeSandbox(uint32_t bits);

}  // namespace rbc::server
