// Copies of arrays, at the memory's speed.
// SPDX-License-Identifier: Apache-2.0
#include "client/src/bulk_copy.h"

#include <cstdint>
#include <cstring>
#include <system_error>
#include <thread>

#include "base/platform.h"

namespace rbc::client {
namespace {

constexpr size_t kLarge = size_t{32} << 20;
constexpr size_t kPage = 4096;

}  // namespace

void CopyBulk(void* to, const void* from, size_t bytes) {
  auto* target = static_cast<char*>(to);
  const auto* source = static_cast<const char*>(from);
  if (bytes < kLarge) {
    if (bytes != 0) std::memcpy(target, source, bytes);
    return;
  }
  const size_t half = platform::AllowedCpus() > 1 ? bytes / 2 / kPage * kPage : bytes;
  std::thread helper;
  if (half != bytes) try {
      helper = std::thread([=] { platform::CopyPastCaches(target + half, source + half, bytes - half); });
    } catch (const std::system_error&) {  // no thread to be had: alone
      platform::CopyPastCaches(target + half, source + half, bytes - half);
    }
  platform::CopyPastCaches(target, source, half);
  if (helper.joinable()) helper.join();
}

}  // namespace rbc::client
