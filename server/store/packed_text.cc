// IR as it was sent, compressed where that pays.
// SPDX-License-Identifier: Apache-2.0
#include "server/store/packed_text.h"

#include <zstd.h>

namespace rbc::server {
namespace {

constexpr size_t kLeastToPack = 1024;  // below, a compressor's set-up costs more than it saves
constexpr int kLevel = 1;

}  // namespace

PackedText PackedText::Pack(std::string_view text) {
  PackedText out;
  out.size_ = text.size();
  if (text.size() >= kLeastToPack) {
    std::string packed(ZSTD_compressBound(text.size()), '\0');
    const size_t size = ZSTD_compress(packed.data(), packed.size(), text.data(), text.size(), kLevel);
    if (ZSTD_isError(size) == 0 && size < text.size()) {
      out.bytes_.assign(packed, 0, size);
      out.compressed_ = true;
      return out;
    }
  }
  out.bytes_ = text;
  return out;
}

PackedText PackedText::FromParts(std::string bytes, uint64_t size, bool compressed) {
  PackedText out;
  out.bytes_ = std::move(bytes);
  out.size_ = size;
  out.compressed_ = compressed;
  return out;
}

Expected<std::string> PackedText::Unpack() const {
  if (!compressed_) return bytes_;
  std::string text(size_, '\0');
  const size_t size = ZSTD_decompress(text.data(), text.size(), bytes_.data(), bytes_.size());
  if (ZSTD_isError(size) != 0 || size != size_) return {ErrorKind::kInternal, "the stored IR does not decompress"};
  return text;
}

}  // namespace rbc::server
