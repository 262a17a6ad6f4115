// A module in an execution worker: its code, its functions, what it wants done when it goes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/expected.h"
#include "targets/target.h"
#include "worker/capture.h"
#include "worker/control_messages.h"
#include "worker/function_table.h"

namespace rbc::worker {

struct CallContext;

// Made and destroyed by the control thread. AtExit may come from any lane.
class ModuleInstance {
 public:
  // Links the code and finds its entries; runs nothing yet.
  static Expected<std::unique_ptr<ModuleInstance>> Make(uint64_t id, LoadBlob blob, Device& device);

  uint64_t id() const { return id_; }
  const LoadedModule& code() const { return *code_; }
  LoadedModule& code() { return *code_; }
  const std::vector<LoadedFunction>& functions() const { return functions_; }
  // Held around each call of a serial module; null for others.
  std::mutex* serial() { return serial_.get(); }

  // On the calling thread, whose context names the module meanwhile. What they print is kept for the first call.
  Status RunConstructors(CallContext& context);
  // Any lane: adds what the constructors printed to `capture`, once.
  void ShowConstructorOutput(Capture& capture) {
    if (has_output_.load(std::memory_order_acquire)) TakeOutput(capture);
  }
  void RunDestructors(CallContext& context);
  // atexit and __cxa_atexit of the module's own code.
  void AtExit(void (*function)(void*), void* argument);

 private:
  ModuleInstance(uint64_t id, std::unique_ptr<LoadedModule> code) : id_(id), code_(std::move(code)) {}

  void TakeOutput(Capture& capture);

  struct Handler {
    void (*function)(void*);
    void* argument;
  };
  const uint64_t id_;
  const std::unique_ptr<LoadedModule> code_;
  std::vector<LoadedFunction> functions_;
  std::unique_ptr<std::mutex> serial_;
  Status RunProcedure(const std::string& symbol);

  std::string constructors_;
  std::string destructors_;
  std::atomic<bool> has_output_{false};
  std::string output_;  // of the constructors; belongs to whoever clears has_output_
  std::mutex handlers_mutex_;
  std::vector<Handler> handlers_;
};

}  // namespace rbc::worker
