// What NVIDIA's driver asks of the system after lock-down, and its worker's filter refuses.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace rbc::worker {

// For SetForbiddenCallHandler. The first says what was asked for, with the path where one is named; the process ends.
// The second tells it to stderr, each request once, and does it, but for new processes: for a first look at a driver,
// with WatchedGpuFilter. Only where no client code runs on the host: paths are read as they are given.
bool NameDriverCall(int number, void* machine_state, char* text, size_t size);
bool DoDriverCall(int number, void* machine_state, char* text, size_t size);

// The address behind the one system call that DoDriverCall makes.
const void* BehindDriverCall();

// Tells to stderr which threads of this process would be ended by the kernel, without a word, at a call that is
// refused, because they block SIGSYS.
void TellThreadsWithoutSignals();

}  // namespace rbc::worker
