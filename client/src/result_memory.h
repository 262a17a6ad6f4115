// Memory for arrays that calls give.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>

#include "base/platform.h"

namespace rbc::client {

// What it holds at first is not defined. Large ones ask for huge pages, as NumPy's do: to touch small ones for the
// first time takes several times as long as the copy.
inline std::shared_ptr<char> MakeRoom(size_t bytes) {
  constexpr size_t kLarge = size_t{4} << 20, kHuge = size_t{2} << 20;
  if (bytes < kLarge) return std::shared_ptr<char>(new char[bytes == 0 ? 1 : bytes], std::default_delete<char[]>());
  const size_t rounded = (bytes + kHuge - 1) / kHuge * kHuge;
  auto* const memory = static_cast<char*>(std::aligned_alloc(kHuge, rounded));
  if (memory == nullptr) throw std::bad_alloc();
  platform::WishHugePages(memory, rounded);
  return std::shared_ptr<char>(memory, [](char* held) { std::free(held); });
}

}  // namespace rbc::client
