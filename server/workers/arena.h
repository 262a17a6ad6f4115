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

  // A piece that is given back on destruction; its pages are returned to the system if there are many.
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

 private:
  void Release(uint64_t offset, uint64_t size);
  SharedMemory memory_;
  std::mutex mutex_;
  std::map<uint64_t, uint64_t> free_;  // offset to size; neighbours are merged
};

}  // namespace rbc::server
