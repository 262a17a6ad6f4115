// A queue's steps, and how they go to the farm as chains.
// SPDX-License-Identifier: Apache-2.0
#include "client/src/queue_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "client/src/array_staging.h"
#include "client/src/buffer_state.h"
#include "client/src/kept_call.h"
#include "client/src/value_maker.h"
#include "thrift/error_wire.h"
#include "types/array.h"
#include "types/array_extent.h"
#include "types/array_shape.h"
#include "types/pack.h"

namespace rbc::detail {
namespace {

constexpr size_t kMostSteps = 256;       // of a chain
constexpr size_t kSendAt = 64;           // steps that are queued are sent without anybody asking
constexpr size_t kMostBytes = 16 << 20;  // of a chain's own arrays, about
constexpr size_t kOfBuffer = 256 << 10;  // an array of this process from here on goes there in a buffer

Error Invalid(std::string message) { return {ErrorKind::kInvalidArgument, std::move(message)}; }

wire::ArrayRef* ArrayAt(wire::ChainStep& step, size_t place) {
  if (step.__isset.reduce_array) return &step.reduce_array.input;
  if (step.__isset.scan_array) return &step.scan_array.input;
  return place == QueuedState::kWhere ? &step.map_arrays.where : &step.map_arrays.inputs[place];
}

// What stands in a call's frame of an array that a step of an earlier chain has made.
Status PutIn(const types::FrameLayout& layout, const Buffer& made, wire::FrameBuffer* buffer, std::string* frame) {
  const auto slots = layout.slots();
  const auto slot = std::find_if(slots.begin(), slots.end(), [&](const types::FrameSlot& each) {
    return static_cast<int64_t>(each.offset) == buffer->position;
  });
  const wire::ArrayRef ref = Inside::RefTo(made);
  buffer->buffer = ref.buffer;
  buffer->offset = ref.offset;
  if (slot->op == types::SlotOp::kArray) {
    types::StoreFrameArray({0, ref.shape, ref.strides}, frame->data() + slot->offset);
    return {};
  }
  if (types::IsContiguous(ref.shape, ref.strides, static_cast<uint32_t>(made.element_size()))) return {};
  return Invalid(fmt::format("an array with gaps between its elements is no `{}`; declare the parameter as an array",
                             slot->type.ToString()));
}

std::vector<int64_t> BuffersNamedBy(const wire::ChainStep& step) {
  const auto& map = step.map_arrays;
  std::vector<int64_t> out = {map.into.buffer, map.where.buffer, step.reduce_array.input.buffer,
                              step.scan_array.input.buffer};
  for (const auto& input : map.inputs) out.push_back(input.buffer);
  for (const auto* buffers : {&step.call.buffers, &step.launch.buffers})
    for (const auto& each : *buffers) out.push_back(each.buffer);
  return out;
}

// Those of this process among them have data.
std::vector<wire::ArrayRef*> ArraysOf(wire::ChainStep& step) {
  std::vector<wire::ArrayRef*> out = {&step.map_arrays.where, &step.reduce_array.input, &step.scan_array.input};
  for (auto& input : step.map_arrays.inputs) out.push_back(&input);
  return out;
}

size_t BytesOf(const wire::ChainStep& step) {
  size_t bytes = step.call.frame.size() + step.launch.frame.size() + step.map_arrays.where.data.size() +
                 step.reduce_array.input.data.size() + step.scan_array.input.data.size();
  for (const auto& input : step.map_arrays.inputs) bytes += input.data.size();
  return bytes;
}

void KeepResult(wire::ChainStep& step, bool drop) {
  if (drop) {
    step.__set_drop(true);
  } else if (step.__isset.call) {
    step.call.__set_keep("");
  } else if (step.__isset.map_arrays) {
    step.map_arrays.__set_keep("");
  } else if (step.__isset.reduce_array) {
    step.reduce_array.__set_keep("");
  } else {
    step.scan_array.__set_keep("");
  }
}

void AskForTimes(wire::ChainStep& step) {
  if (step.__isset.call) step.call.__set_profile(true);
  if (step.__isset.launch) step.launch.__set_profile(true);
  if (step.__isset.map_arrays) step.map_arrays.__set_profile(true);
  if (step.__isset.reduce_array) step.reduce_array.__set_profile(true);
  if (step.__isset.scan_array) step.scan_array.__set_profile(true);
}

ArrayTimes TimesOf(const wire::CallReply& reply, int64_t bytes_out) {
  return {0,
          reply.queue_ns,
          reply.upload_ns,
          reply.kernel_ns,
          reply.download_ns,
          bytes_out,
          static_cast<int64_t>(reply.result.size() + reply.data.size())};
}

}  // namespace

Error QueuedState::ErrorOf() const {
  if (error) return *error;
  Error failed =
      Invalid(array.row < 0 ? fmt::format("'{}' returns status {}; see what it means by it", caller->name, array.status)
                            : fmt::format("'{}' returns status {} for element {}; see what it means by it",
                                          caller->name, array.status, types::ShapeText(array.index)));
  failed.function = caller->name;
  failed.role = "execution worker";
  failed.may_have_run = true;
  return failed;
}

std::shared_ptr<QueueHandle> QueueState::Add(std::shared_ptr<QueuedState> step) {
  if (profile_) AskForTimes(step->request);
  step->queue = shared_from_this();
  auto handle = std::make_shared<QueueHandle>(QueueHandle{step});
  step->handle = handle;
  bool send;
  {
    const std::lock_guard lock(mutex_);
    step->number = ++queued_;
    pending_.push_back(std::move(step));
    send = options_.eager || pending_.size() >= kSendAt;
  }
  if (send) Flush();
  return handle;
}

// ---- waiting -----------------------------------------------------------------------------------------------------

void QueueState::Flush() {
  {
    const std::lock_guard lock(mutex_);
    wanted_ = queued_;
    if (sending_ || pending_.empty()) return;
    sending_ = true;
  }
  Start(core_, [self = shared_from_this()](std::atomic<int64_t>* request_id, const Error* refused) {
    self->Send(request_id, refused);
  });
}

void QueueState::WaitAll() {
  Flush();
  std::unique_lock lock(mutex_);
  over_.wait(lock, [this, last = queued_] { return ended_ >= last; });
}

bool QueueState::WaitFor(const QueuedState& step, std::chrono::milliseconds time) {
  {
    const std::lock_guard lock(mutex_);
    if (step.done) return true;
  }
  Flush();
  std::unique_lock lock(mutex_);
  if (time.count() >= 0) return over_.wait_for(lock, time, [&] { return step.done; });
  over_.wait(lock, [&] { return step.done; });
  return true;
}

void QueueState::Then(const std::shared_ptr<QueuedState>& step, std::function<void()> callback, bool send) {
  bool done;
  {
    const std::lock_guard lock(mutex_);
    done = step->done;
    if (!done) step->callbacks.push_back(std::move(callback));
  }
  if (done) return callback();
  if (send) Flush();
}

int QueueState::Descriptor(QueuedState& step) {
  {
    const std::lock_guard lock(mutex_);
    if (!step.event.is_open() && step.event.Open() && step.done) step.event.Signal();
    if (step.done) return step.event.fd();
  }
  Flush();
  return step.event.fd();
}

bool QueueState::Cancel(QueuedState& step) {
  const std::lock_guard lock(mutex_);
  if (step.sent || step.done) return false;
  step.cancelled = true;  // ends when its turn comes
  return true;
}

bool QueueState::CancelAll() {
  constexpr auto kPatience = std::chrono::milliseconds(2000);
  uint64_t last;
  {
    const std::lock_guard lock(mutex_);
    if (ended_ == queued_) return false;
    for (const auto& step : pending_) step->cancelled = true;
    last = cancelled_ = queued_;
  }
  Flush();
  // A chain that is being sent is not known to the farm yet: asked until it is stopped, or over.
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (std::chrono::steady_clock::now() < until) {
    int64_t running;
    {
      const std::lock_guard lock(mutex_);
      if (ended_ >= last) break;
      running = running_ != nullptr ? running_->load(std::memory_order_acquire) : 0;
    }
    const auto deadline = client::Deadline::AfterMs(kPatience.count());
    if (running != 0) {
      const auto stopped = core_->farm->Cancel(running, deadline);
      if (stopped && *stopped) break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

// ---- chains ------------------------------------------------------------------------------------------------------

QueueState::Steps QueueState::NextChain() {
  Steps steps;
  size_t bytes = 0;
  const std::lock_guard lock(mutex_);
  if (pending_.empty() || pending_.front()->number > wanted_) {
    sending_ = false;
    return steps;
  }
  while (!pending_.empty() && steps.size() < kMostSteps) {
    bytes += BytesOf(pending_.front()->request);
    if (bytes > kMostBytes && !steps.empty()) break;
    pending_.front()->sent = true;
    steps.push_back(std::move(pending_.front()));
    pending_.pop_front();
  }
  return steps;
}

void QueueState::Send(std::atomic<int64_t>* request_id, const Error* refused) {
  for (;;) {
    const Steps steps = NextChain();
    if (steps.empty()) return;
    if (refused != nullptr) {
      for (const auto& step : steps) step->error = *refused;
    } else {
      {
        const std::lock_guard lock(mutex_);
        request_id->store(0);
        running_ = request_id;
      }
      Run(steps, request_id);
      const std::lock_guard lock(mutex_);
      running_ = nullptr;
    }
    End(steps);
  }
}

// Farms of before would take the array of a step for none at all.
Status QueueState::CheckFarm(const QueuedState& step, const client::Deadline& deadline) const {
  constexpr int32_t kSince = 4;
  if (step.inputs.empty() || (!step.request.__isset.call && !step.request.__isset.launch)) return {};
  RBC_ASSIGN_OR_RETURN(const auto hello, core_->farm->Hello(deadline));
  if (hello->protocol_minor >= kSince) return {};
  return {ErrorKind::kUnsupported,
          "on this farm a call takes no array of an earlier step; update it, or get() the array first"};
}

// Puts in what the step makes that is number `index` of the chain, or was over before.
Status QueueState::Fill(QueuedState& step, const QueuedState::Input& input, std::optional<int32_t> index,
                        wire::ChainStep* request) const {
  const QueuedState& from = *input.from;
  if (from.buffer) step.held.push_back(*from.buffer);
  if (request->__isset.call || request->__isset.launch) {
    auto& buffers = request->__isset.call ? request->call.buffers : request->launch.buffers;
    auto& frame = request->__isset.call ? request->call.frame : request->launch.frame;
    if (index) {
      buffers[input.place].__set_step(*index);
      return {};
    }
    if (!from.buffer) return Invalid(fmt::format("'{}' gives no array that a call could take", from.caller->name));
    const uint64_t epoch = Inside::StateOf(*from.buffer).owned.epoch;
    if (step.epoch != 0 && step.epoch != epoch)
      return {ErrorKind::kBufferLost,
              fmt::format("the arrays that '{}' is given are of two sessions; make them anew", step.caller->name)};
    step.epoch = epoch;
    return PutIn(step.chosen.overload->layout, *from.buffer, &buffers[input.place], &frame);
  }
  wire::ArrayRef* const ref = ArrayAt(*request, input.place);
  if (index) {
    ref->__set_step(*index);
  } else if (from.buffer) {
    *ref = Inside::RefTo(*from.buffer);
  } else {
    ref->dtype = from.array.dtype;
    ref->shape = from.array.shape;
    ref->strides = types::DenseStrides(from.array.shape, from.chosen.overload->layout.result_size());
    ref->__set_data(from.array.data);
  }
  return {};
}

// The step as the chain has it, which so far has the steps `chain`; false: it fails here.
bool QueueState::Prepare(QueuedState& step, const Steps& chain, wire::ChainStep* request) const {
  *request = step.request;
  bool gone = step.MakesArray() && step.handle.expired();
  for (const auto& input : step.inputs) {
    const QueuedState& from = *input.from;
    const auto before = std::find(chain.begin(), chain.end(), input.from);
    std::optional<int32_t> index;
    if (before != chain.end()) {
      index = static_cast<int32_t>(before - chain.begin());
    } else if (from.Failed()) {
      step.error = from.ErrorOf();
      step.error->may_have_run = false;
      step.cause = from.cause != nullptr ? from.cause : input.from;
      return false;
    }
    if (auto filled = Fill(step, input, index, request); !filled) {
      step.error = std::move(filled).error();
      return false;
    }
  }
  if (step.keeps_all) request->call.__set_keep("");
  const bool is_void = step.chosen.overload->layout.result_size() == 0;
  if (step.MakesArray() && !step.writes && !is_void && (gone || !step.MakesOneValue())) KeepResult(*request, gone);
  return true;
}

// Large arrays of this process do without the message, where the session has room. They go with the step.
Status QueueState::Stage(QueuedState& step, wire::ChainStep* request) const {
  for (wire::ArrayRef* const array : ArraysOf(*request)) {
    if (array->data.size() < kOfBuffer) continue;
    wire::BufferSpec spec;
    spec.dtype = "uint8";
    spec.shape = {static_cast<int64_t>(array->data.size())};
    auto buffer = Inside::MakeBuffer(core_, spec);
    if (!buffer && client::HasNoRoom(buffer.error())) continue;
    if (!buffer) return std::move(buffer).error();
    RBC_RETURN_IF_ERROR(buffer->try_copy_from(array->data.data(), array->data.size()));
    array->__set_buffer(buffer->id());
    std::string().swap(array->data);
    array->__isset.data = false;
    step.held.push_back(*std::move(buffer));
  }
  return {};
}

void QueueState::Run(const Steps& steps, std::atomic<int64_t>* request_id) {
  const bool is_explicit = options_.timeout.count() > 0 || core_->options.timeout.count() > 0;
  const int64_t each_ms = core_->farm->options().timeout_ms;
  const client::Deadline deadline =
      is_explicit ? core_->DeadlineOf(options_.timeout.count())
                  : client::Deadline::AfterMs(each_ms * static_cast<int64_t>(std::max<size_t>(steps.size(), 1)));
  Steps chain;
  std::vector<client::ChainPart> parts;
  for (const auto& step : steps) {
    bool cancelled;
    {
      const std::lock_guard lock(mutex_);
      cancelled = step->cancelled || step->number <= cancelled_;
    }
    client::Module& module = *step->chosen.prepared->module;
    client::ChainPart part{&module, step->chosen.declared, {}, 0};
    if (cancelled) {
      step->error = Error(ErrorKind::kCancelled, "the step is cancelled before it is sent");
    } else if (auto loaded = core_->farm->Load(module, deadline); !loaded) {
      step->error = std::move(loaded).error();
    } else if (auto known = CheckFarm(*step, deadline); !known) {
      step->error = std::move(known).error();
    } else if (Prepare(*step, chain, &part.step)) {
      step->times.bytes_out = static_cast<int64_t>(BytesOf(part.step));
      if (auto staged = Stage(*step, &part.step); !staged) {
        step->error = std::move(staged).error();
        continue;
      }
      part.epoch = step->epoch;
      parts.push_back(std::move(part));
      chain.push_back(step);
    }
  }
  if (chain.empty()) return;
  auto reply = core_->farm->RunChain(parts, deadline, is_explicit, request_id);
  for (size_t i = 0; i < chain.size(); ++i) {
    QueuedState& step = *chain[i];
    if (!reply) {
      step.error = reply.error();
      continue;
    }
    Take(step, reply->outcomes[i], *reply);
    // The error of another step is told as that step's own.
    for (const auto& input : step.inputs) {
      if (!step.error || step.cause != nullptr || !input.from->Failed()) continue;
      step.cause = input.from->cause != nullptr ? input.from->cause : input.from;
    }
  }
}

void QueueState::Take(QueuedState& step, wire::ChainOutcome& outcome, const client::ChainReply& reply) const {
  if (outcome.__isset.error) {
    step.error = FromWire(outcome.error);
  } else if (step.keeps && outcome.__isset.call) {
    step.times = TimesOf(outcome.call, step.times.bytes_out);
    if (auto taken = TakeKeptArray(step, outcome.call, reply); !taken) step.error = std::move(taken).error();
  } else if (step.MakesArray() && outcome.__isset.array) {
    TakeArray(step, outcome.array, reply);
  } else if (!step.MakesArray() && outcome.__isset.call) {
    TakeCall(step, outcome.call, reply);
  } else {
    step.error = Error(ErrorKind::kProtocolMismatch, "the farm's reply does not hold the result of a step");
  }
}

void QueueState::TakeArray(QueuedState& step, wire::ArrayReply& reply, const client::ChainReply& chain) const {
  ArrayResult& out = step.array;
  out.dtype = reply.result.dtype;
  out.shape = reply.result.shape;
  out.data = std::move(reply.result.data);
  out.status = reply.status;
  out.output = reply.output;
  out.signature = step.chosen.overload->type.ToString();
  step.times = {reply.compile_ns,
                reply.queue_ns,
                reply.upload_ns,
                reply.kernel_ns,
                reply.download_ns,
                step.times.bytes_out,
                static_cast<int64_t>(out.data.size())};
  const auto count = types::CountElements(out.shape);
  if (!count || (reply.__isset.row && (reply.row < 0 || static_cast<uint64_t>(reply.row) >= *count))) {
    step.error = Error(ErrorKind::kProtocolMismatch, "the farm tells of elements that the array does not have");
    return;
  }
  if (reply.__isset.row) {
    out.row = reply.row;
    out.index = types::IndexOf(static_cast<uint64_t>(reply.row), out.shape);
  }
  if (step.writes) {
    step.buffer = step.out;
  } else if (reply.__isset.kept) {
    auto buffer = Inside::Adopt(core_, {chain.epoch, std::move(reply.kept), chain.arena, step.caller->name}, 0);
    if (buffer && out.status == 0)
      step.buffer = *std::move(buffer);
    else if (!buffer)
      step.error = std::move(buffer).error();
  } else if (!step.handle.expired() && *count * step.chosen.overload->layout.result_size() != out.data.size()) {
    step.error = Error(ErrorKind::kProtocolMismatch, "the farm's reply does not hold the array of a step");
  }
}

Status QueueState::TakeKeptArray(QueuedState& step, wire::CallReply& reply, const client::ChainReply& chain) const {
  const types::Type& type = step.chosen.overload->type;
  RBC_RETURN_IF_ERROR(TakeMemory(step.packed, reply.data));
  step.array.status = reply.status;
  step.array.output = reply.output;
  step.array.dtype = step.dtype;
  step.array.signature = type.ToString();
  if (reply.status != 0 || (step.handle.expired() && reply.kept.empty())) return {};
  RBC_ASSIGN_OR_RETURN(auto arrays, TakeKept(*step.caller, type.result(), reply, chain));
  step.buffer = std::move(arrays.front());
  step.array.shape = step.buffer->shape();
  return {};
}

void QueueState::TakeCall(QueuedState& step, wire::CallReply& reply, const client::ChainReply& chain) const {
  const auto take = [&]() -> Status {
    RBC_RETURN_IF_ERROR(TakeMemory(step.packed, reply.data));
    CallResult& out = step.call;
    out.output = reply.output;
    out.signature = step.chosen.overload->type.ToString();
    out.symbol = step.chosen.prepared->module->declarations()[step.chosen.declared].symbol;
    out.status = reply.status;
    if (reply.status != 0 || step.request.__isset.launch) return {};
    const types::Type& type = step.chosen.overload->type.result();
    if (step.keeps_all) {
      RBC_ASSIGN_OR_RETURN(out.kept, TakeKept(*step.caller, type, reply, chain));
    }
    RBC_ASSIGN_OR_RETURN(types::Value value, step.keeps_all ? TakePlain(type, reply.result)
                                                            : types::UnpackResult(type, reply.result, reply.data));
    out.value = ValueMaker::Make(std::move(value), type);
    return {};
  };
  step.times = TimesOf(reply, step.times.bytes_out);
  if (auto taken = take(); !taken) step.error = std::move(taken).error();
}

void QueueState::End(const Steps& steps) {
  std::vector<std::function<void()>> callbacks;
  for (const auto& step : steps) {
    if (step->error)
      *step->error =
          NameIt(NameLost(std::move(*step->error), *core_, BuffersNamedBy(step->request)), step->caller->name);
    core_->Print(step->error ? step->error->output : step->MakesArray() ? step->array.output : step->call.output);
    step->inputs.clear();
    step->held.clear();
    step->kept.clear();
    step->values.clear();
    step->packed = {};
  }
  {
    const std::lock_guard lock(mutex_);
    for (const auto& step : steps) {
      step->done = true;
      if (step->event.is_open()) step->event.Signal();
      for (auto& callback : step->callbacks) callbacks.push_back(std::move(callback));
      step->callbacks.clear();
    }
    over_.notify_all();
  }
  for (auto& callback : callbacks) callback();
  // Who waits for all of it finds everybody told.
  const std::lock_guard lock(mutex_);
  ended_ += steps.size();
  over_.notify_all();
}

}  // namespace rbc::detail
