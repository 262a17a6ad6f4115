// A session's worker process as the daemon sees it: loading, relayed calls, lent connections, death.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/expected.h"
#include "server/data/shared_memory.h"
#include "worker/call_message.h"
#include "worker/control_messages.h"

namespace rbc::server {

// A lent connection that is the daemon's again.
struct LentReturn {
  uint64_t cookie = 0;         // as given to Lend
  std::string unread;          // bytes that the worker received but did not serve; the daemon goes on with them
  bool end_of_stream = false;  // the client closed it
  bool close = false;          // what became of the reply is in doubt: close it, the client asks outcome()
  // The worker died in this connection's call: the daemon sends worker::ErrorReply(seqid, *error) unless `close`, and
  // keeps the error for outcome(request_id).
  std::optional<Error> error;
  int32_t seqid = 0;
  int64_t request_id = 0;
};

// The daemon's end of a lane, for a client that has mapped the worker's ring.
struct DirectLane {
  uint32_t lane = 0, lanes = 0;
  uint64_t size = 0;
  int fd = -1;  // of the ring; the worker's
};

// A call that the worker's death ended while it ran, on a lane whose calls the daemon does not see.
struct DeadCall {
  std::string message;  // what follows the length of the framed `call`; hostile
  Error error;          // what its client is told
};

// Thread-safe. Kept alive by whoever calls into it; the process lives until Kill, Shutdown or its own death.
class ExecutionWorker {
 public:
  virtual ~ExecutionWorker() = default;
  virtual int pid() const = 0;
  // The number of the GPU that it is on; negative: none.
  virtual int device() const { return -1; }
  // True from death on; everything then answers WorkerLost. The owner drops the worker and starts another.
  virtual bool dead() const = 0;
  // Of a dead one, as far as it is known.
  virtual std::string why_dead() const { return {}; }

  // Told of each such call, before anybody else hears of the death. REQUIRES: no call has run yet.
  virtual void TellDeadCalls(std::function<void(const DeadCall&)> told) {}

  // Sends the module and runs its constructors. Blocks; errors: kWorkerLost, kRemoteCrash (in a constructor),
  // kResourceExhausted, kDeadlineExceeded. Not twice for one module id.
  virtual Status Load(uint64_t module_id, const worker::LoadBlob& blob) = 0;
  // Waits until no call is inside, then releases. Dead workers: nothing to do.
  virtual void Unload(uint64_t module_id) = 0;

  // Gives it the session's arena of arrays, which it maps before this returns. Once: more of it does nothing. Blocks;
  // errors: kWorkerLost, kResourceExhausted, kDeadlineExceeded (the worker is then ended).
  virtual Status ShareArena(const SharedMemory& arena) = 0;
  virtual bool has_arena() const = 0;

  // Runs one call: `framed` is the whole framed message that `call` was parsed from, its function loaded here. Blocks;
  // on success *reply is the whole framed reply (also when that reply is an exception the worker sent). An error is
  // one that the daemon shall answer with (kRemoteCrash, kWorkerLost, kDeadlineExceeded, kCancelled, kBusy).
  virtual Status Call(std::string_view framed, const worker::CallView& call, std::string* reply) = 0;

  // Runs calls of one function, CallRequests that TakeCall takes, one behind the other, until one ends with such an
  // error, at most; at least the first. *replies: the framed replies of those that ended otherwise, not looked at yet;
  // the error is that of the call behind them. `batch` has its id for Cancel, its function and the deadline of each.
  virtual Status CallBatch(std::string_view calls, const worker::CallView& batch, std::string* replies) {
    return CallFirst(calls, replies);
  }

  // Lends the connection `fd` (a duplicate is sent; the caller keeps its own, unarmed). False: no lane free, or dead.
  virtual bool Lend(int fd, uint64_t cookie) = 0;

  // Gives a lane to the client of the connection `cookie`. Nothing: no lane free, or dead.
  virtual std::optional<DirectLane> OpenDirect(uint64_t cookie) { return std::nullopt; }
  // The framed reply of that lane's call where the lane does not hold it: too large, or the worker is dead.
  virtual Status DirectReply(uint64_t cookie, std::string* framed) {
    return Error(ErrorKind::kInvalidArgument, "this connection has no ring");
  }
  // Takes the lane back, as soon as its call is over.
  virtual void CloseDirect(uint64_t cookie) {}

  // Ends the running call with this request id by killing the process. False: no such call.
  virtual bool Cancel(int64_t request_id) = 0;
  // Ends the process; calls in flight answer `reason`.
  virtual void Kill(Error reason) = 0;
  // Ends the process if no lane of it has anything to do: nobody is inside, and whoever comes takes another worker.
  // Blocks until it has ended. False: it is in use.
  // `unseen`: what calls_unseen() was since when no call must have begun either.
  virtual bool Retire(std::optional<uint64_t> unseen = std::nullopt) { return false; }
  // Counts the begins and ends of calls that come to it by other ways than through Call.
  virtual uint64_t calls_unseen() const { return 0; }
  // When it last ran a call, or was made.
  virtual std::chrono::steady_clock::time_point last_used() const { return {}; }
  virtual uint64_t calls() const = 0;
  // Gives back what large messages have left; called about once a second.
  virtual void TrimMemory() {}
  // Nothing runs: no relayed call, no lent call inside.
  virtual bool idle() const = 0;

 protected:
  Status CallFirst(std::string_view calls, std::string* replies) {
    worker::CallView call;
    std::string_view rest = calls;
    worker::TakeCall(&rest, &call);
    return Call(worker::FramedCall(calls.substr(0, calls.size() - rest.size())), call, replies);
  }
};

}  // namespace rbc::server
