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

// Calls `run(offset)` for each run in C order; offsets are from the element with index 0, 0, ...
template <typename F>
void ForEachRun(const Runs& runs, F&& run) {
  for (const int64_t length : runs.shape)
    if (length == 0) return;
  std::vector<int64_t> index(runs.shape.size());
  int64_t offset = 0;
  for (;;) {
    run(offset);
    size_t d = index.size();
    for (; d-- > 0;) {
      offset += runs.strides[d];
      if (++index[d] < runs.shape[d]) break;
      offset -= runs.strides[d] * runs.shape[d];
      index[d] = 0;
    }
    if (d == SIZE_MAX) return;
  }
}

// `array`: the element with index 0, 0, ...
void Gather(void* to, const char* array, const Runs& runs);
void Scatter(char* array, const void* from, const Runs& runs);

}  // namespace rbc::client
