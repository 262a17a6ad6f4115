// float16 in software: the conversions that this compiler's library lacks. Private to the folder.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace rbc::types {

// Exact.
inline double HalfToDouble(uint16_t half) {
  const int exponent = (half >> 10) & 31;
  const int mantissa = half & 1023;
  double magnitude = 0;
  if (exponent == 31) {
    magnitude = mantissa == 0 ? HUGE_VAL : std::nan("");
  } else {
    magnitude = exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(mantissa + 1024, exponent - 25);
  }
  return std::copysign(magnitude, half & 0x8000 ? -1.0 : 1.0);
}

// To nearest, ties to even; overflow is infinity, NaN a quiet NaN.
inline uint16_t DoubleToHalf(double value) {
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  if (std::isnan(value)) return sign | 0x7e00;
  const double magnitude = std::fabs(value);
  if (magnitude >= 65520.0) return sign | 0x7c00;
  if (magnitude < 0x1p-14) {  // subnormal: a multiple of 2^-24; rounding up to 1024 is the first normal number
    return sign | static_cast<uint16_t>(std::nearbyint(magnitude * 0x1p24));
  }
  int exponent = 0;
  const double fraction = std::frexp(magnitude, &exponent);                        // [0.5, 1)
  const auto mantissa = static_cast<uint32_t>(std::nearbyint(fraction * 2048.0));  // 1024 to 2048
  // The mantissa's leading 1 adds one to the exponent, and so does rounding up to 2048.
  return sign | static_cast<uint16_t>(((exponent + 13) << 10) + mantissa);
}

}  // namespace rbc::types
