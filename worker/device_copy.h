// Copies of n-dimensional arrays to, from and within a device's memory.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/expected.h"
#include "targets/target.h"

namespace rbc::worker {

// An array in memory of this process or of the device: `data` or `address` is of element 0, 0, ...
struct CopiedArray {
  uint8_t* data = nullptr;
  uint64_t address = 0;  // 0: it is in this process
  std::vector<int64_t> strides;
};

// Elements of `size` bytes, one of both arrays on the device. Elements side by side move in large pieces, others of a
// device's array with all that lies between them: what else writes there meanwhile may be undone. REQUIRES: no length
// is 0; all elements are where they are said to be. kResourceExhausted, and errors with IsSticky().
Status CopyArray(Device& device, std::span<const int64_t> shape, uint32_t size, const CopiedArray& from,
                 const CopiedArray& to);

}  // namespace rbc::worker
