// IR as it was sent, compressed where that pays.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "base/expected.h"

namespace rbc::server {

class PackedText {
 public:
  PackedText() = default;
  static PackedText Pack(std::string_view text);
  // From storage; Unpack() checks it.
  static PackedText FromParts(std::string bytes, uint64_t size, bool compressed);

  // kInternal: the stored bytes are not what Pack made.
  Expected<std::string> Unpack() const;
  const std::string& bytes() const { return bytes_; }
  uint64_t size() const { return size_; }  // of the text
  bool compressed() const { return compressed_; }

 private:
  std::string bytes_;
  uint64_t size_ = 0;
  bool compressed_ = false;
};

}  // namespace rbc::server
