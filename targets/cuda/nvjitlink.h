// PTX to code of one SM, by NVIDIA's nvJitLink library where the machine has it. Opened at run time.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "base/expected.h"

namespace rbc::cuda {

// Opens the library, in the nursery: workers can open nothing. In order: the environment's RBC_NVJITLINK ("off":
// none), the loader's path, CUDA_HOME, /usr/local/cuda, the newest /usr/local/cuda-*, the packages of Python.
void LoadNvJitLink();
// Of the library in use; "" if there is none.
const std::string& NvJitLinkPath();

// kUnavailable: no library. kCompileFailed: the PTX is refused, with the library's words. One thread at a time: the
// library does one at a time anyway.
Expected<std::string> LinkCubin(const std::string& ptx, uint32_t sm, bool optimize);

}  // namespace rbc::cuda
