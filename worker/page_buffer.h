// Memory of a lane for frames and replies: kept between calls, most of it only as long as calls follow one another.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

namespace rbc::worker {

// Aligned to a page. Move-only by being neither. One thread at a time.
class PageBuffer {
 public:
  PageBuffer() = default;
  PageBuffer(const PageBuffer&) = delete;
  PageBuffer& operator=(const PageBuffer&) = delete;
  ~PageBuffer() { Release(); }

  // At least `size` bytes; what they hold is not defined. Throws bad_alloc, which the new-handler precedes.
  uint8_t* Get(size_t size) {
    if (size > size_) {
      Release();
      const size_t wanted = size < kLeast ? kLeast : (size + kRound - 1) / kRound * kRound;
      void* memory = mmap(nullptr, wanted, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (memory == MAP_FAILED) {
        if (auto handler = std::get_new_handler()) handler();
        throw std::bad_alloc();
      }
      memory_ = static_cast<uint8_t*>(memory);
      size_ = wanted;
    }
    return memory_;
  }
  // Called after each use.
  void Trim() {
    if (size_ > kKeptInUse) Release();
  }
  // Called where none comes for a while.
  void GiveBack() {
    if (holds_much()) Release();
  }
  bool holds_much() const { return size_ > kKept; }

 private:
  static constexpr size_t kLeast = 8 * 1024;
  static constexpr size_t kRound = 64 * 1024;
  static constexpr size_t kKept = 1024 * 1024;
  static constexpr size_t kKeptInUse = 32 * 1024 * 1024;
  void Release() {
    if (memory_ != nullptr) munmap(memory_, size_);
    memory_ = nullptr;
    size_ = 0;
  }
  uint8_t* memory_ = nullptr;
  size_t size_ = 0;
};

}  // namespace rbc::worker
