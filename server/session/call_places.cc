// Which calls name places.
// SPDX-License-Identifier: Apache-2.0
#include "server/session/call_places.h"

#include <cstring>

#include "types/array.h"
#include "types/frame.h"
#include "worker/data_arena.h"
#include "worker/device_frame.h"

namespace rbc::server {
namespace {

void Note(uint64_t place, CallPlaces* out) {
  if ((place & worker::kInDataArena) != 0)
    out->in_arena = true;
  else if ((place & worker::kOnDevice) != 0)
    out->on_device = true;
}

// What `frame` begins with, taken off it. False: it is too short.
template <typename T>
bool Take(std::string_view* frame, T* out) {
  if (frame->size() < sizeof *out) return false;
  std::memcpy(out, frame->data(), sizeof *out);
  frame->remove_prefix(sizeof *out);
  return true;
}

void NoteArrays(const FunctionDeclaration& kernel, std::string_view frame, CallPlaces* out) {
  if (kernel.signature.find('[') == std::string::npos) return;
  const auto type = types::Type::Parse(kernel.signature);
  const auto layout = type ? types::FrameLayout::Make(*type) : Expected<types::FrameLayout>(type.error());
  if (!layout) return;
  for (const types::FrameSlot& slot : layout->slots()) {
    if (slot.op != types::SlotOp::kArray || uint64_t{slot.offset} + slot.size > frame.size()) continue;
    const uint64_t where = types::LoadFrameArray(frame.data() + slot.offset, slot.type.rank()).where;
    // A place of the call's own memory has no bits; one on a device has both.
    if ((where & worker::kInDataArena) == 0) continue;
    Note((where & worker::kOnDevice) != 0 ? where & ~worker::kInDataArena : where, out);
  }
}

CallPlaces OfLaunch(const FunctionDeclaration& kernel, std::string_view frame) {
  CallPlaces out;
  const LaunchParts parts = PartsOfLaunch(frame);
  for (const worker::LaunchPointer& pointer : parts.pointers) Note(pointer.place, &out);
  NoteArrays(kernel, parts.frame, &out);
  return out;
}

}  // namespace

CallPlaces PlacesOf(const worker::CallView& call, const SessionModule& module, uint32_t index) {
  CallPlaces out;
  const auto& function = module.info->functions[index].declaration;
  if (module.info->options.entry == EntryKind::kCall)
    return function.abi == Abi::kKernel ? OfLaunch(function, call.frame) : out;
  for (const uint64_t place : OperandPlacesOf(call.frame).operands) Note(place, &out);
  return out;
}

LaunchParts PartsOfLaunch(std::string_view text) {
  LaunchParts out;
  worker::LaunchHead head;
  uint64_t count = 0;
  if (!Take(&text, &head) || (head.magic == worker::kHeadWithPointers && !Take(&text, &count))) return out;
  worker::LaunchPointer pointer;
  for (uint64_t i = 0; i < count; ++i) {
    if (!Take(&text, &pointer)) return out;
    out.pointers.push_back(pointer);
  }
  out.frame = text;
  return out;
}

OperandPlaces OperandPlacesOf(std::string_view frame) {
  OperandPlaces out;
  worker::ArrayHead head;
  if (frame.size() < sizeof head) return out;
  std::memcpy(&head, frame.data(), sizeof head);
  if (head.magic != worker::kArrayMagic) return out;
  out.masked = (head.flags & worker::kMasked) != 0;
  const size_t step = (size_t{head.dimensions} + 1) * sizeof(uint64_t);
  size_t at = sizeof head + size_t{head.dimensions} * sizeof(uint64_t);
  for (uint32_t i = 0; i < head.operands && at + sizeof(uint64_t) <= frame.size(); ++i, at += step)
    std::memcpy(&out.operands.emplace_back(), frame.data() + at, sizeof(uint64_t));
  return out;
}

}  // namespace rbc::server
