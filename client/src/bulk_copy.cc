// Copies of arrays, at the memory's speed.
// SPDX-License-Identifier: Apache-2.0
#include "client/src/bulk_copy.h"

#include <sched.h>

#include <cstdint>
#include <cstring>
#include <system_error>
#include <thread>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace rbc::client {
namespace {

constexpr size_t kLarge = size_t{32} << 20;
constexpr size_t kPage = 4096;

#ifdef __SSE2__
// Stores that do not read the line they write. 16 bytes at a time: the memory is the bound, not the processor.
void Stream(char* to, const char* from, size_t bytes) {
  constexpr size_t kLine = 64;
  const size_t head = -reinterpret_cast<uintptr_t>(to) % kLine;
  std::memcpy(to, from, head);
  to += head, from += head, bytes -= head;
  for (; bytes >= kLine; to += kLine, from += kLine, bytes -= kLine) {
    const auto* source = reinterpret_cast<const __m128i*>(from);
    auto* target = reinterpret_cast<__m128i*>(to);
    const __m128i a = _mm_loadu_si128(source), b = _mm_loadu_si128(source + 1);
    const __m128i c = _mm_loadu_si128(source + 2), d = _mm_loadu_si128(source + 3);
    _mm_stream_si128(target, a);
    _mm_stream_si128(target + 1, b);
    _mm_stream_si128(target + 2, c);
    _mm_stream_si128(target + 3, d);
  }
  _mm_sfence();
  std::memcpy(to, from, bytes);
}
#else
void Stream(char* to, const char* from, size_t bytes) { std::memcpy(to, from, bytes); }
#endif

bool HasTwoProcessors() {
  cpu_set_t allowed;
  return sched_getaffinity(0, sizeof allowed, &allowed) == 0 && CPU_COUNT(&allowed) > 1;
}

}  // namespace

void CopyBulk(void* to, const void* from, size_t bytes) {
  auto* target = static_cast<char*>(to);
  const auto* source = static_cast<const char*>(from);
  if (bytes < kLarge) {
    if (bytes != 0) std::memcpy(target, source, bytes);
    return;
  }
  const size_t half = HasTwoProcessors() ? bytes / 2 / kPage * kPage : bytes;
  std::thread helper;
  if (half != bytes) try {
      helper = std::thread([=] { Stream(target + half, source + half, bytes - half); });
    } catch (const std::system_error&) {  // no thread to be had: alone
      Stream(target + half, source + half, bytes - half);
    }
  Stream(target, source, half);
  if (helper.joinable()) helper.join();
}

}  // namespace rbc::client
