// What GPUs there are.
// SPDX-License-Identifier: Apache-2.0
#include "cuda/probe.h"

#include <fmt/format.h>

#include "cuda/driver.h"

namespace rbc::cuda {
namespace {

constexpr int kMajor = 75, kMinor = 76;  // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*

std::string Spell(const CUuuid& uuid) {
  std::string out = "GPU-";
  for (int i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out += '-';
    out += fmt::format("{:02x}", static_cast<unsigned char>(uuid.bytes[i]));
  }
  return out;
}

// How much is free shows a context only. A GPU that gives none now is told with all of its memory taken.
uint64_t FreeMemory(const Driver& driver, CUdevice device) {
  CUcontext raw = nullptr;
  if (driver.cuCtxCreate(&raw, 0, device) != kSuccess) return 0;
  const Context context(&driver, raw);
  size_t free = 0, total = 0;
  return driver.cuMemGetInfo(&free, &total) == kSuccess ? free : 0;
}

}  // namespace

Expected<std::vector<GpuDescription>> Probe(const std::string& path) {
  RBC_ASSIGN_OR_RETURN(const auto driver, Driver::Open(path));
  int count = 0, version = 0;
  RBC_RETURN_IF_ERROR(driver->Check(driver->cuDriverGetVersion(&version), "cuDriverGetVersion"));
  RBC_RETURN_IF_ERROR(driver->Check(driver->cuDeviceGetCount(&count), "cuDeviceGetCount"));
  std::vector<GpuDescription> out;
  for (int i = 0; i < count; ++i) {
    GpuDescription gpu;
    CUdevice device = 0;
    char name[256] = {};
    CUuuid uuid{};
    size_t memory = 0;
    int major = 0, minor = 0;
    RBC_RETURN_IF_ERROR(driver->Check(driver->cuDeviceGet(&device, i), "cuDeviceGet"));
    RBC_RETURN_IF_ERROR(driver->Check(driver->cuDeviceGetName(name, sizeof name - 1, device), "cuDeviceGetName"));
    RBC_RETURN_IF_ERROR(driver->Check(driver->cuDeviceTotalMem(&memory, device), "cuDeviceTotalMem"));
    RBC_RETURN_IF_ERROR(driver->Check(driver->cuDeviceGetAttribute(&major, kMajor, device), "cuDeviceGetAttribute"));
    RBC_RETURN_IF_ERROR(driver->Check(driver->cuDeviceGetAttribute(&minor, kMinor, device), "cuDeviceGetAttribute"));
    if (driver->cuDeviceGetUuid(&uuid, device) == kSuccess) gpu.uuid = Spell(uuid);
    gpu.ordinal = i;
    gpu.name = name;
    gpu.sm = static_cast<uint32_t>(major * 10 + minor);
    gpu.memory = memory;
    gpu.free_memory = FreeMemory(*driver, device);
    gpu.driver = fmt::format("{}.{}", version / 1000, version % 1000 / 10);
    out.push_back(std::move(gpu));
  }
  return out;
}

}  // namespace rbc::cuda
