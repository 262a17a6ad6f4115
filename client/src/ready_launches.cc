// Launches over arrays that stay, kept as the calls that repeat them.
// SPDX-License-Identifier: Apache-2.0
#include "client/src/ready_launches.h"

#include <algorithm>
#include <cstring>

#include "client/src/core.h"
#include "worker/launch_frame.h"

namespace rbc::client {
namespace {

using InBuffer = types::PackedCall::InBuffer;

const types::FrameSlot* ArrayAt(const detail::Overload& overload, uint32_t position) {
  for (const types::FrameSlot& slot : overload.layout.slots())
    if (slot.offset == position) return slot.op == types::SlotOp::kArray ? &slot : nullptr;
  return nullptr;
}

// Shapes and strides of the arrays in buffers; their first word is the farm's affair.
std::string FormsOf(const PackedLaunch& launch) {
  std::string out;
  for (const InBuffer& buffer : launch.call.buffers) {
    const auto* const slot = ArrayAt(*launch.prepared->overloads[launch.index], buffer.position);
    if (slot != nullptr)
      out.append(launch.call.frame, buffer.position + sizeof(uint64_t), slot->size - sizeof(uint64_t));
  }
  return out;
}

bool IsSame(const InBuffer& one, const InBuffer& other) {
  return one.position == other.position && one.id == other.id && one.offset == other.offset;
}

bool Asks(const ReadyLaunch& ready, const PackedLaunch& launch, const std::string& forms) {
  const auto& buffers = launch.call.buffers;
  return ready.prepared == launch.prepared && ready.declared == *launch.prepared->declared[launch.index] &&
         std::equal(buffers.begin(), buffers.end(), ready.buffers.begin(), ready.buffers.end(), IsSame) &&
         ready.forms == forms;
}

// False: the farm refuses it, and says why.
bool TakeShape(const std::vector<int32_t>& sizes, uint32_t out[3]) {
  if (sizes.empty() || sizes.size() > 3) return false;
  for (size_t i = 0; i < 3; ++i) {
    const int32_t size = i < sizes.size() ? sizes[i] : 1;
    if (size <= 0) return false;
    out[i] = static_cast<uint32_t>(size);
  }
  return true;
}

// Empty: the farm refuses it.
std::string FrameOf(const ReadyLaunch& ready, const PackedLaunch& launch) {
  worker::LaunchHead head;
  std::memcpy(&head, ready.head.data(), sizeof head);
  if (!TakeShape(launch.grid.blocks, head.grid) || !TakeShape(launch.grid.threads, head.block) ||
      launch.grid.shared_bytes < 0)
    return {};
  head.shared_bytes = static_cast<uint32_t>(launch.grid.shared_bytes);
  std::string out;
  out.reserve(ready.head.size() + launch.call.frame.size());
  out.append(reinterpret_cast<const char*>(&head), sizeof head);
  out.append(ready.head, sizeof head);
  out += launch.call.frame;
  for (const auto& [position, place] : ready.arrays)
    std::memcpy(out.data() + ready.head.size() + position, &place, sizeof place);
  return out;
}

}  // namespace

void KeepReadyLaunch(detail::CallerState& state, const PackedLaunch& launch, uint64_t epoch, uint64_t ends,
                     const wire::ReadyCall& call) {
  const std::string& frame = launch.call.frame;
  if (call.frame.size() < frame.size() + sizeof(worker::LaunchHead) || call.frame.size() > kMostReadyFrame) return;
  ReadyLaunch ready;
  ready.prepared = launch.prepared;
  ready.declared = *launch.prepared->declared[launch.index];
  ready.buffers = launch.call.buffers;
  ready.forms = FormsOf(launch);
  ready.epoch = epoch;
  ready.ends = ends;
  ready.function_id = call.function_id;
  ready.head = call.frame.substr(0, call.frame.size() - frame.size());
  for (const InBuffer& buffer : ready.buffers) {
    ready.ids.push_back(buffer.id);
    if (ArrayAt(*launch.prepared->overloads[launch.index], buffer.position) == nullptr) continue;
    uint64_t place;
    std::memcpy(&place, call.frame.data() + ready.head.size() + buffer.position, sizeof place);
    ready.arrays.emplace_back(buffer.position, place);
  }
  state.core->farm->TrustPlaces(epoch, ends, ready.ids);
  auto kept = std::make_shared<const ReadyLaunch>(std::move(ready));
  const std::lock_guard lock(state.core->farm->mutex());
  state.ready_launches.Keep(std::move(kept));
}

std::optional<Expected<std::string>> RepeatLaunch(detail::CallerState& state, const PackedLaunch& launch,
                                                  const Deadline& deadline, bool explicit_deadline) {
  if (launch.call.frame.size() > kMostReadyFrame) return std::nullopt;
  Farm& farm = *state.core->farm;
  const std::string forms = FormsOf(launch);
  std::shared_ptr<const ReadyLaunch> ready;
  {
    const std::lock_guard lock(farm.mutex());
    ready = state.ready_launches.Find([&](const ReadyLaunch& kept) { return Asks(kept, launch, forms); });
  }
  if (ready == nullptr) return std::nullopt;
  const auto drop = [&] {
    const std::lock_guard lock(farm.mutex());
    state.ready_launches.Drop(*ready);
  };
  if (!farm.TrustsPlaces(ready->epoch, ready->ids)) {
    drop();
    return std::nullopt;
  }
  const std::string frame = FrameOf(*ready, launch);
  if (frame.empty()) return std::nullopt;
  CallMessage message;
  message.frame = frame;
  message.out_bytes = static_cast<int32_t>(launch.call.out_bytes);
  if (!launch.call.returned.empty()) message.return_from = static_cast<int32_t>(launch.call.return_from);
  message.epoch = ready->epoch;
  message.repeats = ready->function_id;
  const auto answered = farm.Call(*launch.prepared->module, ready->declared, message, deadline, explicit_deadline);
  if (answered) {
    RBC_RETURN_IF_ERROR(detail::TakeMemory(launch.call, answered->answer.data));
    return Expected<std::string>(std::string(answered->answer.output));
  }
  drop();
  if (IsStale(answered.error())) return std::nullopt;
  return Expected<std::string>(answered.error());
}

}  // namespace rbc::client
