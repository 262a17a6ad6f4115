// The session's buffers in the memory of this worker's device.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
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

// Where an array lies. Its memory is not given back while `hold` lives.
struct FoundOnDevice {
  uint64_t address = 0;
  std::shared_ptr<const void> hold;
};

// Thread-safe. A slot may be given back while a call uses it: clients repeat calls without asking the daemon.
class DeviceBuffers {
 public:
  explicit DeviceBuffers(Device& device) : device_(device) {}
  // One request of device_frame.h. kInvalidArgument, kResourceExhausted, and errors with IsSticky().
  Status Run(std::string_view frame);
  // A place whose range lies in its buffer. kInvalidArgument: it does not, or there is none.
  Expected<FoundOnDevice> Find(uint64_t place, const ByteRange& range) const;
  Device& device() const { return device_; }

 private:
  struct Slot {
    Slot(Device& of, uint64_t where, uint64_t size) : device(of), address(where), bytes(size) {}
    ~Slot() { device.Free(address); }
    Slot(const Slot&) = delete;
    Device& device;
    const uint64_t address, bytes;
  };
  Status Change(const DeviceHead& head, std::string_view frame);
  Status Copy(const DeviceHead& head, std::string_view frame) const;

  Device& device_;
  mutable std::mutex mutex_;
  std::map<uint32_t, std::shared_ptr<const Slot>> slots_;
};

// Of this worker; null outside of execution workers. Set once, before the first call.
inline DeviceBuffers*& BuffersOnDevice() {
  static constinit DeviceBuffers* buffers = nullptr;
  return buffers;
}

}  // namespace rbc::worker
