// UTF-8 and quoting.
// SPDX-License-Identifier: Apache-2.0
#include "types/text.h"

#include <cstdint>
#include <cstdio>

namespace rbc::types {
namespace {

void AppendHex(std::string& out, char32_t code) {
  char text[12];
  std::snprintf(text, sizeof text,
                code < 0x100     ? "\\x%02x"
                : code < 0x10000 ? "\\u%04x"
                                 : "\\U%08x",
                static_cast<unsigned>(code));
  out += text;
}

// The escape for `code` between `quote`s, or nothing.
std::string_view ShortEscape(char32_t code, char quote) {
  if (code == '\\') return "\\\\";
  if (code == '\n') return "\\n";
  if (code == '\r') return "\\r";
  if (code == '\t') return "\\t";
  if (code == static_cast<unsigned char>(quote)) return quote == '"' ? "\\\"" : "\\'";
  return {};
}

char QuoteFor(std::string_view text) {
  const bool single = text.find('\'') != std::string_view::npos;
  return single && text.find('"') == std::string_view::npos ? '"' : '\'';
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = c | 0x20;
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

}  // namespace

std::optional<char32_t> TakeCodePoint(std::string_view& text) {
  if (text.empty()) return std::nullopt;
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const size_t size = byte(0) < 0x80 ? 1 : byte(0) >> 5 == 6 ? 2 : byte(0) >> 4 == 14 ? 3 : byte(0) >> 3 == 30 ? 4 : 0;
  if (size == 0 || size > text.size()) return std::nullopt;
  static constexpr uint8_t kFirstBits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
  static constexpr char32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  char32_t code = byte(0) & kFirstBits[size];
  for (size_t i = 1; i < size; ++i) {
    if (byte(i) >> 6 != 2) return std::nullopt;
    code = code << 6 | (byte(i) & 0x3f);
  }
  if (code < kLeast[size] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return std::nullopt;
  text.remove_prefix(size);
  return code;
}

std::optional<char32_t> SingleCodePoint(std::string_view text) {
  const std::optional<char32_t> code = TakeCodePoint(text);
  return text.empty() ? code : std::nullopt;
}

void AppendUtf8(std::string& out, char32_t code) {
  if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) code = 0xfffd;
  if (code < 0x80) {
    out += static_cast<char>(code);
    return;
  }
  const int tail = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
  static constexpr uint8_t kFirst[] = {0, 0xc0, 0xe0, 0xf0};
  out += static_cast<char>(kFirst[tail] | code >> (6 * tail));
  for (int i = tail - 1; i >= 0; --i) out += static_cast<char>(0x80 | (code >> (6 * i) & 0x3f));
}

std::string QuotedText(std::string_view text) {
  const char quote = QuoteFor(text);
  std::string out(1, quote);
  while (!text.empty()) {
    const std::optional<char32_t> code = TakeCodePoint(text);
    if (!code) {
      AppendHex(out, static_cast<uint8_t>(text.front()));
      text.remove_prefix(1);
      continue;
    }
    const std::string_view escape = ShortEscape(*code, quote);
    const bool control = *code < 0x20 || (*code >= 0x7f && *code <= 0xa0) || *code == 0xad;
    if (!escape.empty()) {
      out += escape;
    } else if (control) {
      AppendHex(out, *code);
    } else {
      AppendUtf8(out, *code);
    }
  }
  return out + quote;
}

std::string QuotedBytes(std::string_view bytes) {
  const char quote = QuoteFor(bytes);
  std::string out = std::string("b") + quote;
  for (const char c : bytes) {
    const auto byte = static_cast<uint8_t>(c);
    const std::string_view escape = ShortEscape(byte, quote);
    if (!escape.empty()) {
      out += escape;
    } else if (byte < 0x20 || byte >= 0x7f) {
      AppendHex(out, byte);
    } else {
      out += c;
    }
  }
  return out + quote;
}

std::optional<std::string> Unescape(std::string_view inside) {
  std::string out;
  for (size_t i = 0; i < inside.size(); ++i) {
    if (inside[i] != '\\') {
      out += inside[i];
      continue;
    }
    if (++i == inside.size()) return std::nullopt;
    static constexpr std::string_view kLetters = "ntr0\\\"'";
    static constexpr std::string_view kMeanings("\n\t\r\0\\\"'", 7);
    if (const size_t at = kLetters.find(inside[i]); at != std::string_view::npos) {
      out += kMeanings[at];
      continue;
    }
    if (inside[i] != 'x' || inside.size() - i < 3) return std::nullopt;
    const int high = HexDigit(inside[i + 1]), low = HexDigit(inside[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

}  // namespace rbc::types
