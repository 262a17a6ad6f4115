// A GPU, by the CUDA Driver API.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "targets/target.h"

namespace rbc::cuda {

// One context on GPU `ordinal`. kUnavailable: no driver, or no such GPU.
Expected<std::unique_ptr<Device>> OpenGpu(int ordinal);

}  // namespace rbc::cuda
