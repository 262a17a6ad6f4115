// Large arrays of this process as arguments and results of one call.
// SPDX-License-Identifier: Apache-2.0
#include "client/src/call_staging.h"

#include <algorithm>
#include <memory>

#include "client/src/array_staging.h"
#include "client/src/buffer_state.h"
#include "client/src/strided_copy.h"
#include "types/array.h"
#include "types/pack.h"

namespace rbc::detail {

using client::HasNoRoom;

namespace {

Error AfterTheCall(Error error) {
  error.may_have_run = true;
  error.retry_safe = false;
  return error;
}

}  // namespace

CallStaging::CallStaging(const CallerState& caller, const Prepared& prepared, size_t index)
    : caller_(caller),
      prepared_(prepared),
      overload_(*prepared.overloads[index]),
      declared_(*prepared.declared[index]) {}

bool CallStaging::IsLarge(uint64_t bytes) const { return client::IsLargeArray(*caller_.core->farm, bytes); }

bool CallStaging::Wants(std::span<const types::Value> values) const {
  return std::any_of(values.begin(), values.end(), [this](const types::Value& value) {
    const auto* const array = value.As<types::Buffer>();
    return array != nullptr && !array->stays() && IsLarge(array->bytes);
  });
}

bool CallStaging::Wants(std::span<const Reference> references) const {
  return std::any_of(references.begin(), references.end(), [this](const Reference& reference) {
    return reference.is_array && reference.buffer == nullptr && IsLarge(reference.bytes);
  });
}

// Farms of before 1.4 do not find the buffers of calls.
Expected<bool> CallStaging::FarmTakesBuffers(const client::Deadline& deadline) const {
  constexpr int32_t kSince = 4;
  RBC_ASSIGN_OR_RETURN(const auto hello, caller_.core->farm->Hello(deadline));
  return hello->protocol_minor >= kSince;
}

Expected<std::vector<types::Value>> CallStaging::Take(std::span<const types::Value> values,
                                                      const client::Deadline& deadline) {
  std::vector<types::Value> out(values.begin(), values.end());
  RBC_ASSIGN_OR_RETURN(bool room, FarmTakesBuffers(deadline));
  const auto slots = overload_.layout.slots();
  for (size_t i = 0; i < std::min(out.size(), slots.size()) && room; ++i) {
    const auto* const array = out[i].As<types::Buffer>();
    if (array == nullptr || array->stays() || array->direction == types::Direction::kOut || !IsLarge(array->bytes) ||
        !types::TakesArray(slots[i], out[i]))
      continue;
    RBC_ASSIGN_OR_RETURN(room, Stage(i, *array));
    if (!room) break;
    const Buffer& buffer = staged_.back().buffer;
    out[i] = types::Value(Inside::ArrayOf(buffer, buffer.shape(), buffer.strides(), 0));
  }
  return out;
}

Expected<std::vector<Reference>> CallStaging::Take(std::span<const Reference> references,
                                                   const client::Deadline& deadline) {
  std::vector<Reference> out(references.begin(), references.end());
  staged_.reserve(out.size());  // references name what is in here
  RBC_ASSIGN_OR_RETURN(bool room, FarmTakesBuffers(deadline));
  const auto slots = overload_.layout.slots();
  for (Reference& reference : out) {
    if (!room) break;
    const auto slot = std::find_if(slots.begin(), slots.end(),
                                   [&](const types::FrameSlot& each) { return each.offset == reference.slot; });
    if (slot == slots.end() || slot->op != types::SlotOp::kArray || !reference.is_array ||
        reference.buffer != nullptr || !IsLarge(reference.bytes))
      continue;
    types::Buffer array{.data = const_cast<void*>(reference.data), .bytes = reference.bytes};
    array.direction = reference.kind == ReferenceKind::kIn ? types::Direction::kIn : types::Direction::kInOut;
    RBC_ASSIGN_OR_RETURN(room, Stage(static_cast<size_t>(slot - slots.begin()), std::move(array)));
    if (!room) break;
    reference.buffer = &staged_.back().buffer;
    reference.data = reference.buffer->data();
  }
  return out;
}

Expected<bool> CallStaging::Stage(size_t parameter, types::Buffer array) {
  const types::Type& element = overload_.layout.slots()[parameter].type.element();
  RBC_ASSIGN_OR_RETURN(const uint64_t size, types::SizeOf(element));
  types::ArrayShape form = types::ShapeOf(array, static_cast<uint32_t>(size));
  wire::BufferSpec spec;
  spec.dtype = element.ToString();
  spec.shape = form.shape;
  auto buffer = Inside::MakeBuffer(caller_.core, spec);
  if (!buffer && HasNoRoom(buffer.error())) return false;
  if (!buffer) return std::move(buffer).error();
  if (buffer->bytes() != array.bytes) return false;
  Staged& staged = staged_.emplace_back(Staged{parameter, *std::move(buffer), array.data, std::move(form.shape),
                                               std::move(form.strides), array.direction != types::Direction::kIn});
  RBC_RETURN_IF_ERROR(Fill(staged));
  bytes_ += array.bytes;
  return true;
}

Status CallStaging::Fill(const Staged& staged) const {
  const Buffer& buffer = staged.buffer;
  const auto runs = client::RunsOf(staged.shape, staged.strides, buffer.element_size());
  if (runs.shape.empty()) return buffer.try_copy_from(staged.data, buffer.bytes());
  if (void* const memory = buffer.data()) {
    client::Gather(memory, static_cast<const char*>(staged.data), runs);
    return {};
  }
  const auto elements = std::make_unique_for_overwrite<char[]>(buffer.bytes());
  client::Gather(elements.get(), static_cast<const char*>(staged.data), runs);
  return buffer.try_copy_from(elements.get(), buffer.bytes());
}

Status CallStaging::Return(const Staged& staged) const {
  const Buffer& buffer = staged.buffer;
  const auto runs = client::RunsOf(staged.shape, staged.strides, buffer.element_size());
  if (runs.shape.empty()) return buffer.try_copy_to(staged.data, buffer.bytes());
  if (const void* const memory = buffer.data()) {
    RBC_RETURN_IF_ERROR(Inside::StateOf(buffer).CheckAlive());
    client::Scatter(static_cast<char*>(staged.data), memory, runs);
    return {};
  }
  const auto elements = std::make_unique_for_overwrite<char[]>(buffer.bytes());
  RBC_RETURN_IF_ERROR(buffer.try_copy_to(elements.get(), buffer.bytes()));
  client::Scatter(static_cast<char*>(staged.data), elements.get(), runs);
  return {};
}

Status CallStaging::TakeBack() {
  for (const Staged& staged : staged_) {
    if (!staged.comes_back) continue;
    if (caller_.core->farm->LeavesAlone(*prepared_.module, declared_, staged.parameter)) continue;
    if (Status back = Return(staged); !back) return AfterTheCall(std::move(back).error());
    bytes_back_ += staged.buffer.bytes();
  }
  return {};
}

bool CallStaging::ExpectsLargeResult() const {
  return overload_.layout.returns_arrays() && prepared_.target == "host" && IsLarge(ExpectedBytes());
}

uint64_t CallStaging::ExpectedBytes() const {
  const uint64_t last = overload_.result_bytes.Last();
  return last == SeenBytes::kNever ? bytes_ : last;
}

bool CallStaging::MayTryAgain(const Error& error, int tries) const {
  constexpr int kMostTries = 3;
  if (tries >= kMostTries) return false;
  if (error.kind == ErrorKind::kBufferLost) return !error.may_have_run && !staged_.empty();
  // A chain is not repeated as a call is.
  return error.kind == ErrorKind::kWorkerLost && ExpectsLargeResult() &&
         (!error.may_have_run || caller_.core->farm->IsRepeatable(*prepared_.module));
}

Expected<bool> CallStaging::KeepsResult(const client::Deadline& deadline) const {
  if (!ExpectsLargeResult()) return false;
  RBC_ASSIGN_OR_RETURN(const bool takes, FarmTakesBuffers(deadline));
  if (!takes) return false;
  // Whether there is room for it is to be known before the function runs.
  wire::BufferSpec spec;
  spec.dtype = "uint8";
  spec.shape = {static_cast<int64_t>(ExpectedBytes())};
  const auto room = Inside::MakeBuffer(caller_.core, spec);
  if (!room && !HasNoRoom(room.error())) return room.error();
  return room.has_value();
}

}  // namespace rbc::detail
