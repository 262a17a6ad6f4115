// Numbers of Thrift's strict binary protocol, for those who read and write the hot messages by hand.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace rbc::thrift_binary {

// The byte before each field, element and key.
enum Type : uint8_t {
  kStop = 0,
  kBool = 2,
  kByte = 3,
  kDouble = 4,
  kI16 = 6,
  kI32 = 8,
  kI64 = 10,
  kString = 11,
  kStruct = 12,
  kMap = 13,
  kSet = 14,
  kList = 15,
};

// A message begins with kVersion | its kind.
inline constexpr uint32_t kVersion = 0x80010000;
inline constexpr uint32_t kVersionMask = 0xffff0000;
enum Kind : uint32_t { kCall = 1, kReply = 2, kException = 3, kOneway = 4 };

}  // namespace rbc::thrift_binary
