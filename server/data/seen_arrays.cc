// Arrays of a session that may be sent again unchanged.
// SPDX-License-Identifier: Apache-2.0
#include "server/data/seen_arrays.h"

#include <algorithm>

namespace rbc::server {

void SeenArrays::Forget(Place place) {
  by_digest_.erase(place->digest);
  seen_.erase(place);
}

void SeenArrays::Note(const Digest& digest, const std::shared_ptr<const Buffer>& buffer) {
  if (const auto known = by_digest_.find(digest); known != by_digest_.end()) Forget(known->second);
  // What the buffer held before is overwritten.
  const auto same = std::find_if(seen_.begin(), seen_.end(), [&](const Seen& s) { return s.buffer.lock() == buffer; });
  if (same != seen_.end()) Forget(same);
  if (seen_.size() >= kMost) Forget(seen_.begin());
  by_digest_.emplace(digest, seen_.insert(seen_.end(), {digest, buffer, nullptr}));
}

std::shared_ptr<const Buffer> SeenArrays::Find(const Digest& digest) const {
  const auto known = by_digest_.find(digest);
  return known == by_digest_.end() ? nullptr : known->second->buffer.lock();
}

void SeenArrays::Freed(const std::shared_ptr<const Buffer>& buffer) {
  const auto known = std::find_if(seen_.begin(), seen_.end(), [&](const Seen& s) { return s.buffer.lock() == buffer; });
  if (known == seen_.end()) return;
  if (!buffer->BecomeSpare()) return Forget(known);
  known->spare = buffer;
  seen_.splice(seen_.end(), seen_, known);
}

bool SeenArrays::DropSpare() {
  const auto spare = std::find_if(seen_.begin(), seen_.end(), [](const Seen& s) { return s.spare != nullptr; });
  if (spare == seen_.end()) return false;
  Forget(spare);
  return true;
}

}  // namespace rbc::server
