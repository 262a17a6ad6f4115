// Which bytes an n-dimensional array takes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/expected.h"
#include "types/data_model.h"

namespace rbc::types {

// Relative to the element with index 0, 0, ...: all elements lie in [low, high). Both are 0 for an array without
// elements.
struct ArrayExtent {
  int64_t low = 0;
  int64_t high = 0;
  int64_t elements = 1;
};

// `strides` are bytes and may be 0 or negative. Hostile numbers are fine: kInvalidArgument where there are not as many
// strides as dimensions, more than kMaxArrayRank of them, a negative length, or a size that 62 bits do not hold.
Expected<ArrayExtent> ExtentOf(std::span<const int64_t> shape, std::span<const int64_t> strides, uint64_t element_size);

// Strides of an array without gaps, the last dimension innermost (C order), or the first (`fortran`). REQUIRES: the
// shape is one that ExtentOf took, or its product fits.
std::vector<int64_t> DenseStrides(std::span<const int64_t> shape, uint64_t element_size, bool fortran = false);

// Size and alignment of an array's element: a plain value without pointers or text. kUnsupported, by name.
Expected<SizeAndAlignment> ElementLayout(const Type& type);

}  // namespace rbc::types
