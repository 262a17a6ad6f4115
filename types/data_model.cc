// Sizes, alignments and member offsets.
// SPDX-License-Identifier: Apache-2.0
#include "types/data_model.h"

#include <algorithm>
#include <optional>

#include "types/type.h"

namespace rbc::types {
namespace {

constexpr uint64_t kMaxSize = uint64_t{1} << 48;

uint64_t RoundUp(uint64_t value, uint64_t alignment) { return (value + alignment - 1) / alignment * alignment; }

bool IsOneOf(uint32_t bits, std::initializer_list<uint32_t> widths) {
  return std::find(widths.begin(), widths.end(), bits) != widths.end();
}

SizeAndAlignment Natural(uint64_t bytes) { return {bytes, bytes}; }

std::optional<SizeAndAlignment> LayoutOfInteger(uint32_t bits, const DataModel& model) {
  if (bits == 128) return SizeAndAlignment{16, model.int128_alignment};
  if (!IsOneOf(bits, {8, 16, 32, 64})) return std::nullopt;
  return Natural(bits / 8);
}

std::optional<SizeAndAlignment> LayoutOfFloat(uint32_t bits, const DataModel& model) {
  if (bits == 128 && model.has_x87_long_double) return SizeAndAlignment{16, model.float128_alignment};
  if (!IsOneOf(bits, {16, 32, 64})) return std::nullopt;
  return Natural(bits / 8);
}

std::optional<SizeAndAlignment> LayoutOfComplex(uint32_t bits, const DataModel& model) {
  if (bits % 2 != 0) return std::nullopt;
  const std::optional<SizeAndAlignment> part = LayoutOfFloat(bits / 2, model);
  if (!part) return std::nullopt;
  const uint64_t size = 2 * part->size;
  return SizeAndAlignment{size, model.complex_aligned_as_pair ? size : part->alignment};
}

std::optional<SizeAndAlignment> LayoutOfAtom(const Type& type, const DataModel& model) {
  switch (type.kind()) {
    case Kind::kBool:
      return Natural(1);
    case Kind::kChar:
      return IsOneOf(type.bits(), {8, 16, 32}) ? std::optional(Natural(type.bits() / 8)) : std::nullopt;
    case Kind::kInt:
    case Kind::kUint:
      return LayoutOfInteger(type.bits(), model);
    case Kind::kFloat:
      return LayoutOfFloat(type.bits(), model);
    case Kind::kComplex:
      return LayoutOfComplex(type.bits(), model);
    case Kind::kString:
    case Kind::kPointer:
      return Natural(model.pointer_bytes);
    default:
      return std::nullopt;
  }
}

}  // namespace

Expected<StructLayout> LayoutOfStruct(const Type& type, const DataModel& model) {
  if (!type.is(Kind::kStruct)) {
    return Error(ErrorKind::kInvalidArgument, "type `" + type.ToString() + "` has no members; pass a struct");
  }
  StructLayout layout;
  layout.offsets.reserve(type.members().size());
  for (const Type& member : type.members()) {
    RBC_ASSIGN_OR_RETURN(const SizeAndAlignment part, LayoutOf(member, model));
    layout.offsets.push_back(RoundUp(layout.size, part.alignment));
    layout.size = layout.offsets.back() + part.size;
    layout.alignment = std::max(layout.alignment, part.alignment);
    if (layout.size > kMaxSize) {
      return Error(ErrorKind::kInvalidArgument,
                   "a struct is larger than the limit of " + std::to_string(kMaxSize) + " bytes; make it smaller");
    }
  }
  layout.size = RoundUp(layout.size, layout.alignment);
  return layout;
}

Expected<SizeAndAlignment> LayoutOf(const Type& type, const DataModel& model) {
  if (type.is(Kind::kStruct)) {
    RBC_ASSIGN_OR_RETURN(const StructLayout layout, LayoutOfStruct(type, model));
    return SizeAndAlignment{layout.size, layout.alignment};
  }
  if (const std::optional<SizeAndAlignment> layout = LayoutOfAtom(type, model)) return *layout;
  return Error(ErrorKind::kUnsupported,
               "type `" + type.ToString() + "` has no size on this target; use a type that the target can hold");
}

Expected<uint64_t> SizeOf(const Type& type, const DataModel& model) {
  RBC_ASSIGN_OR_RETURN(const SizeAndAlignment layout, LayoutOf(type, model));
  return layout.size;
}

Expected<uint64_t> AlignOf(const Type& type, const DataModel& model) {
  RBC_ASSIGN_OR_RETURN(const SizeAndAlignment layout, LayoutOf(type, model));
  return layout.alignment;
}

}  // namespace rbc::types
