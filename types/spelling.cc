// The spellings of atomic types: one table of names, numbered names, and C's multi-word names.
// SPDX-License-Identifier: Apache-2.0
#include "types/spelling.h"

#include <array>
#include <charconv>

namespace rbc::types {
namespace {

struct Letter {
  char letter;
  Kind kind;
  uint32_t bits;
};

constexpr Letter kLetters[] = {
    {'v', Kind::kVoid, 0},     {'b', Kind::kBool, 0},      {'c', Kind::kChar, 8},      {'z', Kind::kChar, 16},
    {'w', Kind::kChar, 32},    {'B', Kind::kInt, 8},       {'s', Kind::kInt, 16},      {'i', Kind::kInt, 32},
    {'l', Kind::kInt, 64},     {'q', Kind::kInt, 128},     {'U', Kind::kUint, 8},      {'S', Kind::kUint, 16},
    {'I', Kind::kUint, 32},    {'L', Kind::kUint, 64},     {'Q', Kind::kUint, 128},    {'h', Kind::kFloat, 16},
    {'f', Kind::kFloat, 32},   {'d', Kind::kFloat, 64},    {'x', Kind::kFloat, 128},   {'H', Kind::kComplex, 32},
    {'F', Kind::kComplex, 64}, {'D', Kind::kComplex, 128}, {'X', Kind::kComplex, 256}, {'t', Kind::kString, 0},
};

struct FixedName {
  std::string_view name;
  Kind kind;
  uint32_t bits;
};

// One word, the same on every target. Names with a width and C's integer words are not here.
constexpr FixedName kFixedNames[] = {
    {"", Kind::kVoid, 0},        {"void", Kind::kVoid, 0},        {"none", Kind::kVoid, 0},
    {"bool", Kind::kBool, 0},    {"boolean", Kind::kBool, 0},     {"b", Kind::kBool, 0},
    {"_Bool", Kind::kBool, 0},   {"byte", Kind::kInt, 8},         {"ubyte", Kind::kUint, 8},
    {"uchar", Kind::kUint, 8},   {"ushort", Kind::kUint, 16},     {"i", Kind::kInt, 32},
    {"u", Kind::kUint, 32},      {"uint", Kind::kUint, 32},       {"f", Kind::kFloat, 32},
    {"float", Kind::kFloat, 32}, {"d", Kind::kFloat, 64},         {"double", Kind::kFloat, 64},
    {"c", Kind::kComplex, 64},   {"complex", Kind::kComplex, 64}, {"string", Kind::kString, 0},
    {"str", Kind::kString, 0},   {"longlong", Kind::kInt, 64},    {"ulonglong", Kind::kUint, 64},
};

struct Family {
  std::string_view prefix;
  Kind kind;
  bool with_t;  // also `int32_t`
};

constexpr Family kFamilies[] = {
    {"int", Kind::kInt, true},          {"i", Kind::kInt, false},       {"uint", Kind::kUint, true},
    {"u", Kind::kUint, false},          {"float", Kind::kFloat, false}, {"f", Kind::kFloat, false},
    {"complex", Kind::kComplex, false}, {"c", Kind::kComplex, false},   {"char", Kind::kChar, true},
};

Type MakeAtom(Kind kind, uint32_t bits) {
  switch (kind) {
    case Kind::kBool:
      return Type::Bool();
    case Kind::kChar:
      return Type::Char(bits);
    case Kind::kInt:
      return Type::Int(bits);
    case Kind::kUint:
      return Type::Uint(bits);
    case Kind::kFloat:
      return Type::Float(bits);
    case Kind::kComplex:
      return Type::Complex(bits);
    case Kind::kString:
      return Type::String();
    default:
      return Type::Void();
  }
}

Error BadWidth(std::string_view text) {
  return Error(ErrorKind::kInvalidArgument, "type `" + std::string(text) + "` has a width outside 1 to " +
                                                std::to_string(kMaxTypeBits) + " bits; use a width in that range");
}

// `int35`, `u8`, `char16_t`: a family's prefix, then a decimal width without leading zeros.
Expected<std::optional<Type>> NumberedName(std::string_view text) {
  for (const Family& family : kFamilies) {
    if (!text.starts_with(family.prefix)) continue;
    std::string_view digits = text.substr(family.prefix.size());
    if (family.with_t && digits.ends_with("_t")) digits.remove_suffix(2);
    if (digits.empty() || digits.find_first_not_of("0123456789") != std::string_view::npos) continue;
    if (digits.front() == '0' && digits.size() > 1) continue;
    uint32_t bits = 0;
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
    if (parsed.ec != std::errc() || bits == 0 || bits > kMaxTypeBits) return BadWidth(text);
    return std::optional<Type>(MakeAtom(family.kind, bits));
  }
  return std::optional<Type>();
}

std::optional<Type> TargetName(std::string_view text, const DataModel& model) {
  const uint32_t pointer_bits = model.pointer_bytes * 8;
  if (text == "size_t" || text == "uintp" || text == "uintptr_t") return Type::Uint(pointer_bits);
  if (text == "ssize_t" || text == "intp" || text == "intptr_t" || text == "ptrdiff_t") return Type::Int(pointer_bits);
  if (text == "wchar" || text == "wchar_t") return Type::Char(model.wchar_bits);
  if (text == "ulong") return Type::Uint(model.long_bits);
  return std::nullopt;
}

// The words of a C declaration specifier, counted.
struct Words {
  int n_signed = 0, n_unsigned = 0, n_short = 0, n_long = 0, n_int = 0, n_char = 0, n_int128 = 0;
  int n_float = 0, n_double = 0, n_complex = 0;
  int total = 0;
};

int* CounterOf(std::string_view word, Words& words) {
  struct Entry {
    std::string_view word;
    int Words::*counter;
  };
  static constexpr Entry kEntries[] = {
      {"signed", &Words::n_signed},    {"unsigned", &Words::n_unsigned}, {"short", &Words::n_short},
      {"long", &Words::n_long},        {"int", &Words::n_int},           {"char", &Words::n_char},
      {"__int128", &Words::n_int128},  {"float", &Words::n_float},       {"double", &Words::n_double},
      {"_Complex", &Words::n_complex},
  };
  for (const Entry& entry : kEntries) {
    if (entry.word == word) return &(words.*entry.counter);
  }
  return nullptr;
}

std::optional<Words> CountWords(std::string_view text) {
  Words words;
  while (!text.empty()) {
    size_t end = 0;
    while (end < text.size() && !IsBlank(text[end])) ++end;
    int* counter = CounterOf(text.substr(0, end), words);
    if (counter == nullptr || words.total == 5) return std::nullopt;
    ++*counter;
    ++words.total;
    text = Trim(text.substr(end));
  }
  return words;
}

// `float`, `double`, `long double`, each also with `_Complex`.
std::optional<Type> FloatOfWords(const Words& w) {
  const bool is_float = w.n_float == 1 && w.n_double == 0 && w.n_long == 0;
  const bool is_double = w.n_double == 1 && w.n_float == 0 && w.n_long <= 1;
  if ((!is_float && !is_double) || w.n_complex > 1) return std::nullopt;
  if (w.total != w.n_float + w.n_double + w.n_long + w.n_complex) return std::nullopt;
  const uint32_t bits = is_float ? 32 : w.n_long == 1 ? 128 : 64;
  return w.n_complex == 1 ? Type::Complex(2 * bits) : Type::Float(bits);
}

std::optional<Type> IntegerOfWords(const Words& w, const DataModel& model) {
  if (w.n_signed + w.n_unsigned > 1 || w.n_short > 1 || w.n_long > 2 || w.n_int > 1 || w.n_char > 1)
    return std::nullopt;
  if (w.n_float + w.n_double + w.n_complex > 0) return std::nullopt;
  if ((w.n_short > 0) + (w.n_long > 0) + (w.n_char > 0) + (w.n_int128 > 0) > 1 || w.n_int128 > 1) return std::nullopt;
  if (w.n_int == 1 && (w.n_char == 1 || w.n_int128 == 1)) return std::nullopt;
  if (w.n_char == 1 && w.total == 1) return Type::Char(8);
  const uint32_t bits = w.n_char == 1     ? 8
                        : w.n_short == 1  ? 16
                        : w.n_long == 1   ? model.long_bits
                        : w.n_long == 2   ? 64
                        : w.n_int128 == 1 ? 128
                                          : 32;
  return w.n_unsigned == 1 ? Type::Uint(bits) : Type::Int(bits);
}

std::optional<Type> CName(std::string_view text, const DataModel& model) {
  const std::optional<Words> words = CountWords(text);
  if (!words || words->total == 0) return std::nullopt;
  if (std::optional<Type> type = FloatOfWords(*words)) return type;
  return IntegerOfWords(*words, model);
}

bool HasNameBehind(std::string_view text) {
  size_t begin = text.size();
  while (begin > 0 && IsIdentifierPart(text[begin - 1])) --begin;
  return begin > 0 && begin < text.size() && IsBlank(text[begin - 1]) && IsIdentifierStart(text[begin]) &&
         !IsTypeKeyword(text.substr(begin));
}

}  // namespace

bool IsBlank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool IsIdentifierStart(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool IsIdentifierPart(char c) { return IsIdentifierStart(c) || (c >= '0' && c <= '9'); }

std::string_view Trim(std::string_view text) {
  while (!text.empty() && IsBlank(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsBlank(text.back())) text.remove_suffix(1);
  return text;
}

bool IsTypeKeyword(std::string_view word) {
  Words words;
  return CounterOf(word, words) != nullptr || word == "void" || word == "_Bool" || word == "bool";
}

Expected<std::optional<Type>> KnownAtom(std::string_view text, const DataModel& model) {
  for (const FixedName& fixed : kFixedNames) {
    if (fixed.name == text) return std::optional<Type>(MakeAtom(fixed.kind, fixed.bits));
  }
  if (std::optional<Type> type = TargetName(text, model)) return type;
  RBC_ASSIGN_OR_RETURN(std::optional<Type> numbered, NumberedName(text));
  if (numbered) return numbered;
  return CName(text, model);
}

Expected<Type> ParseAtom(std::string_view text, const DataModel& model) {
  RBC_ASSIGN_OR_RETURN(const std::optional<Type> known, KnownAtom(text, model));
  if (known) return *known;
  for (const char c : text) {
    const bool control = (static_cast<unsigned char>(c) < 0x20 && !IsBlank(c)) || c == 0x7f;
    if (control || std::string_view("()[]{}*,").find(c) != std::string_view::npos) {
      return Error(ErrorKind::kInvalidArgument, "type text has an unexpected " +
                                                    (control ? "control character" : "`" + std::string(1, c) + "`") +
                                                    " inside a name of " + std::to_string(text.size()) +
                                                    " characters; separate types by commas inside brackets");
    }
  }
  if (HasNameBehind(text)) return Error(ErrorKind::kInvalidArgument, "a named type is no atom");
  return Type::Make(Kind::kUnknown, 0, 0, text, {});
}

std::string AtomName(const Type& type) {
  const std::string bits = std::to_string(type.bits());
  switch (type.kind()) {
    case Kind::kVoid:
      return "void";
    case Kind::kBool:
      return "bool";
    case Kind::kChar:
      return "char" + bits;
    case Kind::kInt:
      return "int" + bits;
    case Kind::kUint:
      return "uint" + bits;
    case Kind::kFloat:
      return "float" + bits;
    case Kind::kComplex:
      return "complex" + bits;
    case Kind::kString:
      return "string";
    default:
      return type.atom();
  }
}

char AtomLetter(const Type& type) {
  for (const Letter& entry : kLetters) {
    if (entry.kind == type.kind() && entry.bits == type.bits()) return entry.letter;
  }
  return 0;
}

std::optional<Type> AtomOfLetter(char letter) {
  for (const Letter& entry : kLetters) {
    if (entry.letter == letter) return MakeAtom(entry.kind, entry.bits);
  }
  return std::nullopt;
}

}  // namespace rbc::types
