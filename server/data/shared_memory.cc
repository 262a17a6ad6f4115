// Memory that the daemon shares with a worker or a client.
// SPDX-License-Identifier: Apache-2.0
#include "server/data/shared_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "base/huge_pages.h"

namespace rbc::server {
namespace {

Error SystemError(const char* what) {
  return Error(ErrorKind::kResourceExhausted, std::string(what) + " fails: " + std::strerror(errno));
}

}  // namespace

Expected<SharedMemory> SharedMemory::Create(const char* name, size_t size) {
  SharedMemory memory;
  memory.fd_.Reset(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory.fd_ || ftruncate(memory.fd(), static_cast<off_t>(size)) != 0) return SystemError("memfd_create");
  if (fcntl(memory.fd(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
    return SystemError("F_ADD_SEALS");
  void* data = MapForHugePages(memory.fd(), size, MAP_NORESERVE);
  if (data == MAP_FAILED) return SystemError("mmap");
  memory.data_ = data;
  memory.size_ = size;
  return memory;
}

SharedMemory& SharedMemory::operator=(SharedMemory&& other) noexcept {
  if (this == &other) return *this;
  if (data_ != nullptr) munmap(data_, size_);
  fd_ = std::move(other.fd_);
  data_ = std::exchange(other.data_, nullptr);
  size_ = std::exchange(other.size_, 0);
  return *this;
}

SharedMemory::~SharedMemory() {
  if (data_ != nullptr) munmap(data_, size_);
}

void SharedMemory::Discard(size_t offset, size_t size) {
  fallocate(fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset), static_cast<off_t>(size));
}

}  // namespace rbc::server
