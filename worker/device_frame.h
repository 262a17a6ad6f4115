// Requests about a device's own memory: `call` messages to a function that every execution worker has. The daemon makes
// them; the worker believes nothing of them. The reply has no result. Little-endian.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace rbc::worker {

// No slot of the function table.
inline constexpr uint64_t kDeviceMemoryFunction = ~uint64_t{0};

// A place in a buffer on the device, as places in the data arena have kInDataArena (data_arena.h): the buffer's slot,
// and bytes from its begin.
inline constexpr uint64_t kOnDevice = uint64_t{1} << 62;
inline constexpr uint32_t kDeviceOffsetBits = 46;
inline constexpr uint32_t kMaxDeviceSlots = 1u << (62 - kDeviceOffsetBits);
inline constexpr uint64_t kMaxDeviceBytes = uint64_t{1} << kDeviceOffsetBits;
inline constexpr uint64_t DevicePlace(uint32_t slot, uint64_t offset) {
  return kOnDevice | uint64_t{slot} << kDeviceOffsetBits | offset;
}
inline constexpr uint32_t SlotOfPlace(uint64_t place) {
  return static_cast<uint32_t>((place & ~kOnDevice) >> kDeviceOffsetBits);
}
inline constexpr uint64_t OffsetOfPlace(uint64_t place) { return place & (kMaxDeviceBytes - 1); }

enum class DeviceRequest : uint32_t {
  // `count` DeviceSteps, in order, until one fails.
  kChange = 1,
  // Elements of `size` bytes of an array of `count` dimensions, of which one of both lies on the device: the lengths
  // (u64),
  // then the place and a stride (i64) a dimension of where they come from, then of where they go.
  kCopy = 2,
};
struct DeviceHead {
  uint32_t magic;  // kDeviceMagic
  DeviceRequest request;
  uint32_t count;
  uint32_t size;
};
static_assert(sizeof(DeviceHead) == 16);
inline constexpr uint32_t kDeviceMagic = 0x6d654d44;  // "DMem"

struct DeviceStep {
  uint32_t slot;
  uint32_t frees;  // 1: the slot is given back, else it gets `bytes`
  uint64_t bytes;
};
static_assert(sizeof(DeviceStep) == 16);

}  // namespace rbc::worker
