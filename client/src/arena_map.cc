// The session's arrays in this process.
// SPDX-License-Identifier: Apache-2.0
#include "client/src/arena_map.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "base/huge_pages.h"
#include "base/platform.h"

namespace rbc::client {

Expected<std::shared_ptr<const ArenaMap>> ArenaMap::Map(UniqueFd fd, uint64_t size) {
  if (!fd || size == 0 || size > (uint64_t{1} << 46))
    return Error(ErrorKind::kProtocolMismatch, fmt::format("the farm shares arrays of {} bytes without memory", size));
  void* const memory = MapForHugePages(fd.get(), size);
  if (memory == MAP_FAILED)
    return Error(ErrorKind::kResourceExhausted,
                 fmt::format("the farm's arrays, {} bytes, cannot be mapped: {}", size, std::strerror(errno)));
  platform::KeepFromDumps(memory, size);
  return std::shared_ptr<const ArenaMap>(new ArenaMap(static_cast<char*>(memory), size));
}

ArenaMap::~ArenaMap() { ::munmap(memory_, size_); }

}  // namespace rbc::client
