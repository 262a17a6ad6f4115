// A farm as one RemoteJIT sees it: its session, pooled connections, modules, and what happens when any of it is lost.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/expected.h"
#include "base/hash.h"
#include "base/platform.h"
#include "client/src/address.h"
#include "client/src/arena_map.h"
#include "client/src/bulk_channel.h"
#include "client/src/chain.h"
#include "client/src/connection.h"
#include "client/src/deadline.h"
#include "client/src/tls.h"
#include "client/src/tunnel.h"

namespace rbc::client {

class Farm;

// So much of a caller's deadline is told to the farm that its own answer, which knows more, arrives in time.
inline int32_t TellFarm(int ms) { return std::max(1, ms - std::clamp(ms / 10, 1, 250)); }
inline int32_t TellFarm(const Deadline& deadline) { return TellFarm(deadline.RemainingMs()); }

// A function of a module as the farm knows it, in the session `epoch`.
struct Loaded {
  uint64_t epoch = 0;  // 0: not loaded
  int64_t module_id = 0;
  bool repeatable = false;
  bool stateful = false;
  std::shared_ptr<const wire::CompileReply> reply;  // of that compile; one FunctionInfo a declaration
};

// What is sent to the farm under one handle, or a function that somebody published. Made by Farm::Add and
// Farm::Connect; unloaded with its last reference. Thread-safe: what changes is guarded by the farm.
class Module {
 public:
  ~Module();
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  const std::string& ir() const { return ir_; }
  const std::string& target() const { return target_; }
  const std::vector<wire::FunctionDeclaration>& declarations() const { return declarations_; }
  const Digest& handle() const { return handle_; }
  const std::string& published_name() const { return published_name_; }  // empty: a module of our own

 private:
  friend class Farm;
  Module() = default;
  std::shared_ptr<Farm> farm_;
  std::string ir_, target_, published_name_;
  std::vector<wire::FunctionDeclaration> declarations_;
  wire::CompileOptions options_;
  Digest handle_{};
  Loaded loaded_;  // guarded by farm_->mutex_
};

// A buffer of the session `epoch`. Without `arena` its bytes are the farm's only.
struct OwnedBuffer {
  uint64_t epoch = 0;
  wire::BufferInfo info;
  std::shared_ptr<const ArenaMap> arena;
  std::string made_by = {};  // the function that gave it
};

struct FarmOptions {
  int64_t connect_timeout_ms = 10'000;
  bool direct = true;                // calls through shared memory where the farm is behind a Unix socket
  Packing packing = Packing::kNone;  // of arrays over raw channels
  int64_t timeout_ms = 120'000;      // of a request that has none of its own: the farm's limits and some air
};

// Counts the forks that led to this process.
uint64_t ForkGeneration();

// Thread-safe and fork-safe: a forked child starts with no session and no sockets of its parent's.
// All waiting is outside of the one mutex, which guards short steps only.
class Farm : public std::enable_shared_from_this<Farm> {
 public:
  static std::shared_ptr<Farm> Create(Endpoint endpoint, FarmOptions options);
  ~Farm();
  Farm(const Farm&) = delete;
  Farm& operator=(const Farm&) = delete;

  // A connection lent to one thread; goes back to the pool, or is closed if it broke.
  class Lease {
   public:
    Lease() = default;
    Lease(Farm* farm, std::unique_ptr<Connection> connection) : farm_(farm), connection_(std::move(connection)) {}
    Lease(Lease&& other) noexcept = default;
    Lease& operator=(Lease&& other) noexcept {
      Return();
      farm_ = other.farm_;
      connection_ = std::move(other.connection_);
      return *this;
    }
    ~Lease() { Return(); }
    Connection* operator->() const { return connection_.get(); }
    explicit operator bool() const { return connection_ != nullptr; }
    void Return() {
      if (connection_) farm_->Take(std::move(connection_));
    }

   private:
    Farm* farm_ = nullptr;
    std::unique_ptr<Connection> connection_;
  };

  // The answer of a call, valid while the connection is lent (or in `kept`, where it came by `outcome`).
  struct Answered {
    Lease lease;
    CallAnswer answer;
    std::unique_ptr<wire::CallReply> kept;
  };

  // Opens nothing. Identical modules are one.
  std::shared_ptr<Module> Add(std::string ir, std::string target, std::vector<wire::FunctionDeclaration> declarations,
                              wire::CompileOptions options);
  // Looks the published name up. kUnknownName.
  Expected<std::shared_ptr<Module>> Connect(const std::string& name, const Deadline& deadline);
  // Compiles `module` in the current session if that has not been done, or in any case to get a reply of now (`again`).
  Expected<Loaded> Load(Module& module, const Deadline& deadline, bool again = false);

  // Calls function number `index` of `module`, loading it where needed. `call` has all but function and request id.
  // At most once: what may have run is only sent again if the module is repeatable. An explicit deadline travels to the
  // farm, a little shortened, so that its answer comes before ours. A call that `repeats` is sent to this very session
  // and again only where nothing of it left. `request_id` (may be nullptr) is published before
  // the call is sent, for Cancel().
  Expected<Answered> Call(Module& module, size_t index, CallMessage call, const Deadline& deadline,
                          bool explicit_deadline, std::atomic<int64_t>* request_id = nullptr);

  // What Call knows of one attempt.
  struct Attempt {
    uint64_t epoch = 0;
    bool repeatable = false;
    bool last = false;
  };
  // All that a short call needs, at hand: a connection of the module's session that was used just now and whose ring
  // knows the function.
  struct Line {
    Lease lease;  // empty: something is missing
    int64_t function_id = 0;
    Attempt made;
  };
  // REQUIRES: mutex() is held. Waits for nothing.
  Line TakeLine(const Module& module, size_t index);
  struct ShortCall {
    std::string_view frame;  // at most worker::kShortBytes
    std::span<char> result;  // of a plain result, all of it
    int64_t timeout_ms = 0;  // from the time it was sent, on the way of which nobody asks for the time
    bool explicit_deadline = false;
    std::atomic<int64_t>* request_id = nullptr;
  };
  // Call of plain values by a line that is not empty: its status, and the result is in its place. Nothing: it ended as
  // `other` says, or has not run and is left to Call.
  std::optional<int32_t> CallShort(Module& module, Line line, const ShortCall& asked,
                                   std::optional<Expected<Answered>>* other);

  struct AnsweredBatch {
    Lease lease;
    std::vector<CallAnswer> answers;
  };
  // The calls in one message, run in their order, with an answer each. Function and request ids are set here. At most
  // once: if the answer is lost, all of it may have run. Repeated by itself only where nothing of it can have run, or
  // where the module is repeatable.
  Expected<AnsweredBatch> CallBatch(Module& module, size_t index, std::vector<CallMessage> calls,
                                    const Deadline& deadline);

  // Runs the steps as one request, with an outcome each; loads what is not loaded. At most once, as a batch: if the
  // answer is lost, all of it may have run. `request_id` as of Call.
  Expected<ChainReply> RunChain(const std::vector<ChainPart>& parts, const Deadline& deadline, bool explicit_deadline,
                                std::atomic<int64_t>* request_id);

  // Sends a request that may be repeated: over a fresh connection if one breaks, in a new session if the old one is
  // gone.
  template <typename F>
  auto Ask(const Deadline& deadline, F&& request) -> Expected<std::invoke_result_t<F, wire::FarmClient&>> {
    for (int attempt = 0;; ++attempt) {
      RBC_ASSIGN_OR_RETURN(Lease lease, Acquire(deadline));
      auto reply = lease->Ask(deadline, request);
      if (reply.has_value() || !MayRepeat(reply.error(), lease, attempt)) return reply;
    }
  }

  // Sends a request about `module`, loaded where needed: `request(client, loaded)`. At most once, as Call; where `once`
  // also of repeatable modules.
  template <typename F>
  auto AskLoaded(Module& module, const Deadline& deadline, F&& request, bool once = false)
      -> Expected<std::invoke_result_t<F, wire::FarmClient&, const Loaded&>> {
    for (int attempt = 0;; ++attempt) {
      const bool last = attempt + 1 >= kMostAttempts;
      Loaded loaded;
      RBC_ASSIGN_OR_RETURN(Lease lease, Acquire(deadline, &module, &loaded));
      RBC_ASSIGN_OR_RETURN(const bool there, LoadIfMissing(module, lease, attempt, deadline, &loaded));
      if (!there) continue;
      auto reply = lease->Ask(deadline, [&](wire::FarmClient& client) { return request(client, loaded); });
      if (reply) return reply;
      Error& error = reply.error();
      NoteEnd(error);
      // Refused before anything ran: the farm forgot the module or the session.
      if (error.kind == ErrorKind::kUnknownModule) Forget(module, loaded.epoch);
      if (error.kind == ErrorKind::kUnknownSession) ForgetSession(loaded.epoch);
      if ((error.kind == ErrorKind::kUnknownModule || error.kind == ErrorKind::kUnknownSession) && !last) continue;
      if (!lease->broken() || error.kind != ErrorKind::kConnectionLost) return reply;
      if ((!lease->sent() || (loaded.repeatable && !once)) && !last) continue;
      if (lease->sent()) {
        error.may_have_run = true;
        error.retry_safe = false;
      }
      return reply;
    }
  }

  // In the session `epoch` alone: kBufferLost if that is gone, for what it had is gone too.
  template <typename F>
  auto AskIn(uint64_t epoch, const Deadline& deadline, F&& request)
      -> Expected<std::invoke_result_t<F, wire::FarmClient&>> {
    for (int attempt = 0;; ++attempt) {
      RBC_ASSIGN_OR_RETURN(Lease lease, Acquire(deadline));
      if (lease->epoch != epoch) return SessionGone();
      auto reply = lease->Ask(deadline, request);
      if (reply.has_value() || !MayRepeat(reply.error(), lease, attempt)) return reply;
    }
  }

  // Buffers of the current session. Where a reply is lost on its way, the buffer may stay until the session ends.
  Expected<OwnedBuffer> CreateBuffer(const wire::BufferSpec& spec, const Deadline& deadline);
  // From the last owner's thread: at once if a connection is idle, else with the next request that frees or loads.
  void FreeBuffer(uint64_t epoch, int64_t id);
  // Runs `copy(BulkChannel&)`, which may be repeated, over a raw channel of the session `epoch`. kBufferLost: it is
  // gone.
  template <typename F>
  Status CopyIn(uint64_t epoch, const Deadline& deadline, F&& copy) {
    for (int attempt = 0;; ++attempt) {
      RBC_ASSIGN_OR_RETURN(auto channel, BulkOf(epoch, deadline));
      Status status = copy(*channel);
      const bool lost = !status && channel->broken() && status.error().kind == ErrorKind::kConnectionLost;
      TakeBulk(std::move(channel));
      if (!lost || attempt + 1 >= kMostAttempts) return status;
    }
  }
  // Places of buffers in frames (ReadyMap): good until one of the buffers is freed, or may be lost with a worker.
  // `ends`: as of before the farm was asked for them.
  void TrustPlaces(uint64_t epoch, uint64_t ends, std::span<const int64_t> buffers);
  bool TrustsPlaces(uint64_t epoch, std::span<const int64_t> buffers);
  void DistrustPlace(uint64_t epoch, int64_t buffer);
  // After an error that may tell of a worker's end.
  void NoteEnd(const Error& error);
  uint64_t Ends();  // how many of them there were
  // Whether the session is the one of now, as far as is known here.
  bool IsCurrent(uint64_t epoch);

  // Whether calls of the module have no effects, as far as the farm has told. False where it is not loaded.
  bool IsRepeatable(const Module& module);
  // Whether no call of a function (a declaration's number) writes into an array that it is given there; false also
  // where that is not known.
  bool LeavesAlone(const Module& module, size_t function, size_t parameter);
  // Whether bytes go over a network to it, as far as is known here.
  bool IsFar();
  // Whether the farm of this session can be asked for arrays by digest, and finds buffers of calls by their ids.
  bool KnowsRecall(uint64_t epoch) { return Speaks(epoch, 3); }
  bool FindsBuffers(uint64_t epoch) { return Speaks(epoch, 4); }

  // hello's reply of the current session; says hello if there is none.
  Expected<std::shared_ptr<const wire::HelloReply>> Hello(const Deadline& deadline);
  // False: no such request runs.
  Expected<bool> Cancel(int64_t request_id, const Deadline& deadline);
  int64_t NextRequestId() { return next_request_.fetch_add(1, std::memory_order_relaxed); }
  // Ends the session at once and closes every idle connection. The next request starts a new one.
  void Close();
  // Guards short steps of whatever belongs to this farm, so that a fork never finds it half-way.
  std::mutex& mutex() { return mutex_; }
  const Address& address() const { return endpoint_.address; }
  // Whether this process may map what the farm shares.
  bool SharesMemory() const {
    return platform::kSharesMemory && options_.direct && endpoint_.address.kind == Address::Kind::kUnix;
  }
  const FarmOptions& options() const { return options_; }

 private:
  static constexpr int kMostAttempts = 3;
  // A connection that was used so recently is taken for alive without asking the kernel.
  static constexpr auto kSurelyAlive = std::chrono::milliseconds(1);
  static bool IsSurelyAlive(const Connection& connection, Clock::time_point now) {
    return now - connection.last_used < kSurelyAlive;
  }
  friend class Module;
  friend class Lease;
  friend struct ForkHandlers;

  // Ids that the farm is to hear of when a connection is at hand.
  struct Releases {
    std::vector<int64_t> modules, buffers;
    bool empty() const { return modules.empty() && buffers.empty(); }
  };
  // What a forked child must not share with its parent.
  struct State {
    uint64_t epoch = 0;  // counts sessions; 0: none yet
    std::shared_ptr<const wire::HelloReply> session;
    std::vector<std::unique_ptr<Connection>> idle;  // the last one used is the last
    std::vector<std::unique_ptr<BulkChannel>> idle_bulk;
    std::vector<int> open;  // every socket, lent ones too
    Releases releases;
    std::unordered_set<int64_t> trusted;    // buffers of this session that frames may name by their places
    uint64_t ends = 0;                      // of workers, at most so many
    std::shared_ptr<const ArenaMap> arena;  // of this session
    bool far = false;                       // the last socket led to another machine
    bool asked_arena = false;               // with null above: the farm shares none with us
    std::shared_ptr<Tunnel> tunnel;
    bool connecting = false;  // somebody says hello or starts the tunnel
    std::condition_variable connected;
  };

  Farm(Endpoint endpoint, FarmOptions options);
  // Protocol 1.`minor` or later.
  bool Speaks(uint64_t epoch, int32_t minor);
  Expected<Lease> Acquire(const Deadline& deadline, Module* module = nullptr, Loaded* loaded = nullptr,
                          Clock::time_point now = Clock::now());
  Expected<Lease> Connect(const Deadline& deadline);
  Expected<std::unique_ptr<Connection>> Open(const Address& address, const Deadline& deadline);
  struct Socket {
    UniqueFd fd;
    std::unique_ptr<TlsStream> tls;  // on it; after it
    bool same_machine = false;
  };
  // Connected, and through the TLS handshake where the address asks for one.
  Expected<Socket> OpenSocket(const Address& address, const Deadline& deadline);
  Expected<std::unique_ptr<Connection>> OpenOnce(const Address& address, const Deadline& deadline);
  Expected<std::shared_ptr<const TlsClient>> Tls();
  Expected<Lease> SayHello(const Deadline& deadline);
  // An empty lease: the session is gone, say hello.
  Expected<Lease> Attach(uint64_t epoch, std::shared_ptr<const wire::HelloReply> session, const Deadline& deadline);
  Expected<Address> Near(const Deadline& deadline);
  void Take(std::unique_ptr<Connection> connection);
  void Drop(std::unique_ptr<Connection> connection);
  void ForgetSession(uint64_t epoch);
  void Forget(Module& module, uint64_t epoch);
  bool MayRepeat(const Error& error, const Lease& lease, int attempt);
  // Functions by this session's ids; modules that it does not have are loaded. Whether all of it may run twice.
  Expected<bool> FillChain(const std::vector<ChainPart>& parts, Lease& lease, const Deadline& deadline,
                           wire::ChainRequest* request);
  struct Failed {
    Error error;
    bool again;  // the chain may be sent once more
  };
  Failed AfterChain(Error error, const Lease& lease, uint64_t epoch, bool repeatable);
  Expected<Loaded> LoadOver(Module& module, Lease& lease, const Deadline& deadline);
  // Loads what Acquire() did not find in the lease's session. false: the connection broke; take another one.
  Expected<bool> LoadIfMissing(Module& module, Lease& lease, int attempt, const Deadline& deadline, Loaded* loaded);
  Expected<wire::CompileReply> Compile(const Module& module, Connection& connection, const Deadline& deadline);
  // Gives the call an id of its own, and tells whoever may want to cancel it.
  void Number(CallMessage* call, std::atomic<int64_t>* request_id);
  // How the call ended. Nothing: it may be sent again.
  std::optional<Expected<Answered>> Settle(Module& module, const CallMessage& call, const Attempt& made, Lease lease,
                                           Expected<CallAnswer> answer, const Deadline& deadline);
  // Empty: it never started and may be sent again.
  Expected<std::unique_ptr<wire::CallReply>> Outcome(int64_t request_id, uint64_t epoch, bool repeatable, bool last,
                                                     Error lost, const Deadline& deadline);
  void Unload(Module& module);
  // From the last owner's thread, which must not wait for long: at once if a connection is idle, else by whoever gives
  // one back.
  void Release(std::unique_lock<std::mutex> lock, std::vector<int64_t> Releases::*kind, uint64_t epoch, int64_t id);
  void FlushReleases(Lease& lease);
  static void Tell(const Releases& releases, Connection& connection);
  static Error SessionGone();
  Expected<std::unique_ptr<BulkChannel>> BulkOf(uint64_t epoch, const Deadline& deadline);
  // Of a new raw channel. REQUIRES: mutex_.
  Packing PackingOf(const wire::HelloReply& session) const;
  void TakeBulk(std::unique_ptr<BulkChannel> channel);
  // Null where the farm shares none with this process.
  Expected<std::shared_ptr<const ArenaMap>> ArenaOf(Lease& lease, const Deadline& deadline);
  void BecomeChild();

  const Endpoint endpoint_;
  const FarmOptions options_;
  std::atomic<int64_t> next_request_;
  std::mutex mutex_;
  std::shared_ptr<const TlsClient> tls_;                                   // guarded by mutex_; made at first use
  std::unique_ptr<State> state_;                                           // guarded by mutex_
  std::unordered_map<Digest, std::weak_ptr<Module>, DigestHash> modules_;  // guarded by mutex_
};

}  // namespace rbc::client
