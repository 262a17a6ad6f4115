// Checks and places array arguments, copies array results.
// SPDX-License-Identifier: Apache-2.0
#include "worker/array_places.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "types/array.h"
#include "worker/data_arena.h"

namespace rbc::worker {

static_assert(kInDataArena == types::kInDataArena);

namespace {

Error Invalid(const EntryPoint::Array& array, const std::string& why) {
  return Error(ErrorKind::kInvalidArgument,
               "has an array at byte " + std::to_string(array.offset) + " of its frame " + why);
}

bool AreAligned(const EntryPoint::Array& array, std::span<const int64_t> shape, std::span<const int64_t> strides) {
  bool aligned = true;
  for (size_t d = 0; d < shape.size(); ++d) {
    aligned &= shape[d] <= 1 || strides[d] % static_cast<int64_t>(array.alignment) == 0;
  }
  return aligned;
}

Error Unaligned(const EntryPoint::Array& array) {
  return Invalid(array, "whose elements are not aligned to " + std::to_string(array.alignment) + " bytes");
}

}  // namespace

void Release(ArrayOwner* owner) {
  if (owner == nullptr || __atomic_sub_fetch(&owner->references, 1, __ATOMIC_ACQ_REL) != 0) return;
  if (owner->destructor != nullptr) owner->destructor(owner->data, owner->size, owner->info);
  std::free(owner);
}

Expected<ArrayForm> ReadArray(const EntryPoint::Array& array, std::span<const uint8_t> memory) {
  if (array.rank == 0 || array.rank > types::kMaxArrayRank || array.element_size == 0 || array.alignment == 0 ||
      uint64_t{array.offset} + types::FrameArrayBytes(array.rank) > memory.size()) {
    return Invalid(array, "of " + std::to_string(array.rank) + " dimensions, which its module cannot have meant");
  }
  const uint8_t* const slot = memory.data() + array.offset;
  ArrayForm form;
  int64_t numbers[2 * types::kMaxArrayRank];
  std::memcpy(&form.where, slot, sizeof form.where);
  std::memcpy(numbers, slot + sizeof form.where, 2 * array.rank * sizeof(int64_t));
  const std::span<const int64_t> shape(numbers, array.rank), strides(numbers + array.rank, array.rank);
  const auto extent = types::ExtentOf(shape, strides, array.element_size);
  if (!extent) return Invalid(array, "of a shape that no memory has");
  form.extent = *extent;
  if (array.contiguous && !types::IsContiguous(shape, strides, array.element_size))
    return Invalid(array, "with gaps, where the function wants its elements side by side");
  if (!AreAligned(array, shape, strides)) return Unaligned(array);
  return form;
}

Status PlaceArray(const EntryPoint::Array& array, const ArraySpaces& spaces) {
  RBC_ASSIGN_OR_RETURN(const ArrayForm form, ReadArray(array, spaces.memory));
  const bool in_arena = (form.where & kInDataArena) != 0;
  if (in_arena && spaces.arena.empty()) return Invalid(array, "in an arena that this worker has not");
  const std::span<uint8_t> space = in_arena ? spaces.arena : spaces.memory;
  uint64_t where = form.where & ~kInDataArena;
  if (where > space.size() || form.extent.low < -static_cast<int64_t>(where) ||
      form.extent.high > static_cast<int64_t>(space.size() - where)) {
    return Invalid(array, "whose elements do not all lie in the " + std::to_string(space.size()) + " bytes of " +
                              (in_arena ? "the session's arena" : "the call's memory"));
  }
  const auto address = reinterpret_cast<uint64_t>(space.data()) + where;
  if (address % array.alignment != 0) return Unaligned(array);
  where = address - reinterpret_cast<uint64_t>(spaces.memory.data());
  std::memcpy(spaces.memory.data() + array.offset, &where, sizeof where);
  return {};
}

Expected<ArrayResult> ArrayResult::Read(const EntryPoint::Array& array, const uint8_t* result) {
  ArrayResult out;
  result += array.offset;
  const types::FrameArray slot = types::LoadFrameArray(reinterpret_cast<const char*>(result), array.rank);
  out.data_ = reinterpret_cast<const void*>(slot.where);
  out.shape_ = slot.shape;
  out.strides_ = slot.strides;
  out.element_size_ = array.element_size;
  std::memcpy(&out.owner_, result + types::FrameArrayBytes(array.rank), sizeof out.owner_);
  const auto bytes = types::BytesOf(out.shape_, array.element_size);
  if (!bytes) return Error(ErrorKind::kInvalidArgument, "returns an array of a shape that no memory has");
  out.bytes_ = *bytes;
  return out;
}

ArrayResult::ArrayResult(ArrayResult&& other) noexcept
    : data_(other.data_),
      shape_(std::move(other.shape_)),
      strides_(std::move(other.strides_)),
      element_size_(other.element_size_),
      owner_(std::exchange(other.owner_, nullptr)),
      bytes_(other.bytes_) {}

void ArrayResult::CopyTo(char* out) const {
  if (bytes_ != 0) types::Gather(data_, shape_, strides_, element_size_, out);
}

void ArrayResult::StoreSlot(uint64_t where, uint8_t* out) const {
  const types::FrameArray slot{where, shape_, types::DenseStrides(shape_, element_size_)};
  types::StoreFrameArray(slot, reinterpret_cast<char*>(out));
}

}  // namespace rbc::worker
