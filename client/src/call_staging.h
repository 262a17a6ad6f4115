// Large arrays of this process as arguments and results of one call.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "client/src/core.h"
#include "rbc/buffer.h"
#include "rbc/function.h"

namespace rbc::detail {

// Of a function over arrays: they lie in buffers of the session for the time of the call, and the message names them.
// Small ones travel in the message, and all do where the session has no room for buffers. Used by one thread.
class CallStaging {
 public:
  // `index`: of an overload that is declared.
  CallStaging(const CallerState& caller, const Prepared& prepared, size_t index);

  // Whether there is anything to take.
  bool Wants(std::span<const types::Value> values) const;
  bool Wants(std::span<const Reference> references) const;
  // The arguments with buffers in the place of large arrays, filled.
  Expected<std::vector<types::Value>> Take(std::span<const types::Value> values, const client::Deadline& deadline);
  Expected<std::vector<Reference>> Take(std::span<const Reference> references, const client::Deadline& deadline);

  // Whether array results stay on the farm and are fetched then: where they were large the last time, or, as nothing is
  // known, the arguments are; and there is room for them.
  bool ExpectsLargeResult() const;
  Expected<bool> KeepsResult(const client::Deadline& deadline) const;
  // After the call: what the function may have written goes into the caller's arrays.
  Status TakeBack();

  // Whether a call that failed may be made again with new buffers: nothing of it ran, as its session was gone.
  bool MayTryAgain(const Error& error, int tries) const;

  uint64_t bytes() const { return bytes_; }            // of the arrays that were taken
  uint64_t bytes_back() const { return bytes_back_; }  // and of those that came back

 private:
  // An array of the caller's and its elements in C order.
  struct Staged {
    size_t parameter;
    Buffer buffer;
    void* data;
    std::vector<int64_t> shape, strides;
    bool comes_back;
  };
  bool IsLarge(uint64_t bytes) const;
  uint64_t ExpectedBytes() const;  // of array results
  // False: the session has no room for it.
  Expected<bool> Stage(size_t parameter, types::Buffer array);
  Expected<bool> FarmTakesBuffers(const client::Deadline& deadline) const;
  Status Fill(const Staged& staged) const;
  Status Return(const Staged& staged) const;

  const CallerState& caller_;
  const Prepared& prepared_;
  const Overload& overload_;
  const size_t declared_;  // the function's place in the module
  std::vector<Staged> staged_;
  uint64_t bytes_ = 0, bytes_back_ = 0;
};

}  // namespace rbc::detail
