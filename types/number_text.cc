// Reading and printing numbers in Python's format.
// SPDX-License-Identifier: Apache-2.0
#include "types/number_text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "types/half.h"
#include "types/spelling.h"

namespace rbc::types {
namespace {

struct Decimal {
  std::string digits;  // without a point, no trailing zeros, "0" for zero
  int exponent = 0;    // of the first digit
};

// Splits "d.ddde+xx".
Decimal SplitScientific(std::string_view text) {
  Decimal decimal;
  const size_t e = text.find('e');
  for (const char c : text.substr(0, e)) {
    if (c != '.') decimal.digits += c;
  }
  std::string_view exponent = text.substr(e + 1);
  if (exponent.starts_with('+')) exponent.remove_prefix(1);
  std::from_chars(exponent.data(), exponent.data() + exponent.size(), decimal.exponent);
  while (decimal.digits.size() > 1 && decimal.digits.back() == '0') decimal.digits.pop_back();
  return decimal;
}

template <typename T>
Decimal Shortest(T magnitude) {
  char text[64];
  const auto end = std::to_chars(text, text + sizeof text, magnitude, std::chars_format::scientific).ptr;
  return SplitScientific(std::string_view(text, end - text));
}

Decimal ShortestHalf(double magnitude) {
  const uint16_t half = DoubleToHalf(magnitude);
  char text[32];
  for (int precision = 0; precision < 6; ++precision) {
    std::snprintf(text, sizeof text, "%.*e", precision, magnitude);
    if (DoubleToHalf(std::strtod(text, nullptr)) == half) break;
  }
  return SplitScientific(text);
}

Decimal DigitsOf(long double magnitude, uint32_t bits) {
  switch (bits) {
    case 16:
      return ShortestHalf(static_cast<double>(magnitude));
    case 32:
      return Shortest(static_cast<float>(magnitude));
    case 64:
      return Shortest(static_cast<double>(magnitude));
    default:
      return Shortest(magnitude);
  }
}

std::string Exponential(const Decimal& decimal) {
  std::string text = decimal.digits.substr(0, 1);
  if (decimal.digits.size() > 1) text.append(".").append(decimal.digits, 1);
  const int magnitude = std::abs(decimal.exponent);
  return text + (decimal.exponent < 0 ? "e-" : "e+") + (magnitude < 10 ? "0" : "") + std::to_string(magnitude);
}

std::string Fixed(const Decimal& decimal, bool point) {
  if (decimal.exponent < 0) return "0." + std::string(-decimal.exponent - 1, '0') + decimal.digits;
  const size_t whole = decimal.exponent + 1;
  if (decimal.digits.size() > whole) return decimal.digits.substr(0, whole) + "." + decimal.digits.substr(whole);
  return decimal.digits + std::string(whole - decimal.digits.size(), '0') + (point ? ".0" : "");
}

// Underscores between digits removed as Python allows them; nullopt: one stands elsewhere.
std::optional<std::string> WithoutUnderscores(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      out += text[i];
      continue;
    }
    const bool between = i > 0 && i + 1 < text.size() && std::isxdigit(static_cast<unsigned char>(text[i - 1])) &&
                         std::isxdigit(static_cast<unsigned char>(text[i + 1]));
    if (!between) return std::nullopt;
  }
  return out;
}

unsigned TakeBase(std::string_view& digits) {
  if (digits.size() < 2 || digits[0] != '0') return 10;
  const char letter = digits[1] | 0x20;
  const unsigned base = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 10;
  if (base != 10) digits.remove_prefix(2);
  return base;
}

bool TakeSign(std::string_view& text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  return negative;
}

// Where the imaginary part's sign is: the last + or - that is not first and not in an exponent.
size_t SplitOfComplex(std::string_view text) {
  for (size_t i = text.size(); i-- > 1;) {
    const bool in_exponent = (text[i - 1] | 0x20) == 'e';
    if ((text[i] == '+' || text[i] == '-') && !in_exponent) return i;
  }
  return 0;
}

}  // namespace

bool Integer::Fits(uint32_t bits, bool is_signed) const {
  if (magnitude == 0) return true;
  if (!is_signed) return !negative && (bits >= 128 || magnitude >> bits == 0);
  const Uint128 limit = static_cast<Uint128>(1) << (std::min(bits, 128u) - 1);
  return negative ? magnitude <= limit : magnitude < limit;
}

std::string FloatText(long double value, uint32_t bits, bool point) {
  if (std::isnan(value)) return "nan";
  const std::string sign = std::signbit(value) ? "-" : "";
  if (std::isinf(value)) return sign + "inf";
  const Decimal decimal = DigitsOf(std::fabs(value), bits);
  if (decimal.exponent < -4 || decimal.exponent >= 16) return sign + Exponential(decimal);
  return sign + Fixed(decimal, point);
}

std::string ComplexText(std::complex<long double> value, uint32_t bits) {
  const std::string imaginary = FloatText(value.imag(), bits, /*point=*/false) + "j";
  if (value.real() == 0 && !std::signbit(value.real())) return imaginary;
  const bool plus = imaginary.front() != '-';
  return "(" + FloatText(value.real(), bits, /*point=*/false) + (plus ? "+" : "") + imaginary + ")";
}

std::string IntegerText(Integer value) {
  std::string digits;
  Uint128 rest = value.magnitude;
  do {
    digits += static_cast<char>('0' + static_cast<int>(rest % 10));
    rest /= 10;
  } while (rest != 0);
  if (value.negative) digits += '-';
  std::reverse(digits.begin(), digits.end());
  return digits;
}

std::optional<Integer> ReadInteger(std::string_view text) {
  const std::optional<std::string> plain = WithoutUnderscores(Trim(text));
  if (!plain) return std::nullopt;
  std::string_view digits = *plain;
  Integer out{.negative = TakeSign(digits)};
  const unsigned base = TakeBase(digits);
  if (digits.empty()) return std::nullopt;
  for (const char c : digits) {
    const unsigned digit = c >= '0' && c <= '9'                     ? c - '0'
                           : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                                    : 99;
    Uint128 next = 0;
    if (digit >= base || __builtin_mul_overflow(out.magnitude, static_cast<Uint128>(base), &next) ||
        __builtin_add_overflow(next, static_cast<Uint128>(digit), &out.magnitude)) {
      return std::nullopt;
    }
  }
  if (out.magnitude == 0) out.negative = false;
  return out.negative && !out.Fits(128, true) ? std::nullopt : std::optional(out);
}

template <typename T>
std::optional<T> ReadFloat(std::string_view text) {
  text = Trim(text);
  std::optional<std::string> plain = WithoutUnderscores(text);
  if (!plain) return std::nullopt;
  std::string_view digits = *plain;
  const bool negative = TakeSign(digits);
  // from_chars would take a second sign, and "nan(...)".
  if (digits.empty() || digits.front() == '-' || digits.find('(') != std::string_view::npos) return std::nullopt;
  T value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error == std::errc() && end == digits.data() + digits.size()) return negative ? -value : value;
  if (const std::optional<Integer> integer = ReadInteger(text)) return integer->As<T>();
  return std::nullopt;
}
template std::optional<double> ReadFloat(std::string_view text);
template std::optional<long double> ReadFloat(std::string_view text);

template <typename T>
std::optional<std::complex<T>> ReadComplex(std::string_view text) {
  text = Trim(text);
  if (text.starts_with('(') && text.ends_with(')')) text = Trim(text.substr(1, text.size() - 2));
  if (text.empty() || (text.back() | 0x20) != 'j') {
    const std::optional<T> real = ReadFloat<T>(text);
    return real ? std::optional<std::complex<T>>(*real) : std::nullopt;
  }
  text.remove_suffix(1);
  const size_t split = SplitOfComplex(text);
  std::string imaginary_text(text.substr(split));
  if (split != 0) imaginary_text = text[split] + std::string(Trim(text.substr(split + 1)));  // `2 + 1j`
  std::optional<T> real = T{0};
  if (split != 0) real = ReadFloat<T>(text.substr(0, split));
  std::optional<T> imaginary;
  if (imaginary_text.empty() || imaginary_text == "+") {
    imaginary = T{1};
  } else {
    imaginary = imaginary_text == "-" ? std::optional<T>(T{-1}) : ReadFloat<T>(imaginary_text);
  }
  if (!real || !imaginary) return std::nullopt;
  return std::complex<T>(*real, *imaginary);
}
template std::optional<std::complex<double>> ReadComplex(std::string_view text);
template std::optional<std::complex<long double>> ReadComplex(std::string_view text);

}  // namespace rbc::types
