// Queues and the handles of their steps, as users see them.
// SPDX-License-Identifier: Apache-2.0
#include "rbc/queue.h"

#include <fmt/format.h>

#include "client/src/queue_state.h"
#include "rbc/remote_jit.h"

namespace rbc {

// What copies of a queue share. The steps keep the state, so that they can be waited for without it.
struct Queue::Owner {
  explicit Owner(std::shared_ptr<detail::QueueState> shared) : state(std::move(shared)) {}
  ~Owner() { state->Flush(); }
  Owner(const Owner&) = delete;
  Owner& operator=(const Owner&) = delete;
  const std::shared_ptr<detail::QueueState> state;
};

detail::QueueState& detail::Inside::StateOf(const Queue& queue) { return *queue.owner_->state; }
const std::shared_ptr<detail::QueuedState>& detail::Inside::StateOf(const Queued& step) { return step.handle_->step; }

types::Buffer detail::Inside::ArrayOf(const QueuedArray& made) {
  const auto& step = StateOf(made);
  types::Buffer out{.element = *types::Type::Parse(step->dtype), .owner = step};
  out.shape.assign(step->rank, 0);
  out.strides.assign(step->rank, 0);
  out.awaited = true;
  return out;
}

// ---- handles -----------------------------------------------------------------------------------------------------

bool Queued::wait_for(std::chrono::milliseconds time) const {
  return handle_->step->queue->WaitFor(*handle_->step, time);
}
Result<void> Queued::try_check() const {
  wait();
  if (handle_->step->Failed()) return handle_->step->ErrorOf();
  return {};
}
bool Queued::cancel() const { return handle_->step->queue->Cancel(*handle_->step); }
void Queued::then(std::function<void()> callback) const {
  handle_->step->queue->Then(handle_->step, std::move(callback));
}

int Queued::fd() const { return handle_->step->queue->Descriptor(*handle_->step); }

const std::string& QueuedArray::dtype() const { return handle_->step->dtype; }

Result<Buffer> QueuedArray::try_get() const {
  RBC_RETURN_IF_ERROR(try_check());
  const auto& step = *handle_->step;
  if (step.buffer) return *step.buffer;
  return Error(ErrorKind::kInvalidArgument,
               fmt::format("the result of '{}' is one value, which came back; ask for value()", step.caller->name));
}

Result<ArrayResult> QueuedArray::try_fetch() const {
  RBC_RETURN_IF_ERROR(try_check());
  const auto& step = *handle_->step;
  ArrayResult out = step.array;
  if (!step.buffer) return out;
  out.shape = step.buffer->shape();
  out.data.resize(step.buffer->bytes());
  RBC_RETURN_IF_ERROR(step.buffer->try_copy_to(out.data.data(), out.data.size()));
  return out;
}

Result<CallResult> QueuedCall::try_get() const {
  RBC_RETURN_IF_ERROR(try_check());
  return handle_->step->call;
}

Value QueuedCall::get() const {
  CallResult result = ValueOrThrow(try_get());
  if (result.status != 0)
    throw Exception(Error(ErrorKind::kInvalidArgument, fmt::format("'{}' returns status {}; see what it means by it",
                                                                   handle_->step->caller->name, result.status)));
  return std::move(result.value);
}

Value::Value(const QueuedArray& made) : Value(types::Value(detail::Inside::ArrayOf(made))) {}

QueueArgument::QueueArgument(const Buffer& buffer) : buffer_(std::make_shared<const Buffer>(buffer)) {}
QueueArgument::QueueArgument(const QueuedArray& made) : made_(made.handle_->step) {}

// ---- queues ------------------------------------------------------------------------------------------------------

Result<QueuedArray> Queue::try_map(const Caller& function, std::span<const QueueArgument> arrays,
                                   const QueuedMapOptions& options) {
  RBC_ASSIGN_OR_RETURN(auto step, owner_->state->Map(function, arrays, options));
  return QueuedArray(owner_->state->Add(std::move(step)));
}
Result<QueuedArray> Queue::try_reduce(const Caller& function, const QueueArgument& array,
                                      const QueuedReduceOptions& options) {
  RBC_ASSIGN_OR_RETURN(auto step, owner_->state->Reduce(function, array, options));
  return QueuedArray(owner_->state->Add(std::move(step)));
}
Result<QueuedArray> Queue::try_scan(const Caller& function, const QueueArgument& array,
                                    const QueuedScanOptions& options) {
  RBC_ASSIGN_OR_RETURN(auto step, owner_->state->Scan(function, array, options));
  return QueuedArray(owner_->state->Add(std::move(step)));
}
Result<QueuedCall> Queue::try_call(const Caller& function, std::vector<Value> arguments) {
  RBC_ASSIGN_OR_RETURN(auto step, owner_->state->Call(function, std::move(arguments), nullptr));
  return QueuedCall(owner_->state->Add(std::move(step)));
}
Result<QueuedArray> Queue::try_keep(const Caller& function, std::vector<Value> arguments) {
  RBC_ASSIGN_OR_RETURN(auto step, owner_->state->Keep(function, std::move(arguments)));
  return QueuedArray(owner_->state->Add(std::move(step)));
}
Result<QueuedCall> Queue::try_keep_all(const Caller& function, std::vector<Value> arguments) {
  RBC_ASSIGN_OR_RETURN(auto step, owner_->state->KeepAll(function, std::move(arguments)));
  return QueuedCall(owner_->state->Add(std::move(step)));
}
Result<QueuedCall> Queue::try_launch(const Caller& kernel, const Grid& grid, std::vector<Value> arguments) {
  RBC_ASSIGN_OR_RETURN(auto step, owner_->state->Call(kernel, std::move(arguments), &grid));
  return QueuedCall(owner_->state->Add(std::move(step)));
}

void Queue::flush() { owner_->state->Flush(); }
void Queue::wait() { owner_->state->WaitAll(); }
bool Queue::cancel() { return owner_->state->CancelAll(); }

Queue RemoteJIT::queue(QueueOptions options) const {
  return Queue(std::make_shared<Queue::Owner>(std::make_shared<detail::QueueState>(core_, options)));
}

}  // namespace rbc
