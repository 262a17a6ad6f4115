// An array of a session's that stays between calls.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "server/data/session_arena.h"

namespace rbc::server {

struct BufferSpec {
  std::string name;  // for people; may be empty
  std::string dtype;
  std::vector<int64_t> shape;
  bool fortran = false;  // the first dimension is innermost
};

// Immutable but for its bytes, which the client and its workers change at any time. Keeps its place in the arena: the
// session's directory holds it, and so does whoever works on it.
class Buffer {
 public:
  static Expected<std::shared_ptr<const Buffer>> Create(uint64_t id, BufferSpec spec,
                                                        std::shared_ptr<SessionArena> arena);
  ~Buffer() { arena_->Release(range_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  uint64_t id() const { return id_; }
  const BufferSpec& spec() const { return spec_; }
  const std::vector<int64_t>& strides() const { return strides_; }  // bytes
  uint64_t offset() const { return range_.offset; }                 // in the arena
  uint64_t bytes() const { return bytes_; }
  char* data() const { return arena_->data() + range_.offset; }

 private:
  Buffer(uint64_t id, BufferSpec spec, std::vector<int64_t> strides, uint64_t bytes,
         std::shared_ptr<SessionArena> arena, Range range);

  const uint64_t id_;
  const BufferSpec spec_;
  const std::vector<int64_t> strides_;
  const uint64_t bytes_;
  const std::shared_ptr<SessionArena> arena_;
  const Range range_;
};

}  // namespace rbc::server
