// A GPU as a worker that looked at it describes it to the daemon.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/expected.h"
#include "base/serial.h"

namespace rbc::worker {

struct DeviceDescription {
  int32_t ordinal = 0;  // of the driver; kSimulatedDevice
  std::string name;     // "NVIDIA H200"
  std::string uuid;     // "GPU-8f5c..."; empty: not known
  uint32_t sm = 0;      // 90
  uint64_t memory = 0;  // bytes
  uint64_t free_memory = 0;
  std::string driver;  // the driver's CUDA version, "12.8"
};

inline std::string Serialize(const std::vector<DeviceDescription>& devices) {
  Writer writer;
  writer.Put(static_cast<uint32_t>(devices.size()));
  for (const auto& d : devices) {
    writer.Put(d.ordinal);
    for (const auto* text : {&d.name, &d.uuid, &d.driver}) writer.PutBytes(*text);
    writer.Put(d.sm);
    writer.Put(d.memory);
    writer.Put(d.free_memory);
  }
  return writer.Take();
}

inline Expected<std::vector<DeviceDescription>> ParseDevices(std::string_view bytes) {
  Reader reader(bytes);
  std::vector<DeviceDescription> devices(reader.GetCount(36));
  for (auto& d : devices) {
    d.ordinal = reader.Get<int32_t>();
    for (auto* text : {&d.name, &d.uuid, &d.driver}) *text = reader.GetString();
    d.sm = reader.Get<uint32_t>();
    d.memory = reader.Get<uint64_t>();
    d.free_memory = reader.Get<uint64_t>();
  }
  if (!reader.AtEnd()) return Error(ErrorKind::kInternal, "a list of devices is malformed");
  return devices;
}

}  // namespace rbc::worker
