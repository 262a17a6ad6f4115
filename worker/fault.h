// The fault record: why this process is about to end, for the daemon.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "worker/protocol.h"

namespace rbc::worker {

// Names the loaded function that holds an address, or "". Async-signal-safe.
using FunctionFinder = const char* (*)(const void* address);

// From here on deaths of this process are recorded in `ring`: signals (on the calling thread's alternate stack, see
// UseAlternateStack), std::terminate, exhausted memory, exit(). Once a process.
void RecordFaultsIn(RingHeader* ring);
void SetFunctionFinder(FunctionFinder finder);

// Gives the calling thread a stack for its signal handlers.
void UseAlternateStack();

// Writes the record (the first caller wins) and ends the process. `code_address` lies in the client's function.
// Async-signal-safe.
[[noreturn]] void EndWithFault(FaultCause cause, int signal, int code, const void* address, const void* code_address,
                               std::string_view message);

}  // namespace rbc::worker
