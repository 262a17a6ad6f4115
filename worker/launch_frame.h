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
  uint32_t magic;         // kHeadMagic, kHeadWithPointers: a plain call of a kernel has no head
};
static_assert(sizeof(LaunchHead) == 32);

// With this magic the head is followed by a count (u64) and so many of these: parameters that are pointers and lie in
// buffers, whose cells are null. Arrays in buffers say so themselves (FrameArray::where): kInDataArena and a place in
// the arena or, with kOnDevice too, one on the device (worker/device_frame.h).
inline constexpr uint32_t kHeadWithPointers = 0x50746f50;  // "PotP"
struct LaunchPointer {
  uint64_t place;       // kInDataArena and bytes from its begin, or on the device
  uint64_t begin, end;  // in the arena: of the buffer, which is brought to the device and back
  uint32_t position;    // of its cell, in the frame
  uint32_t reserved;
};
static_assert(sizeof(LaunchPointer) == 32);

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

// Before the memory of a map, a reduction or a scan over arrays; behind it the lengths of `dimensions` dimensions, the
// outermost first, then the operands, each a place and a stride a dimension. Operands: the parameters' of a map or the
// input, then the result's unless it is void, then the mask's. The daemon has merged dimensions where it could. The
// result of such a call is 8 bytes: with a status other than 0 the number of the first element that failed, of a map.
struct ArrayHead {
  uint32_t operands;  // with the mask
  uint16_t dimensions;
  uint16_t inner;  // of these the last so many are reduced or scanned; 0 for a map
  uint32_t flags;  // ArrayFlag
  uint32_t magic;  // kArrayMagic, where MapHead has its own
};
static_assert(sizeof(ArrayHead) == 16);
inline constexpr uint32_t kArrayMagic = 0x79615241;  // "ARay"
enum ArrayFlag : uint32_t {
  kMasked = 1u << 0,   // the last operand is bool: elements where it is 0 are left alone
  kOrdered = 1u << 1,  // a scan's code whose last element is the result: a reduction strictly from first to last
};
// A place of an operand: bytes into the memory behind the operands, or with kInDataArena (data_arena.h) into the arena.

// What a host's map entry gets as its frame: rows, then for each column its address and stride.
struct HostMapColumn {
  void* data;
  int64_t stride;
};

inline constexpr uint32_t kMaxMapColumns = 4096;
inline constexpr uint32_t kMaxArrayDimensions = 32;
inline constexpr uint64_t kMaxRowsOfLaunch = 0xffffffff;  // of a map or reduction that a device runs

}  // namespace rbc::worker
