// Memory that the daemon shares with a worker or a client.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <utility>

#include "base/expected.h"
#include "base/unique_fd.h"

namespace rbc::server {

// A sealed memfd, mapped here: nobody can shrink it under the daemon. Move-only.
class SharedMemory {
 public:
  static Expected<SharedMemory> Create(const char* name, size_t size);
  SharedMemory() = default;
  SharedMemory(SharedMemory&& other) noexcept
      : fd_(std::move(other.fd_)), data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  SharedMemory& operator=(SharedMemory&& other) noexcept;
  ~SharedMemory();

  int fd() const { return fd_.get(); }
  char* data() const { return static_cast<char*>(data_); }
  size_t size() const { return size_; }
  // Gives the pages of a range back to the system; it reads as zero afterwards.
  void Discard(size_t offset, size_t size);

 private:
  UniqueFd fd_;
  void* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace rbc::server
