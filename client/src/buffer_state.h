// What the handles of one buffer share.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "client/src/core.h"

namespace rbc::detail {

// Freed on the farm with the last handle.
struct BufferState {
  // `ends` of workers that cannot have taken it along.
  BufferState(std::shared_ptr<Core> shared, client::OwnedBuffer made, uint64_t ends)
      : core(std::move(shared)), owned(std::move(made)), ends_(ends) {}
  ~BufferState() {
    if (!freed) core->farm->FreeBuffer(owned.epoch, owned.info.id);
    if (!owned.info.name.empty()) core->names.Forget(owned.info.name);
  }
  BufferState(const BufferState&) = delete;
  BufferState& operator=(const BufferState&) = delete;

  // kBufferLost: it was freed, or went with its session.
  Status CheckHeld() const {
    if (!freed && core->farm->IsCurrent(owned.epoch)) return {};
    return {ErrorKind::kBufferLost, "buffer " + Title() + " was freed, or went with its session; make it anew"};
  }

  // For messages.
  std::string Title() const {
    const std::string id = std::to_string(owned.info.id);
    return owned.info.name.empty() ? id : "\"" + owned.info.name + "\" (" + id + ")";
  }

  // Whatever handles there are.
  Status Free() {
    RBC_RETURN_IF_ERROR(CheckHeld());
    core->farm->DistrustPlace(owned.epoch, owned.info.id);
    RBC_RETURN_IF_ERROR(core->farm->AskIn(owned.epoch, core->DeadlineOf(0),
                                          [this](wire::FarmClient& client) { client.buffer_free(owned.info.id); }));
    freed = true;
    return {};
  }

  // Whether CheckAlive() would ask nobody and find it there.
  bool IsKnownAlive() const { return CheckHeld().has_value() && ends_ == core->farm->Ends(); }

  // kBufferLost: its bytes may be another buffer's by now, or nobody's. Asks the farm where a worker may have ended
  // since, as what that was writing into is lost.
  Status CheckAlive() const {
    RBC_RETURN_IF_ERROR(CheckHeld());
    const uint64_t ends = core->farm->Ends();
    if (ends_ == ends) return {};
    RBC_RETURN_IF_ERROR(core->farm->AskIn(owned.epoch, core->DeadlineOf(0), [this](wire::FarmClient& client) {
      wire::BufferInfo info;
      client.buffer_info(info, owned.info.id);
    }));
    ends_ = ends;
    return {};
  }

  const std::shared_ptr<Core> core;
  const client::OwnedBuffer owned;
  std::atomic<bool> freed{false};

 private:
  mutable std::atomic<uint64_t> ends_;
};

}  // namespace rbc::detail
