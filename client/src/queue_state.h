// A queue's insides: its steps, and how they go to the farm as chains.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/platform.h"
#include "client/src/choose.h"
#include "rbc/queue.h"

namespace rbc::detail {

class QueueState;

// A step. All above the line is constant once it is queued; the rest is guarded by the queue until it is over, then
// constant.
struct QueuedState {
  static constexpr size_t kWhere = ~size_t{0};  // the place of a map's `where`
  // An array of `request` that an earlier step makes: number `place` of those that ArrayAt counts, or of the buffers of
  // a call or launch.
  struct Input {
    size_t place;
    std::shared_ptr<QueuedState> from;
  };

  std::shared_ptr<QueueState> queue;
  std::shared_ptr<CallerState> caller;
  Chosen chosen;
  wire::ChainStep request;  // all but the ids, and the arrays of earlier steps
  std::string dtype;        // of the array that it makes
  size_t rank = 0;          // likewise
  std::weak_ptr<QueueHandle> handle;
  uint64_t number = 0;
  // ------
  std::vector<Input> inputs;
  std::vector<std::shared_ptr<const void>> kept;
  std::vector<Buffer> held;   // what the request names
  bool writes = false;        // into an array that was there
  std::optional<Buffer> out;  // which one, if that is known here
  std::vector<Value> values;  // of a call
  types::PackedCall packed;
  uint64_t epoch = 0;      // of the session whose arrays the call names; 0: none
  bool keeps = false;      // a call whose array stays, as that of a map
  bool keeps_all = false;  // a call whose arrays stay, beside what else it returns
  bool done = false, sent = false, cancelled = false;
  std::optional<Error> error;
  std::shared_ptr<QueuedState> cause;  // the step that failed first, where that is another one
  ArrayResult array;
  std::optional<Buffer> buffer;
  CallResult call;
  ArrayTimes times;
  std::vector<std::function<void()>> callbacks;
  platform::Event event;  // opened when it is asked for

  bool MakesArray() const { return keeps || (!request.__isset.call && !request.__isset.launch); }
  // One value, which comes back with the reply.
  bool MakesOneValue() const { return request.__isset.reduce_array && !request.reduce_array.__isset.axis; }
  bool Failed() const { return error.has_value() || array.status != 0; }
  // What one learns who needs it.
  Error ErrorOf() const;
};

// What users hold: with the last one nobody wants the array any more.
struct QueueHandle {
  std::shared_ptr<QueuedState> step;
};

class QueueState : public std::enable_shared_from_this<QueueState> {
 public:
  QueueState(std::shared_ptr<Core> core, QueueOptions options) : core_(std::move(core)), options_(options) {}

  // What makes a request of a caller's arguments. The step is not queued yet.
  Expected<std::shared_ptr<QueuedState>> Map(const Caller& function, std::span<const QueueArgument> arrays,
                                             const QueuedMapOptions& options);
  Expected<std::shared_ptr<QueuedState>> Reduce(const Caller& function, const QueueArgument& array,
                                                const QueuedReduceOptions& options);
  Expected<std::shared_ptr<QueuedState>> Scan(const Caller& function, const QueueArgument& array,
                                              const QueuedScanOptions& options);
  Expected<std::shared_ptr<QueuedState>> Call(const Caller& function, std::vector<Value> arguments, const Grid* grid);
  // A call whose array stays.
  Expected<std::shared_ptr<QueuedState>> Keep(const Caller& function, std::vector<Value> arguments);
  Expected<std::shared_ptr<QueuedState>> KeepAll(const Caller& function, std::vector<Value> arguments);
  std::shared_ptr<QueueHandle> Add(std::shared_ptr<QueuedState> step);

  void Flush();
  void WaitAll();
  bool WaitFor(const QueuedState& step, std::chrono::milliseconds time);
  bool CancelAll();
  bool Cancel(QueuedState& step);
  // `send`: what is queued goes now.
  void Then(const std::shared_ptr<QueuedState>& step, std::function<void()> callback, bool send = true);
  int Descriptor(QueuedState& step);
  // Steps queued from here on are asked where their time goes.
  void Profile(bool on) { profile_ = on; }

 private:
  using Steps = std::vector<std::shared_ptr<QueuedState>>;

  Expected<std::shared_ptr<QueuedState>> Begin(const Caller& function) const;
  Status Take(QueuedState& step, const QueueArgument& argument, const types::Type& type, size_t place,
              wire::ArrayRef* ref) const;
  static Expected<types::Type> TypeOf(const QueueArgument& argument);
  static size_t RankOf(const QueueArgument& argument);
  static void TakeMade(QueuedState& step, const std::vector<types::Value>& values);
  Expected<std::vector<types::Value>> ValuesOf(const std::vector<Value>& arguments) const;
  void Send(std::atomic<int64_t>* request_id, const Error* refused);
  Steps NextChain();
  void Run(const Steps& steps, std::atomic<int64_t>* request_id);
  Status CheckFarm(const QueuedState& step, const client::Deadline& deadline) const;
  Status Stage(QueuedState& step, wire::ChainStep* request) const;
  bool Prepare(QueuedState& step, const Steps& chain, wire::ChainStep* request) const;
  Status Fill(QueuedState& step, const QueuedState::Input& input, std::optional<int32_t> index,
              wire::ChainStep* request) const;
  void Take(QueuedState& step, wire::ChainOutcome& outcome, const client::ChainReply& reply) const;
  void TakeArray(QueuedState& step, wire::ArrayReply& reply, const client::ChainReply& chain) const;
  void TakeCall(QueuedState& step, wire::CallReply& reply, const client::ChainReply& chain) const;
  Status TakeKeptArray(QueuedState& step, wire::CallReply& reply, const client::ChainReply& chain) const;
  void End(const Steps& steps);

  const std::shared_ptr<Core> core_;
  const QueueOptions options_;
  std::atomic<bool> profile_{false};

  std::mutex mutex_;
  std::condition_variable over_;
  std::deque<std::shared_ptr<QueuedState>> pending_;
  uint64_t queued_ = 0, wanted_ = 0, ended_ = 0;  // steps: queued, to be sent, over; they end in their order
  bool sending_ = false;
  uint64_t cancelled_ = 0;                   // all steps up to this one are
  std::atomic<int64_t>* running_ = nullptr;  // request id of the chain under way
};

}  // namespace rbc::detail
