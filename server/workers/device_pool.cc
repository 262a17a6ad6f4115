// Which GPU a session's worker gets.
// SPDX-License-Identifier: Apache-2.0
#include "server/workers/device_pool.h"

#include <fmt/format.h>

#include <algorithm>

namespace rbc::server {
namespace {

bool IsCalled(const worker::DeviceDescription& device, const std::string& name) {
  if (name == std::to_string(device.ordinal)) return true;
  if (device.uuid.empty()) return false;
  // The driver tells a MIG instance's UUID without saying that it is one.
  constexpr std::string_view kGpu = "GPU-", kMig = "MIG-";
  return name == device.uuid || (name.starts_with(kMig) && device.uuid.starts_with(kGpu) &&
                                 name.substr(kMig.size()) == device.uuid.substr(kGpu.size()));
}

}  // namespace

worker::DeviceDescription SimulatedGpu() {
  worker::DeviceDescription device;
  device.ordinal = kSimulatedDevice;
  device.name = "simulated GPU on the host's processor";
  return device;
}

rbc::Status DevicePool::Configure(const CudaOptions& options, std::vector<worker::DeviceDescription> found) {
  options_ = options;
  if (options.devices.empty() || options.simulate) {
    for (auto& device : found) devices_.push_back({std::move(device)});
    return {};
  }
  for (const std::string& name : options.devices) {
    const auto chosen = std::find_if(found.begin(), found.end(), [&](const auto& d) { return IsCalled(d, name); });
    if (chosen == found.end())
      return {ErrorKind::kInvalidArgument,
              fmt::format("targets.cuda.devices names \"{}\", which is none of the {} GPUs that the driver shows", name,
                          found.size())};
    devices_.push_back({*chosen});
  }
  return {};
}

// What the farm may still give away; 0 where nothing is known about the memory.
uint64_t DevicePool::Unclaimed(const Device& device) const {
  const auto& d = device.description;
  const auto ours =
      std::min(static_cast<uint64_t>(static_cast<double>(d.memory) * options_.memory_fraction), d.free_memory);
  const uint64_t claimed = device.contexts * options_.session_memory;
  return ours > claimed ? ours - claimed : 0;
}

Expected<DevicePool::Place> DevicePool::Take(int pin, For whom) {
  const std::lock_guard lock(mutex_);
  if (devices_.empty())
    return Error(ErrorKind::kUnavailable,
                 "this farm has no GPU; targets.cuda.simulate = true plays one on the host's processor");
  if (pin >= static_cast<int>(devices_.size()))
    return Error(ErrorKind::kUnavailable, fmt::format("this farm has {} GPUs and no number {}", devices_.size(), pin));
  Device* best = nullptr;
  for (size_t i = 0; i < devices_.size(); ++i) {
    Device& device = devices_[i];
    if (pin >= 0 && static_cast<int>(i) != pin) continue;
    if (device.contexts >= options_.max_contexts) continue;
    const bool measured = device.description.memory != 0;
    if (measured && device.contexts != 0 && Unclaimed(device) < options_.session_memory) continue;
    if (best == nullptr || Unclaimed(device) > Unclaimed(*best) ||
        (Unclaimed(device) == Unclaimed(*best) && device.contexts < best->contexts))
      best = &device;
  }
  if (best == nullptr) {
    Error busy(ErrorKind::kBusy,
               fmt::format("{} at most {} sessions at once and no memory for more; try again later",
                           pin >= 0 ? fmt::format("GPU {} serves", pin) : "the farm's GPUs serve each",
                           options_.max_contexts));
    busy.retry_after_ms = 1000;
    busy.retry_safe = true;
    return busy;
  }
  ++best->contexts;
  if (whom == For::kWarm) ++best->warm;
  return Place(this, static_cast<size_t>(best - devices_.data()), whom == For::kWarm);
}

void DevicePool::Release(size_t index, bool warm) {
  const std::lock_guard lock(mutex_);
  --devices_[index].contexts;
  if (warm) --devices_[index].warm;
}

void DevicePool::Use(size_t index) {
  const std::lock_guard lock(mutex_);
  --devices_[index].warm;
}

std::vector<DeviceStatus> DevicePool::Status() const {
  const std::lock_guard lock(mutex_);
  std::vector<DeviceStatus> out;
  for (const Device& device : devices_)
    out.push_back({device.description, device.contexts - device.warm, options_.max_contexts});
  return out;
}

std::vector<std::string> DevicePool::Names() const {
  std::vector<std::string> names;
  for (const Device& device : devices_) names.push_back(device.description.name);
  return names;
}

uint32_t DevicePool::LeastSm() const {
  uint32_t least = 0;
  for (const Device& device : devices_) {
    const uint32_t sm = device.description.sm;
    if (sm != 0 && (least == 0 || sm < least)) least = sm;
  }
  return least;
}

}  // namespace rbc::server
