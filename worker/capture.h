// What client code prints: a bounded piece of shared memory that the daemon can read also after a crash.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdarg>
#include <cstdint>
#include <string_view>

namespace rbc::worker {

// One thread at a time. What does not fit is counted, and a note at the end tells how much it was.
class Capture {
 public:
  Capture() = default;
  // `size` is where readers in other processes find how many bytes count; `limit` bytes lie at `bytes`.
  Capture(char* bytes, std::atomic<uint32_t>* size, uint32_t limit) : bytes_(bytes), size_(size), limit_(limit) {}

  void Reset() {
    if (kept_ == 0) return;
    kept_ = 0;
    cut_ = 0;
    size_->store(0, std::memory_order_relaxed);
  }
  void Write(std::string_view text);
  // Returns what printf returns: the bytes that the text has, kept or not; negative on a bad format.
  int Print(const char* format, va_list arguments);
  // All that was kept, with the note.
  std::string_view text() const { return {bytes_, kept_ == 0 ? 0 : size_->load(std::memory_order_relaxed)}; }

 private:
  size_t Room() const;
  void Cut(uint64_t bytes);

  char* bytes_ = nullptr;
  std::atomic<uint32_t>* size_ = nullptr;
  uint32_t limit_ = 0;
  uint32_t kept_ = 0;  // bytes of text, without the note
  uint64_t cut_ = 0;
};

}  // namespace rbc::worker
