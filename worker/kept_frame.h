// A request about array results that a call has left in its worker: a `call` message to a function that every execution
// worker has, made by the daemon. The reply has no result. Little-endian.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace rbc::worker {

// No slot of the function table.
inline constexpr uint64_t kKeptResultsFunction = ~uint64_t{0} - 1;

// A head, then `count` places in the session's data arena (u64), one an array of the result, in their order: there the
// elements go, in C order. Without places the arrays are dropped. Either way the worker then forgets them.
struct KeptHead {
  uint32_t magic;  // kKeptMagic
  uint32_t count;
  uint64_t number;  // in the place of each array in the call's reply
};
static_assert(sizeof(KeptHead) == 16);
inline constexpr uint32_t kKeptMagic = 0x7470654b;  // "Kept"

}  // namespace rbc::worker
