// Elements of an n-dimensional array to and from a row of them.
// SPDX-License-Identifier: Apache-2.0
#include "worker/strided_copy.h"

#include <algorithm>
#include <cstring>

#include "worker/row_walk.h"

namespace rbc::worker {
namespace {

template <uint32_t kSize>
void Step(uint8_t* out, int64_t out_stride, const uint8_t* in, int64_t in_stride, uint64_t count) {
  for (uint64_t i = 0; i < count; ++i, out += out_stride, in += in_stride) std::memcpy(out, in, kSize);
}

void CopyRow(uint8_t* out, int64_t out_stride, const uint8_t* in, int64_t in_stride, uint32_t size, uint64_t count) {
  if (out_stride == size && in_stride == size) {
    std::memcpy(out, in, count * size);
    return;
  }
  switch (size) {
    case 1:
      return Step<1>(out, out_stride, in, in_stride, count);
    case 2:
      return Step<2>(out, out_stride, in, in_stride, count);
    case 4:
      return Step<4>(out, out_stride, in, in_stride, count);
    case 8:
      return Step<8>(out, out_stride, in, in_stride, count);
    case 16:
      return Step<16>(out, out_stride, in, in_stride, count);
    default:
      for (uint64_t i = 0; i < count; ++i, out += out_stride, in += in_stride) std::memcpy(out, in, size);
  }
}

}  // namespace

void Gather(const uint8_t* array, std::span<const int64_t> shape, std::span<const int64_t> strides, uint32_t size,
            uint64_t first, uint64_t count, uint8_t* out) {
  const int64_t inner = strides.empty() ? 0 : strides.back();
  for (RowWalk walk(shape, first, count); !walk.done(); walk.Next()) {
    CopyRow(out, size, array + walk.OffsetIn(strides), inner, size, walk.length());
    out += walk.length() * size;
  }
}

void Scatter(const uint8_t* in, std::span<const int64_t> shape, std::span<const int64_t> strides, uint32_t size,
             uint64_t first, uint64_t count, uint8_t* array) {
  const int64_t inner = strides.empty() ? 0 : strides.back();
  for (RowWalk walk(shape, first, count); !walk.done(); walk.Next()) {
    CopyRow(array + walk.OffsetIn(strides), inner, in, size, size, walk.length());
    in += walk.length() * size;
  }
}

}  // namespace rbc::worker
