// Arrays of a call that stay on the farm.
// SPDX-License-Identifier: Apache-2.0
#include "client/src/residents.h"

#include <fmt/format.h>

#include <algorithm>

namespace rbc::detail {

Expected<Residents::Way> Residents::Take(const BufferState& buffer, const void* data) {
  RBC_RETURN_IF_ERROR(buffer.CheckAlive());
  if (buffer.core->farm != caller_.core->farm)
    return Error(ErrorKind::kInvalidArgument, "the array is of another connection to a farm; copy it first");
  const auto& info = buffer.owned.info;
  const bool has_place = target_ == "host" && info.target.empty();
  const bool has_id = (!has_place || by_id_) && buffer.core->farm->FindsBuffers(buffer.owned.epoch);
  if (has_place || has_id) epoch_ = buffer.owned.epoch;
  if (has_id) return Way::kById;
  if (has_place) return Way::kByPlace;
  if (info.target.empty() && data != nullptr) return Way::kCopied;
  return Error(ErrorKind::kUnsupported,
               fmt::format("this farm takes no buffer on target \"{}\" as an argument of a function on target \"{}\"; "
                           "copy it by to_target(\"host\"), or update the farm",
                           info.target.empty() ? "host" : info.target, target_));
}

Expected<std::vector<types::Value>> Residents::Take(std::span<const types::Value> values) {
  std::vector<types::Value> out(values.begin(), values.end());
  for (types::Value& value : out) {
    const auto* array = value.As<types::Buffer>();
    if (array == nullptr || !array->in_arena) continue;
    const auto& state = *static_cast<const BufferState*>(array->owner.get());
    RBC_ASSIGN_OR_RETURN(const Way way, Take(state, array->data));
    if (way == Way::kByPlace) continue;
    types::Buffer named = *array;
    if (way == Way::kById) {
      const auto& info = state.owned.info;
      named.in_buffer = {info.id, static_cast<int64_t>(*array->in_arena) - info.offset};
    }
    named.in_arena.reset();
    value = types::Value(std::move(named));
  }
  return out;
}

bool HasResidents(std::span<const types::Value> values) {
  return std::any_of(values.begin(), values.end(), [](const types::Value& value) {
    const auto* array = value.As<types::Buffer>();
    return array != nullptr && array->in_arena;
  });
}

Expected<types::PackedCall> PackWithResidents(Residents residents, const types::FrameLayout& layout,
                                              std::span<const types::Value> values, uint64_t* epoch) {
  if (!HasResidents(values)) return types::PackArguments(layout, values);
  RBC_ASSIGN_OR_RETURN(const auto taken, residents.Take(values));
  if (epoch != nullptr) *epoch = residents.epoch();
  return types::PackArguments(layout, taken);
}

std::vector<wire::FrameBuffer> BuffersOf(const types::PackedCall& packed) {
  std::vector<wire::FrameBuffer> out;
  for (const auto& buffer : packed.buffers) {
    wire::FrameBuffer& wire = out.emplace_back();
    wire.position = static_cast<int32_t>(buffer.position);
    wire.buffer = buffer.id;
    wire.offset = buffer.offset;
  }
  return out;
}

}  // namespace rbc::detail
