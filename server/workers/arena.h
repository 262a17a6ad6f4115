// Which parts of a session's arena are in use.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <mutex>

#include "server/workers/process.h"

namespace rbc::server {

// Hands out page-aligned pieces of a shared memory, first fit. Thread-safe.
class Arena {
 public:
  explicit Arena(SharedMemory memory);

  // A piece that is given back on destruction; its pages wait for the next until Trim, but for very many.
  class Piece {
   public:
    Piece() = default;
    Piece(Arena* arena, uint64_t offset, uint64_t size) : arena_(arena), offset_(offset), size_(size) {}
    Piece(Piece&& other) noexcept { *this = std::move(other); }
    Piece& operator=(Piece&& other) noexcept {
      std::swap(arena_, other.arena_);
      std::swap(offset_, other.offset_);
      std::swap(size_, other.size_);
      return *this;
    }
    ~Piece() {
      if (arena_ != nullptr) arena_->Release(offset_, size_);
    }
    explicit operator bool() const { return arena_ != nullptr; }
    uint64_t offset() const { return offset_; }
    char* data() const { return arena_->memory_.data() + offset_; }

   private:
    Arena* arena_ = nullptr;
    uint64_t offset_ = 0;
    uint64_t size_ = 0;
  };

  // Empty where no free piece is that large.
  Piece Take(uint64_t size);
  uint64_t size() const { return memory_.size(); }
  // Returns to the system what large pieces have left; once in a while.
  void Trim();

 private:
  void Release(uint64_t offset, uint64_t size);
  void Free(uint64_t offset, uint64_t size);  // REQUIRES: mutex_ held
  void DiscardFree();                         // REQUIRES: mutex_ held
  SharedMemory memory_;
  std::mutex mutex_;
  std::map<uint64_t, uint64_t> free_;  // offset to size; neighbours are merged
  uint64_t kept_ = 0;                  // of large pieces, released since the last trim and not taken again, at least
};

}  // namespace rbc::server
