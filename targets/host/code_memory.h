// The memory that holds linked code and its data.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "base/expected.h"

namespace rbc::host {

inline constexpr size_t kPageSize = 4096;
inline constexpr size_t kSlabSize = size_t{512} << 20;

// One reserved range of addresses, so that code and data of every module reach each other by 32-bit distances. Pieces
// are whole pages: code grows from the bottom, data from the top, so that neighbours share mappings. A page is writable
// or executable, never both. Uses mmap once, then mprotect and madvise only. Thread-safe.
class CodeMemory {
 public:
  enum class Kind : uint8_t { kCode, kData };

  // kUnavailable: no such range of addresses.
  static Expected<std::unique_ptr<CodeMemory>> Reserve(size_t size = kSlabSize);
  ~CodeMemory();
  CodeMemory(const CodeMemory&) = delete;
  CodeMemory& operator=(const CodeMemory&) = delete;

  // Zeroed, writable pages of at least `size` bytes; nullptr: the slab is full or memory is short.
  std::byte* Allocate(Kind kind, size_t size);
  // Pages of Allocate() become readable and executable. False: the kernel refuses.
  bool MakeExecutable(std::byte* piece, size_t size);
  void Free(std::byte* piece, size_t size);

 private:
  CodeMemory(std::byte* base, size_t size);

  std::byte* const base_;
  const size_t size_;
  std::mutex mutex_;
  std::map<size_t, size_t> free_;  // offset to length of free ranges, merged; guarded by mutex_
};

}  // namespace rbc::host
