// A session: its modules, functions, workers, requests in flight.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/expected.h"
#include "server/array_iteration.h"
#include "server/backend.h"
#include "server/config/config.h"
#include "server/data/session_data.h"
#include "server/session/device_store.h"
#include "server/session/outcomes.h"
#include "server/session/session_module.h"
#include "server/store/module_store.h"

namespace rbc::server {

// What sessions share. Outlives them.
struct SessionHost {
  const FarmConfig& config;
  Backend& backend;
  ModuleStore& store;
  std::function<void(LentReturn)> on_return;  // copied into workers, which may outlive the host
  // Ends the worker that was idle for longest on this device, on any where it is negative; false: there is none.
  std::function<bool(int device)> free_a_device;
  std::atomic<uint64_t> modules{0};
  std::atomic<uint64_t> workers{0};
  DataTotals data{};
};

struct SessionIdentity {
  uint64_t id = 0;
  std::array<char, 16> secret{};
  std::string domain;
  std::string name_space;
  std::string client;  // as it calls itself, for logs; shortened
  bool local = false;  // ends with its last connection
};

// Thread-safe.
class Session : private DeviceStoreHost {
 public:
  Session(SessionIdentity identity, SessionHost& host);
  ~Session() override;  // End()

  const SessionIdentity& identity() const { return identity_; }
  uint64_t id() const { return identity_.id; }
  const std::string& domain() const { return identity_.domain; }

  // Adds a module, or counts one use more of it where the session has it already.
  Expected<std::shared_ptr<SessionModule>> Add(const StoredModule& module);
  // Ends one use; with the last the module goes. kUnknownModule.
  Status Unload(uint64_t module_id);
  std::shared_ptr<SessionModule> FindModule(uint64_t module_id) const;
  // The module of a function and its index there; null: no such function (any more).
  std::shared_ptr<SessionModule> FindFunction(uint64_t function_id, uint32_t* index) const {
    return slots_->Find(function_id, index);
  }

  // The worker with the module loaded; both are brought up at first use. kStateLost once after a worker's death,
  // kUnknownModule where the store dropped the code, kBusy, kUnavailable, what Load says.
  Expected<std::shared_ptr<ExecutionWorker>> Loaded(SessionModule& module);

  // Requests that wait in the farm itself: cancelled by id, by connection, or with the session. One that `runs` calls
  // with its id, one after the other, has the running one stopped too.
  std::shared_ptr<CancelToken> BeginRequest(int64_t request_id, uint64_t connection, bool runs = false);
  void EndRequest(const CancelToken& token);
  // False: no such request runs or waits.
  bool Cancel(int64_t request_id);
  void CancelOf(uint64_t connection);

  // Workers on a device that may go: idle, and without a module that would lose its globals.
  std::vector<std::shared_ptr<ExecutionWorker>> IdleOnDevices() const;

  // Makes room on the worker's device: its buffers there go to the arena, and it ends. False: it is in use, or they
  // find no room.
  bool GiveUpDevice(ExecutionWorker& worker);

  // A new buffer, on a device or (target empty) in the arena. Blocks. Errors of SessionData::Create and BeginOnDevice.
  Expected<std::shared_ptr<const Buffer>> CreateBuffer(BufferSpec spec, const std::string& target);
  // Buffers of this device are all in its worker's memory while the result lives. Errors of DeviceStore::Begin.
  Expected<DeviceStore::Use> BeginOnDevice(DeviceHeap& device);
  // The same of all that lie on this target. kBufferLost too: there are none.
  Expected<DeviceStore::Use> BeginOnDevice(const std::string& target);
  // Copies all elements between two arrays of one type and shape, wherever they lie. Blocks. kInvalidArgument, and
  // errors of BeginOnDevice.
  Status CopyArrays(const wire::ArrayRef& from, const wire::ArrayRef& to);
  // Ends a buffer; its memory on a device goes at once where the device is free. kBufferLost.
  Status FreeBuffer(uint64_t id);

  // Gives back what large arrays and messages have left; called about once a second.
  void TrimMemory();
  // Its arrays.
  SessionData& data() { return *data_; }
  const SessionData& data() const { return *data_; }
  // Brings the session's arena to a worker of it, once. Due before a call that names places in it
  // (worker::kInDataArena). kWorkerLost, kResourceExhausted, kDeadlineExceeded.
  Status EnsureArena(ExecutionWorker& worker) override;
  // Brings it to all workers on this machine's processor, so that functions find the session's buffers; later ones get
  // it when they load a module.
  Status ShareArenaWithWorkers();

  OutcomeTable& outcomes() { return outcomes_; }
  // Kills the workers, cancels what waits, forgets the modules. Later requests get kUnknownSession.
  void End();
  bool ended() const { return ended_; }
  bool Idle() const;  // no worker of it runs a call
  uint64_t calls() const;
  size_t modules() const;
  size_t workers() const;

  // Connections and lease; guarded by the session table.
  uint32_t connections = 0;
  int64_t expires_ms = 0;  // monotonic, while there is no connection

 private:
  struct WorkerSlot {
    std::mutex mutex;  // held while a worker starts
    std::shared_ptr<ExecutionWorker> worker;
  };
  struct Request {
    int64_t id;
    uint64_t connection;
    std::shared_ptr<CancelToken> token;
    bool runs;
  };

  Expected<std::shared_ptr<ExecutionWorker>> WorkerFor(const std::string& target) override;
  Expected<std::shared_ptr<SessionArena>> Arena() override { return data_->Arena(); }
  std::shared_ptr<DeviceStore> StoreOn(const std::string& target);
  Status CopyOnDevice(DeviceHeap& device, const Iteration& iteration, uint64_t size, uint64_t from, uint64_t to);
  void ListenToDeath(ExecutionWorker& worker) const;
  bool StopCall(int64_t request_id) const;
  bool Runs(int64_t request_id) const;
  Status Load(SessionModule& module, std::shared_ptr<ExecutionWorker>* worker);
  std::vector<std::shared_ptr<ExecutionWorker>> Workers() const;

  const SessionIdentity identity_;
  SessionHost& host_;
  const std::shared_ptr<SlotTable> slots_;
  OutcomeTable outcomes_;
  const std::shared_ptr<SessionData> data_;
  std::atomic<bool> ended_{false};

  mutable std::mutex mutex_;
  uint64_t next_module_;
  size_t functions_ = 0;
  std::unordered_map<uint64_t, std::shared_ptr<SessionModule>> modules_;
  std::unordered_map<Digest, SessionModule*, DigestHash> by_key_;
  std::map<std::string, std::unique_ptr<WorkerSlot>> workers_;
  std::map<std::string, std::shared_ptr<DeviceStore>> stores_;  // by target
  std::vector<Request> requests_;
};

}  // namespace rbc::server
