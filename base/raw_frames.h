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
  // since 1.4
  kChannelAttached = 4,    // ChannelAttachedBody: what attach_packing is answered with
  kChannelPackedData = 5,  // ChannelPackedDataBody, then pieces: what the packed get asked for
  // client -> farm
  kChannelAttach = 16,  // ChannelAttachBody, then the token where the farm asks for one; first
  kChannelPut = 17,     // ChannelPutBody, then the data
  kChannelGet = 18,     // ChannelGetBody
  // since 1.4
  kChannelAttachPacking = 19,  // as attach, answered with attached
  kChannelPackedPut = 20,      // ChannelPackedPutBody, then pieces
  kChannelPackedGet = 21,      // ChannelPackedGetBody
};

// How the bytes of a piece travel; in attached, the bit 1 << coding.
enum PieceCoding : uint16_t { kPiecePlain = 0, kPieceZstd = 1 };
inline constexpr uint32_t kCodings = 1U << kPiecePlain | 1U << kPieceZstd;
// Bytes of an array in one piece.
inline constexpr uint32_t kMostPiece = 256 * 1024;

// Before each piece of a packed transfer, whose message's length counts the fixed part of the body alone.
struct ChannelPiece {
  uint32_t bytes;    // of the array: 1..kMostPiece
  uint32_t packed;   // that follow; fewer than `bytes`, but of a plain piece
  uint16_t coding;   // PieceCoding
  uint16_t element;  // the bytes were ordered by their place in elements of so many, before they were packed; 1: not
};
static_assert(sizeof(ChannelPiece) == 12);

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
struct ChannelAttachedBody {
  uint32_t codings;  // that the farm takes and sends
  uint32_t zero;
};
struct ChannelPackedDataBody {
  uint64_t bytes;  // of all pieces, unpacked
};
struct ChannelPackedPutBody {
  uint64_t buffer;
  uint64_t offset;
  uint64_t bytes;  // of all pieces, unpacked
};
struct ChannelPackedGetBody {
  uint64_t buffer;
  uint64_t offset;
  uint64_t bytes;
  uint32_t element;  // bytes of the array's elements, for whoever packs them
  uint32_t always;   // 1: each piece that gets smaller; 0: where it makes the transfer faster
};
static_assert(sizeof(ChannelAttachedBody) == 8 && sizeof(ChannelPackedDataBody) == 8 &&
              sizeof(ChannelPackedPutBody) == 24 && sizeof(ChannelPackedGetBody) == 32);
static_assert(sizeof(ChannelAttachBody) == 24 && sizeof(ChannelPutBody) == 16 && sizeof(ChannelGetBody) == 24);

}  // namespace rbc
