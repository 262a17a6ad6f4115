// Which GPU a session's worker gets.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/expected.h"
#include "server/workers/supervisor.h"
#include "worker/device_description.h"

namespace rbc::server {

// Thread-safe after Configure.
class DevicePool {
 public:
  // A place on a device, given back with its owner.
  class Place {
   public:
    Place() = default;
    Place(DevicePool* pool, size_t index, bool warm) : pool_(pool), index_(index), warm_(warm) {}
    Place(Place&& other) noexcept { *this = std::move(other); }
    Place& operator=(Place&& other) noexcept {
      std::swap(pool_, other.pool_);
      std::swap(index_, other.index_);
      std::swap(warm_, other.warm_);
      return *this;
    }
    ~Place() {
      if (pool_ != nullptr) pool_->Release(index_, warm_);
    }
    size_t index() const { return index_; }
    int number() const { return pool_ == nullptr ? -1 : static_cast<int>(index_); }
    // A session has it now.
    void Use() {
      if (pool_ != nullptr) pool_->Use(index_);
      warm_ = false;
    }
    int ordinal() const { return pool_ == nullptr ? 0 : pool_->Ordinal(index_); }

   private:
    DevicePool* pool_ = nullptr;
    size_t index_ = 0;
    bool warm_ = false;  // its worker waits for a session
  };

  // `found` is all that the driver shows; the options choose. kInvalidArgument: a chosen device is not there.
  rbc::Status Configure(const CudaOptions& options, std::vector<worker::DeviceDescription> found);

  // A place on the device with the most memory that nobody has claimed, or on number `pin`. kUnavailable: there is
  // none; kBusy: all have max_contexts workers, or too little memory for one more.
  enum class For : uint8_t { kSession, kWarm };
  Expected<Place> Take(int pin, For whom = For::kSession);
  // A worker on it has ended or looked: memory that is free now.
  std::vector<DeviceStatus> Status() const;
  std::vector<std::string> Names() const;
  uint32_t LeastSm() const;  // 0: no device

 private:
  struct Device {
    worker::DeviceDescription description;
    uint32_t contexts = 0;
    uint32_t warm = 0;  // of these, no session's
  };
  uint64_t Unclaimed(const Device& device) const;
  void Release(size_t index, bool warm);
  void Use(size_t index);
  int Ordinal(size_t index) const { return devices_[index].description.ordinal; }

  CudaOptions options_;
  mutable std::mutex mutex_;
  std::vector<Device> devices_;
};

// The device that the host's processor plays.
worker::DeviceDescription SimulatedGpu();

}  // namespace rbc::server
