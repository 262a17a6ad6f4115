// What a thread that runs client code knows about it: for runtime symbols and for the fault record.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstdlib>
#include <mutex>
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
  CallContext* shares_capture_of = nullptr;  // this thread helps that one with its call
  std::vector<void*> free_after_call;        // what rbc_free_after_call was given

  void FreeAfterCall() {
    for (void* memory : free_after_call) std::free(memory);
    free_after_call.clear();
  }
};

// Of this thread; null outside of threads that may run client code.
CallContext* CurrentContext();
void SetCurrentContext(CallContext* context);

// What the call that runs on this thread prints to; threads that help with one call take turns. False: no call runs.
class OutputOfCall {
 public:
  OutputOfCall() : context_(CurrentContext()) {
    if (context_ != nullptr && context_->shares_capture_of != nullptr) context_ = context_->shares_capture_of;
  }
  explicit operator bool() const { return context_ != nullptr; }
  Capture* operator->() const { return &context_->capture; }

 private:
  static std::mutex& Turn();
  const std::lock_guard<std::mutex> turn_{Turn()};
  CallContext* context_;
};

}  // namespace rbc::worker
