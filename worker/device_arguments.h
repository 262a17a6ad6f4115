// Arguments of one call or launch on a device that lie in buffers of the session.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/expected.h"
#include "targets/target.h"
#include "worker/launch_frame.h"

namespace rbc::worker {

// What lies on the device stays there. What lies in the session's data arena is brought to the device for as long as
// the call takes: behind the call's memory where it is not too much, else by itself. Arguments that share bytes in the
// arena share them there. One call at a time.
class DeviceArguments {
 public:
  DeviceArguments() = default;
  DeviceArguments(const DeviceArguments&) = delete;

  // Forgets all arguments and frees what they took.
  void Reset();
  // A parameter that is a pointer. kInvalidArgument, as PlaceArray.
  Status Add(const LaunchPointer& pointer);
  // A parameter that is an array; nothing happens if it lies in the call's memory. kInvalidArgument, as PlaceArray.
  Status Add(const EntryPoint::Array& array, std::span<const uint8_t> frame);

  bool empty() const { return pointers_.empty() && in_arena_.empty(); }

  // Bytes that are wanted behind a call's memory of `size`. REQUIRES: all are added.
  uint64_t RoomBehind(uint64_t size);
  // Before the call runs, and after it has. `memory` is the call's with that room. kResourceExhausted, and errors with
  // IsSticky().
  Status Bring(std::span<uint8_t> memory);
  Status PutBack(std::span<const uint8_t> memory);
  // Since Bring(): where on the device those lie that are not in the memory.
  std::span<const DevicePointer> pointers() const { return pointers_; }

 private:
  // A part of the arena, and where it is brought.
  struct Piece {
    uint64_t begin = 0, end = 0;
    uint64_t at = 0;       // in the call's memory, or
    uint64_t address = 0;  // on the device, in what was taken there:
    uint64_t taken = 0;
    uint64_t size() const { return end - begin; }
  };
  // An argument in the arena.
  struct InArena {
    uint32_t frame_offset;
    bool is_array;
    uint64_t offset;
  };
  Status AddInArena(const InArena& argument, uint64_t begin, uint64_t end);
  void Merge();
  const Piece& PieceOf(uint64_t offset) const;
  void StoreSlot(const InArena& argument, std::span<uint8_t> memory) const;

  std::vector<DevicePointer> pointers_;
  std::vector<std::shared_ptr<const void>> holds_;  // of what they point to
  std::vector<InArena> in_arena_;
  std::vector<Piece> pieces_;
  bool in_memory_ = false;
};

}  // namespace rbc::worker
