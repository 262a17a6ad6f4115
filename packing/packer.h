// Pieces of arrays, packed for a slow line: docs/protocol.md, "Packed transfers".
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/expected.h"
#include "base/raw_frames.h"

struct ZSTD_CCtx_s;
struct ZSTD_DCtx_s;

namespace rbc {

// How the bytes of a piece are ordered before they are packed: as they lie, or the first bytes of all elements, then
// the second ones, ... Numbers that are near each other share their high bytes, text-like ones their low ones.
enum class ByteOrder : uint8_t { kAsTheyLie, kByPlace };

// kInvalidArgument: no piece looks so, or it has more than the `left` bytes that are still to come. Believes nothing
// else of it: what passes is safe to make room for and to unpack.
Status CheckPiece(const ChannelPiece& head, uint64_t left);

// Memory to pack and unpack with, made at first use: about 1 MiB. One thread at a time. Pieces may lie in memory that
// others write at the same time: they are copied before they are looked at.
class Packer {
 public:
  Packer() = default;
  Packer(const Packer&) = delete;
  Packer& operator=(const Packer&) = delete;

  // The piece as it travels, head first; plain where packing saves nothing. REQUIRES: 1..kMostPiece bytes. `element`:
  // bytes of an array's element.
  void Pack(std::string_view piece, uint32_t element, ByteOrder order, std::string* out);
  // The bytes of a piece that CheckPiece() passed. kInvalidArgument: they do not unpack to so many.
  Status Unpack(const ChannelPiece& head, const char* packed, char* to);

 private:
  struct Free {
    void operator()(ZSTD_CCtx_s* context) const;
    void operator()(ZSTD_DCtx_s* context) const;
  };
  char* Scratch(std::unique_ptr<char[]>* scratch);

  std::unique_ptr<ZSTD_CCtx_s, Free> packs_;
  std::unique_ptr<ZSTD_DCtx_s, Free> unpacks_;
  std::unique_ptr<char[]> ordered_, copied_;
};

// What comes before the bytes of a piece that is not packed.
void AppendPlainHead(size_t bytes, std::string* out);

}  // namespace rbc
