// Maps over arrays that stay, kept as the calls that repeat them.
// SPDX-License-Identifier: Apache-2.0
#include "client/src/ready_maps.h"

#include <algorithm>
#include <cstring>

#include "client/src/core.h"
#include "types/array_shape.h"

namespace rbc::client {
namespace {

bool IsOneValue(const ArrayArgument& array) {
  return array.buffer == 0 && array.data != nullptr && array.shape.empty() && array.strides.empty();
}

bool IsSame(const ArrayArgument& one, const ArrayArgument& other) {
  return one.buffer == other.buffer && one.offset == other.offset && one.shape == other.shape &&
         one.strides == other.strides && one.dtype == other.dtype;
}

bool Asks(const ReadyMap& map, std::span<const ArrayArgument> inputs, const ArrayMapOptions& options) {
  if (inputs.size() != map.inputs.size() || options.accuracy != map.accuracy || !IsSame(*options.out, map.out))
    return false;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!IsSame(inputs[i], map.inputs[i])) return false;
    if (inputs[i].buffer != 0) continue;
    const std::string& value = map.values[i];  // as long as values of this dtype are
    if (inputs[i].data == nullptr || std::memcmp(inputs[i].data, value.data(), value.size()) != 0) return false;
  }
  return true;
}

// What holds memory stays with the caller.
ArrayArgument KeyOf(const ArrayArgument& array) {
  return {array.dtype, nullptr, array.shape, array.strides, array.buffer, array.offset};
}

Result<ArrayResult> ResultOf(const ReadyMap& map, const CallAnswer& answer) {
  ArrayResult result;
  result.dtype = map.dtype;
  result.shape = map.shape;
  result.signature = map.signature;
  result.status = answer.status;
  result.output = answer.output;
  for (const std::string& value : map.values) result.times.bytes_out += static_cast<int64_t>(value.size());
  if (answer.status == 0) return result;
  RBC_ASSIGN_OR_RETURN(const uint64_t count, types::CountElements(map.shape));
  uint64_t row = 0;
  if (answer.result.size() == sizeof row) std::memcpy(&row, answer.result.data(), sizeof row);
  if (answer.result.size() != sizeof row || row >= count)
    return Error(ErrorKind::kInternal, "the farm tells of an element that the map does not have");
  result.row = static_cast<int64_t>(row);
  result.index = types::IndexOf(row, map.shape);
  return result;
}

}  // namespace

bool MayBeRepeated(std::span<const ArrayArgument> inputs, const ArrayMapOptions& options) {
  return options.out && options.out->buffer != 0 && !options.where && !options.profile &&
         std::all_of(inputs.begin(), inputs.end(),
                     [](const ArrayArgument& array) { return array.buffer != 0 || IsOneValue(array); });
}

ReadyMap ReadyMapOf(std::span<const ArrayArgument> inputs, const ArrayMapOptions& options,
                    std::span<const uint64_t> value_bytes) {
  ReadyMap out;
  out.out = KeyOf(*options.out);
  out.accuracy = options.accuracy;
  out.buffers.push_back(out.out.buffer);
  for (size_t i = 0; i < inputs.size(); ++i) {
    out.inputs.push_back(KeyOf(inputs[i]));
    std::string& value = out.values.emplace_back();
    if (inputs[i].buffer != 0)
      out.buffers.push_back(inputs[i].buffer);
    else
      value.assign(static_cast<const char*>(inputs[i].data), value_bytes[i]);
  }
  return out;
}

void KeepReadyMap(detail::CallerState& state, ReadyMap map) {
  if (map.call.frame.size() > kMostReadyFrame) return;
  state.core->farm->TrustPlaces(map.epoch, map.ends, map.buffers);
  auto kept = std::make_shared<const ReadyMap>(std::move(map));
  const std::lock_guard lock(state.core->farm->mutex());
  state.ready_maps.Keep(std::move(kept));
}

std::optional<Result<ArrayResult>> RepeatMap(detail::CallerState& state, std::span<const ArrayArgument> inputs,
                                             const ArrayMapOptions& options, int64_t timeout_ms) {
  if (!MayBeRepeated(inputs, options)) return std::nullopt;
  Farm& farm = *state.core->farm;
  std::shared_ptr<const ReadyMap> map;
  {
    const std::lock_guard lock(farm.mutex());
    map = state.ready_maps.Find([&](const ReadyMap& kept) { return Asks(kept, inputs, options); });
  }
  if (map == nullptr) return std::nullopt;
  const auto drop = [&] {
    const std::lock_guard lock(farm.mutex());
    state.ready_maps.Drop(*map);
  };
  const auto prepared = state.Current();
  if (!prepared || *prepared != map->prepared || !farm.TrustsPlaces(map->epoch, map->buffers)) {
    drop();
    return std::nullopt;
  }
  bool is_explicit = false;
  const Deadline deadline = state.core->DeadlineOf(timeout_ms, &is_explicit);
  CallMessage message;
  message.frame = map->call.frame;
  message.epoch = map->epoch;
  message.repeats = map->call.function_id;
  const auto answered = farm.Call(*map->prepared->module, map->declared, message, deadline, is_explicit);
  if (answered) return ResultOf(*map, answered->answer);
  drop();
  if (IsStale(answered.error())) return std::nullopt;
  return Result<ArrayResult>(answered.error());
}

}  // namespace rbc::client
