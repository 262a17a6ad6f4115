// Sizes and alignments of a target: what `long` and `size_t` mean there and how a struct is laid out.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "base/expected.h"

namespace rbc::types {

class Type;

// A target's answers to the questions that C leaves open. Sizes and alignments in bytes unless it says bits.
// Everything that is not here is the same on every target: little-endian, scalars aligned to their size.
struct DataModel {
  uint32_t pointer_bytes = 8;
  uint32_t long_bits = 64;
  uint32_t wchar_bits = 32;
  uint32_t int128_alignment = 16;
  uint32_t float128_alignment = 16;
  // false: a complex is aligned as its part (C, std::complex, LLVM's {T, T}); true: as the pair.
  bool complex_aligned_as_pair = false;
  // float128 is x87's 80-bit format in 16 bytes, as C's `long double`. false: the target has no float128.
  bool has_x87_long_double = true;

  friend bool operator==(const DataModel&, const DataModel&) = default;
};

inline constexpr DataModel kHostX86_64{};
inline constexpr DataModel kCuda{.has_x87_long_double = false};
inline constexpr DataModel kCuda32{.pointer_bytes = 4, .long_bits = 32, .has_x87_long_double = false};

struct SizeAndAlignment {
  uint64_t size = 0;
  uint64_t alignment = 1;
};

struct StructLayout {
  std::vector<uint64_t> offsets;  // of each member
  uint64_t size = 0;              // a multiple of the alignment
  uint64_t alignment = 1;
};

// kUnsupported, by name: what has no size in this model (void, functions, arrays, unknown atoms, int5, float128 on
// cuda). kInvalidArgument: larger than 2^48 bytes.
Expected<SizeAndAlignment> LayoutOf(const Type& type, const DataModel& model = kHostX86_64);
Expected<uint64_t> SizeOf(const Type& type, const DataModel& model = kHostX86_64);
Expected<uint64_t> AlignOf(const Type& type, const DataModel& model = kHostX86_64);
// kInvalidArgument: not a struct. Otherwise as LayoutOf().
Expected<StructLayout> LayoutOfStruct(const Type& type, const DataModel& model = kHostX86_64);

}  // namespace rbc::types
