// The target "host": this machine's own processor.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "targets/target.h"

namespace rbc::host {

void Initialize();
std::unique_ptr<Target> CreateHostTarget(const RuntimeSymbols& symbols);

// The run side: objects linked by JITLink into one slab of this process. `symbols` outlives it.
Expected<std::unique_ptr<Device>> OpenHostDevice(const RuntimeSymbols& symbols);

}  // namespace rbc::host
