// The first element that failed of many that several threads work on.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <mutex>

namespace rbc::worker {

// Thread-safe.
class FirstFailure {
 public:
  void Note(uint64_t element, int32_t status) {
    const std::lock_guard lock(mutex_);
    if (status_ != 0 && element >= element_) return;
    element_ = element;
    status_ = status;
  }
  // REQUIRES: all have ended.
  int32_t status() const { return status_; }
  uint64_t element() const { return element_; }

 private:
  std::mutex mutex_;
  uint64_t element_ = 0;
  int32_t status_ = 0;
};

}  // namespace rbc::worker
