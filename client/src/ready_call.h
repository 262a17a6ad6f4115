// What maps and launches that are repeated as calls have in common: docs/protocol.md, "Maps again", "Kernels".
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <memory>

#include "base/error.h"
#include "worker/protocol.h"

namespace rbc::client {

// A frame of so many bytes fits into a lane with the rest of the message around it.
inline constexpr size_t kMostReadyFrame = worker::kLaneRequestBytes - 256;

// Refused before anything ran, because the farm does not know the call (any more): ask it with the whole request.
inline bool IsStale(const Error& error) {
  switch (error.kind) {
    case ErrorKind::kUnknownModule:
    case ErrorKind::kUnknownSession:
    case ErrorKind::kBufferLost:
    case ErrorKind::kInvalidArgument:
    case ErrorKind::kWorkerLost:
      return !error.may_have_run;
    default:
      return false;
  }
}

// A few of them, the latest kept last. Guarded by the farm's mutex.
template <typename Ready>
class ReadyCalls {
 public:
  template <typename Asks>
  std::shared_ptr<const Ready> Find(Asks&& asks) const {
    for (const auto& ready : kept_)
      if (ready != nullptr && asks(*ready)) return ready;
    return nullptr;
  }
  void Keep(std::shared_ptr<const Ready> ready) {
    kept_[next_] = std::move(ready);
    next_ = (next_ + 1) % kMost;
  }
  void Drop(const Ready& ready) {
    for (auto& kept : kept_)
      if (kept.get() == &ready) kept = nullptr;
  }

 private:
  static constexpr size_t kMost = 8;
  std::array<std::shared_ptr<const Ready>, kMost> kept_;
  size_t next_ = 0;
};

}  // namespace rbc::client
