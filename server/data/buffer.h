// An array of a session's that stays between calls.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "server/data/device_heap.h"
#include "server/data/session_arena.h"

namespace rbc::server {

struct BufferSpec {
  std::string name;  // for people; may be empty
  std::string dtype;
  std::vector<int64_t> shape;
  bool fortran = false;      // the first dimension is innermost
  std::string made_by = {};  // the function that gave it; empty: the client has made it
};

// Immutable but for its bytes, which the client and its workers change at any time. Keeps its place, in the arena or on
// a device: the session's directory holds it, and so does whoever works on it.
class Buffer {
 public:
  static Expected<std::shared_ptr<const Buffer>> Create(uint64_t id, BufferSpec spec,
                                                        std::shared_ptr<SessionArena> arena);
  // Blocks.
  static Expected<std::shared_ptr<const Buffer>> CreateOn(uint64_t id, BufferSpec spec,
                                                          std::shared_ptr<DeviceHeap> device);
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  uint64_t id() const { return id_; }
  const BufferSpec& spec() const { return spec_; }
  const std::vector<int64_t>& strides() const { return layout_.strides; }  // bytes
  uint64_t bytes() const { return layout_.bytes; }

  // Null: it lies in the arena.
  const std::shared_ptr<DeviceHeap>& device() const { return device_; }
  uint32_t slot() const { return slot_; }  // REQUIRES: device()
  // REQUIRES: no device().
  uint64_t offset() const { return range_.offset; }  // in the arena
  char* data() const { return arena_->data() + range_.offset; }
  // As messages call it: `"prices" (17)`; without a name `17 (float64 of shape (5,), made by 'smooth')`.
  std::string Title() const;
  // From here on it counts against no quota: it is kept as long as nobody wants its memory. False: somebody does.
  bool BecomeSpare() const {
    if (!spare_) spare_ = arena_->Spare(range_);
    return spare_;
  }

 private:
  struct Layout {
    std::vector<int64_t> strides;
    uint64_t bytes = 0;
  };
  static Expected<Layout> Check(BufferSpec* spec);
  Buffer(uint64_t id, BufferSpec spec, Layout layout, std::shared_ptr<SessionArena> arena, Range range);
  Buffer(uint64_t id, BufferSpec spec, Layout layout, std::shared_ptr<DeviceHeap> device, uint32_t slot);

  const uint64_t id_;
  const BufferSpec spec_;
  const Layout layout_;
  const std::shared_ptr<SessionArena> arena_;
  const Range range_{};
  const std::shared_ptr<DeviceHeap> device_;
  const uint32_t slot_ = 0;
  mutable bool spare_ = false;  // the directory's lock guards it
};

}  // namespace rbc::server
