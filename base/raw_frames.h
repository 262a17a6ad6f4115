// The frames of a raw channel, which carries bulk data beside Thrift: docs/protocol.md, "Raw channels". Little-endian.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

namespace rbc {

inline constexpr std::string_view kChannelMagic = "RBC1";
inline constexpr uint16_t kChannelVersion = 1;

// Before each body.
struct ChannelHeader {
  char magic[4];        // "RBC1"
  uint16_t version;     // kChannelVersion
  uint16_t type;        // ChannelType
  uint64_t request_id;  // of what is asked or answered; 0: of the channel itself
  uint64_t length;      // of the body
};
static_assert(sizeof(ChannelHeader) == 24);

enum ChannelType : uint16_t {
  // farm -> client
  kChannelError = 1,  // body: u32 kind, u32 length, message
  kChannelDone = 2,   // no body: the attach or put is done
  kChannelData = 3,   // body: what the get asked for
  // client -> farm
  kChannelAttach = 16,  // ChannelAttachBody, then the token where the farm asks for one; first
  kChannelPut = 17,     // ChannelPutBody, then the data
  kChannelGet = 18,     // ChannelGetBody
};

// A token of hello's is no longer.
inline constexpr uint64_t kMostChannelToken = 4096;

struct ChannelAttachBody {
  uint64_t session;
  char secret[16];
};
struct ChannelPutBody {
  uint64_t buffer;
  uint64_t offset;  // in the buffer
};
struct ChannelGetBody {
  uint64_t buffer;
  uint64_t offset;
  uint64_t bytes;
};
static_assert(sizeof(ChannelAttachBody) == 24 && sizeof(ChannelPutBody) == 16 && sizeof(ChannelGetBody) == 24);

}  // namespace rbc
