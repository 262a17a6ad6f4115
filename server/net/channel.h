// Raw channels: their frames, as docs/protocol.md lays them out.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/raw_frames.h"
#include "base/serial.h"

namespace rbc::server {

inline std::string ChannelHead(ChannelType type, uint64_t request_id, uint64_t length) {
  const ChannelHeader header{{'R', 'B', 'C', '1'}, kChannelVersion, type, request_id, length};
  return std::string(reinterpret_cast<const char*>(&header), sizeof header);
}

inline std::string ChannelError(const Error& error, uint64_t request_id) {
  Writer body;
  body.Put(static_cast<uint32_t>(error.kind));
  body.PutBytes(error.message);
  return ChannelHead(kChannelError, request_id, body.bytes().size()) + body.bytes();
}

}  // namespace rbc::server
