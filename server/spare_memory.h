// Memory of this process that large messages leave free: kept while they come, then given back.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

namespace rbc::server {

class SpareMemory {
 public:
  // At the start of the process: what large messages need comes from the heap, and stays there when it is freed. Memory
  // fresh from the system costs far more than all copies of a message.
  static void Tune();
  // About once a second: gives free memory back where no large message has come since the last time.
  void Trim(uint64_t large_messages);

 private:
  uint64_t seen_ = 0;
  size_t left_ = 0;  // free after it was given back: smaller than pages, or given back already
};

}  // namespace rbc::server
