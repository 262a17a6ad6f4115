// The signature of a C++ function type, made by the compiler: `double(double, int)` is "float64(float64, int32)".
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace rbc {

// A text that constant expressions can hold and join.
template <size_t N>
struct FixedText {
  char chars[N + 1] = {};
  constexpr FixedText() = default;
  constexpr FixedText(const char (&text)[N + 1]) {  // NOLINT(google-explicit-constructor)
    for (size_t i = 0; i < N; ++i) chars[i] = text[i];
  }
  constexpr std::string_view view() const { return {chars, N}; }
};
template <size_t N>
FixedText(const char (&)[N]) -> FixedText<N - 1>;

template <size_t A, size_t B>
constexpr FixedText<A + B> operator+(const FixedText<A>& a, const FixedText<B>& b) {
  FixedText<A + B> out;
  for (size_t i = 0; i < A; ++i) out.chars[i] = a.chars[i];
  for (size_t i = 0; i < B; ++i) out.chars[A + i] = b.chars[i];
  return out;
}

namespace detail {

__extension__ typedef __int128 Int128;
__extension__ typedef unsigned __int128 Uint128;

template <size_t kBytes>
constexpr auto BitsText() {
  static_assert(kBytes == 1 || kBytes == 2 || kBytes == 4 || kBytes == 8 || kBytes == 16 || kBytes == 32);
  if constexpr (kBytes == 1) return FixedText("8");
  if constexpr (kBytes == 2) return FixedText("16");
  if constexpr (kBytes == 4) return FixedText("32");
  if constexpr (kBytes == 8) return FixedText("64");
  if constexpr (kBytes == 16) return FixedText("128");
  if constexpr (kBytes == 32) return FixedText("256");
}

template <typename T>
inline constexpr bool kIsChar = std::is_same_v<T, char> || std::is_same_v<T, char8_t> || std::is_same_v<T, char16_t> ||
                                std::is_same_v<T, char32_t> || std::is_same_v<T, wchar_t>;
template <typename T>
inline constexpr bool kIsInteger = (std::is_integral_v<T> && !kIsChar<T> && !std::is_same_v<T, bool>) ||
                                   std::is_same_v<T, Int128> || std::is_same_v<T, Uint128>;
template <typename T>
inline constexpr bool kIsUnsigned = std::is_unsigned_v<T> || std::is_same_v<T, Uint128>;

}  // namespace detail

// Memory that the function only writes: comes back, is not sent. In a function type it stands for `T*`.
template <typename T>
struct Out : std::span<T> {
  using std::span<T>::span;
  Out(std::span<T> memory) : std::span<T>(memory) {}  // NOLINT(google-explicit-constructor)
};

// The name of a C++ type. Not defined for what cannot be told to a farm. For a struct of yours name its members, in
// order:
//   template <> struct rbc::TypeText<Point> : rbc::Struct<&Point::x, &Point::y> {};
template <typename T, typename = void>
struct TypeText;

template <>
struct TypeText<void> {
  static constexpr auto kText = FixedText("void");
};
template <>
struct TypeText<bool> {
  static constexpr auto kText = FixedText("bool");
};
template <typename T>
struct TypeText<T, std::enable_if_t<detail::kIsChar<T>>> {
  static constexpr auto kText = FixedText("char") + detail::BitsText<sizeof(T)>();
};
template <typename T>
struct TypeText<T, std::enable_if_t<detail::kIsInteger<T> && !detail::kIsUnsigned<T>>> {
  static constexpr auto kText = FixedText("int") + detail::BitsText<sizeof(T)>();
};
template <typename T>
struct TypeText<T, std::enable_if_t<detail::kIsInteger<T> && detail::kIsUnsigned<T>>> {
  static constexpr auto kText = FixedText("uint") + detail::BitsText<sizeof(T)>();
};
template <typename T>
struct TypeText<T, std::enable_if_t<std::is_floating_point_v<T>>> {
  static constexpr auto kText = FixedText("float") + detail::BitsText<sizeof(T)>();
};
template <typename T>
struct TypeText<std::complex<T>> {
  static constexpr auto kText = FixedText("complex") + detail::BitsText<2 * sizeof(T)>();
};
// Text. A buffer of characters is std::span<char>.
template <>
struct TypeText<std::string> {
  static constexpr auto kText = FixedText("string");
};
template <>
struct TypeText<std::string_view> : TypeText<std::string> {};
template <>
struct TypeText<const char*> : TypeText<std::string> {};
template <typename T>
struct TypeText<T*> {
  static constexpr auto kText = TypeText<std::remove_cv_t<T>>::kText + FixedText("*");
};
template <typename T>
struct TypeText<std::span<T>> : TypeText<std::remove_cv_t<T>*> {};
template <typename T>
struct TypeText<Out<T>> : TypeText<T*> {};

namespace detail {

template <typename T>
struct MemberOf;
template <typename Class, typename Member>
struct MemberOf<Member Class::*> {
  using Type = Member;
};
template <typename First, typename... More>
constexpr auto JoinTexts() {
  return TypeText<std::remove_cv_t<First>>::kText +
         (FixedText<0>() + ... + (FixedText(", ") + TypeText<std::remove_cv_t<More>>::kText));
}

}  // namespace detail

template <auto... kMembers>
struct Struct {
  static_assert(sizeof...(kMembers) > 0, "a struct without members cannot travel");
  static constexpr auto kText =
      FixedText("{") + detail::JoinTexts<typename detail::MemberOf<decltype(kMembers)>::Type...>() + FixedText("}");
};

template <typename R>
struct TypeText<R()> {
  static constexpr auto kText = TypeText<std::remove_cv_t<R>>::kText + FixedText("(void)");
};
template <typename R, typename A, typename... More>
struct TypeText<R(A, More...)> {
  static constexpr auto kText = TypeText<std::remove_cv_t<R>>::kText + FixedText("(") +
                                detail::JoinTexts<std::remove_cvref_t<A>, std::remove_cvref_t<More>...>() +
                                FixedText(")");
};

// "float64(float64, int32)"
template <typename F>
inline constexpr std::string_view kSignature = TypeText<F>::kText.view();

}  // namespace rbc
