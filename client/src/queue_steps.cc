// What makes steps of a caller's arguments.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "client/src/array_data.h"
#include "client/src/queue_state.h"
#include "client/src/residents.h"
#include "types/match.h"
#include "types/pack.h"

namespace rbc::detail {
namespace {

Error Invalid(std::string message) { return {ErrorKind::kInvalidArgument, std::move(message)}; }

Error NothingToKeep(const QueuedState& step) {
  return Invalid(
      fmt::format("`{}` returns no array that could stay on the farm; call it", step.chosen.overload->type.ToString()));
}

wire::MathAccuracy::type ToWire(Accuracy accuracy) { return static_cast<wire::MathAccuracy::type>(accuracy); }

}  // namespace

Expected<std::shared_ptr<QueuedState>> QueueState::Begin(const Caller& function) const {
  if (Inside::State(function)->core != core_)
    return Invalid(fmt::format("'{}' is another RemoteJIT's; queue functions of one", function.name()));
  auto step = std::make_shared<QueuedState>();
  step->caller = Inside::State(function);
  return step;
}

Expected<types::Type> QueueState::TypeOf(const QueueArgument& argument) {
  if (argument.made_ != nullptr) return types::Type::Parse(argument.made_->dtype);
  if (argument.buffer_ != nullptr) return types::Type::Parse(argument.buffer_->dtype());
  RBC_ASSIGN_OR_RETURN(const auto checked, client::CheckArray(argument.array_));
  return checked.type;
}

size_t QueueState::RankOf(const QueueArgument& argument) {
  if (argument.made_ != nullptr) return argument.made_->rank;
  return argument.buffer_ != nullptr ? argument.buffer_->shape().size() : argument.array_.shape.size();
}

// With those of earlier steps as buffers of which nothing is known yet.
Expected<std::vector<types::Value>> QueueState::ValuesOf(const std::vector<Value>& arguments) const {
  std::vector<types::Value> out;
  for (const Value& argument : arguments) {
    const auto* array = argument.inner().As<types::Buffer>();
    if (array == nullptr || !array->awaited) {
      out.push_back(argument.inner());
      continue;
    }
    const auto& made = *static_cast<const QueuedState*>(array->owner.get());
    if (made.queue.get() != this) return Invalid("a step needs the array of another queue; get() it there first");
    if (made.MakesOneValue())
      return Invalid(fmt::format("the result of '{}' is one value, which comes back; ask for value(), and give that",
                                 made.caller->name));
    types::Buffer known = *array;
    known.in_buffer = {0, 0};
    out.emplace_back(std::move(known));
  }
  return out;
}

Status QueueState::Take(QueuedState& step, const QueueArgument& argument, const types::Type& type, size_t place,
                        wire::ArrayRef* ref) const {
  if (argument.made_ == nullptr && argument.buffer_ == nullptr) {
    RBC_ASSIGN_OR_RETURN(const auto checked, client::CheckArray(argument.array_));
    RBC_ASSIGN_OR_RETURN(*ref, client::PackArray(checked, type));
    if (checked.array.buffer != 0) step.kept.push_back(checked.array.kept);
    return {};
  }
  RBC_ASSIGN_OR_RETURN(const types::Type given, TypeOf(argument));
  if (given != type)
    return Invalid(fmt::format("an array on the farm holds `{}`, the parameter of '{}' is `{}`; convert it first",
                               given.ToString(), step.caller->name, type.ToString()));
  if (argument.buffer_ != nullptr) {
    *ref = Inside::RefTo(*argument.buffer_);
    step.held.push_back(*argument.buffer_);
    return {};
  }
  if (argument.made_->queue.get() != this)
    return Invalid("a step needs the array of another queue; get() it there first");
  step.inputs.push_back({place, argument.made_});
  return {};
}

Expected<std::shared_ptr<QueuedState>> QueueState::Map(const Caller& function, std::span<const QueueArgument> arrays,
                                                       const QueuedMapOptions& options) {
  RBC_ASSIGN_OR_RETURN(auto step, Begin(function));
  std::vector<types::Type> given;
  for (const QueueArgument& array : arrays) {
    RBC_ASSIGN_OR_RETURN(given.emplace_back(), TypeOf(array));
  }
  RBC_ASSIGN_OR_RETURN(step->chosen, Choose(*step->caller, given));
  const types::Type& type = step->chosen.overload->type;
  step->request.__isset.map_arrays = true;
  auto& request = step->request.map_arrays;
  request.inputs.resize(arrays.size());
  for (size_t i = 0; i < arrays.size(); ++i)
    RBC_RETURN_IF_ERROR(Take(*step, arrays[i], type.parameters()[i], i, &request.inputs[i]));
  if (options.out.size() > 1 || options.where.size() > 1)
    return Invalid("a map writes into one array and has one `where`; give at most one of each");
  if (!options.out.empty()) {
    const QueueArgument& out = options.out[0];
    if (out.made_ != nullptr || (out.buffer_ == nullptr && out.array_.buffer == 0))
      return Invalid("a queued map writes into an array that is on the farm already; make one by empty()");
    RBC_RETURN_IF_ERROR(Take(*step, out, type.result(), 0, &request.into));
    request.__isset.into = true;
    step->writes = true;
    if (out.buffer_ != nullptr) step->out = *out.buffer_;
  }
  if (!options.where.empty()) {
    if (options.out.empty()) return Invalid("a queued map with `where` writes into an array; give one as `out`");
    request.__isset.where = true;
    RBC_RETURN_IF_ERROR(Take(*step, options.where[0], types::Type::Bool(), QueuedState::kWhere, &request.where));
  }
  request.accuracy = ToWire(options.accuracy);
  step->dtype = type.result().ToString();
  for (const QueueArgument& array : options.out.empty() ? arrays : std::span<const QueueArgument>(options.out))
    step->rank = std::max(step->rank, RankOf(array));
  return step;
}

Expected<std::shared_ptr<QueuedState>> QueueState::Reduce(const Caller& function, const QueueArgument& array,
                                                          const QueuedReduceOptions& options) {
  RBC_ASSIGN_OR_RETURN(auto step, Begin(function));
  RBC_ASSIGN_OR_RETURN(const types::Type given, TypeOf(array));
  RBC_ASSIGN_OR_RETURN(step->chosen, ChooseCombining(*step->caller, given));
  step->request.__isset.reduce_array = true;
  auto& request = step->request.reduce_array;
  RBC_RETURN_IF_ERROR(Take(*step, array, step->chosen.overload->type.result(), 0, &request.input));
  if (options.axis) request.__set_axis(*options.axis);
  step->rank = options.axis ? std::max<size_t>(RankOf(array), 1) - 1 : 0;
  request.ordered = options.ordered;
  request.accuracy = ToWire(options.accuracy);
  step->dtype = step->chosen.overload->type.result().ToString();
  return step;
}

Expected<std::shared_ptr<QueuedState>> QueueState::Scan(const Caller& function, const QueueArgument& array,
                                                        const QueuedScanOptions& options) {
  RBC_ASSIGN_OR_RETURN(auto step, Begin(function));
  RBC_ASSIGN_OR_RETURN(const types::Type given, TypeOf(array));
  RBC_ASSIGN_OR_RETURN(step->chosen, ChooseCombining(*step->caller, given));
  step->request.__isset.scan_array = true;
  auto& request = step->request.scan_array;
  RBC_RETURN_IF_ERROR(Take(*step, array, step->chosen.overload->type.result(), 0, &request.input));
  if (options.axis) request.__set_axis(*options.axis);
  step->rank = options.axis ? RankOf(array) : 1;
  request.accuracy = ToWire(options.accuracy);
  step->dtype = step->chosen.overload->type.result().ToString();
  return step;
}

// Which of its buffers are arrays of earlier steps.
void QueueState::TakeMade(QueuedState& step, const std::vector<types::Value>& values) {
  const auto slots = step.chosen.overload->layout.slots();
  const auto& buffers = step.packed.buffers;
  for (size_t i = 0; i < values.size(); ++i) {
    const auto* array = values[i].As<types::Buffer>();
    if (array == nullptr || !array->awaited) continue;
    const auto place = std::find_if(buffers.begin(), buffers.end(),
                                    [&](const auto& buffer) { return buffer.position == slots[i].offset; });
    step.inputs.push_back(
        {static_cast<size_t>(place - buffers.begin()), std::static_pointer_cast<QueuedState>(array->owner)});
  }
}

Expected<std::shared_ptr<QueuedState>> QueueState::Call(const Caller& function, std::vector<Value> arguments,
                                                        const Grid* grid) {
  RBC_ASSIGN_OR_RETURN(auto step, Begin(function));
  RBC_ASSIGN_OR_RETURN(step->chosen.prepared, step->caller->Current());
  const Prepared& prepared = *step->chosen.prepared;
  RBC_ASSIGN_OR_RETURN(const std::vector<types::Value> values, ValuesOf(arguments));
  RBC_ASSIGN_OR_RETURN(const size_t index, types::BestMatch(prepared.types, std::span<const types::Value>(values)));
  if (!prepared.declared[index]) return prepared.declared[index].error();
  step->chosen.declared = *prepared.declared[index];
  step->chosen.overload = prepared.overloads[index].get();
  RBC_ASSIGN_OR_RETURN(step->packed, PackWithResidents({*step->caller, prepared.target, true},
                                                       step->chosen.overload->layout, values, &step->epoch));
  TakeMade(*step, values);
  step->values = std::move(arguments);
  const auto fill = [&packed = step->packed](auto& request) {
    request.frame = packed.frame;
    if (packed.out_bytes != 0) request.__set_out_bytes(static_cast<int32_t>(packed.out_bytes));
    if (!packed.returned.empty()) request.__set_return_from(static_cast<int32_t>(packed.return_from));
    if (!packed.buffers.empty()) request.__set_buffers(BuffersOf(packed));
  };
  if (grid == nullptr) {
    step->request.__isset.call = true;
    fill(step->request.call);
    return step;
  }
  step->request.__isset.launch = true;
  fill(step->request.launch);
  step->request.launch.grid = grid->blocks;
  step->request.launch.block = grid->threads;
  step->request.launch.shared_bytes = grid->shared_bytes;
  return step;
}

Expected<std::shared_ptr<QueuedState>> QueueState::Keep(const Caller& function, std::vector<Value> arguments) {
  RBC_ASSIGN_OR_RETURN(auto step, Call(function, std::move(arguments), nullptr));
  const types::Type& result = step->chosen.overload->type.result();
  if (!result.is(types::Kind::kArray)) return NothingToKeep(*step);
  step->keeps = true;
  step->dtype = result.element().ToString();
  step->rank = result.rank();
  return step;
}

Expected<std::shared_ptr<QueuedState>> QueueState::KeepAll(const Caller& function, std::vector<Value> arguments) {
  RBC_ASSIGN_OR_RETURN(auto step, Call(function, std::move(arguments), nullptr));
  if (!step->chosen.overload->layout.returns_arrays()) return NothingToKeep(*step);
  step->keeps_all = true;
  return step;
}

}  // namespace rbc::detail
