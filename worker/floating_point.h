// The floating-point environment that every call starts with and that none may leave changed.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace rbc::worker {

inline constexpr uint32_t kDefaultMxcsr = 0x1f80;  // all exceptions masked, round to nearest, no flush to zero
inline constexpr uint16_t kDefaultX87 = 0x037f;    // the same with 64-bit mantissas

// Sets control words and flags to what a process starts with, an abandoned MMX state too. A few nanoseconds where
// nothing was changed.
inline void ResetFloatingPoint() {
  uint32_t mxcsr;
  asm volatile("stmxcsr %0" : "=m"(mxcsr));
  if (mxcsr != kDefaultMxcsr) {
    mxcsr = kDefaultMxcsr;
    asm volatile("ldmxcsr %0" : : "m"(mxcsr));
  }
  uint16_t control, status;
  asm volatile("fnstcw %0" : "=m"(control));
  asm volatile("fnstsw %0" : "=a"(status));
  if (control != kDefaultX87 || status != 0)
    asm volatile("fninit");
  else
    asm volatile("emms");
}

}  // namespace rbc::worker
