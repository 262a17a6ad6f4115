// What a call that ended in the middle leaves behind.
// SPDX-License-Identifier: Apache-2.0
#include "server/session/lose_written.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "types/array.h"
#include "types/frame.h"
#include "worker/data_arena.h"
#include "worker/launch_frame.h"

namespace rbc::server {
namespace {

bool HasResult(const FunctionDeclaration& function) {
  const auto type = types::Type::Parse(function.signature);
  const auto layout = type ? types::FrameLayout::Make(*type) : Expected<types::FrameLayout>(type.error());
  return layout && layout->result_size() != 0;
}

// Of the operands of a map, reduction or scan, in the order of worker/launch_frame.h. The frame may be a client's own.
struct Places {
  std::vector<uint64_t> operands;
  bool masked = false;
};
Places PlacesOf(std::string_view frame) {
  Places out;
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

std::string WhyLost(const FunctionDeclaration& function, const Error& why) {
  return fmt::format("it was being written by '{}' when that ended ({})", function.symbol, Name(why.kind));
}

// Of a function over arrays. A repeatable module writes into no argument; of others nobody knows into which.
void LoseArguments(const worker::CallView& call, const SessionModule& module, uint32_t index, const Error& why,
                   SessionData& data) {
  if (module.info->repeatable) return;
  const auto& function = module.info->functions[index].declaration;
  const auto type = types::Type::Parse(function.signature);
  const auto layout = type ? types::FrameLayout::Make(*type) : Expected<types::FrameLayout>(type.error());
  if (!layout) return;
  for (const types::FrameSlot& slot : layout->slots()) {
    if (slot.op != types::SlotOp::kArray || uint64_t{slot.offset} + slot.size > call.frame.size()) continue;
    const auto array = types::LoadFrameArray(call.frame.data() + slot.offset, slot.type.rank());
    const auto extent = types::ExtentOf(array.shape, array.strides, slot.element_size);
    if ((array.where & worker::kInDataArena) == 0 || !extent || extent->elements == 0) continue;
    // Wraps where the frame lies, and then is the place of no buffer.
    data.LoseAt((array.where & ~worker::kInDataArena) + static_cast<uint64_t>(extent->low), WhyLost(function, why));
  }
}

}  // namespace

bool NamesPlaces(const worker::CallView& call, const SessionModule& module) {
  if (module.info->options.entry == EntryKind::kCall) return false;
  const auto places = PlacesOf(call.frame).operands;
  return std::any_of(places.begin(), places.end(), [](uint64_t place) { return (place & worker::kInDataArena) != 0; });
}

bool MayHaveWritten(const Error& error) {
  return error.kind == ErrorKind::kRemoteCrash ||
         (error.may_have_run && (error.kind == ErrorKind::kWorkerLost || error.kind == ErrorKind::kDeadlineExceeded ||
                                 error.kind == ErrorKind::kCancelled));
}

void LoseWritten(const worker::CallView& call, const SessionModule& module, uint32_t index, const Error& why,
                 SessionData& data) {
  if (module.info->options.entry == EntryKind::kCall) return LoseArguments(call, module, index, why, data);
  const auto& function = module.info->functions[index].declaration;
  Places places = PlacesOf(call.frame);
  if (places.masked && !places.operands.empty()) places.operands.pop_back();
  if (places.operands.empty() || !HasResult(function)) return;
  const uint64_t result = places.operands.back();
  if ((result & worker::kInDataArena) == 0) return;
  data.LoseAt(result & ~worker::kInDataArena, WhyLost(function, why));
}

}  // namespace rbc::server
