// What the handles of one buffer share.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include <atomic>
#include <memory>
#include <span>
#include <string>

#include "client/src/core.h"
#include "types/array_shape.h"

namespace rbc::detail {

struct BufferState;

// A buffer whose parts are freed one by one.
struct BufferParts {
  BufferParts(std::shared_ptr<BufferState> all, size_t count) : whole(std::move(all)), left(count) {}
  const std::shared_ptr<BufferState> whole;
  std::atomic<size_t> left;  // parts that are neither freed nor gone
};

// Freed on the farm with the last handle.
struct BufferState {
  // `ends` of workers that cannot have taken it along.
  BufferState(std::shared_ptr<Core> shared, client::OwnedBuffer made, uint64_t ends)
      : core(std::move(shared)), owned(std::move(made)), ends_(ends) {}
  // A part with elements of this type.
  BufferState(const std::shared_ptr<BufferParts>& of, const std::string& dtype)
      : core(of->whole->core), owned(PartOf(of->whole->owned, dtype)), parts_(of), ends_(of->whole->ends_.load()) {}
  ~BufferState() {
    if (parts_ == nullptr) {
      Release();
      core->buffers.Forget(owned.info.id, owned.info.name);
    } else if (!freed && IsLastPart()) {
      parts_->whole->Release();
    }
  }
  BufferState(const BufferState&) = delete;
  BufferState& operator=(const BufferState&) = delete;

  // kBufferLost: it was freed, or went with its session.
  Status CheckHeld() const {
    const bool is_freed = freed || (parts_ != nullptr && parts_->whole->freed);
    if (!is_freed && core->farm->IsCurrent(owned.epoch)) return {};
    return {ErrorKind::kBufferLost, "buffer " + Title() + " was freed, or went with its session; make it anew"};
  }

  // For messages, as the farm's.
  std::string Title() const {
    const wire::BufferInfo& info = owned.info;
    if (!info.name.empty()) return fmt::format("\"{}\" ({})", info.name, info.id);
    const std::string origin = owned.made_by.empty() ? std::string() : fmt::format(", made by '{}'", owned.made_by);
    return fmt::format("{} ({} of shape {}{})", info.id, info.dtype, types::ShapeText(info.shape), origin);
  }

  // Whatever handles there are. Of a part: its memory goes with the last one.
  Status Free() {
    RBC_RETURN_IF_ERROR(CheckHeld());
    if (parts_ != nullptr) {
      if (freed.exchange(true) || !IsLastPart()) return {};
      return parts_->whole->Free();
    }
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
  static client::OwnedBuffer PartOf(client::OwnedBuffer whole, const std::string& dtype) {
    whole.info.dtype = dtype;
    return whole;
  }
  bool IsLastPart() const { return parts_->left.fetch_sub(1) == 1; }
  // Waits for nothing.
  void Release() {
    if (!freed.exchange(true)) core->farm->FreeBuffer(owned.epoch, owned.info.id);
  }

  const std::shared_ptr<BufferParts> parts_;  // null: it is no part
  mutable std::atomic<uint64_t> ends_;
};

// Says of a lost array that a request names by its id what is known here: a farm that never had it knows no more.
Error NameLost(Error error, const Core& core, std::span<const int64_t> ids);

}  // namespace rbc::detail
