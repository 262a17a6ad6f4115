// Workers without processes: a compile pool that invents artifacts and execution workers that echo frames, with the
// manners of the real ones, for tests of the daemon over real sockets.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "server/backend.h"

namespace rbc::server::testing {

// Compiles any IR but what begins with "error". While `held` it waits, as a compiler with much to do.
class FakePool final : public CompilePool {
 public:
  Expected<Artifact> Compile(const CompileTask& task) override;
  void WakeCancelled() override;
  PoolCounters counters() const override;

  void Hold(bool held);
  uint32_t running() const;
  std::atomic<uint64_t> compiles{0};
  std::atomic<uint64_t> cancelled{0};

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool held_ = false;
  uint32_t running_ = 0;
};

// Its functions return their frame. One of a module whose first symbol begins with "slow" takes until Release or
// Cancel; "crash" kills the worker.
class FakeWorker final : public ExecutionWorker {
 public:
  FakeWorker(uint64_t session, std::function<void(LentReturn)> on_return);
  ~FakeWorker() override;

  int pid() const override { return 4242; }
  bool dead() const override { return dead_; }
  Status Load(uint64_t module_id, const worker::LoadBlob& blob) override;
  void Unload(uint64_t module_id) override;
  Status ShareArena(const SharedMemory&) override {
    has_arena_ = true;
    return {};
  }
  bool has_arena() const override { return has_arena_; }
  Status Call(std::string_view framed, const worker::CallView& call, std::string* reply) override;
  bool Lend(int fd, uint64_t cookie) override;
  bool Cancel(int64_t request_id) override;
  void Kill(Error reason) override;
  uint64_t calls() const override { return calls_; }
  bool idle() const override { return running_ == 0; }

  void Release();
  size_t functions() const;
  uint64_t session() const { return session_; }
  std::atomic<uint64_t> lends{0};
  std::atomic<uint64_t> lent_calls{0};
  std::atomic<uint32_t> max_lends{8};
  std::atomic<uint32_t> running_{0};
  // Set: the next lent call ends with the worker's death; `close` as a reply that may be half sent.
  std::atomic<bool> die_in_lent_call{false};
  std::atomic<bool> die_in_doubt{false};

 private:
  struct Loan;
  void Serve(Loan& loan);

  const uint64_t session_;
  const std::function<void(LentReturn)> on_return_;
  std::atomic<bool> dead_{false};
  std::atomic<bool> has_arena_{false};
  std::atomic<uint64_t> calls_{0};
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<uint64_t, std::vector<uint64_t>> modules_;
  std::map<uint64_t, std::string> functions_;
  std::map<uint32_t, uint64_t> slots_;
  std::set<int64_t> cancelled_;
  bool released_ = false;
  Error reason_;
  std::vector<std::unique_ptr<Loan>> loans_;
};

class FakeBackend final : public Backend {
 public:
  FakeBackend();
  const std::vector<TargetInfo>& targets() const override { return targets_; }
  std::string sandbox_notes() const override { return "no sandbox in tests"; }
  CompilePool& compiles() override { return pool; }
  Expected<std::shared_ptr<ExecutionWorker>> StartExecutionWorker(const std::string& domain, const std::string& target,
                                                                  uint64_t session,
                                                                  std::function<void(LentReturn)> on_return) override;
  std::vector<WorkerStatus> Status() const override;
  std::string build() const override { return "fake"; }
  std::string SandboxNames(uint32_t bits) const override { return bits != 0 ? "seccomp" : ""; }

  std::vector<std::shared_ptr<FakeWorker>> workers() const;
  FakePool pool;

 private:
  std::vector<TargetInfo> targets_;
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<FakeWorker>> workers_;
};

}  // namespace rbc::server::testing
