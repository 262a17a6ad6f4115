// The targets "cuda" and "cuda32": NVIDIA's GPUs, or their simulation.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "targets/target.h"

namespace rbc::cuda {

void Initialize();
// libdevice and nvJitLink, once: NVIDIA's files take longer to open than the rest of the nursery's start.
void OpenToolkit();
std::unique_ptr<Target> CreateCudaTarget(const RuntimeSymbols& symbols);
std::unique_ptr<Target> CreateCuda32Target(const RuntimeSymbols& symbols);

}  // namespace rbc::cuda
