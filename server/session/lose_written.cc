// What a call that ended in the middle leaves behind.
// SPDX-License-Identifier: Apache-2.0
#include "server/session/lose_written.h"

#include <fmt/format.h>

#include <algorithm>

#include "server/session/call_places.h"
#include "types/array.h"
#include "types/frame.h"
#include "worker/data_arena.h"

namespace rbc::server {
namespace {

constexpr char kHost[] = "host";  // whose functions work on the arena itself

bool HasResult(const FunctionDeclaration& function) {
  const auto type = types::Type::Parse(function.signature);
  const auto layout = type ? types::FrameLayout::Make(*type) : Expected<types::FrameLayout>(type.error());
  return layout && layout->result_size() != 0;
}

// `as`: what it is to the function.
std::string WhyLost(const FunctionDeclaration& function, const std::string& as, const Error& why) {
  return fmt::format("as {} of '{}' it was being written when that ended ({})", as, function.symbol, Name(why.kind));
}

std::string ArgumentAt(const types::FrameLayout& layout, uint32_t position) {
  const auto slots = layout.slots();
  const auto found =
      std::find_if(slots.begin(), slots.end(), [&](const types::FrameSlot& slot) { return slot.offset == position; });
  return fmt::format("argument {}", found - slots.begin() + 1);
}

// Arrays of the arena that a device's function has go there and come back when it is done: where it ends by a fault of
// its own nothing has been written.
bool EndedBeforeWriting(const SessionModule& module, const Error& why) {
  return module.info->target != kHost && why.kind == ErrorKind::kRemoteCrash;
}

// Of a function over arrays. A repeatable module writes into no argument; of others the compiler knows some that are
// only read.
void LoseArguments(const worker::CallView& call, const SessionModule& module, uint32_t index, const Error& why,
                   SessionData& data) {
  if (module.info->repeatable || EndedBeforeWriting(module, why)) return;
  const auto& function = module.info->functions[index].declaration;
  const LaunchParts parts = function.abi == Abi::kKernel ? PartsOfLaunch(call.frame) : LaunchParts{{}, call.frame};
  const auto type = types::Type::Parse(function.signature);
  const auto layout = type ? types::FrameLayout::Make(*type) : Expected<types::FrameLayout>(type.error());
  if (!layout) return;
  for (const worker::LaunchPointer& pointer : parts.pointers)
    if ((pointer.place & worker::kInDataArena) != 0)
      data.LoseAt(pointer.begin, WhyLost(function, ArgumentAt(*layout, pointer.position), why));
  const auto& read_only = module.info->functions[index].read_only;
  for (size_t i = 0; i < layout->slots().size(); ++i) {
    const types::FrameSlot& slot = layout->slots()[i];
    if (std::find(read_only.begin(), read_only.end(), i) != read_only.end()) continue;
    if (slot.op != types::SlotOp::kArray || uint64_t{slot.offset} + slot.size > parts.frame.size()) continue;
    const auto array = types::LoadFrameArray(parts.frame.data() + slot.offset, slot.type.rank());
    const auto extent = types::ExtentOf(array.shape, array.strides, slot.element_size);
    if ((array.where & worker::kInDataArena) == 0 || !extent || extent->elements == 0) continue;
    // Wraps where the frame lies, and then is the place of no buffer.
    data.LoseAt((array.where & ~worker::kInDataArena) + static_cast<uint64_t>(extent->low),
                WhyLost(function, ArgumentAt(*layout, slot.offset), why));
  }
}

}  // namespace

bool MayHaveWritten(const Error& error) {
  return error.kind == ErrorKind::kRemoteCrash ||
         (error.may_have_run && (error.kind == ErrorKind::kWorkerLost || error.kind == ErrorKind::kDeadlineExceeded ||
                                 error.kind == ErrorKind::kCancelled));
}

void LoseWritten(const worker::CallView& call, const SessionModule& module, uint32_t index, const Error& why,
                 SessionData& data) {
  const auto& function = module.info->functions[index].declaration;
  if (module.info->options.entry == EntryKind::kCall) return LoseArguments(call, module, index, why, data);
  OperandPlaces places = OperandPlacesOf(call.frame);
  if (places.masked && !places.operands.empty()) places.operands.pop_back();
  if (places.operands.empty() || !HasResult(function)) return;
  const uint64_t result = places.operands.back();
  if ((result & worker::kInDataArena) == 0) return;
  data.LoseAt(result & ~worker::kInDataArena, WhyLost(function, "the result", why));
}

}  // namespace rbc::server
