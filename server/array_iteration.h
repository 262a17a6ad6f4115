// The order in which a map walks over its arrays: as few dimensions as their strides allow.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <vector>

#include "types/array_shape.h"

namespace rbc::server {

struct Iteration {
  types::Extents shape;                 // the outermost dimension first; empty: one element
  std::vector<types::Extents> strides;  // of each operand, in bytes
};

// The same elements in fewer dimensions: those of length 1 dropped, neighbours merged that every operand steps through
// evenly. `may_reorder` also puts the dimension with the smallest steps innermost; else elements stay in C order.
// REQUIRES: no length is 0.
Iteration Collapse(const Iteration& whole, bool may_reorder);

// How each operand lies along the innermost dimension: 'c' side by side, 'b' one value for all, 's' any other way.
std::string PatternOf(const Iteration& iteration, std::span<const uint64_t> element_sizes);

}  // namespace rbc::server
