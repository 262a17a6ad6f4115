// Elements of an n-dimensional array to and from a row of them side by side.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

namespace rbc::worker {

// Elements `first` to `first + count` in C order of an array whose element 0, 0, ... lies at `array`, to `out`.
void Gather(const uint8_t* array, std::span<const int64_t> shape, std::span<const int64_t> strides, uint32_t size,
            uint64_t first, uint64_t count, uint8_t* out);
// And back.
void Scatter(const uint8_t* in, std::span<const int64_t> shape, std::span<const int64_t> strides, uint32_t size,
             uint64_t first, uint64_t count, uint8_t* array);

}  // namespace rbc::worker
