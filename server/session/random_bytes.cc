// Randomness for secrets and ids.
// SPDX-License-Identifier: Apache-2.0
#include "server/session/random_bytes.h"

#include <sys/random.h>

namespace rbc::server {

void FillRandom(void* bytes, size_t size) {
  auto* at = static_cast<char*>(bytes);
  while (size != 0) {
    const ssize_t got = getrandom(at, size, 0);
    if (got <= 0) continue;  // interrupted
    at += got;
    size -= static_cast<size_t>(got);
  }
}

uint64_t RandomNumber() {
  uint64_t number;
  FillRandom(&number, sizeof number);
  return number;
}

bool EqualSecrets(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  volatile unsigned char difference = 0;
  for (size_t i = 0; i < a.size(); ++i) difference = difference | static_cast<unsigned char>(a[i] ^ b[i]);
  return difference == 0;
}

}  // namespace rbc::server
