// The session's buffers in the memory of this worker's device.
// SPDX-License-Identifier: Apache-2.0
#include "worker/device_buffers.h"

#include <cstring>
#include <string>
#include <utility>

#include "worker/data_arena.h"
#include "worker/device_copy.h"
#include "worker/launch_frame.h"

namespace rbc::worker {
namespace {

constexpr uint32_t kLargestElement = 1 << 20;
constexpr uint64_t kMostElements = uint64_t{1} << 48;

Error Invalid(const std::string& text) {
  Error error(ErrorKind::kInvalidArgument, text);
  error.role = "execution worker";
  return error;
}

template <typename T>
T WordAt(std::string_view frame, size_t index) {
  T value;
  std::memcpy(&value, frame.data() + index * sizeof value, sizeof value);
  return value;
}

}  // namespace

Status DeviceBuffers::Run(std::string_view frame) {
  DeviceHead head;
  if (frame.size() < sizeof head) return Invalid("a request about the device's memory ends within its head");
  std::memcpy(&head, frame.data(), sizeof head);
  frame.remove_prefix(sizeof head);
  if (head.magic != kDeviceMagic) return Invalid("a request about the device's memory has no head");
  switch (head.request) {
    case DeviceRequest::kChange:
      return Change(head, frame);
    case DeviceRequest::kCopy:
      return Copy(head, frame);
  }
  return Invalid("a request about the device's memory asks for something unknown");
}

Status DeviceBuffers::Change(const DeviceHead& head, std::string_view frame) {
  if (frame.size() / sizeof(DeviceStep) < head.count) return Invalid("a request ends within its steps");
  for (uint32_t i = 0; i < head.count; ++i) {
    const auto step = WordAt<DeviceStep>(frame, i);
    if (step.slot >= kMaxDeviceSlots || step.bytes > kMaxDeviceBytes)
      return Invalid("a request names a slot or a size that no buffer has");
    std::shared_ptr<const Slot> gone;  // freed without the lock
    const std::lock_guard lock(mutex_);
    const auto found = slots_.find(step.slot);
    if (step.frees != 0) {
      if (found == slots_.end()) continue;
      gone = std::move(found->second);
      slots_.erase(found);
      continue;
    }
    if (found != slots_.end()) return Invalid("slot " + std::to_string(step.slot) + " of the device is taken");
    RBC_ASSIGN_OR_RETURN(const uint64_t address, device_.Allocate(step.bytes));
    slots_[step.slot] = std::make_shared<const Slot>(device_, address, step.bytes);
  }
  return {};
}

Expected<FoundOnDevice> DeviceBuffers::Find(uint64_t place, const ByteRange& range) const {
  const std::lock_guard lock(mutex_);
  const auto found = slots_.find(SlotOfPlace(place));
  if (found == slots_.end()) return Invalid("names a buffer that the device has not");
  const auto offset = static_cast<__int128>(OffsetOfPlace(place));
  const Slot& slot = *found->second;
  if (range.low + offset < 0 || range.high + offset > static_cast<__int128>(slot.bytes))
    return Invalid("reaches beyond its buffer of " + std::to_string(slot.bytes) + " bytes on the device");
  return FoundOnDevice{slot.address + static_cast<uint64_t>(offset), found->second};
}

Status DeviceBuffers::Copy(const DeviceHead& head, std::string_view frame) const {
  const size_t dimensions = head.count;
  if (dimensions > kMaxArrayDimensions || head.size == 0 || head.size > kLargestElement ||
      frame.size() / sizeof(int64_t) < 3 * dimensions + 2)
    return Invalid("a copy has a head that does not fit what follows");
  std::vector<int64_t> shape(dimensions);
  uint64_t elements = 1;
  for (size_t i = 0; i < dimensions; ++i) {
    shape[i] = WordAt<int64_t>(frame, i);
    if (shape[i] < 1 || static_cast<uint64_t>(shape[i]) > kMostElements / elements)
      return Invalid("a copy has an impossible shape");
    elements *= static_cast<uint64_t>(shape[i]);
  }
  CopiedArray arrays[2];
  std::shared_ptr<const void> holds[2];
  size_t at = dimensions;
  for (size_t a = 0; a < std::size(arrays); ++a) {
    CopiedArray& array = arrays[a];
    const auto place = WordAt<uint64_t>(frame, at++);
    ByteRange range{0, head.size};
    for (size_t i = 0; i < dimensions; ++i) {
      array.strides.push_back(WordAt<int64_t>(frame, at++));
      const __int128 reach = static_cast<__int128>(shape[i] - 1) * array.strides[i];
      (reach < 0 ? range.low : range.high) += reach;
    }
    if ((place & kInDataArena) == 0) {
      RBC_ASSIGN_OR_RETURN(auto found, Find(place, range));
      array.address = found.address;
      holds[a] = std::move(found.hold);
      continue;
    }
    const auto offset = static_cast<__int128>(place & ~kInDataArena);
    if (range.low + offset < 0 || range.high + offset > static_cast<__int128>(DataArena().size()))
      return Invalid("a copy reaches beyond the session's data arena");
    array.data = DataArena().data() + static_cast<uint64_t>(offset);
  }
  if (arrays[0].data != nullptr && arrays[1].data != nullptr) return Invalid("a copy touches no memory of the device");
  return CopyArray(device_, shape, head.size, arrays[0], arrays[1]);
}

}  // namespace rbc::worker
