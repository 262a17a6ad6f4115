// The Type of a C++ type: `double(double, int32_t)` is `float64(float64, int32)`. The text is made by the compiler.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "types/type.h"
#include "types/value.h"

namespace rbc::types {

// A text of N characters that constant expressions can hold and join.
template <size_t N>
struct FixedText {
  char chars[N + 1] = {};

  constexpr FixedText() = default;
  constexpr FixedText(const char (&literal)[N + 1]) {  // NOLINT(google-explicit-constructor)
    for (size_t i = 0; i < N; ++i) chars[i] = literal[i];
  }
  constexpr std::string_view view() const { return {chars, N}; }
};
template <size_t N>
FixedText(const char (&)[N]) -> FixedText<N - 1>;

template <size_t A, size_t B>
constexpr FixedText<A + B> operator+(const FixedText<A>& a, const FixedText<B>& b) {
  FixedText<A + B> joined;
  for (size_t i = 0; i < A; ++i) joined.chars[i] = a.chars[i];
  for (size_t i = 0; i < B; ++i) joined.chars[A + i] = b.chars[i];
  return joined;
}

namespace cxx_internal {

template <size_t kBytes>
constexpr auto BitsText() {
  if constexpr (kBytes == 1) {
    return FixedText("8");
  } else if constexpr (kBytes == 2) {
    return FixedText("16");
  } else if constexpr (kBytes == 4) {
    return FixedText("32");
  } else if constexpr (kBytes == 8) {
    return FixedText("64");
  } else if constexpr (kBytes == 16) {
    return FixedText("128");
  } else {
    static_assert(kBytes == 32);
    return FixedText("256");
  }
}

template <typename T>
inline constexpr bool kIsCharacter =
    std::is_same_v<T, char> || std::is_same_v<T, char8_t> || std::is_same_v<T, char16_t> ||
    std::is_same_v<T, char32_t> || std::is_same_v<T, wchar_t>;
template <typename T>
inline constexpr bool kIsInteger = (std::is_integral_v<T> && !kIsCharacter<T> && !std::is_same_v<T, bool>) ||
                                   std::is_same_v<T, Int128> || std::is_same_v<T, Uint128>;
template <typename T>
inline constexpr bool kIsUnsigned = std::is_same_v<T, Uint128> || std::is_unsigned_v<T>;

}  // namespace cxx_internal

// Specialise for a struct of your own, with its members' types in order:
//   template <> struct rbc::types::CxxTypeName<Point> { static constexpr auto kText = FixedText("{float64, float64}");
//   };
template <typename T, typename = void>
struct CxxTypeName;  // not defined: the type cannot be told to the farm

template <>
struct CxxTypeName<void> {
  static constexpr auto kText = FixedText("void");
};
template <>
struct CxxTypeName<bool> {
  static constexpr auto kText = FixedText("bool");
};
template <typename T>
struct CxxTypeName<T, std::enable_if_t<cxx_internal::kIsCharacter<T>>> {
  static constexpr auto kText = FixedText("char") + cxx_internal::BitsText<sizeof(T)>();
};
template <typename T>
struct CxxTypeName<T, std::enable_if_t<cxx_internal::kIsInteger<T> && !cxx_internal::kIsUnsigned<T>>> {
  static constexpr auto kText = FixedText("int") + cxx_internal::BitsText<sizeof(T)>();
};
template <typename T>
struct CxxTypeName<T, std::enable_if_t<cxx_internal::kIsInteger<T> && cxx_internal::kIsUnsigned<T>>> {
  static constexpr auto kText = FixedText("uint") + cxx_internal::BitsText<sizeof(T)>();
};
template <typename T>
struct CxxTypeName<T, std::enable_if_t<std::is_floating_point_v<T>>> {
  static constexpr auto kText = FixedText("float") + cxx_internal::BitsText<sizeof(T)>();
};
template <typename T>
struct CxxTypeName<std::complex<T>> {
  static constexpr auto kText = FixedText("complex") + cxx_internal::BitsText<2 * sizeof(T)>();
};
// Text that the callee reads; `char*` is a buffer (`char8*`).
template <>
struct CxxTypeName<std::string> {
  static constexpr auto kText = FixedText("string");
};
template <>
struct CxxTypeName<std::string_view> : CxxTypeName<std::string> {};
template <>
struct CxxTypeName<const char*> : CxxTypeName<std::string> {};
template <typename T>
struct CxxTypeName<T*> {
  static constexpr auto kText = CxxTypeName<std::remove_cv_t<T>>::kText + FixedText("*");
};
template <typename T>
struct CxxTypeName<std::span<T>> : CxxTypeName<std::remove_cv_t<T>*> {};
template <typename R>
struct CxxTypeName<R()> {
  static constexpr auto kText = CxxTypeName<std::remove_cv_t<R>>::kText + FixedText("(void)");
};
template <typename R, typename A, typename... More>
struct CxxTypeName<R(A, More...)> {
  static constexpr auto kText =
      CxxTypeName<std::remove_cv_t<R>>::kText + FixedText("(") + CxxTypeName<std::remove_cv_t<A>>::kText +
      (FixedText<0>() + ... + (FixedText(", ") + CxxTypeName<std::remove_cv_t<More>>::kText)) + FixedText(")");
};
template <typename R, typename... A>
struct CxxTypeName<R(A...) noexcept> : CxxTypeName<R(A...)> {};

// The normal form, a constant: static_assert(kCxxTypeText<double(int)> == "float64(int32)").
template <typename T>
inline constexpr std::string_view kCxxTypeText = CxxTypeName<T>::kText.view();

// Parsed once in a process. Thread-safe.
template <typename T>
const Type& CxxType() {
  static const Type kType = Type::Parse(kCxxTypeText<T>).value();
  return kType;
}

// Arguments of a typed C++ call. A span of const is an in buffer, any other span is inout; it must outlive the call.
template <typename T>
Value ToValue(const T& value) {
  if constexpr (cxx_internal::kIsCharacter<T>) {
    return Character{static_cast<char32_t>(value), sizeof(T) * 8};
  } else {
    return Value(value);
  }
}
template <typename T>
Value ToValue(std::span<T> span) {
  using Element = std::remove_cv_t<T>;
  return Buffer{const_cast<Element*>(span.data()), span.size_bytes(),
                std::is_const_v<T> ? Direction::kIn : Direction::kInOut, CxxType<Element>(), nullptr};
}

// A result as C++ type; T is void, std::string, or a type whose bytes are those of a frame.
// kInvalidArgument: the value is of another kind or does not fit.
template <typename T>
Expected<T> FromValue(const Value& value) {
  if constexpr (std::is_void_v<T>) {
    return {};
  } else if constexpr (std::is_same_v<T, std::string>) {
    if (const std::string* text = value.As<std::string>()) return *text;
    if (const ByteString* bytes = value.As<ByteString>()) return bytes->bytes;
    return Error(ErrorKind::kInvalidArgument, "the result is no text; ask for its own type");
  } else {
    static_assert(std::is_trivially_copyable_v<T> && !std::is_pointer_v<T>);
    T result{};
    RBC_RETURN_IF_ERROR(StoreValue(value, CxxType<T>(), reinterpret_cast<char*>(&result)));
    return result;
  }
}

}  // namespace rbc::types
