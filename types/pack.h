// Values into a call's memory, and replies back into values and the caller's buffers.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/expected.h"
#include "types/frame.h"
#include "types/value.h"

namespace rbc::types {

// The memory of one call as it is sent; types/frame.h has the picture. May be used again for the next call.
struct PackedCall {
  // A part of the call's memory that comes back to the caller.
  struct Returned {
    void* data = nullptr;  // the caller's; `owner` or the caller keeps it alive
    uint32_t offset = 0;   // in the call's memory
    uint32_t bytes = 0;
    std::shared_ptr<void> owner;
    // Of an array with gaps at the caller's: where its elements go.
    uint32_t element_size = 1;
    std::vector<int64_t> shape{};
    std::vector<int64_t> strides{};
  };
  // A parameter that lies in a buffer of the session: its slot says nothing of where.
  struct InBuffer {
    uint32_t position = 0;  // of the slot in the frame
    int64_t id = 0;
    int64_t offset = 0;
  };
  std::string frame;         // fixed part, in and inout payload
  uint32_t out_bytes = 0;    // zero bytes that follow `frame` in the call's memory
  uint32_t return_from = 0;  // what is behind this offset comes back; the memory's size if nothing does
  std::vector<Returned> returned;
  std::vector<InBuffer> buffers;  // in ascending order of position

  uint32_t total_bytes() const { return static_cast<uint32_t>(frame.size()) + out_bytes; }
};

// kInvalidArgument: another number of values than parameters; a value that does not fit (names value, parameter and
// range); text with a NUL inside. kResourceExhausted: more than kMaxCallBytes. `call` is overwritten.
Status PackArguments(const FrameLayout& layout, std::span<const Value> values, PackedCall* call);
Expected<PackedCall> PackArguments(const FrameLayout& layout, std::span<const Value> values);
// Computes the layout anew; for callers that keep none.
Expected<PackedCall> PackArguments(const Type& function, std::span<const Value> values);

// Whether an array parameter takes the value: its type, dimensions and bytes fit, and it has no gaps where there may be
// none.
bool TakesArray(const FrameSlot& slot, const Value& value);

// From a peer that may lie: kInternal for a result of the wrong size or what lies outside of `data`. A void result is
// None, a null text NullPointer, an array a Buffer that it owns. `data` is where texts and arrays lie.
Expected<Value> UnpackResult(const Type& result_type, std::string_view result, std::string_view data);

// Copies the tail of the call's memory (from call.return_from) into the caller's buffers. kInternal: it has not
// exactly the bytes that were lent; then nothing is copied.
Status CopyReturned(const PackedCall& call, std::string_view tail);

}  // namespace rbc::types
