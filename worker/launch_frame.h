// What stands before a call's memory in the frame of a `call` whose function is a kernel or the rows of a map. The
// daemon makes these of launch and map requests; the worker believes nothing of them. Little-endian.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace rbc::worker {

inline constexpr uint32_t kHeadMagic = 0x64614548;  // "Head"

// Before the memory of a kernel.
struct LaunchHead {
  uint32_t grid[3];
  uint32_t block[3];
  uint32_t shared_bytes;  // beside the kernel's static ones
  uint32_t magic;         // kHeadMagic: a plain call of a kernel has no head
};
static_assert(sizeof(LaunchHead) == 32);

// Before the memory of a map, and then the columns: the parameters', then the result's unless it is void. The result
// of such a call is the first failing row, 8 bytes, of meaning with a status other than 0.
struct MapHead {
  uint64_t rows;
  uint32_t columns;
  uint32_t magic;  // kHeadMagic
};
struct MapHeadColumn {
  uint64_t offset;  // of row 0, in the memory behind all columns
  int64_t stride;   // bytes from row to row; 0: one value for all
};
static_assert(sizeof(MapHead) == 16 && sizeof(MapHeadColumn) == 16);

// What a host's map entry gets as its frame: rows, then for each column its address and stride.
struct HostMapColumn {
  void* data;
  int64_t stride;
};

inline constexpr uint32_t kMaxMapColumns = 4096;

}  // namespace rbc::worker
