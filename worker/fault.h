// The fault record: why this process is about to end, for the daemon.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "worker/protocol.h"

namespace rbc::worker {

// Names the loaded function that holds an address, or "". Async-signal-safe.
using FunctionFinder = const char* (*)(const void* address);

// From here on deaths of this process are recorded in `ring`: signals (on the calling thread's alternate stack, see
// UseAlternateStack), std::terminate, exhausted memory, exit(). Once a process.
void RecordFaultsIn(RingHeader* ring);
void SetFunctionFinder(FunctionFinder finder);
// Says which of many like it runs on this thread ("block (1,0,0), thread (3,0,0)"); its length, 0: nothing to say.
using FaultDescriber = size_t (*)(char* text, size_t size);
void SetFaultDescriber(FaultDescriber describer);
// In the handler of SIGSYS. True: the call is done, the thread goes on behind it. Else it has written what was asked to
// `text`, NUL-terminated, and the process ends. Async-signal-safe.
using ForbiddenCallHandler = bool (*)(int number, void* machine_state, char* text, size_t size);
void SetForbiddenCallHandler(ForbiddenCallHandler handler);

// Gives the calling thread a stack for its signal handlers.
void UseAlternateStack();

// Writes the record (the first caller wins) and ends the process. `code_address` lies in the client's function.
// Async-signal-safe.
[[noreturn]] void EndWithFault(FaultCause cause, int signal, int code, const void* address, const void* code_address,
                               std::string_view message);

// The same for a device of this process that can run nothing any more. `error` has a cause.
[[noreturn]] void EndByDevice(const Error& error);

}  // namespace rbc::worker
