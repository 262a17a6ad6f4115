// The session's arrays in this process: memory that the farm shares with clients on its machine.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

#include "base/expected.h"
#include "base/unique_fd.h"

namespace rbc::client {

// Mapped until the last array in it is gone, also when the session has ended by then.
class ArenaMap {
 public:
  static Expected<std::shared_ptr<const ArenaMap>> Map(UniqueFd fd, uint64_t size);
  ~ArenaMap();
  ArenaMap(const ArenaMap&) = delete;
  ArenaMap& operator=(const ArenaMap&) = delete;

  // Null: these bytes are not all inside.
  char* At(uint64_t offset, uint64_t bytes) const {
    return offset <= size_ && bytes <= size_ - offset ? memory_ + offset : nullptr;
  }

 private:
  ArenaMap(char* memory, uint64_t size) : memory_(memory), size_(size) {}
  char* const memory_;
  const uint64_t size_;
};

}  // namespace rbc::client
