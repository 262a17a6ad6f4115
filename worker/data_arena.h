// The session's data arena in this process: arrays that stay between calls, which daemon, worker and a client on the
// same machine share. Its bytes may change at any time: check what was copied out of it, never what lies in it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

namespace rbc::worker {

// A place of array data in a frame: an offset into the call's memory, or with this bit into the data arena.
inline constexpr uint64_t kInDataArena = uint64_t{1} << 63;

// Set once, before any call that names it; empty until then.
inline std::span<uint8_t>& DataArena() {
  static constinit std::span<uint8_t> arena;
  return arena;
}

}  // namespace rbc::worker
