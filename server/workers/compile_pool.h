// The queue in front of the compile workers, and their quarantine.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "base/expected.h"
#include "base/hash.h"
#include "worker/control_messages.h"

namespace rbc::server {

// Set by anyone to make a waiting Compile return kCancelled. Shared between the waiter and whoever cancels.
struct CancelToken {
  std::atomic<bool> cancelled{false};
};

struct CompileTask {
  std::string domain;                       // workers are reused within it only
  uint64_t client = 0;                      // session id, for fairness
  Digest key{};                             // of the artifact, for the quarantine
  const worker::CompileJob* job = nullptr;  // outlives the call
  uint32_t deadline_ms = 0;                 // of the compile itself; 0: the configured one, which is also the most
  std::shared_ptr<CancelToken> cancel;      // may be null
};

struct PoolCounters {
  uint64_t compiled = 0, failed = 0, crashed = 0, quarantined = 0, busy = 0, workers_started = 0;
  uint32_t queued = 0, running = 0;
};

// Thread-safe.
class CompilePool {
 public:
  virtual ~CompilePool() = default;
  // Queues, compiles, blocks until it is done. Errors of the compiler, kCompileCrash (cause, signal, phase, function),
  // kDeadlineExceeded, kQuarantined, kBusy, kCancelled.
  virtual Expected<Artifact> Compile(const CompileTask& task) = 0;
  // Wakes waiters so that they look at their CancelToken.
  virtual void WakeCancelled() = 0;
  virtual PoolCounters counters() const = 0;
};

}  // namespace rbc::server
