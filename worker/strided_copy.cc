// Elements of an n-dimensional array to and from a row of them.
// SPDX-License-Identifier: Apache-2.0
#include "worker/strided_copy.h"

#include "base/strided_run.h"
#include "worker/row_walk.h"

namespace rbc::worker {

void Gather(const uint8_t* array, std::span<const int64_t> shape, std::span<const int64_t> strides, uint32_t size,
            uint64_t first, uint64_t count, uint8_t* out) {
  const int64_t inner = strides.empty() ? 0 : strides.back();
  for (RowWalk walk(shape, first, count); !walk.done(); walk.Next()) {
    CopyRun(out, size, array + walk.OffsetIn(strides), inner, walk.length(), size);
    out += walk.length() * size;
  }
}

void Scatter(const uint8_t* in, std::span<const int64_t> shape, std::span<const int64_t> strides, uint32_t size,
             uint64_t first, uint64_t count, uint8_t* array) {
  const int64_t inner = strides.empty() ? 0 : strides.back();
  for (RowWalk walk(shape, first, count); !walk.done(); walk.Next()) {
    CopyRun(array + walk.OffsetIn(strides), inner, in, size, walk.length(), size);
    in += walk.length() * size;
  }
}

}  // namespace rbc::worker
