// What a dead worker left behind, as an error for whoever was inside.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"
#include "worker/protocol.h"

namespace rbc::server {

// A checked copy of a fault record; nothing if the worker wrote none.
struct Fault {
  worker::FaultCause cause = worker::FaultCause::kNone;
  int signal = 0;
  int code = 0;
  uint32_t lane = worker::kNoLane;
  uint64_t address = 0;
  std::string function;
  std::string phase;
  std::string message;
};
std::optional<Fault> ReadFault(const worker::RingHeader& header);

// "stack overflow", "assertion failed", ...
std::string CauseText(const Fault& fault);

// kRemoteCrash for the call that faulted. `function` is the client's name of what it called.
Error CrashOf(const Fault& fault, const std::string& function);
// kCompileCrash for the job that was being compiled.
Error CompileCrashOf(const Fault& fault);

// Text of a fixed array that a hostile process wrote: ends at NUL or the array's end, control characters removed.
std::string HostileText(const char* text, size_t size);

}  // namespace rbc::server
