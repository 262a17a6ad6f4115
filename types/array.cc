// Shapes, strides and copies of arrays.
// SPDX-License-Identifier: Apache-2.0
#include "types/array.h"

#include <cstring>
#include <string>

#include "base/strided_run.h"
#include "base/strided_walk.h"

namespace rbc::types {
namespace {

constexpr int64_t kMaxBytes = int64_t{1} << 62;

}  // namespace

void StoreFrameArray(const FrameArray& array, char* out) {
  const size_t bytes = array.shape.size() * sizeof(int64_t);
  std::memcpy(out, &array.where, sizeof array.where);
  std::memcpy(out + 8, array.shape.data(), bytes);
  std::memcpy(out + 8 + bytes, array.strides.data(), bytes);
}

FrameArray LoadFrameArray(const char* bytes, uint32_t rank) {
  FrameArray array{0, std::vector<int64_t>(rank), std::vector<int64_t>(rank)};
  std::memcpy(&array.where, bytes, sizeof array.where);
  std::memcpy(array.shape.data(), bytes + 8, rank * sizeof(int64_t));
  std::memcpy(array.strides.data(), bytes + 8 + rank * sizeof(int64_t), rank * sizeof(int64_t));
  return array;
}

bool IsContiguous(std::span<const int64_t> shape, std::span<const int64_t> strides, uint32_t size) {
  int64_t expected = size;
  bool contiguous = true;
  for (size_t d = shape.size(); d-- > 0;) {
    if (shape[d] == 0) return true;
    if (shape[d] != 1 && strides[d] != expected) contiguous = false;
    if (__builtin_mul_overflow(expected, shape[d], &expected)) contiguous = false;
  }
  return contiguous;
}

std::optional<uint64_t> BytesOf(std::span<const int64_t> shape, uint32_t size) {
  int64_t bytes = size;
  bool none = false, too_many = false;
  for (const int64_t n : shape) {
    if (n < 0) return std::nullopt;
    none |= n == 0;
    too_many |= __builtin_mul_overflow(bytes, n, &bytes) || bytes > kMaxBytes;
  }
  if (none) return 0;
  if (too_many) return std::nullopt;
  return static_cast<uint64_t>(bytes);
}

void Gather(const void* from, std::span<const int64_t> shape, std::span<const int64_t> strides, uint32_t size,
            char* to) {
  const char* base = static_cast<const char*>(from);
  ForEachRun(shape, strides, [&](int64_t offset, int64_t step, uint64_t count) {
    CopyRun(to, size, base + offset, step, count, size);
    to += count * size;
  });
}

void Scatter(const char* from, std::span<const int64_t> shape, std::span<const int64_t> strides, uint32_t size,
             void* to) {
  char* base = static_cast<char*>(to);
  ForEachRun(shape, strides, [&](int64_t offset, int64_t step, uint64_t count) {
    CopyRun(base + offset, step, from, size, count, size);
    from += count * size;
  });
}

ArrayShape ShapeOf(const Buffer& buffer, uint32_t element_size) {
  if (!buffer.shape.empty()) return {buffer.shape, buffer.strides};
  return {{static_cast<int64_t>(buffer.bytes / element_size)}, {element_size}};
}

bool IsContiguous(const Buffer& buffer, uint32_t element_size) {
  return buffer.shape.empty() || IsContiguous(buffer.shape, buffer.strides, element_size);
}

Value MakeArray(const Type& element, std::vector<int64_t> shape, std::string_view bytes) {
  const auto memory = std::make_shared<std::string>(bytes);
  Buffer buffer{.data = memory->data(), .bytes = bytes.size(), .element = element, .owner = memory};
  const Expected<uint64_t> size = SizeOf(element);
  buffer.strides = DenseStrides(shape, size ? static_cast<uint32_t>(*size) : 1);
  buffer.shape = std::move(shape);
  return Value(std::move(buffer));
}

}  // namespace rbc::types
