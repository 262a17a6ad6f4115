// What GPUs there are.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/expected.h"

namespace rbc::cuda {

struct GpuDescription {
  int ordinal = 0;
  std::string name;
  std::string uuid;  // "GPU-8f5c1a2b-..."
  uint32_t sm = 0;   // 90
  uint64_t memory = 0;
  uint64_t free_memory = 0;
  std::string driver;  // the CUDA version that the driver speaks, "12.8"
};

// Opens the driver at `path` (empty: the system's) and a context on each GPU for a moment. kUnavailable.
Expected<std::vector<GpuDescription>> Probe(const std::string& path);

}  // namespace rbc::cuda
