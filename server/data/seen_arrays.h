// Arrays of a session that may be sent again unchanged.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <unordered_map>

#include "base/hash.h"
#include "server/data/buffer.h"

namespace rbc::server {

// Which buffer held, or was about to hold, the bytes of a digest, by the client's word. Nothing here is believed: who
// wants the bytes compares them with the digest. Buffers that were freed may stay as spares, the oldest of which goes
// first. Not thread-safe.
class SeenArrays {
 public:
  static constexpr size_t kMost = 1024;

  // `buffer` is about to hold the bytes of `digest`.
  void Note(const Digest& digest, const std::shared_ptr<const Buffer>& buffer);
  // Null: nobody knows.
  std::shared_ptr<const Buffer> Find(const Digest& digest) const;
  // A buffer of the directory was freed. Keeps it where it is known here and the farm has memory to spare.
  void Freed(const std::shared_ptr<const Buffer>& buffer);
  // Gives up the spare that was freed first. False: there is none.
  bool DropSpare();

 private:
  struct Seen {
    Digest digest;
    std::weak_ptr<const Buffer> buffer;
    std::shared_ptr<const Buffer> spare;  // the same, freed
  };
  using Place = std::list<Seen>::iterator;
  void Forget(Place place);

  std::list<Seen> seen_;  // the oldest first
  std::unordered_map<Digest, Place, DigestHash> by_digest_;
};

}  // namespace rbc::server
