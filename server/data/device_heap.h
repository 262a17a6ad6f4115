// Memory of a device, for a session's buffers.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "base/expected.h"

namespace rbc::server {

// The memory of one worker of the session on its device. Thread-safe; its buffers keep it.
class DeviceHeap {
 public:
  virtual ~DeviceHeap() = default;
  virtual const std::string& target() const = 0;  // as the client names it: "cuda", "cuda:1"
  // A slot of the worker (worker/device_frame.h). Blocks. kResourceExhausted, kBufferLost, and what starts of workers
  // and calls give.
  virtual Expected<uint32_t> Take(uint64_t bytes) = 0;
  // Given back with the next request to the worker. Does not block.
  virtual void Release(uint32_t slot) = 0;
  // Why all that was there is lost; "": it is not.
  virtual std::string WhyLost() const = 0;
};

}  // namespace rbc::server
