// Bytes of a message that arrives in pieces.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>
#include <utility>

namespace rbc::server {

// A growable buffer that never fills what it allocates and gives all of it back on Free(). Not thread-safe.
class ByteBuffer {
 public:
  ByteBuffer() = default;
  ByteBuffer(const ByteBuffer&) = delete;
  ByteBuffer& operator=(const ByteBuffer&) = delete;
  ~ByteBuffer() { std::free(data_); }

  std::string_view view() const { return {data_ + begin_, end_ - begin_}; }
  bool empty() const { return begin_ == end_; }
  size_t capacity() const { return capacity_; }
  size_t room() const { return capacity_ - end_; }
  char* tail() { return data_ + end_; }
  void Added(size_t bytes) { end_ += bytes; }
  void Consume(size_t bytes) {
    begin_ += bytes;
    if (begin_ == end_) begin_ = end_ = 0;
  }
  // Makes room for `bytes` behind the tail. Throws std::bad_alloc.
  void Reserve(size_t bytes) {
    if (room() >= bytes) return;
    if (begin_ != 0) {
      std::memmove(data_, data_ + begin_, end_ - begin_);
      end_ -= std::exchange(begin_, 0);
      if (room() >= bytes) return;
    }
    void* grown = std::realloc(data_, end_ + bytes);
    if (grown == nullptr) throw std::bad_alloc();
    data_ = static_cast<char*>(grown);
    capacity_ = end_ + bytes;
  }
  void Append(std::string_view bytes) {
    if (bytes.empty()) return;
    Reserve(bytes.size());
    std::memcpy(tail(), bytes.data(), bytes.size());
    end_ += bytes.size();
  }
  void Free() {
    std::free(std::exchange(data_, nullptr));
    begin_ = end_ = capacity_ = 0;
  }

 private:
  char* data_ = nullptr;
  size_t begin_ = 0, end_ = 0, capacity_ = 0;
};

}  // namespace rbc::server
