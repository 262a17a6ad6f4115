// arc4random of the whole program. LLVM's Support library asks for it (names of temporary files, which workers cannot
// make); glibc has it from 2.36 on only, and its own would need a system call that is not left after lock-down.
// SPDX-License-Identifier: Apache-2.0
#include <sys/auxv.h>

#include <atomic>
#include <cstdint>
#include <cstring>

extern "C" uint32_t arc4random() {
  // No secret hangs on it: the process's 16 random bytes from the kernel, and a counter.
  static std::atomic<uint64_t> counter{0};
  uint64_t seed = 0;
  if (const auto bytes = getauxval(AT_RANDOM); bytes != 0) std::memcpy(&seed, reinterpret_cast<const void*>(bytes), 8);
  uint64_t mixed = seed + (counter.fetch_add(1, std::memory_order_relaxed) + 1) * 0x9e3779b97f4a7c15;
  mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
  mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
  return static_cast<uint32_t>((mixed ^ mixed >> 31) >> 32);
}
