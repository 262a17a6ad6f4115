// Landlock: a process that gives up the file system.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace rbc::worker {

// Version of the kernel's Landlock; 0: it has none.
uint32_t LandlockAbi();

// From here on this thread and those it starts can open nothing (sanitizer builds: read only), connect to no TCP port
// and signal no process outside. Returns the ABI if that is so, 0 if it is not: asked by trying. REQUIRES: no new
// privileges.
uint32_t ForbidFileSystem();

}  // namespace rbc::worker
