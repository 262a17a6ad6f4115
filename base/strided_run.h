// A row of elements that lie any number of bytes apart, copied.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace rbc {

template <size_t kSize>
void CopyElements(char* to, int64_t to_step, const char* from, int64_t from_step, uint64_t count) {
  for (uint64_t i = 0; i < count; ++i, to += to_step, from += from_step) std::memcpy(to, from, kSize);
}

// `count` elements of `size` bytes, each so many bytes behind the one before. A size that the compiler knows is one
// load and one store.
inline void CopyRun(void* out, int64_t to_step, const void* in, int64_t from_step, uint64_t count, uint32_t size) {
  char* to = static_cast<char*>(out);
  const char* from = static_cast<const char*>(in);
  if (from_step == size && to_step == size) {
    std::memcpy(to, from, count * size);
    return;
  }
  switch (size) {
    case 1:
      return CopyElements<1>(to, to_step, from, from_step, count);
    case 2:
      return CopyElements<2>(to, to_step, from, from_step, count);
    case 4:
      return CopyElements<4>(to, to_step, from, from_step, count);
    case 8:
      return CopyElements<8>(to, to_step, from, from_step, count);
    case 16:
      return CopyElements<16>(to, to_step, from, from_step, count);
    default:
      for (uint64_t i = 0; i < count; ++i, to += to_step, from += from_step) std::memcpy(to, from, size);
  }
}

}  // namespace rbc
