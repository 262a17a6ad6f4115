// Memory of large messages, which waits for the next one.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>

namespace rbc::client {

// Of one buffer. Fresh memory costs far more than a copy of the message: it is kept until some small ones have come.
class LargeMemory {
 public:
  // Before each message. `last`: bytes of the one before.
  void Trim(size_t last, std::string* buffer) {
    small_ = last > kLarge ? 0 : small_ + 1;
    if (!IsLarge(*buffer)) return;
    if (buffer->capacity() > kMostKept || small_ >= kSmallOnes) std::string().swap(*buffer);
  }

  // Whether there is something to wait with.
  static bool IsLarge(const std::string& buffer) { return buffer.capacity() > kLarge; }

 private:
  static constexpr size_t kLarge = size_t{1} << 18;
  static constexpr size_t kMostKept = size_t{16} << 20;
  static constexpr int kSmallOnes = 8;
  int small_ = 0;
};

}  // namespace rbc::client
