// The session's buffers in the memory of this worker's device.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <string_view>

#include "base/expected.h"
#include "targets/target.h"
#include "worker/device_frame.h"

namespace rbc::worker {

// Bytes from the place that is meant; both ends of an array.
struct ByteRange {
  __int128 low = 0, high = 0;
};

// Thread-safe. Who may use a slot while, the daemon knows: it gives back none that a request names.
class DeviceBuffers {
 public:
  explicit DeviceBuffers(Device& device) : device_(device) {}
  // One request of device_frame.h. kInvalidArgument, kResourceExhausted, and errors with IsSticky().
  Status Run(std::string_view frame);
  // The address of a place whose range lies in its buffer. kInvalidArgument: it does not, or there is none.
  Expected<uint64_t> Find(uint64_t place, const ByteRange& range) const;
  Device& device() const { return device_; }

 private:
  struct Slot {
    uint64_t address = 0, bytes = 0;
  };
  Status Change(const DeviceHead& head, std::string_view frame);
  Status Copy(const DeviceHead& head, std::string_view frame) const;

  Device& device_;
  mutable std::mutex mutex_;
  std::map<uint32_t, Slot> slots_;
};

// Of this worker; null outside of execution workers. Set once, before the first call.
inline DeviceBuffers*& BuffersOnDevice() {
  static constinit DeviceBuffers* buffers = nullptr;
  return buffers;
}

}  // namespace rbc::worker
