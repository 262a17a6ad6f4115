// Operands of a call over arrays that lie in the device's memory.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "base/expected.h"
#include "worker/array_call.h"

namespace rbc::worker {

// A map whose operands the entry can walk over takes them where they lie, as does a reduction of rows, few or long
// ones, whose elements lie evenly, and a scan of such rows or of any that lie one behind the other. In all other cases
// they are brought here for as long as the call takes, and the result back.
class ResidentArrays {
 public:
  // Before anything touches the operands' elements. kResourceExhausted, and errors with IsSticky().
  Status Bring(const LoadedFunction& function, ArrayCall& call, Scratch& scratch);
  // After the call.
  Status PutBack();

 private:
  struct Result {
    uint64_t address;
    const uint8_t* first;
    uint64_t bytes;
  };
  std::optional<Result> result_;
};

}  // namespace rbc::worker
