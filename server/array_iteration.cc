// The order in which a map walks over its arrays.
// SPDX-License-Identifier: Apache-2.0
#include "server/array_iteration.h"

#include <algorithm>
#include <numeric>

namespace rbc::server {
namespace {

// How far apart neighbours along a dimension lie, over all operands.
unsigned __int128 StepOf(const Iteration& iteration, size_t dimension) {
  unsigned __int128 step = 0;
  for (const auto& strides : iteration.strides) {
    const __int128 stride = strides[dimension];
    step += static_cast<unsigned __int128>(stride < 0 ? -stride : stride);
  }
  return step;
}

void Append(const Iteration& from, size_t dimension, Iteration* to) {
  to->shape.push_back(from.shape[dimension]);
  for (size_t i = 0; i < from.strides.size(); ++i) to->strides[i].push_back(from.strides[i][dimension]);
}

// Whether the last dimension of `outer` steps over exactly one run of `dimension`.
bool Continues(const Iteration& outer, const Iteration& from, size_t dimension) {
  for (size_t i = 0; i < from.strides.size(); ++i) {
    const __int128 run = static_cast<__int128>(from.strides[i][dimension]) * from.shape[dimension];
    if (outer.strides[i].back() != run) return false;
  }
  return true;
}

}  // namespace

Iteration Collapse(const Iteration& whole, bool may_reorder) {
  std::vector<size_t> order;
  for (size_t d = 0; d < whole.shape.size(); ++d)
    if (whole.shape[d] != 1) order.push_back(d);
  if (may_reorder)
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return StepOf(whole, a) > StepOf(whole, b); });
  Iteration out;
  out.strides.resize(whole.strides.size());
  for (const size_t d : order) {
    if (out.shape.empty() || !Continues(out, whole, d)) {
      Append(whole, d, &out);
      continue;
    }
    out.shape.back() *= whole.shape[d];
    for (size_t i = 0; i < out.strides.size(); ++i) out.strides[i].back() = whole.strides[i][d];
  }
  return out;
}

std::string PatternOf(const Iteration& iteration, std::span<const uint64_t> element_sizes) {
  std::string pattern;
  for (size_t i = 0; i < element_sizes.size(); ++i) {
    const auto size = static_cast<int64_t>(element_sizes[i]);
    const int64_t stride = iteration.shape.empty() ? size : iteration.strides[i].back();
    pattern += stride == size ? 'c' : stride == 0 ? 'b' : 's';
  }
  return pattern;
}

}  // namespace rbc::server
