// All elements of an n-dimensional array in C order, wherever they lie.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace rbc {

// Calls visit(offset) for each index of `shape`; offsets are bytes from the element with index 0, 0, ... Without
// dimensions there is one element. REQUIRES: a stride for each dimension.
template <typename Visit>
void ForEachElement(std::span<const int64_t> shape, std::span<const int64_t> strides, Visit&& visit) {
  for (const int64_t length : shape)
    if (length <= 0) return;
  std::vector<int64_t> index(shape.size());
  int64_t offset = 0;
  for (;;) {
    visit(offset);
    size_t d = shape.size();
    while (d-- > 0) {
      offset += strides[d];
      if (++index[d] < shape[d]) break;
      offset -= strides[d] * shape[d];
      index[d] = 0;
    }
    if (d == SIZE_MAX) return;
  }
}

// The same a run along the last dimension at a time: visit(offset, step, count), for copies that know their loop.
template <typename Visit>
void ForEachRun(std::span<const int64_t> shape, std::span<const int64_t> strides, Visit&& visit) {
  if (shape.empty()) return visit(0, 0, 1);
  if (shape.back() <= 0) return;
  const size_t outer = shape.size() - 1;
  ForEachElement(shape.first(outer), strides.first(outer),
                 [&](int64_t offset) { visit(offset, strides[outer], static_cast<uint64_t>(shape[outer])); });
}

}  // namespace rbc
