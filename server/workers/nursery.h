// The daemon's hand on a nursery: one warm process of a trust domain that forks workers.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "server/workers/process.h"
#include "worker/control_messages.h"

namespace rbc::server {

// A worker as the nursery forked it, its control socket and memory in our hands; WorkerReady was received.
struct SpawnedWorker {
  std::shared_ptr<ChildProcess> process;
  UniqueFd control;
  SharedMemory ring;
  SharedMemory arena;
  uint32_t sandbox = 0;  // worker::SandboxBit
};

// Thread-safe, but Start belongs to the supervisor's thread: the death signal follows it.
class Nursery {
 public:
  // `program` is the open rbc-worker. Waits for its first message. kUnavailable: it cannot run or is another build.
  static Expected<std::shared_ptr<Nursery>> Start(int program, const std::string& build_id, std::string domain);

  // Forks a worker and waits until it is locked down. `spawn` gives all but the sizes, which are those of the memories.
  Expected<SpawnedWorker> Spawn(worker::SpawnBody spawn, size_t ring_size, size_t arena_size);

  const worker::NurseryReady& ready() const { return ready_; }
  const std::string& domain() const { return domain_; }
  const std::shared_ptr<ChildProcess>& process() const { return process_; }

 private:
  Nursery(std::shared_ptr<ChildProcess> process, UniqueFd control, std::string domain)
      : process_(std::move(process)), control_(std::move(control)), domain_(std::move(domain)) {}
  const std::shared_ptr<ChildProcess> process_;
  const UniqueFd control_;
  const std::string domain_;
  worker::NurseryReady ready_;
  std::mutex mutex_;  // one spawn at a time
  uint64_t next_worker_ = 1;
};

}  // namespace rbc::server
