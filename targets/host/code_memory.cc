// Pages of the slab.
// SPDX-License-Identifier: Apache-2.0
#include "targets/host/code_memory.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace rbc::host {
namespace {

size_t Pages(size_t size) { return (size + kPageSize - 1) / kPageSize * kPageSize; }

}  // namespace

Expected<std::unique_ptr<CodeMemory>> CodeMemory::Reserve(size_t size) {
  void* base = ::mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) {
    return {ErrorKind::kUnavailable,
            "cannot reserve " + std::to_string(size >> 20) + " MiB of addresses for code: " + std::strerror(errno)};
  }
  return std::unique_ptr<CodeMemory>(new CodeMemory(static_cast<std::byte*>(base), size));
}

CodeMemory::CodeMemory(std::byte* base, size_t size) : base_(base), size_(size) { free_.emplace(0, size); }

CodeMemory::~CodeMemory() { ::munmap(base_, size_); }

std::byte* CodeMemory::Allocate(Kind kind, size_t size) {
  size = Pages(size);
  size_t offset = 0;
  {
    const std::lock_guard lock(mutex_);
    auto range = free_.end();
    if (kind == Kind::kCode) {
      for (range = free_.begin(); range != free_.end() && range->second < size; ++range) {
      }
    } else {
      for (auto it = free_.rbegin(); it != free_.rend(); ++it) {
        if (it->second < size) continue;
        range = std::prev(it.base());
        break;
      }
    }
    if (range == free_.end()) return nullptr;
    const auto [start, length] = *range;
    offset = kind == Kind::kCode ? start : start + length - size;
    if (length == size) {
      free_.erase(range);
    } else if (kind == Kind::kData) {
      range->second = length - size;
    } else {
      auto node = free_.extract(range);
      node.key() = start + size;
      node.mapped() = length - size;
      free_.insert(std::move(node));
    }
  }
  std::byte* piece = base_ + offset;
  if (::mprotect(piece, size, PROT_READ | PROT_WRITE) == 0) return piece;
  Free(piece, size);
  return nullptr;
}

bool CodeMemory::MakeExecutable(std::byte* piece, size_t size) {
  return ::mprotect(piece, Pages(size), PROT_READ | PROT_EXEC) == 0;
}

void CodeMemory::Free(std::byte* piece, size_t size) {
  size = Pages(size);
  ::madvise(piece, size, MADV_DONTNEED);
  ::mprotect(piece, size, PROT_NONE);
  const std::lock_guard lock(mutex_);
  size_t offset = piece - base_;
  auto next = free_.lower_bound(offset);
  if (next != free_.begin()) {
    const auto before = std::prev(next);
    if (before->first + before->second == offset) {
      before->second += size;
      if (next != free_.end() && before->first + before->second == next->first) {
        before->second += next->second;
        free_.erase(next);
      }
      return;
    }
  }
  if (next != free_.end() && offset + size == next->first) {
    size += next->second;
    free_.erase(next);
  }
  free_.emplace(offset, size);
}

}  // namespace rbc::host
