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
  BufferState(std::shared_ptr<Core> shared, client::OwnedBuffer made)
      : core(std::move(shared)), owned(std::move(made)) {}
  ~BufferState() {
    if (!freed) core->farm->FreeBuffer(owned.epoch, owned.info.id);
  }
  BufferState(const BufferState&) = delete;
  BufferState& operator=(const BufferState&) = delete;

  // kBufferLost: its bytes may be another buffer's by now, or nobody's.
  Status CheckAlive() const {
    if (freed || !core->farm->IsCurrent(owned.epoch))
      return {ErrorKind::kBufferLost,
              "buffer " + std::to_string(owned.info.id) + " was freed, or went with its session; make it anew"};
    return {};
  }

  const std::shared_ptr<Core> core;
  const client::OwnedBuffer owned;
  std::atomic<bool> freed{false};
};

}  // namespace rbc::detail
