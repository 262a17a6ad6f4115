// BLAKE3 digests: what names modules and keys artifacts.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace rbc {

using Digest = std::array<uint8_t, 32>;

// BLAKE3 over length-prefixed fields: Add("ab").Add("c") differs from Add("a").Add("bc"). Not thread-safe.
class Hasher {
 public:
  Hasher();
  Hasher& Add(std::string_view field);
  Hasher& Add(uint64_t number);
  Digest Finish() const;

 private:
  alignas(8) std::array<std::byte, 1912> state_;  // an llvm_blake3_hasher; size asserted in hash.cc
};

std::string Hex(const Digest& digest);
inline std::string_view Bytes(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

struct DigestHash {
  size_t operator()(const Digest& digest) const {
    size_t word;
    __builtin_memcpy(&word, digest.data(), sizeof word);
    return word;
  }
};

}  // namespace rbc
