// A session's worker process: lanes, modules, lent connections, and the explanation of its death.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "server/workers/arena.h"
#include "server/workers/fault_report.h"
#include "server/workers/lane_port.h"
#include "server/workers/watch.h"

namespace rbc::server {

class ExecutionWorkerImpl final : public ExecutionWorker, public WorkerEvents {
 public:
  ExecutionWorkerImpl(WorkerHost& host, SpawnedWorker worker, std::string domain, std::string target, uint64_t session,
                      std::function<void(LentReturn)> on_return, DevicePool::Place place);

  int pid() const override { return process_->pid(); }
  bool dead() const override { return dead_.load(std::memory_order_acquire); }
  std::string why_dead() const override;
  void TellDeadCalls(std::function<void(const DeadCall&)> told) override;
  Status Load(uint64_t module_id, const worker::LoadBlob& blob) override;
  void Unload(uint64_t module_id) override;
  Status ShareArena(const SharedMemory& arena) override;
  bool has_arena() const override { return arena_use_.load(std::memory_order_acquire) == ArenaUse::kMapped; }
  Status Call(std::string_view framed, const worker::CallView& call, std::string* reply) override;
  Status CallBatch(std::string_view calls, const worker::CallView& batch, std::string* replies) override;
  bool Lend(int fd, uint64_t cookie) override;
  std::optional<DirectLane> OpenDirect(uint64_t cookie) override;
  Status DirectReply(uint64_t cookie, std::string* framed) override;
  void CloseDirect(uint64_t cookie) override;
  bool Cancel(int64_t request_id) override;
  void Kill(Error reason) override { KillFor(worker::kNoLane, std::move(reason)); }
  int device() const override { return device_; }
  bool Retire(std::optional<uint64_t> unseen) override;
  uint64_t calls_unseen() const override;
  std::chrono::steady_clock::time_point last_used() const override;
  uint64_t calls() const override;
  bool idle() const override;
  void TrimMemory() override { arena_.Trim(); }

  void OnPacket(const Packet& packet) override;
  void OnControlClosed() override;
  void OnExit(int wait_status) override;
  void OnTick(Clock::time_point now) override;
  WorkerStatus Describe() const override;

 private:
  // kDirect: a client has the daemon's end. kClosing: the client is gone, its call still runs.
  enum class Use : uint8_t { kFree, kRelay, kLent, kDirect, kClosing };
  enum class ArenaUse : uint8_t { kNone, kSent, kMapped, kRefused };
  struct LaneUse {
    Use use = Use::kFree;
    uint64_t cookie = 0;      // kLent, kDirect
    int64_t request_id = 0;   // kRelay
    uint64_t seen_calls = 0;  // kLent and later: Lane::calls at the last tick
    Clock::time_point seen_at{};
    int fd = -1;                     // kLent: the connection, open until it is given back
    Clock::time_point looked_at{};   // kLent and later: when was last asked whether the lane has something to do
    Clock::time_point idle_since{};  // kLent and later: it has, and nothing has happened since; zero: it has not
    Clock::time_point used_at{};     // kLent and later: when a call was last seen
  };
  struct PendingLoad {
    bool done = false;
    std::optional<Error> error;
  };

  struct DirectRequest {
    int32_t seqid = 0;  // short calls have none
    uint64_t function_id = 0;
  };

  // REQUIRES: mutex_ held. A free lane of those whose calls the daemon does not see, marked as taken by `use`.
  std::optional<uint32_t> TakeUnseenLane(Use use, uint64_t cookie, int fd);
  void FreeUnseenLane(uint32_t index);                          // REQUIRES: mutex_ held
  std::optional<uint32_t> DirectLaneOf(uint64_t cookie) const;  // REQUIRES: mutex_ held
  bool HoldsShortCall(uint32_t index) const;
  DirectRequest DirectRequestIn(uint32_t index) const;
  bool IsUnseen(uint32_t index) const { return uses_[index].use != Use::kFree && uses_[index].use != Use::kRelay; }
  uint32_t FirstLentLane() const;
  bool CloseIdleLanes();                                // REQUIRES: mutex_ held. False: one is in use
  void OpenClosedLanes(uint32_t end);                   // REQUIRES: mutex_ held
  bool HasWork(uint32_t index) const;                   // REQUIRES: mutex_ held
  bool IsStuck(uint32_t index, Clock::time_point now);  // REQUIRES: mutex_ held
  worker::Lane* lane(uint32_t index) const { return worker::LaneAt(ring_.data(), index); }
  std::string FunctionName(uint64_t id) const;  // REQUIRES: mutex_ held
  std::string Captured(uint32_t index) const;
  std::chrono::milliseconds DeadlineOf(const worker::CallView& call) const;
  // Waits for a free lane.
  Expected<uint32_t> TakeLane(Clock::time_point until, int64_t request_id);
  void FreeLane(uint32_t index);
  // These give nothing where the worker died, or dies now: AfterDeath() tells why.
  std::optional<Status> Relay(uint32_t index, std::string_view framed, Clock::time_point until, std::string* reply);
  std::optional<Status> TakeReply(uint32_t index, std::string* reply);
  std::optional<Status> RelayBatch(uint32_t index, Clock::duration each, uint64_t most, std::string* replies);
  void TakeDone(uint32_t index, const char* place, std::string* replies) const;
  std::optional<Status> TakeBigReply(uint32_t index, Clock::time_point until, std::string* reply);
  std::nullopt_t Doom(uint32_t index, Error reason);
  void KillFor(uint32_t index, Error reason);
  Error Violation(const char* what);
  // After death: why the call on this lane ended. Blocks until the death is understood (at most seconds).
  Error AfterDeath(uint32_t index, uint64_t function_id);
  bool HasBegun(uint32_t index) const;
  Error ExplainDeath(uint32_t index, const std::string& function, bool ran) const;  // REQUIRES: mutex_ held
  LentReturn ExplainLent(uint32_t index) const;                                     // REQUIRES: mutex_ held
  std::vector<DeadCall> DeadCalls() const;                                          // REQUIRES: mutex_ held
  std::string WhyDead() const;                                                      // REQUIRES: mutex_ held
  void OnLoaded(const Packet& packet);
  void OnReturned(const Packet& packet);
  void OnArenaMapped(const Packet& packet);

  WorkerHost& host_;
  const std::shared_ptr<ChildProcess> process_;
  const UniqueFd control_;
  const SharedMemory ring_;
  const uint32_t sandbox_;
  const std::string domain_, target_;
  const uint64_t session_;
  const std::function<void(LentReturn)> on_return_;
  Arena arena_;
  std::optional<DevicePool::Place> place_;  // on a GPU, until death
  const int device_;
  std::deque<LanePort> ports_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void(const DeadCall&)> on_dead_call_;
  std::vector<LaneUse> uses_;
  uint32_t unseen_ = 0;  // lanes that are lent, direct or closing
  uint32_t waiting_ = 0;
  Clock::time_point last_used_ = Clock::now();
  std::atomic<bool> dead_{false};
  std::atomic<ArenaUse> arena_use_{ArenaUse::kNone};  // changed with mutex_ held
  bool explained_ = false;
  int exit_status_ = 0;
  std::optional<Fault> fault_;
  uint32_t kill_lane_ = worker::kNoLane;
  std::optional<Error> kill_reason_;
  std::map<uint64_t, PendingLoad> loads_;
  std::unordered_map<uint64_t, std::string> names_;  // function id to the client's symbol
  std::unordered_map<uint64_t, std::vector<uint64_t>> module_functions_;
};

}  // namespace rbc::server
