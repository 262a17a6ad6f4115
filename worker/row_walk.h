// A range of elements of an n-dimensional array in C order, piece by piece along the innermost dimension.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "worker/launch_frame.h"

namespace rbc::worker {

class RowWalk {
 public:
  // REQUIRES: no length is 0; at most kMaxArrayDimensions; the range lies in the array. No dimension is one element.
  RowWalk(std::span<const int64_t> shape, uint64_t first, uint64_t count)
      : shape_(shape), at_(first), end_(first + count) {
    inner_ = shape.empty() ? 1 : static_cast<uint64_t>(shape.back());
    uint64_t rest = first;
    for (size_t i = shape.size(); i-- > 0;) {
      index_[i] = static_cast<int64_t>(rest % static_cast<uint64_t>(shape[i]));
      rest /= static_cast<uint64_t>(shape[i]);
    }
    Measure();
  }
  bool done() const { return at_ >= end_; }
  uint64_t first() const { return at_; }       // number of the piece's first element
  uint64_t length() const { return length_; }  // of the piece
  // Of the piece's first element.
  int64_t OffsetIn(std::span<const int64_t> strides) const {
    int64_t offset = 0;
    for (size_t i = 0; i < strides.size(); ++i) offset += index_[i] * strides[i];
    return offset;
  }
  void Next() {
    at_ += length_;
    size_t i = shape_.size();
    if (i == 0) return;
    index_[i - 1] = 0;
    while (--i > 0 && ++index_[i - 1] == shape_[i - 1]) index_[i - 1] = 0;
    Measure();
  }

 private:
  void Measure() {
    const uint64_t into = shape_.empty() ? 0 : static_cast<uint64_t>(index_[shape_.size() - 1]);
    length_ = std::min(inner_ - into, end_ - std::min(at_, end_));
  }

  const std::span<const int64_t> shape_;
  uint64_t at_, end_, inner_ = 1, length_ = 0;
  std::array<int64_t, kMaxArrayDimensions> index_{};
};

}  // namespace rbc::worker
