// A device for cuda modules that the host's processor plays.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "targets/target.h"

namespace rbc::cuda {

// Links simulated objects into this process and runs their kernels by the simulator's engine. `symbols` outlives it.
Expected<std::unique_ptr<Device>> OpenSimulatedDevice(const RuntimeSymbols& symbols);

}  // namespace rbc::cuda
