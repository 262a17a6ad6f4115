// Elements of a strided array, to and from C order.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace rbc::client {

// An array as runs of bytes that lie side by side both in it and in C order.
struct Runs {
  std::vector<int64_t> shape;    // of the runs
  std::vector<int64_t> strides;  // bytes from run to run
  uint64_t bytes = 0;            // of one run
};
// REQUIRES: what types::ExtentOf takes.
Runs RunsOf(std::span<const int64_t> shape, std::span<const int64_t> strides, uint64_t element_size);

// `array`: the element with index 0, 0, ...
void Gather(void* to, const char* array, const Runs& runs);
void Scatter(char* array, const void* from, const Runs& runs);

}  // namespace rbc::client
