// What client code prints.
// SPDX-License-Identifier: Apache-2.0
#include "worker/capture.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace rbc::worker {
namespace {

constexpr uint32_t kNoteBytes = 64;  // kept free for the note, and for the NUL that vsnprintf writes

}  // namespace

size_t Capture::Room() const { return kept_ + kNoteBytes >= limit_ || cut_ != 0 ? 0 : limit_ - kNoteBytes - kept_; }

void Capture::Write(std::string_view text) {
  const size_t size = std::min(text.size(), Room());
  if (size != 0) std::memcpy(bytes_ + kept_, text.data(), size);
  kept_ += static_cast<uint32_t>(size);
  if (size == text.size() && cut_ == 0) {
    if (size != 0) size_->store(kept_, std::memory_order_release);
    return;
  }
  Cut(text.size() - size);
}

int Capture::Print(const char* format, va_list arguments) {
  const size_t room = Room();
  char none[1];
  const int size = vsnprintf(room == 0 ? none : bytes_ + kept_, room == 0 ? 0 : room + 1, format, arguments);
  if (size <= 0) return size;
  const auto kept = static_cast<uint32_t>(std::min<size_t>(static_cast<size_t>(size), room));
  kept_ += kept;
  if (kept == static_cast<uint32_t>(size))
    size_->store(kept_, std::memory_order_release);
  else
    Cut(static_cast<uint32_t>(size) - kept);
  return size;
}

void Capture::Cut(uint64_t bytes) {
  if (limit_ < kNoteBytes) return;
  cut_ += bytes;
  const int note = snprintf(bytes_ + kept_, kNoteBytes, "\n[%llu more bytes of output are cut off]\n",
                            static_cast<unsigned long long>(cut_));
  size_->store(kept_ + static_cast<uint32_t>(note), std::memory_order_release);
  kept_ = std::max<uint32_t>(kept_, 1);  // so that Reset() and text() see that there is something
}

}  // namespace rbc::worker
