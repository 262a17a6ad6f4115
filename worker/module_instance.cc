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
  RBC_ASSIGN_OR_RETURN(auto code, device.Load(blob.artifact));
  std::unique_ptr<ModuleInstance> module(new ModuleInstance(id, std::move(code)));
  module->functions_.resize(entries.size());
  for (size_t i = 0; i < entries.size(); ++i) {
    auto& function = module->functions_[i];
    void* entry = module->code_->Symbol(entries[i].symbol);
    if (entry == nullptr) return Damaged(entries[i].symbol);
    function.id = blob.function_ids[i];
    function.index = static_cast<uint32_t>(i);
    if (module->code_->is_direct()) function.entry = reinterpret_cast<int32_t (*)(void*, void*)>(entry);
    function.module = module.get();
    function.point = std::move(blob.artifact.entries[i]);
    function.name = std::move(blob.names[i]);
  }
  if (blob.serial) module->serial_ = std::make_unique<std::mutex>();
  for (auto* symbol : {&blob.artifact.constructors, &blob.artifact.destructors}) {
    if (!symbol->empty() && module->code_->Symbol(*symbol) == nullptr) return Damaged(*symbol);
  }
  module->constructors_ = std::move(blob.artifact.constructors);
  module->destructors_ = std::move(blob.artifact.destructors);
  return module;
}

Status ModuleInstance::RunProcedure(const std::string& symbol) {
  if (symbol.empty()) return {};
  if (!code_->is_direct()) return code_->RunPlain(symbol);
  reinterpret_cast<void (*)()>(code_->Symbol(symbol))();
  return {};
}

Status ModuleInstance::RunConstructors(CallContext& context) {
  if (constructors_.empty()) return {};
  const InModule running(context, this, "constructors");
  auto status = RunProcedure(constructors_);
  output_ = context.capture.text();
  has_output_.store(!output_.empty(), std::memory_order_release);
  return status;
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
  // A device that fails here fails at its next use too, where somebody is told.
  (void)RunProcedure(destructors_);
}

void ModuleInstance::AtExit(void (*function)(void*), void* argument) {
  const std::lock_guard lock(handlers_mutex_);
  handlers_.push_back({function, argument});
}

}  // namespace rbc::worker
