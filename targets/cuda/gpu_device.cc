// A GPU, by the CUDA Driver API.
// SPDX-License-Identifier: Apache-2.0
#include "targets/cuda/gpu_device.h"

#include <fmt/format.h>

namespace rbc::cuda {

Expected<std::unique_ptr<Device>> OpenGpu(int ordinal) {
  return {ErrorKind::kUnavailable, fmt::format("this machine has no GPU {} that can be used", ordinal)};
}

}  // namespace rbc::cuda
