// Shapes of n-dimensional arrays that stretch to one another, and indices in them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/expected.h"
#include "types/type.h"

namespace rbc::types {

// A length or a step in bytes for each dimension, the outermost first.
using Extents = std::vector<int64_t>;

// "(3, 4)".
std::string ShapeText(std::span<const int64_t> shape);

// kInvalidArgument: too many dimensions, a negative length, or more elements than 2^62.
Expected<uint64_t> CountElements(std::span<const int64_t> shape);

// The shape that all of these stretch to, by NumPy's rules: aligned at their last dimensions, a length of 1 repeats.
// kInvalidArgument: two lengths differ and neither is 1; the message shows all shapes.
Expected<Extents> BroadcastShapes(std::span<const Extents> shapes);

// The strides of an array seen as one of shape `target`: 0 where it repeats. REQUIRES: it stretches to `target`.
Extents BroadcastStrides(std::span<const int64_t> shape, std::span<const int64_t> strides,
                         std::span<const int64_t> target);

// The index of element number `flat` in C order.
Extents IndexOf(uint64_t flat, std::span<const int64_t> shape);

}  // namespace rbc::types
