// The farm: what stands between the loop and the workers.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "server/auth/authenticator.h"
#include "server/backend.h"
#include "server/config/config.h"
#include "server/names/name_registry.h"
#include "server/net/loop.h"
#include "server/session/session_table.h"
#include "server/spare_memory.h"
#include "server/store/module_store.h"

namespace rbc::server {

// Where workers bring connections back to; they may outlive the farm. Thread-safe.
class ReturnGate {
 public:
  explicit ReturnGate(Loop* loop) : loop_(loop) {}
  void Return(LentReturn returned) {
    const std::lock_guard lock(mutex_);
    if (loop_ != nullptr) loop_->Return(std::move(returned));
  }
  void Shut() {
    const std::lock_guard lock(mutex_);
    loop_ = nullptr;
  }

 private:
  std::mutex mutex_;
  Loop* loop_;
};

class Farm final : public Service {
 public:
  // `config` is complete; `backend` outlives the farm.
  Farm(FarmConfig config, Backend& backend);
  ~Farm() override;  // Stop()

  // Reads the state folder and serves on `listeners`.
  Status Start(std::vector<Listener> listeners);
  std::vector<std::string> addresses() const { return loop_.addresses(); }
  // Stops accepting; waits at most `grace` for the calls in flight, or until *hurry. True: none was left.
  bool Drain(std::chrono::milliseconds grace, const std::atomic<bool>& hurry);
  void Stop();

  const FarmConfig& config() const { return config_; }
  const std::string& id() const { return id_; }
  const Authenticator& authenticator() const { return authenticator_; }
  Backend& backend() { return backend_; }
  ModuleStore& store() { return store_; }
  NameRegistry& names() { return names_; }
  SessionTable& sessions() { return sessions_; }
  LoopCounters loop_counters() const { return loop_.counters(); }
  const SessionHost& session_host() const { return host_; }
  int64_t uptime_ms() const;

  // One call of a session: `framed` is the message that `call` was parsed from. On success *reply is the framed
  // reply, which may itself throw. `in_arena`: it names places in the session's data arena. `only`: no other worker has
  // the buffers that it names.
  Status RunCall(Session& session, std::string_view framed, const worker::CallView& call, bool may_block,
                 std::string* reply, std::shared_ptr<ExecutionWorker>* worker, bool in_arena = false,
                 const ExecutionWorker* only = nullptr);
  // The session of a connection, or why there is none.
  Expected<std::shared_ptr<Session>> SessionOf(const Connection& connection) const;

  bool Serve(Connection& connection, std::string_view framed, bool may_block, std::string* reply) override;
  void Replied(Connection& connection, bool whole) override;
  bool TryLend(Connection& connection) override;
  bool TakeBack(Connection& connection, const LentReturn& returned, std::string* reply) override;
  std::unique_ptr<ChannelHost> OpenChannel(Connection& connection) override;
  void Closed(Connection& connection) override;
  std::string Refusal(std::string_view framed, const Error& error) override;

 private:
  void ServeCall(Connection& connection, std::string_view framed, const worker::CallView& call, bool may_block,
                 std::string* reply);
  // A batch of plain calls of one function, without generated code. False: it is none, and nothing was done.
  bool ServeBatch(Connection& connection, std::string_view framed, std::string* reply);
  void CountStreak(Connection& connection, std::shared_ptr<ExecutionWorker> worker);
  bool AllIdle() const;
  bool FreeADevice(int device) const;
  void TrimMemory();
  void GatherPages() const;
  void Housekeep();

  const FarmConfig config_;
  Backend& backend_;
  const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  std::string id_;
  Authenticator authenticator_;
  ModuleStore store_;
  NameRegistry names_;
  const std::shared_ptr<ReturnGate> gate_;
  SessionHost host_;
  SessionTable sessions_;
  Loop loop_;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  SpareMemory spare_;
  std::thread housekeeper_;
};

// A thread's generated processor with our handler behind it. False: malformed.
bool Dispatch(Farm& farm, Connection& connection, std::string_view framed, bool may_block, std::string* reply);

// "Nobody is free to wait for this": what the last free thread answers.
Error NoThread(uint64_t threads);

}  // namespace rbc::server
