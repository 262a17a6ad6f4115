// Arrays of this process that are too large for a message.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "client/src/array_data.h"
#include "client/src/core.h"
#include "rbc/buffer.h"

namespace rbc::client {

// Whether so many bytes go into a buffer rather than into a message to this farm.
bool IsLargeArray(const Farm& farm, uint64_t bytes);

// What the farm says where it keeps no such buffer.
bool HasNoRoom(const Error& error);

// They lie in buffers of the session for one request, which names them as any others; freed with this. Small ones
// travel in the message, and so do others for which the session has no room. Used by one thread.
class ArrayStaging {
 public:
  explicit ArrayStaging(std::shared_ptr<detail::Core> core) : core_(std::move(core)) {}

  // As PackArray(). kResourceExhausted: there is room neither in the session nor in the message.
  Expected<wire::ArrayRef> Pack(const CheckedArray& array, const types::Type& to);
  // The array to write into, of the result's type; with `keeps` what it holds goes along.
  Expected<wire::ArrayRef> PackOut(const CheckedArray& out, bool keeps);
  // Room for a new result of elements of `size` bytes, which are zero at first if asked for. Nothing: it comes with the
  // reply.
  Expected<std::optional<wire::ArrayRef>> PackNew(const types::Type& type, uint64_t size,
                                                  const std::vector<int64_t>& shape, bool zero);

  bool has_result() const { return result_.has_value(); }
  // REQUIRES: has_result(). Into the array that PackOut() was given.
  Status TakeResult(const CheckedArray& out) const;
  Expected<std::string> TakeResult() const;
  // Whether any array lies in a buffer.
  bool is_used() const { return !kept_.empty() || result_.has_value(); }

 private:
  bool IsLarge(uint64_t bytes) const { return IsLargeArray(*core_->farm, bytes); }
  // Nothing: it travels in the message.
  Expected<std::optional<Buffer>> Make(const types::Type& type, std::vector<int64_t> shape, uint64_t bytes);

  const std::shared_ptr<detail::Core> core_;
  std::vector<Buffer> kept_;
  std::optional<Buffer> result_;
  uint64_t in_message_ = 0;  // bytes of arrays
};

}  // namespace rbc::client
