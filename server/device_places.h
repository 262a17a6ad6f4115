// Arrays of one request that lie on a device.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include <memory>
#include <optional>
#include <string>

#include "server/array_request.h"
#include "server/session/session.h"
#include "worker/device_frame.h"

namespace rbc::server {

// All on the device where the function runs.
class DevicePlaces {
 public:
  // Both outlive it.
  DevicePlaces(const std::string& target, const std::string& function) : target_(target), function_(function) {}

  // REQUIRES: the array lies on a device. kInvalidArgument: on another one.
  Expected<ArrayInArena> Find(ResolvedArray array) {
    const auto& device = array.buffer->device();
    if (device->target() != target_)
      return Error(ErrorKind::kInvalidArgument,
                   fmt::format("buffer {} lies on target \"{}\" and '{}' runs on \"{}\"; copy it there with to_target "
                               "(Python: rjit.to_device(x, target='{}'))",
                               array.buffer->Title(), device->target(), function_, target_, target_));
    device_ = device;
    const uint64_t place = worker::DevicePlace(array.buffer->slot(), array.offset);
    return ArrayInArena{place, std::move(array.buffer), true};
  }
  // Where those that were found lie; "": there are none.
  std::string target() const { return device_ == nullptr ? std::string() : target_; }
  // As long as the result lives they stay there. Nothing: the request names none. Errors of Session::BeginOnDevice.
  Expected<std::optional<DeviceStore::Use>> Begin(Session& session) const {
    if (device_ == nullptr) return std::optional<DeviceStore::Use>();
    RBC_ASSIGN_OR_RETURN(auto use, session.BeginOnDevice(*device_));
    return std::optional(std::move(use));
  }

 private:
  const std::string& target_;
  const std::string& function_;
  std::shared_ptr<DeviceHeap> device_;
};

}  // namespace rbc::server
