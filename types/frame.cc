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
    end = (end + slot.alignment - 1) / slot.alignment * slot.alignment;
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
  RBC_ASSIGN_OR_RETURN(const FrameSlot slot, SlotOf(result, "the result"));
  layout.result_size_ = slot.size;
  layout.result_alignment_ = slot.alignment;
  return layout;
}

}  // namespace rbc::types
