// Bytes of a message in the making.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace rbc {

// Behind a large array come a few small fields, which are not worth another copy of it.
inline void AppendToMessage(std::string_view bytes, std::string* message) {
  constexpr size_t kSmallFields = 512;
  if (message->capacity() - message->size() < bytes.size())
    message->reserve(message->size() + bytes.size() + kSmallFields);
  message->append(bytes);
}

}  // namespace rbc
