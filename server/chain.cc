// Chains: which steps need which, and what a step that ran hands on.
// SPDX-License-Identifier: Apache-2.0
#include "server/chain.h"

#include <fmt/format.h>

#include <algorithm>

#include "thrift/error_wire.h"

namespace rbc::server {
namespace {

Error Invalid(std::string message) { return {ErrorKind::kInvalidArgument, std::move(message)}; }

int Requests(const wire::ChainStep& step) {
  const auto& is = step.__isset;
  return int{is.call} + int{is.map_arrays} + int{is.reduce_array} + int{is.scan_array} + int{is.launch};
}

bool Maps(const wire::ChainStep& step) {
  return step.__isset.map_arrays || step.__isset.reduce_array || step.__isset.scan_array;
}

// The buffers of a call or launch.
template <typename Step>
auto* BuffersOf(Step& step) {
  return step.__isset.launch ? &step.launch.buffers : &step.call.buffers;
}

// A call makes one if it is told to keep it, or to have it for later steps.
bool MakesArray(const wire::ChainStep& step) {
  return Maps(step) || (step.__isset.call && (step.call.__isset.keep || step.drop));
}

// The arrays of a step as buffers; those of a map that came back as data are none.
std::vector<wire::BufferInfo> KeptOf(const wire::ChainOutcome& outcome) {
  if (outcome.__isset.call) return outcome.call.kept;
  if (outcome.__isset.array && outcome.array.__isset.kept) return {outcome.array.kept};
  return {};
}

wire::ArrayRef RefTo(const wire::BufferInfo& buffer) {
  wire::ArrayRef ref;
  ref.dtype = buffer.dtype;
  ref.shape = buffer.shape;
  ref.strides = buffer.strides;
  ref.__set_buffer(buffer.id);
  return ref;
}

// body(array) for each array of the step, until one is refused.
template <typename Step, typename Body>
Status ForEachArray(Step& step, Body&& body) {
  if (step.__isset.map_arrays) {
    auto& map = step.map_arrays;
    for (auto& input : map.inputs) RBC_RETURN_IF_ERROR(body(input));
    if (map.__isset.where) RBC_RETURN_IF_ERROR(body(map.where));
    if (map.__isset.into) RBC_RETURN_IF_ERROR(body(map.into));
  }
  const auto one = [&](auto& request) -> Status {
    RBC_RETURN_IF_ERROR(body(request.input));
    return request.__isset.into ? body(request.into) : Status();
  };
  if (step.__isset.reduce_array) RBC_RETURN_IF_ERROR(one(step.reduce_array));
  if (step.__isset.scan_array) RBC_RETURN_IF_ERROR(one(step.scan_array));
  return {};
}

// body(request) with whatever the step asks for.
template <typename Step, typename Body>
void WithRequest(Step& step, Body&& body) {
  if (step.__isset.call) body(step.call);
  if (step.__isset.map_arrays) body(step.map_arrays);
  if (step.__isset.reduce_array) body(step.reduce_array);
  if (step.__isset.scan_array) body(step.scan_array);
  if (step.__isset.launch) body(step.launch);
}

bool KeepsOrWrites(const wire::ChainStep& step) {
  const auto either = [](const auto& request) { return request.__isset.keep || request.__isset.into; };
  return either(step.map_arrays) || either(step.reduce_array) || either(step.scan_array) || step.call.__isset.keep;
}

// Looks at the steps in their order.
class Checker {
 public:
  explicit Checker(const std::vector<wire::ChainStep>& steps) : steps_(steps) {}
  Status CheckNext() {
    RBC_RETURN_IF_ERROR(CheckStep(in_buffer_.size()));
    in_buffer_.push_back(MakesBuffer(steps_[in_buffer_.size()]));
    return {};
  }

 private:
  Status CheckStep(size_t index) const;
  // That step `index` may name the array of step `from`, and no other one.
  Status CheckSource(size_t index, int32_t from, bool alone) const;
  Status CheckBuffers(size_t index) const;
  bool MakesBuffer(const wire::ChainStep& step) const;

  const std::vector<wire::ChainStep>& steps_;
  std::vector<bool> in_buffer_;  // of each step before: what it makes lies in a buffer, else in the reply alone
};

bool Checker::MakesBuffer(const wire::ChainStep& step) const {
  const auto stays = [&](const auto& request) {
    if (request.__isset.keep) return true;
    if (!request.__isset.into) return false;
    return request.into.__isset.step ? in_buffer_[static_cast<size_t>(request.into.step)] : request.into.__isset.buffer;
  };
  return step.drop || stays(step.map_arrays) || stays(step.reduce_array) || stays(step.scan_array) ||
         step.call.__isset.keep;
}

Status Checker::CheckSource(size_t index, int32_t from, bool alone) const {
  if (from < 0 || static_cast<size_t>(from) >= index)
    return Invalid(fmt::format("step {} of the chain needs step {}, which is not before it", index, from));
  if (!alone)
    return Invalid(fmt::format("an array of step {} of the chain is that of step {} and another one; name one of them",
                               index, from));
  if (!MakesArray(steps_[static_cast<size_t>(from)]))
    return Invalid(fmt::format("step {} of the chain needs the array of step {}, which makes none", index, from));
  return {};
}

Status Checker::CheckBuffers(size_t index) const {
  for (const wire::FrameBuffer& buffer : *BuffersOf(steps_[index])) {
    if (!buffer.__isset.step) continue;
    RBC_RETURN_IF_ERROR(CheckSource(index, buffer.step, buffer.buffer == 0 && buffer.offset == 0));
    if (!in_buffer_[static_cast<size_t>(buffer.step)])
      return Invalid(
          fmt::format("step {} of the chain is a call and needs the array of step {}, which comes back; keep "
                      "that one, or drop it",
                      index, buffer.step));
  }
  return {};
}

Status Checker::CheckStep(size_t index) const {
  const auto& step = steps_[index];
  if (const int requests = Requests(step); requests != 1)
    return Invalid(fmt::format("step {} of the chain has {} requests; give it one", index, requests));
  if (step.drop && !MakesArray(step))
    return Invalid(fmt::format("step {} of the chain makes no array that could be dropped", index));
  if (step.drop && KeepsOrWrites(step))
    return Invalid(
        fmt::format("the array of step {} of the chain is to be dropped, and to stay; do one of these", index));
  Status times;
  WithRequest(step, [&](const auto& request) {
    if (request.__isset.deadline_ms && request.deadline_ms < 0)
      times = Invalid(fmt::format("the deadline of step {} is {} ms; give 0 or more", index, request.deadline_ms));
  });
  RBC_RETURN_IF_ERROR(std::move(times));
  RBC_RETURN_IF_ERROR(CheckBuffers(index));
  return ForEachArray(step, [&](const wire::ArrayRef& array) -> Status {
    if (!array.__isset.step) return {};
    return CheckSource(index, array.step, !array.__isset.buffer && !array.__isset.data);
  });
}

}  // namespace

Status CheckChain(const wire::ChainRequest& chain) {
  if (chain.__isset.deadline_ms && chain.deadline_ms < 0)
    return Invalid(fmt::format("the deadline is {} ms; give 0 or more", chain.deadline_ms));
  Checker checker(chain.steps);
  for (size_t i = 0; i < chain.steps.size(); ++i) RBC_RETURN_IF_ERROR(checker.CheckNext());
  return {};
}

Error ChainProgress::FailureOf(size_t step) const {
  const auto& outcome = outcomes_[step];
  if (outcome.__isset.error) {
    Error error = FromWire(outcome.error);
    // Told of the step that failed itself.
    error.may_have_run = error.retry_safe = false;
    error.output.clear();
    return error;
  }
  if (outcome.__isset.call) return Invalid(fmt::format("the function returns status {}", outcome.call.status));
  const auto& reply = outcome.array;
  return Invalid(reply.__isset.row
                     ? fmt::format("the function returns status {} for element {}", reply.status, reply.row)
                     : fmt::format("the function returns status {}", reply.status));
}

// What the array of an earlier step is, in place of its number. Where nothing is said about its form it is all of it.
Status ChainProgress::PutIn(wire::ArrayRef* array) const {
  if (!array->__isset.step) return {};
  const auto step = static_cast<size_t>(array->step);
  const auto& outcome = outcomes_[step];
  if (outcome.__isset.error || outcome.array.status != 0 || outcome.call.status != 0) {
    Error error = FailureOf(step);
    // The one that began it is named, however many are between.
    if (error.message.starts_with("step ")) return error;
    error.message = fmt::format("step {} of the chain, whose array is needed, failed: {}", step, error.message);
    return error;
  }
  const auto kept = KeptOf(outcome);
  if (outcome.__isset.call && kept.size() != 1)
    return Invalid(
        fmt::format("step {} of the chain, whose array is needed, makes {}; take the one that is meant from "
                    "its reply",
                    step, kept.size()));
  const wire::ArrayRef made = outcome.__isset.call ? RefTo(kept.front()) : outcome.array.result;
  if (!made.__isset.buffer && !made.__isset.data)
    return Invalid(
        fmt::format("step {} of the chain, whose array is needed, makes none: its function gives nothing", step));
  wire::ArrayRef view = made;
  if (!array->dtype.empty()) view.dtype = array->dtype;
  if (!array->shape.empty() || !array->strides.empty() || array->offset != 0) {
    view.shape = array->shape;
    view.strides = array->strides;
    if (__builtin_add_overflow(made.offset, array->offset, &view.offset))
      return Invalid(fmt::format("an array begins {} bytes behind that of step {}", array->offset, step));
  }
  *array = std::move(view);
  return {};
}

Expected<ReadyStep> ChainProgress::Next(int32_t deadline_ms) const {
  ReadyStep out{chain_.steps[done()], {}};
  wire::ChainStep& step = out.request;
  for (const wire::FrameBuffer& buffer : *BuffersOf(step)) {
    if (!buffer.__isset.step) continue;
    wire::ArrayRef& made = out.made.emplace_back();
    made.__set_step(buffer.step);
    RBC_RETURN_IF_ERROR(PutIn(&made));
  }
  RBC_RETURN_IF_ERROR(ForEachArray(step, [this](wire::ArrayRef& array) { return PutIn(&array); }));
  WithRequest(step, [&](auto& request) {
    request.request_id = chain_.request_id;
    if (deadline_ms == 0) return;
    const bool sooner = request.__isset.deadline_ms && request.deadline_ms != 0 && request.deadline_ms < deadline_ms;
    if (!sooner) request.__set_deadline_ms(deadline_ms);
  });
  if (step.drop) {
    if (step.__isset.call) step.call.__set_keep("");
    if (step.__isset.map_arrays) step.map_arrays.__set_keep("");
    if (step.__isset.reduce_array) step.reduce_array.__set_keep("");
    if (step.__isset.scan_array) step.scan_array.__set_keep("");
  }
  return out;
}

std::vector<uint64_t> ChainProgress::Dropped() const {
  std::vector<uint64_t> out;
  for (size_t i = 0; i < outcomes_.size(); ++i)
    if (chain_.steps[i].drop)
      for (const auto& kept : KeptOf(outcomes_[i])) out.push_back(static_cast<uint64_t>(kept.id));
  return out;
}

std::vector<wire::ChainOutcome> ChainProgress::Finish() && {
  for (size_t i = 0; i < outcomes_.size(); ++i) {
    if (!chain_.steps[i].drop) continue;
    outcomes_[i].call.__isset.kept = false;
    outcomes_[i].call.kept.clear();
    outcomes_[i].array.__isset.kept = false;
    outcomes_[i].array.result.__isset.buffer = false;
  }
  return std::move(outcomes_);
}

}  // namespace rbc::server
