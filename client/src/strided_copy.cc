// Elements of a strided array, to and from C order.
// SPDX-License-Identifier: Apache-2.0
#include "client/src/strided_copy.h"

#include <cstring>

#include "base/strided_walk.h"
#include "client/src/bulk_copy.h"

namespace rbc::client {

Runs RunsOf(std::span<const int64_t> shape, std::span<const int64_t> strides, uint64_t element_size) {
  Runs out;
  out.bytes = element_size;
  size_t rank = shape.size();
  for (; rank > 0; --rank) {
    if (shape[rank - 1] == 1) continue;
    if (strides[rank - 1] != static_cast<int64_t>(out.bytes)) break;
    out.bytes *= static_cast<uint64_t>(shape[rank - 1]);
  }
  out.shape.assign(shape.begin(), shape.begin() + static_cast<int64_t>(rank));
  out.strides.assign(strides.begin(), strides.begin() + static_cast<int64_t>(rank));
  return out;
}

void Gather(void* to, const char* array, const Runs& runs) {
  auto* target = static_cast<char*>(to);
  if (runs.shape.empty()) return CopyBulk(target, array, runs.bytes);
  ForEachElement(runs.shape, runs.strides, [&](int64_t offset) {
    std::memcpy(target, array + offset, runs.bytes);
    target += runs.bytes;
  });
}

void Scatter(char* array, const void* from, const Runs& runs) {
  const auto* source = static_cast<const char*>(from);
  if (runs.shape.empty()) return CopyBulk(array, source, runs.bytes);
  ForEachElement(runs.shape, runs.strides, [&](int64_t offset) {
    std::memcpy(array + offset, source, runs.bytes);
    source += runs.bytes;
  });
}

}  // namespace rbc::client
