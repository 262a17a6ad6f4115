// What a thread that runs client code knows about it: for runtime symbols and for the fault record.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstdlib>
#include <vector>

#include "worker/capture.h"
#include "worker/protocol.h"

namespace rbc::worker {

struct LoadedFunction;
class ModuleInstance;

// Owned by its thread; the fault handler of that thread reads it.
struct CallContext {
  uint32_t lane = kNoLane;
  Capture capture;
  const char* phase = nullptr;               // literal: "call", "constructors", "destructors"; null: no client code
  const LoadedFunction* function = nullptr;  // of the running call
  ModuleInstance* module = nullptr;          // whose code runs
  uintptr_t stack_low = 0;                   // lowest usable address of the thread's stack, 0: not known
  uintptr_t stack_high = 0;
  std::vector<void*> free_after_call;  // what rbc_free_after_call was given

  void FreeAfterCall() {
    for (void* memory : free_after_call) std::free(memory);
    free_after_call.clear();
  }
};

// Of this thread; null outside of threads that may run client code.
CallContext* CurrentContext();
void SetCurrentContext(CallContext* context);

}  // namespace rbc::worker
