// Numbers of one type into those of another, which must hold them.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cmath>
#include <complex>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

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

// Whether a number has its like in the other type, as an argument of a call must: digits may be lost, no more.
template <typename To, typename From>
bool Fits(const From& value) {
  if constexpr (std::is_same_v<To, bool> || std::is_same_v<From, bool>) {
    return true;
  } else if constexpr (kIsComplex<From>) {
    if constexpr (kIsComplex<To>)
      return Fits<typename To::value_type>(value.real()) && Fits<typename To::value_type>(value.imag());
    return true;  // IsConvertible has refused it
  } else if constexpr (kIsComplex<To>) {
    return Fits<typename To::value_type>(value);
  } else if constexpr (std::is_integral_v<From>) {
    if constexpr (std::is_integral_v<To>) return std::in_range<To>(value);
    return true;
  } else if constexpr (std::is_integral_v<To>) {
    const From whole = std::trunc(value);
    return whole >= static_cast<From>(std::numeric_limits<To>::min()) &&
           whole < std::ldexp(From{1}, std::numeric_limits<To>::digits);
  } else {
    return !std::isfinite(value) || std::isfinite(static_cast<To>(value));
  }
}

template <typename From>
std::string TextOf(const From& value) {
  if constexpr (kIsComplex<From>)
    return fmt::format("({}{:+}j)", value.real(), value.imag());
  else
    return fmt::format("{}", value);
}

template <typename To, typename From>
Status ConvertAll(const Type& from, const Type& to, const char* in, int64_t step, uint64_t count, char* out) {
  for (uint64_t i = 0; i < count; ++i, in += step, out += sizeof(To)) {
    From value;
    std::memcpy(&value, in, sizeof value);
    if (!Fits<To>(value))
      return {
          ErrorKind::kInvalidArgument,
          fmt::format("an array of `{}` holds {}, which does not fit type `{}`; convert it first, or use a wider type",
                      from.ToString(), TextOf(value), to.ToString())};
    const To converted = Convert<To>(value);
    std::memcpy(out, &converted, sizeof converted);
  }
  return {};
}

}  // namespace

bool IsConvertible(const Type& from, const Type& to) {
  const bool numbers = WithNumber(from, [](auto) {}) && WithNumber(to, [](auto) {});
  return numbers && (!from.is(Kind::kComplex) || to.is(Kind::kComplex));
}

Status ConvertElements(const Type& from, const Type& to, const char* in, int64_t step, uint64_t count, char* out) {
  Status status;
  WithNumber(from, [&](auto from_tag) {
    WithNumber(to, [&](auto to_tag) {
      using From = typename decltype(from_tag)::type;
      using To = typename decltype(to_tag)::type;
      status = ConvertAll<To, From>(from, to, in, step, count, out);
    });
  });
  return status;
}

}  // namespace rbc::client
