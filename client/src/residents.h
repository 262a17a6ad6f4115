// Arrays of a call that stay on the farm: how its frame names them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "client/src/buffer_state.h"
#include "client/src/core.h"

namespace rbc::detail {

// Those of one call of `caller` on `target`.
class Residents {
 public:
  // `by_id`: rather than by place, which is good in this session alone.
  Residents(const CallerState& caller, std::string target, bool by_id = false)
      : caller_(caller), target_(std::move(target)), by_id_(by_id) {}

  enum class Way : uint8_t {
    kByPlace,  // the worker sees the session's arena
    kById,     // the farm finds it
    kCopied,   // sent as any memory of this process: farms of before 1.4 do not find buffers
  };
  // kUnsupported: it can be none of these. kBufferLost.
  Expected<Way> Take(const BufferState& buffer, const void* data);
  // The values with such arrays so that they can be packed.
  Expected<std::vector<types::Value>> Take(std::span<const types::Value> values);
  // The session that the frame is for; 0: any.
  uint64_t epoch() const { return epoch_; }

 private:
  const CallerState& caller_;
  const std::string target_;
  const bool by_id_;
  uint64_t epoch_ = 0;
};

bool HasResidents(std::span<const types::Value> values);
// As types::PackArguments.
Expected<types::PackedCall> PackWithResidents(Residents residents, const types::FrameLayout& layout,
                                              std::span<const types::Value> values, uint64_t* epoch = nullptr);
// For a request of the generated code.
std::vector<wire::FrameBuffer> BuffersOf(const types::PackedCall& packed);

}  // namespace rbc::detail
