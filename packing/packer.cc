// Pieces of arrays, packed for a slow line.
// SPDX-License-Identifier: Apache-2.0
#include "packing/packer.h"

#include <fmt/format.h>
#include <zstd.h>

#include <cstring>

namespace rbc {
namespace {

constexpr int kLevel = 1;
constexpr uint32_t kMostElement = 64;  // larger ones are taken as they lie

uint32_t ElementToOrder(uint32_t element) { return element >= 2 && element <= kMostElement ? element : 1; }

// The first bytes of all elements, then the second ones; what is less than an element stays at the end.
void OrderByPlace(char* to, const char* from, size_t bytes, size_t element) {
  const size_t count = bytes / element;
  for (size_t place = 0; place < element; ++place)
    for (size_t i = 0; i < count; ++i) to[place * count + i] = from[i * element + place];
  std::memcpy(to + count * element, from + count * element, bytes - count * element);
}

void OrderBack(char* to, const char* from, size_t bytes, size_t element) {
  const size_t count = bytes / element;
  for (size_t place = 0; place < element; ++place)
    for (size_t i = 0; i < count; ++i) to[i * element + place] = from[place * count + i];
  std::memcpy(to + count * element, from + count * element, bytes - count * element);
}

void AppendPlainPiece(std::string_view piece, std::string* out) {
  AppendPlainHead(piece.size(), out);
  out->append(piece);
}

}  // namespace

Status CheckPiece(const ChannelPiece& head, uint64_t left) {
  const bool fits = head.bytes >= 1 && head.bytes <= kMostPiece && head.bytes <= left;
  const bool plain = head.coding == kPiecePlain && head.packed == head.bytes && head.element == 1;
  const bool packed = head.coding == kPieceZstd && head.packed >= 1 && head.packed < head.bytes && head.element >= 1 &&
                      head.element <= kMostElement;
  if (fits && (plain || packed)) return {};
  return {ErrorKind::kInvalidArgument,
          fmt::format("a piece of {} bytes in {}, coding {}, elements of {}, is none of an array that wants {}",
                      head.bytes, head.packed, head.coding, head.element, left)};
}

void AppendPlainHead(size_t bytes, std::string* out) {
  const auto size = static_cast<uint32_t>(bytes);
  const ChannelPiece head{size, size, kPiecePlain, 1};
  out->append(reinterpret_cast<const char*>(&head), sizeof head);
}

void Packer::Free::operator()(ZSTD_CCtx_s* context) const { ZSTD_freeCCtx(context); }
void Packer::Free::operator()(ZSTD_DCtx_s* context) const { ZSTD_freeDCtx(context); }

char* Packer::Scratch(std::unique_ptr<char[]>* scratch) {
  if (*scratch == nullptr) *scratch = std::make_unique_for_overwrite<char[]>(kMostPiece);
  return scratch->get();
}

void Packer::Pack(std::string_view piece, uint32_t element, ByteOrder order, std::string* out) {
  element = order == ByteOrder::kByPlace ? ElementToOrder(element) : 1;
  char* const copy = Scratch(&copied_);
  std::memcpy(copy, piece.data(), piece.size());
  const std::string_view same(copy, piece.size());
  if (packs_ == nullptr) packs_.reset(ZSTD_createCCtx());
  if (packs_ == nullptr || piece.size() < 2) return AppendPlainPiece(same, out);
  const char* from = copy;
  if (element != 1) {
    OrderByPlace(Scratch(&ordered_), copy, piece.size(), element);
    from = ordered_.get();
  }
  const size_t begin = out->size(), body = begin + sizeof(ChannelPiece);
  out->resize(body + piece.size() - 1);  // more would be no gain
  const size_t packed =
      ZSTD_compressCCtx(packs_.get(), out->data() + body, piece.size() - 1, from, piece.size(), kLevel);
  out->resize(ZSTD_isError(packed) != 0 ? begin : body + packed);
  if (ZSTD_isError(packed) != 0) return AppendPlainPiece(same, out);
  const ChannelPiece head{static_cast<uint32_t>(piece.size()), static_cast<uint32_t>(packed), kPieceZstd,
                          static_cast<uint16_t>(element)};
  std::memcpy(out->data() + begin, &head, sizeof head);
}

Status Packer::Unpack(const ChannelPiece& head, const char* packed, char* to) {
  if (head.coding == kPiecePlain) {
    std::memcpy(to, packed, head.bytes);
    return {};
  }
  if (unpacks_ == nullptr) unpacks_.reset(ZSTD_createDCtx());
  if (unpacks_ == nullptr) return {ErrorKind::kResourceExhausted, "no memory to unpack an array; try again later"};
  char* const copy = Scratch(&copied_);
  const size_t bytes = ZSTD_decompressDCtx(unpacks_.get(), copy, head.bytes, packed, head.packed);
  if (ZSTD_isError(bytes) != 0 || bytes != head.bytes)
    return {ErrorKind::kInvalidArgument, fmt::format("a packed piece does not unpack to {} bytes", head.bytes)};
  if (head.element == 1) {
    std::memcpy(to, copy, bytes);
    return {};
  }
  OrderBack(Scratch(&ordered_), copy, bytes, head.element);
  std::memcpy(to, ordered_.get(), bytes);
  return {};
}

}  // namespace rbc
