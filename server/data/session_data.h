// The buffers of one session.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "gen/rbc_types.h"
#include "server/data/buffer.h"
#include "server/data/page_gatherer.h"
#include "server/data/seen_arrays.h"
#include "types/type.h"

namespace rbc::server {

// An array that a request names, found and checked: each of its elements lies in the buffer, aligned as its type asks.
struct ResolvedArray {
  std::shared_ptr<const Buffer> buffer;  // keeps its place until the work is done
  uint64_t offset = 0;  // of the element with index 0, 0, ...; in the arena, or in a buffer on a device
  types::Type type;
  uint64_t element_size = 0;
  int64_t elements = 0;
};

// Thread-safe.
class SessionData {
 public:
  // Ids begin at `first_id`, a random number: those of another session are not taken for ours.
  SessionData(const DataLimits& limits, DataTotals& totals, uint64_t first_id);
  ~SessionData() { End(); }

  // On `device`, or in the arena. kResourceExhausted, kInvalidArgument, kUnsupported, errors of DeviceHeap::Take.
  Expected<std::shared_ptr<const Buffer>> Create(BufferSpec spec, std::shared_ptr<DeviceHeap> device = nullptr);
  // kBufferLost: no such buffer (any more), or its device's worker has died.
  Status Free(uint64_t id);
  Expected<std::shared_ptr<const Buffer>> Find(uint64_t id) const;
  // Nobody knows what the buffer holds: `why` is told to all who name it from here on. Its memory goes.
  void Lose(uint64_t id, const std::string& why);
  // The one at this place in the arena, if there is one.
  void LoseAt(uint64_t place, const std::string& why);
  std::vector<std::shared_ptr<const Buffer>> All() const;
  // Fills the buffer, whose elements lie in C order, with the bytes of `digest` (base/array_digest.h) where the session
  // has had them and has them still. False: it does not; the client is then believed to send them, and asked to show it
  // next time. kBufferLost, kInvalidArgument.
  Expected<bool> Recall(uint64_t id, std::string_view digest);
  // Of an array in a buffer. kBufferLost, kInvalidArgument.
  Expected<ResolvedArray> Resolve(const wire::ArrayRef& array) const;

  // Made at its first use.
  Expected<std::shared_ptr<SessionArena>> Arena();
  uint64_t used() const;
  size_t buffers() const;
  void Trim();
  // Huge pages for large arrays. The housekeeper's thread alone.
  void GatherPages(PageGatherer::Clock::time_point until) { gatherer_.Run(Large(), until); }
  // Drops all of it; later requests get kUnknownSession.
  void End();

 private:
  Expected<std::shared_ptr<SessionArena>> ArenaLocked();     // REQUIRES: mutex_ held
  std::vector<std::shared_ptr<const Buffer>> Large() const;  // those of whole huge pages in the arena
  bool DropSpare();
  Status CheckCountLocked() const;                     // REQUIRES: mutex_ held
  Error Lost(uint64_t id) const;                       // REQUIRES: mutex_ held
  void RememberLocked(uint64_t id, std::string what);  // what is said of it from now on. REQUIRES: mutex_ held

  const DataLimits limits_;
  DataTotals& totals_;
  mutable std::mutex mutex_;
  bool ended_ = false;
  uint64_t next_id_;
  std::shared_ptr<SessionArena> arena_;
  std::map<uint64_t, std::shared_ptr<const Buffer>> buffers_;
  SeenArrays seen_;
  PageGatherer gatherer_;
  static constexpr size_t kMostLost = 1024;
  std::map<uint64_t, std::string> lost_;  // why; of the latest
};

}  // namespace rbc::server
