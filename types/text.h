// UTF-8 and quoting as Python has them. Private to the folder.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace rbc::types {

// The code point at the start of `text`, which is cut off from it; nullopt: no valid UTF-8 there, nothing is cut off.
std::optional<char32_t> TakeCodePoint(std::string_view& text);
// The one code point of the text.
std::optional<char32_t> SingleCodePoint(std::string_view text);
// U+FFFD for what is no code point.
void AppendUtf8(std::string& out, char32_t code);

// repr(str) and repr(bytes). Bytes of a text that are no UTF-8 are shown as \xNN.
std::string QuotedText(std::string_view text);
std::string QuotedBytes(std::string_view bytes);

// The inside of a "..." or '...' literal with its escapes resolved (\n \t \r \0 \\ \" \' \xNN). nullopt: bad escape.
std::optional<std::string> Unescape(std::string_view inside);

}  // namespace rbc::types
