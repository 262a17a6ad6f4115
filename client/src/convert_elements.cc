// Numbers of one type into those of another, as C++ converts them.
// SPDX-License-Identifier: Apache-2.0
#include <complex>
#include <cstdint>
#include <cstring>

#include "client/src/array_data.h"

namespace rbc::client {
namespace {

using types::Kind;
using types::Type;

template <typename T>
struct Tag {
  using type = T;
};

// visit(Tag<T>) with the C++ type of a number's; false: it is no such number.
template <typename Visit>
bool WithNumber(const Type& type, Visit&& visit) {
  const uint32_t bits = type.bits();
  switch (type.kind()) {
    case Kind::kBool:
      return visit(Tag<bool>()), true;
    case Kind::kInt:
      if (bits == 8) return visit(Tag<int8_t>()), true;
      if (bits == 16) return visit(Tag<int16_t>()), true;
      if (bits == 32) return visit(Tag<int32_t>()), true;
      if (bits == 64) return visit(Tag<int64_t>()), true;
      return false;
    case Kind::kUint:
      if (bits == 8) return visit(Tag<uint8_t>()), true;
      if (bits == 16) return visit(Tag<uint16_t>()), true;
      if (bits == 32) return visit(Tag<uint32_t>()), true;
      if (bits == 64) return visit(Tag<uint64_t>()), true;
      return false;
    case Kind::kFloat:
      if (bits == 32) return visit(Tag<float>()), true;
      if (bits == 64) return visit(Tag<double>()), true;
      return false;
    case Kind::kComplex:
      if (bits == 64) return visit(Tag<std::complex<float>>()), true;
      if (bits == 128) return visit(Tag<std::complex<double>>()), true;
      return false;
    default:
      return false;
  }
}

template <typename T>
inline constexpr bool kIsComplex = false;
template <typename T>
inline constexpr bool kIsComplex<std::complex<T>> = true;

template <typename To, typename From>
To Convert(const From& value) {
  if constexpr (kIsComplex<To> && kIsComplex<From>)
    return To(static_cast<typename To::value_type>(value.real()), static_cast<typename To::value_type>(value.imag()));
  else if constexpr (kIsComplex<To>)
    return To(static_cast<typename To::value_type>(value));
  else if constexpr (kIsComplex<From>)
    return static_cast<To>(value.real());  // IsConvertible has refused it
  else
    return static_cast<To>(value);
}

}  // namespace

bool IsConvertible(const Type& from, const Type& to) {
  const bool numbers = WithNumber(from, [](auto) {}) && WithNumber(to, [](auto) {});
  return numbers && (!from.is(Kind::kComplex) || to.is(Kind::kComplex));
}

void ConvertElements(const Type& from, const Type& to, const char* in, int64_t step, uint64_t count, char* out) {
  WithNumber(from, [&](auto from_tag) {
    WithNumber(to, [&](auto to_tag) {
      using From = typename decltype(from_tag)::type;
      using To = typename decltype(to_tag)::type;
      for (uint64_t i = 0; i < count; ++i, in += step, out += sizeof(To)) {
        From value;
        std::memcpy(&value, in, sizeof value);
        const To converted = Convert<To>(value);
        std::memcpy(out, &converted, sizeof converted);
      }
    });
  });
}

}  // namespace rbc::client
