// Shared memory whose pages may become huge ones: the kernel brings 512 pages together where it is asked to, and maps
// them as one where address and offset lie alike.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>

namespace rbc {

inline constexpr size_t kHugePage = size_t{2} << 20;  // of x86-64

// As mmap(), shared, readable and writable, at an address that is a multiple of kHugePage where there is room for it.
// MAP_FAILED with errno.
inline void* MapForHugePages(int fd, size_t size, int flags = 0) {
  void* hint = nullptr;
  // The address is only a wish: whoever maps something there in between keeps it.
  if (void* const room = mmap(nullptr, size + kHugePage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      room != MAP_FAILED) {
    const auto begin = reinterpret_cast<uintptr_t>(room);
    hint = reinterpret_cast<void*>((begin + kHugePage - 1) / kHugePage * kHugePage);
    munmap(room, size + kHugePage);
  }
  return mmap(hint, size, PROT_READ | PROT_WRITE, MAP_SHARED | flags, fd, 0);
}

}  // namespace rbc
