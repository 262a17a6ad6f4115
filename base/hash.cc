// BLAKE3 through LLVM's C interface, the one piece of LLVM that daemon and client link.
// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"

#include <llvm-c/blake3.h>

#include <new>

namespace rbc {
namespace {

llvm_blake3_hasher* State(std::array<std::byte, 1912>& bytes) {
  return std::launder(reinterpret_cast<llvm_blake3_hasher*>(bytes.data()));
}

}  // namespace

Hasher::Hasher() {
  static_assert(sizeof(llvm_blake3_hasher) <= sizeof state_ && alignof(llvm_blake3_hasher) <= 8);
  llvm_blake3_hasher_init(new (state_.data()) llvm_blake3_hasher);
}

Hasher& Hasher::Add(std::string_view field) {
  const uint64_t size = field.size();
  llvm_blake3_hasher_update(State(state_), &size, sizeof size);
  llvm_blake3_hasher_update(State(state_), field.data(), field.size());
  return *this;
}

Hasher& Hasher::Add(uint64_t number) {
  return Add(std::string_view(reinterpret_cast<const char*>(&number), sizeof number));
}

Digest Hasher::Finish() const {
  Digest digest;
  llvm_blake3_hasher_finalize(std::launder(reinterpret_cast<const llvm_blake3_hasher*>(state_.data())), digest.data(),
                              digest.size());
  return digest;
}

std::string Hex(const Digest& digest) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(2 * digest.size());
  for (const uint8_t byte : digest) {
    out.push_back(kDigits[byte >> 4]);
    out.push_back(kDigits[byte & 15]);
  }
  return out;
}

}  // namespace rbc
