// Conversions to bfloat16, to the nearest, ties to even.
// SPDX-License-Identifier: Apache-2.0
#include "worker/runtime/bfloat.h"

#include <bit>
#include <cmath>

namespace {

uint16_t Round(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value)) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// To the nearest float, but odd where it is not exact: a second rounding then gives what one rounding would.
float RoundToOdd(double value) {
  const auto near = static_cast<float>(value);
  if (static_cast<double>(near) == value || std::isnan(value) || std::isinf(near)) return near;
  auto bits = std::bit_cast<uint32_t>(near);
  if (std::fabs(static_cast<double>(near)) > std::fabs(value)) --bits;  // towards zero
  return std::bit_cast<float>(bits | 1);
}

}  // namespace

extern "C" {

_Float16 TruncateFloatToBfloat(float value) { return std::bit_cast<_Float16>(Round(value)); }
_Float16 TruncateDoubleToBfloat(double value) { return std::bit_cast<_Float16>(Round(RoundToOdd(value))); }

}  // extern "C"
