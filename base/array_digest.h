// The digest by which an array is known again: of its bytes, in pieces, so that who computes it may copy as it goes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <string_view>

#include "base/hash.h"

namespace rbc {

// BLAKE3 over pieces of so many bytes (the last has what is left), each preceded by its length.
inline constexpr size_t kDigestPiece = size_t{1} << 20;

// `piece(offset, size)` gives one of the array's pieces; asked for in order.
template <typename Piece>
Digest DigestByPieces(size_t bytes, Piece&& piece) {
  Hasher hasher;
  for (size_t done = 0; done < bytes; done += kDigestPiece)
    hasher.Add(std::string_view(piece(done, std::min(kDigestPiece, bytes - done))));
  return hasher.Finish();
}

inline Digest ArrayDigest(std::string_view array) {
  return DigestByPieces(array.size(), [&](size_t at, size_t size) { return array.substr(at, size); });
}

}  // namespace rbc
