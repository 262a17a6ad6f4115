// Arrays in memory: shape and strides, in a frame and at the caller's.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/expected.h"
#include "types/array_extent.h"
#include "types/value.h"

namespace rbc::types {

// What an array parameter is in a frame, and an array result in a reply: `where` (u64), then shape and strides, an
// int64 for each dimension. Strides are bytes from one element to the next and may be negative or zero; `where` is the
// element with all indices zero, from the start of the call's memory (result: of the reply's data).
inline constexpr uint64_t kInDataArena = uint64_t{1} << 63;  // in `where`: from the start of the session's data arena
struct FrameArray {
  uint64_t where = 0;
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;
};
constexpr uint32_t FrameArrayBytes(uint32_t rank) { return 8 + 16 * rank; }
// REQUIRES: FrameArrayBytes(shape.size()) bytes at `out`; as many strides as dimensions.
void StoreFrameArray(const FrameArray& array, char* out);
// REQUIRES: FrameArrayBytes(rank) bytes at `bytes`, which may be anything.
FrameArray LoadFrameArray(const char* bytes, uint32_t rank);

// Whether elements lie side by side in C order; dimensions of one element have any stride, and so have arrays without
// elements.
bool IsContiguous(std::span<const int64_t> shape, std::span<const int64_t> strides, uint32_t size);
// Bytes of all elements; nothing: a dimension is negative, or there are more than 2^62.
std::optional<uint64_t> BytesOf(std::span<const int64_t> shape, uint32_t size);

// Copies all elements between memory of any strides and memory in C order. REQUIRES: both have the elements; `strides`
// has one for each dimension.
void Gather(const void* from, std::span<const int64_t> shape, std::span<const int64_t> strides, uint32_t size,
            char* to);
void Scatter(const char* from, std::span<const int64_t> shape, std::span<const int64_t> strides, uint32_t size,
             void* to);

// The caller's memory as an array: flat memory is one dimension of whole elements.
struct ArrayShape {
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;
};
ArrayShape ShapeOf(const Buffer& buffer, uint32_t element_size);
bool IsContiguous(const Buffer& buffer, uint32_t element_size);

// An array of `bytes` in C order, which the value owns. REQUIRES: as many bytes as the shape says.
Value MakeArray(const Type& element, std::vector<int64_t> shape, std::string_view bytes);

}  // namespace rbc::types
