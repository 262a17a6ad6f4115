// Shapes of n-dimensional arrays.
// SPDX-License-Identifier: Apache-2.0
#include "types/array_shape.h"

#include <algorithm>

namespace rbc::types {
namespace {

constexpr int64_t kMost = int64_t{1} << 62;

Error Invalid(std::string message) { return {ErrorKind::kInvalidArgument, std::move(message)}; }

}  // namespace

std::string ShapeText(std::span<const int64_t> shape) {
  std::string out = "(";
  for (size_t i = 0; i < shape.size(); ++i) out += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return out + (shape.size() == 1 ? ",)" : ")");
}

Expected<uint64_t> CountElements(std::span<const int64_t> shape) {
  if (shape.size() > kMaxArrayRank)
    return Invalid("an array has " + std::to_string(shape.size()) + " dimensions, more than the " +
                   std::to_string(kMaxArrayRank) + " that are possible");
  for (const int64_t length : shape)
    if (length < 0) return Invalid("an array of shape " + ShapeText(shape) + " has a negative length");
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return 0;
  __int128 count = 1;
  for (const int64_t length : shape) {
    count *= length;
    if (count > kMost) return Invalid("an array of shape " + ShapeText(shape) + " has too many elements");
  }
  return static_cast<uint64_t>(count);
}

Expected<Extents> BroadcastShapes(std::span<const Extents> shapes) {
  size_t rank = 0;
  for (const auto& shape : shapes) rank = std::max(rank, shape.size());
  Extents out(rank, 1);
  for (const auto& shape : shapes) {
    const size_t skip = rank - shape.size();
    for (size_t i = 0; i < shape.size(); ++i) {
      int64_t& length = out[skip + i];
      if (shape[i] == length || shape[i] == 1) continue;
      if (length == 1) {
        length = shape[i];
        continue;
      }
      std::string all;
      for (const auto& each : shapes) all += (all.empty() ? "" : " ") + ShapeText(each);
      return Invalid("arrays of shapes " + all + " do not stretch to one shape");
    }
  }
  return out;
}

Extents BroadcastStrides(std::span<const int64_t> shape, std::span<const int64_t> strides,
                         std::span<const int64_t> target) {
  Extents out(target.size(), 0);
  const size_t skip = target.size() - shape.size();
  for (size_t i = 0; i < shape.size(); ++i)
    if (shape[i] != 1) out[skip + i] = strides[i];
  return out;
}

Extents IndexOf(uint64_t flat, std::span<const int64_t> shape) {
  Extents out(shape.size(), 0);
  for (size_t i = shape.size(); i-- > 0;) {
    const auto length = static_cast<uint64_t>(std::max<int64_t>(shape[i], 1));
    out[i] = static_cast<int64_t>(flat % length);
    flat /= length;
  }
  return out;
}

}  // namespace rbc::types
