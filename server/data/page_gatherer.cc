// Brings the pages of a session's large arrays together into huge ones.
// SPDX-License-Identifier: Apache-2.0
#include "server/data/page_gatherer.h"

#include <sys/mman.h>

#include <algorithm>

#include "base/huge_pages.h"

#ifndef MADV_COLLAPSE  // since Linux 6.1; Debian 12's headers have it not
#define MADV_COLLAPSE 25
#endif

namespace rbc::server {
namespace {

constexpr uint32_t kLongestWait = 64;  // runs

// The whole huge pages of an array that is large enough: [first, last) in the arena.
Range WholePages(const Buffer& buffer) {
  const uint64_t first = (buffer.offset() + kHugePage - 1) / kHugePage * kHugePage;
  const uint64_t last = (buffer.offset() + buffer.bytes()) / kHugePage * kHugePage;
  return {first, last > first ? last - first : 0};
}

}  // namespace

void PageGatherer::Run(const std::vector<std::shared_ptr<const Buffer>>& buffers, Clock::time_point until) {
  std::map<uint64_t, Progress> progress;
  for (const auto& buffer : buffers) {
    const Range pages = WholePages(*buffer);
    const auto known = progress_.find(buffer->id());
    Progress& now = progress[buffer->id()] = known == progress_.end() ? Progress{pages.offset, 2, 1} : known->second;
    if (now.waits != 0 && --now.waits != 0) continue;
    char* const arena = buffer->data() - buffer->offset();
    while (now.done < pages.offset + pages.size && Clock::now() < until) {
      // Fails where nobody has written yet, and while another holds a page.
      if (madvise(arena + now.done, kHugePage, MADV_COLLAPSE) != 0) {
        now.waits = now.wait;
        now.wait = std::min(now.wait * 2, kLongestWait);
        break;
      }
      now.done += kHugePage;
    }
  }
  progress_.swap(progress);
}

}  // namespace rbc::server
