// Array arguments and results of a call in this process.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/expected.h"
#include "targets/target.h"
#include "types/array_extent.h"

namespace rbc::worker {

// What keeps an array's memory alive: the head that numba's runtime gives its memory, in a block of malloc.
struct ArrayOwner {
  uint64_t references;
  void (*destructor)(void* data, uint64_t size, void* info);  // or null
  void* info;
  void* data;
  uint64_t size;
  void* unused;
};
static_assert(sizeof(ArrayOwner) == 48);

// One reference less; the last one's destructor runs, client code, and the block is freed. Null: nothing to do.
void Release(ArrayOwner* owner);

// Where an array argument may lie.
struct ArraySpaces {
  std::span<uint8_t> memory;  // of the call: frame, payload, zero bytes
  std::span<uint8_t> arena;   // the session's data arena; empty: none here
};

// How an array parameter lies, read from its slot.
struct ArrayForm {
  uint64_t where = 0;  // types/array.h
  types::ArrayExtent extent;
};
// kInvalidArgument, as PlaceArray: a slot outside of the memory, an impossible shape, gaps where there may be none, or
// strides that are not aligned.
Expected<ArrayForm> ReadArray(const EntryPoint::Array& array, std::span<const uint8_t> memory);

// Checks that all elements of the array parameter lie in the space that its slot names, aligned, and side by side where
// that is promised; then makes `where` relative to the frame, as entries want it. The slot is the call's own copy.
// kInvalidArgument: an end of a sentence that begins with "a call of '...'".
Status PlaceArray(const EntryPoint::Array& array, const ArraySpaces& spaces);

// An array result as its function left it, and the reference to its memory that the caller has got with it.
class ArrayResult {
 public:
  // REQUIRES: `result` has what EntryPoint::result_arrays says. kInvalidArgument: no memory can be of such a shape.
  static Expected<ArrayResult> Read(const EntryPoint::Array& array, const uint8_t* result);
  ArrayResult(ArrayResult&& other) noexcept;
  ArrayResult& operator=(ArrayResult&&) = delete;
  ~ArrayResult() { Release(owner_); }  // may run client code
  uint64_t bytes() const { return bytes_; }
  // Copies the elements in C order. May fault where the function gave an address of nothing.
  void CopyTo(char* out) const;
  // The slot of the reply, FrameArrayBytes(rank), with the elements at `where` of its data.
  void StoreSlot(uint64_t where, uint8_t* out) const;

 private:
  ArrayResult() = default;

  const void* data_ = nullptr;
  std::vector<int64_t> shape_, strides_;
  uint32_t element_size_ = 0;
  ArrayOwner* owner_ = nullptr;
  uint64_t bytes_ = 0;
};

}  // namespace rbc::worker
