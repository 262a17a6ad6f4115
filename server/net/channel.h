// Raw channels: their frames, as docs/protocol.md lays them out. This farm only refuses them, in their own words.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/serial.h"

namespace rbc::server {

inline constexpr std::string_view kChannelMagic = "RBC1";

// Before each body; little-endian.
struct ChannelHeader {
  char magic[4];        // "RBC1"
  uint16_t version;     // 1
  uint16_t type;        // ChannelType
  uint64_t request_id;  // of what is asked or answered; 0: of the channel itself
  uint64_t length;      // of the body
};
static_assert(sizeof(ChannelHeader) == 24);

enum ChannelType : uint16_t { kChannelError = 1 };  // body: u32 kind, u32 length, message

inline std::string ChannelError(const Error& error) {
  Writer body;
  body.Put(static_cast<uint32_t>(error.kind));
  body.PutBytes(error.message);
  const ChannelHeader header{{'R', 'B', 'C', '1'}, 1, kChannelError, 0, body.bytes().size()};
  return std::string(reinterpret_cast<const char*>(&header), sizeof header) + body.bytes();
}

}  // namespace rbc::server
