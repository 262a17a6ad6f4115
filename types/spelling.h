// The spellings of atomic types. Private to the folder.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/expected.h"
#include "types/type.h"

namespace rbc::types {

bool IsBlank(char c);
bool IsIdentifierStart(char c);
bool IsIdentifierPart(char c);
std::string_view Trim(std::string_view text);

// The type that the trimmed text spells (`i64`, `unsigned long`), if it is a known spelling. An empty text is void.
// kInvalidArgument: a width of 0 or beyond kMaxTypeBits.
Expected<std::optional<Type>> KnownAtom(std::string_view text, const DataModel& model);
// A known spelling, or else an unknown atom. kInvalidArgument: the text has brackets, stars, commas, control
// characters or a name behind it, so it is no atom.
Expected<Type> ParseAtom(std::string_view text, const DataModel& model);
// Words that C reserves for its types; none of them can be a parameter's name.
bool IsTypeKeyword(std::string_view word);

// `int32`, `complex128`, `string`, `foo`: the normal name of an atom.
std::string AtomName(const Type& type);
// The one letter of the mangling, or 0.
char AtomLetter(const Type& type);
std::optional<Type> AtomOfLetter(char letter);

}  // namespace rbc::types
