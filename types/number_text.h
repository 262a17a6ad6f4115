// Numbers as Python reads and prints them. Private to the folder.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <complex>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "types/value.h"

namespace rbc::types {

// An integer of up to 128 bits and a sign.
struct Integer {
  bool negative = false;
  Uint128 magnitude = 0;

  static Integer Of(Int128 value) {
    return {value < 0, value < 0 ? -static_cast<Uint128>(value) : static_cast<Uint128>(value)};
  }
  static Integer Of(Uint128 value) { return {false, value}; }
  // Does it lie in the range of a two's complement (or unsigned) integer of `bits`?
  bool Fits(uint32_t bits, bool is_signed) const;
  // Its low 128 bits.
  Uint128 Bits() const { return negative ? -magnitude : magnitude; }
  template <typename T>
  T As() const {
    return negative ? -static_cast<T>(magnitude) : static_cast<T>(magnitude);
  }
};

// The digits of a float: 16 (float16), 32, 64 or 128 bits wide; `value` is a number of that format.
// Shortest text that reads back the same, in Python's format; `point` adds ".0" to whole numbers as repr(float) does.
std::string FloatText(long double value, uint32_t bits, bool point);
std::string ComplexText(std::complex<long double> value, uint32_t bits_of_part);
std::string IntegerText(Integer value);

// `12`, `-0x1f`, `0b1`, `0o7`, `1_000`. nullopt: no integer, or beyond 128 bits.
std::optional<Integer> ReadInteger(std::string_view text);
// Also `1.5`, `1e3`, `inf`, `-nan`, `.5`, `5.`. T is double or long double. nullopt: no number, or out of range.
template <typename T>
std::optional<T> ReadFloat(std::string_view text);
// `2+1j`, `(2+1j)`, `1j`, `3`.
template <typename T>
std::optional<std::complex<T>> ReadComplex(std::string_view text);

}  // namespace rbc::types
