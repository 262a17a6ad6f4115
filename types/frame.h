// How a call's arguments and result lie in memory on their way to the worker and back.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/expected.h"
#include "types/type.h"

namespace rbc::types {

// What a pointer or string parameter, and a string result, is in a frame: 8 bytes at 8-byte alignment.
struct FrameCell {
  uint32_t offset = 0;  // from the start of the call's memory (result: of the reply's data)
  uint32_t length = 0;  // in bytes, a string's NUL not counted
};
static_assert(sizeof(FrameCell) == 8);
inline constexpr uint32_t kNullOffset = 0xFFFFFFFF;     // FrameCell::offset of a null pointer
inline constexpr uint32_t kPayloadAlignment = 16;       // of each buffer and string behind the fixed part
inline constexpr uint64_t kMaxCallBytes = 0xFFFFFFF0u;  // fixed part and payload together

// How a parameter's value is stored; the common scalars have a way of their own.
enum class SlotOp : uint8_t { kFloat64, kFloat32, kInt64, kInt32, kBool, kPlain, kText, kBytes, kPointer, kArray };

struct FrameSlot {
  Type type{};
  SlotOp op = SlotOp::kPlain;
  uint32_t offset = 0;
  uint32_t size = 0;
  uint32_t alignment = 1;
  // A pointer, text or an array: what the slot holds says where it lies.
  bool lies_elsewhere() const { return op >= SlotOp::kText; }
  uint32_t element_size = 1;  // of what a pointer points to or an array holds; 1 for void*
};

// Where the parameters of one function type lie, computed once; then packing parses nothing. Immutable, thread-safe.
//
// The memory of a call is one buffer, aligned to 16:
//   [fixed part: parameters, naturally aligned, in order]
//   [in payload] [inout payload] [out payload: not sent, `out_bytes` zero bytes]
// each buffer and string aligned to kPayloadAlignment. What comes back is its tail from `return_from`. The result has
// a buffer of its own and starts it. The data model is the host's on every target.
class FrameLayout {
 public:
  // kInvalidArgument: not a function. kUnsupported, by name: a parameter or result that cannot travel in a frame
  // (function, unknown atom, int5, a struct, buffer or array with pointers, an array in a struct, a pointer result).
  static Expected<FrameLayout> Make(const Type& function);

  const Type& function() const { return function_; }
  std::span<const FrameSlot> slots() const { return slots_; }
  uint32_t fixed_size() const { return fixed_size_; }
  uint32_t alignment() const { return alignment_; }  // of the fixed part; at least 1
  const Type& result() const { return function_.result(); }
  uint32_t result_size() const { return result_size_; }  // 0 for void, 8 for text, FrameArrayBytes for an array
  uint32_t result_alignment() const { return result_alignment_; }
  // string or char8*: the result is a FrameCell.
  bool returns_text() const { return returns_text_; }
  // The result is a FrameArray (types/array.h), or a struct with some among its members.
  bool returns_arrays() const { return !result_slots_.empty(); }
  // Then: the array, or the struct's members. In a struct 8 bytes of zeros follow each FrameArray.
  std::span<const FrameSlot> result_slots() const { return result_slots_; }

 private:
  Type function_;
  std::vector<FrameSlot> slots_;
  uint32_t fixed_size_ = 0;
  uint32_t alignment_ = 1;
  uint32_t result_size_ = 0;
  uint32_t result_alignment_ = 1;
  bool returns_text_ = false;
  std::vector<FrameSlot> result_slots_;
};

// A struct with arrays among its own members, which can be a result.
bool HoldsArrays(const Type& type);
// How its members lie in a reply: FrameLayout::result_slots(). kUnsupported, by name: members that are neither arrays
// nor plain.
struct ResultLayout {
  std::vector<FrameSlot> slots;
  uint32_t size = 0;
};
Expected<ResultLayout> LayoutOfArrays(const Type& type);

// `char8*`, which is text on its way in and as a result.
bool IsCharPointer(const Type& type);

}  // namespace rbc::types
