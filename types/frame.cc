// Layout of frames.
// SPDX-License-Identifier: Apache-2.0
#include "types/frame.h"

#include <algorithm>

#include "types/array.h"
#include "types/value.h"

namespace rbc::types {
namespace {

// The fixed part is copied for each call; what is larger belongs into a buffer.
constexpr uint64_t kMaxFixedBytes = 1u << 20;
constexpr uint32_t kResultAlignment = 16;
constexpr uint32_t kOwnerBytes = 8;  // behind an array in a struct: what its worker has there of its own

uint64_t RoundUp(uint64_t value, uint64_t to) { return (value + to - 1) / to * to; }

Error CannotTravel(const Type& type, const std::string& what, std::string_view why) {
  return Error(ErrorKind::kUnsupported, what + " of type `" + type.ToString() + "` cannot travel in a call's frame: " +
                                            std::string(why) + "; pass scalars, plain structs, text or flat buffers");
}

SlotOp OpOf(const Type& type) {
  if (type == Type::Float(64)) return SlotOp::kFloat64;
  if (type == Type::Int(64)) return SlotOp::kInt64;
  if (type.is(Kind::kFloat) && type.bits() == 32) return SlotOp::kFloat32;
  if (type.is(Kind::kInt) && type.bits() == 32) return SlotOp::kInt32;
  if (type.is(Kind::kBool)) return SlotOp::kBool;
  return SlotOp::kPlain;
}

Expected<SizeAndAlignment> PlainLayout(const Type& type, const std::string& what) {
  if (type.is(Kind::kArray)) return CannotTravel(type, what, "an array stands by itself there");
  if (type.is(Kind::kStruct) && LayoutOf(type) && !IsPlain(type)) {
    return CannotTravel(type, what, "it holds pointers or text");
  }
  if (!IsPlain(type)) return CannotTravel(type, what, "it has no size or is no plain data");
  RBC_ASSIGN_OR_RETURN(const SizeAndAlignment layout, LayoutOf(type));
  if (layout.size > kMaxFixedBytes) return CannotTravel(type, what, "it has more than 1048576 bytes");
  return layout;
}

Expected<FrameSlot> SlotOf(const Type& type, const std::string& what) {
  FrameSlot slot{.type = type, .size = sizeof(FrameCell), .alignment = alignof(uint64_t)};
  if (type.is(Kind::kString)) {
    slot.op = SlotOp::kText;
    return slot;
  }
  if (type.is(Kind::kPointer)) {
    slot.op = IsCharPointer(type) ? SlotOp::kBytes : SlotOp::kPointer;
    if (type.element().is(Kind::kVoid)) return slot;
    RBC_ASSIGN_OR_RETURN(const SizeAndAlignment element, PlainLayout(type.element(), what + ", a pointer to data"));
    slot.element_size = static_cast<uint32_t>(std::max<uint64_t>(element.size, 1));
    return slot;
  }
  if (type.is(Kind::kArray)) {
    slot.op = SlotOp::kArray;
    slot.size = FrameArrayBytes(type.rank());
    RBC_ASSIGN_OR_RETURN(const SizeAndAlignment element, PlainLayout(type.element(), what + ", an array of data"));
    if (element.size == 0) return CannotTravel(type, what, "its elements have no bytes");
    slot.element_size = static_cast<uint32_t>(element.size);
    return slot;
  }
  RBC_ASSIGN_OR_RETURN(const SizeAndAlignment layout, PlainLayout(type, what));
  slot.op = OpOf(type);
  slot.size = static_cast<uint32_t>(layout.size);
  slot.alignment = static_cast<uint32_t>(layout.alignment);
  return slot;
}

}  // namespace

bool IsCharPointer(const Type& type) {
  return type.is(Kind::kPointer) && type.element().is(Kind::kChar) && type.element().bits() == 8;
}

Expected<FrameLayout> FrameLayout::Make(const Type& function) {
  if (!function.is(Kind::kFunction)) {
    return Error(ErrorKind::kInvalidArgument,
                 "expected signature with function kind, got `" + function.ToString() + "`");
  }
  FrameLayout layout;
  layout.function_ = function;
  uint64_t end = 0;
  for (const Type& parameter : function.parameters()) {
    const std::string what = "parameter " + std::to_string(layout.slots_.size() + 1);
    RBC_ASSIGN_OR_RETURN(FrameSlot slot, SlotOf(parameter, what));
    end = RoundUp(end, slot.alignment);
    slot.offset = static_cast<uint32_t>(end);
    end += slot.size;
    if (end > kMaxFixedBytes) return CannotTravel(parameter, what, "the parameters have more than 1048576 bytes");
    layout.alignment_ = std::max(layout.alignment_, slot.alignment);
    layout.slots_.push_back(std::move(slot));
  }
  layout.fixed_size_ = static_cast<uint32_t>(end);
  const Type& result = function.result();
  if (result.is(Kind::kVoid)) return layout;
  layout.returns_text_ = result.is(Kind::kString) || IsCharPointer(result);
  if (result.is(Kind::kPointer) && !layout.returns_text_) return CannotTravel(result, "the result", "it is a pointer");
  if (HoldsArrays(result)) {
    RBC_ASSIGN_OR_RETURN(ResultLayout parts, LayoutOfArrays(result));
    layout.result_size_ = parts.size;
    layout.result_alignment_ = kResultAlignment;
    layout.result_slots_ = std::move(parts.slots);
    return layout;
  }
  RBC_ASSIGN_OR_RETURN(const FrameSlot slot, SlotOf(result, "the result"));
  layout.result_size_ = slot.size;
  layout.result_alignment_ = slot.alignment;
  if (slot.op == SlotOp::kArray) layout.result_slots_.push_back(slot);
  return layout;
}

bool HoldsArrays(const Type& type) {
  const auto is_array = [](const Type& member) { return member.is(Kind::kArray); };
  return type.is(Kind::kStruct) && std::any_of(type.members().begin(), type.members().end(), is_array);
}

Expected<ResultLayout> LayoutOfArrays(const Type& type) {
  ResultLayout layout;
  uint64_t end = 0;
  for (const Type& member : type.members()) {
    const std::string what = "member " + std::to_string(layout.slots.size() + 1) + " of the result";
    RBC_ASSIGN_OR_RETURN(FrameSlot slot, SlotOf(member, what));
    if (slot.lies_elsewhere() && slot.op != SlotOp::kArray)
      return CannotTravel(member, what, "it is a pointer or text");
    if (slot.alignment > kResultAlignment) return CannotTravel(member, what, "it is aligned to more than 16 bytes");
    end = RoundUp(end, slot.alignment);
    slot.offset = static_cast<uint32_t>(end);
    end += slot.size + (slot.op == SlotOp::kArray ? kOwnerBytes : 0);
    if (end > kMaxFixedBytes) return CannotTravel(type, "the result", "it has more than 1048576 bytes");
    layout.slots.push_back(std::move(slot));
  }
  uint64_t alignment = 1;
  for (const FrameSlot& slot : layout.slots) alignment = std::max<uint64_t>(alignment, slot.alignment);
  layout.size = static_cast<uint32_t>(RoundUp(end, alignment));
  return layout;
}

}  // namespace rbc::types
