// A module in an execution worker.
// SPDX-License-Identifier: Apache-2.0
#include "worker/module_instance.h"

#include "worker/call_context.h"
#include "worker/floating_point.h"

namespace rbc::worker {
namespace {

Error Damaged(const std::string& what) {
  return Error(ErrorKind::kInternal, "the object of a module lacks its symbol '" + what + "'");
}

Expected<void (*)()> FindProcedure(const LoadedModule& code, const std::string& symbol) {
  if (symbol.empty()) return static_cast<void (*)()>(nullptr);
  void* address = code.Symbol(symbol);
  if (address == nullptr) return Damaged(symbol);
  return reinterpret_cast<void (*)()>(address);
}

// The context names the module while its constructors, destructors or exit handlers run.
class InModule {
 public:
  InModule(CallContext& context, ModuleInstance* module, const char* phase) : context_(context) {
    context.module = module;
    context.phase = phase;
    context.capture.Reset();
    ResetFloatingPoint();
  }
  ~InModule() {
    ResetFloatingPoint();
    context_.module = nullptr;
    context_.phase = nullptr;
  }

 private:
  CallContext& context_;
};

}  // namespace

Expected<std::unique_ptr<ModuleInstance>> ModuleInstance::Make(uint64_t id, LoadBlob blob, Device& device) {
  const auto& entries = blob.artifact.entries;
  if (blob.function_ids.size() != entries.size() || blob.names.size() != entries.size())
    return Error(ErrorKind::kInternal, "a module comes with another number of ids or names than it has entries");
  RBC_ASSIGN_OR_RETURN(auto code, device.Load(blob.artifact.code));
  std::unique_ptr<ModuleInstance> module(new ModuleInstance(id, std::move(code)));
  module->functions_.resize(entries.size());
  for (size_t i = 0; i < entries.size(); ++i) {
    auto& function = module->functions_[i];
    void* entry = module->code_->Symbol(entries[i].symbol);
    if (entry == nullptr) return Damaged(entries[i].symbol);
    function.id = blob.function_ids[i];
    function.entry = reinterpret_cast<int32_t (*)(void*, void*)>(entry);
    function.module = module.get();
    function.point = std::move(blob.artifact.entries[i]);
    function.name = std::move(blob.names[i]);
  }
  if (blob.serial) module->serial_ = std::make_unique<std::mutex>();
  RBC_ASSIGN_OR_RETURN(module->constructors_, FindProcedure(*module->code_, blob.artifact.constructors));
  RBC_ASSIGN_OR_RETURN(module->destructors_, FindProcedure(*module->code_, blob.artifact.destructors));
  return module;
}

void ModuleInstance::RunConstructors(CallContext& context) {
  if (constructors_ == nullptr) return;
  const InModule running(context, this, "constructors");
  constructors_();
  output_ = context.capture.text();
  has_output_.store(!output_.empty(), std::memory_order_release);
}

void ModuleInstance::TakeOutput(Capture& capture) {
  if (!has_output_.exchange(false, std::memory_order_acq_rel)) return;
  capture.Write(output_);
  std::string().swap(output_);
}

void ModuleInstance::RunDestructors(CallContext& context) {
  const InModule running(context, this, "destructors");
  for (;;) {
    Handler last;
    {
      const std::lock_guard lock(handlers_mutex_);
      if (handlers_.empty()) break;
      last = handlers_.back();
      handlers_.pop_back();
    }
    last.function(last.argument);
  }
  if (destructors_ != nullptr) destructors_();
}

void ModuleInstance::AtExit(void (*function)(void*), void* argument) {
  const std::lock_guard lock(handlers_mutex_);
  handlers_.push_back({function, argument});
}

}  // namespace rbc::worker
