// Values from a command line, and values as Python prints them.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "types/array.h"
#include "types/frame.h"
#include "types/number_text.h"
#include "types/spelling.h"
#include "types/text.h"
#include "types/value.h"

namespace rbc::types {
namespace {

Error NoSuchValue(const Type& type, std::string_view text) {
  constexpr size_t kShown = 60;
  return Error(ErrorKind::kInvalidArgument, "text `" + std::string(text.substr(0, kShown)) +
                                                (text.size() > kShown ? "..." : "") + "` is no value of type `" +
                                                type.ToString() + "`; write one as Python does");
}

// In range of the type, or an error.
Expected<Value> Checked(const Type& type, Value value) {
  RBC_ASSIGN_OR_RETURN(const uint64_t size, SizeOf(type));
  std::string scratch(size, '\0');
  RBC_RETURN_IF_ERROR(StoreValue(value, type, scratch.data()));
  return value;
}

Expected<Value> ParseBool(const Type& type, std::string_view text) {
  if (text == "True" || text == "true" || text == "1") return Value(true);
  if (text == "False" || text == "false" || text == "0") return Value(false);
  return NoSuchValue(type, text);
}

Expected<Value> ParseInteger(const Type& type, std::string_view text) {
  const std::optional<Integer> integer = ReadInteger(text);
  if (!integer) return NoSuchValue(type, text);
  return Checked(type, integer->negative ? Value(static_cast<Int128>(integer->Bits())) : Value(integer->magnitude));
}

template <typename T>
Expected<Value> ParseFloat(const Type& type, std::string_view text) {
  const std::optional<T> number = ReadFloat<T>(text);
  if (!number) return NoSuchValue(type, text);
  return Checked(type, Value(*number));
}

template <typename T>
Expected<Value> ParseComplex(const Type& type, std::string_view text) {
  const std::optional<std::complex<T>> number = ReadComplex<T>(text);
  if (!number) return NoSuchValue(type, text);
  return Checked(type, Value(*number));
}

bool IsQuoted(std::string_view text) {
  return text.size() >= 2 && (text.front() == '"' || text.front() == '\'') && text.back() == text.front();
}

// Without quotes the text is taken as it is.
std::optional<std::string> ReadText(std::string_view text) {
  return IsQuoted(text) ? Unescape(text.substr(1, text.size() - 2)) : std::string(text);
}

Expected<Value> ParseCharacter(const Type& type, std::string_view text) {
  const std::optional<std::string> inside = ReadText(text);
  if (!inside) return NoSuchValue(type, text);
  std::optional<char32_t> code = SingleCodePoint(*inside);
  if (!code && inside->size() == 1) code = static_cast<unsigned char>(inside->front());
  const std::optional<Integer> number = ReadInteger(*inside);
  if (!code && number && number->Fits(32, false)) code = static_cast<char32_t>(number->magnitude);
  if (!code) return NoSuchValue(type, text);
  return Checked(type, Value(Character{*code, type.bits()}));
}

// The items between commas outside of quotes and brackets; nullopt: those are not balanced.
std::optional<std::vector<std::string_view>> SplitItems(std::string_view text) {
  std::vector<std::string_view> items;
  if (Trim(text).empty()) return items;
  size_t begin = 0, depth = 0;
  char quote = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote != 0) {
      if (c == '\\') ++i;
      if (c == quote) quote = 0;
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == '(' || c == '[' || c == '{') {
      ++depth;
    } else if (c == ')' || c == ']' || c == '}') {
      if (depth-- == 0) return std::nullopt;
    } else if (c == ',' && depth == 0) {
      items.push_back(Trim(text.substr(begin, i - begin)));
      begin = i + 1;
    }
  }
  if (quote != 0 || depth != 0) return std::nullopt;
  // Python's one-tuple `(1,)` ends in a comma.
  if (!Trim(text.substr(begin)).empty()) items.push_back(Trim(text.substr(begin)));
  return items;
}

Expected<Value> ParseStruct(const Type& type, std::string_view text) {
  const bool braces = text.starts_with('{') && text.ends_with('}');
  const bool parentheses = text.starts_with('(') && text.ends_with(')');
  if (text.size() < 2 || (!braces && !parentheses)) return NoSuchValue(type, text);
  const auto items = SplitItems(text.substr(1, text.size() - 2));
  if (!items || items->size() != type.members().size()) return NoSuchValue(type, text);
  StructValue out;
  for (size_t i = 0; i < items->size(); ++i) {
    RBC_ASSIGN_OR_RETURN(Value member, ParseValue(type.members()[i], (*items)[i]));
    out.members.push_back(std::move(member));
  }
  return Value(std::move(out));
}

Expected<Value> ParseBuffer(const Type& type, std::string_view text) {
  const Type& element = type.element();
  if (!IsPlain(element) || !text.ends_with(']')) return NoSuchValue(type, text);
  const auto items = SplitItems(text.substr(1, text.size() - 2));
  if (!items) return NoSuchValue(type, text);
  RBC_ASSIGN_OR_RETURN(const SizeAndAlignment layout, LayoutOf(element));
  const size_t bytes = layout.size * items->size();
  const auto memory = std::make_shared<std::vector<char>>(std::max<size_t>(bytes, 1));  // empty is not null
  for (size_t i = 0; i < items->size(); ++i) {
    RBC_ASSIGN_OR_RETURN(const Value item, ParseValue(element, (*items)[i]));
    RBC_RETURN_IF_ERROR(StoreValue(item, element, memory->data() + i * layout.size));
  }
  return Value(Buffer{memory->data(), bytes, Direction::kInOut, element, memory});
}

// Reads nested lists into elements in C order; the first list of each depth says how many each of them has.
class ArrayReader {
 public:
  explicit ArrayReader(const Type& type) : type_(type), shape_(type.rank(), -1) {}

  Expected<Value> Read(std::string_view text) {
    RBC_ASSIGN_OR_RETURN(const uint64_t size, SizeOf(type_.element()));
    size_ = size;
    RBC_RETURN_IF_ERROR(ReadList(text, 0));
    for (int64_t& n : shape_) n = std::max<int64_t>(n, 0);
    return MakeArray(type_.element(), shape_, bytes_);
  }

 private:
  Status ReadList(std::string_view text, uint32_t depth) {
    if (depth == shape_.size()) return ReadElement(text);
    if (!text.starts_with('[') || !text.ends_with(']') || text.size() < 2) return NoSuchValue(type_, text);
    const auto items = SplitItems(text.substr(1, text.size() - 2));
    if (!items) return NoSuchValue(type_, text);
    const auto count = static_cast<int64_t>(items->size());
    if (shape_[depth] >= 0 && shape_[depth] != count) return NoSuchValue(type_, text);
    shape_[depth] = count;
    for (const std::string_view item : *items) RBC_RETURN_IF_ERROR(ReadList(item, depth + 1));
    return {};
  }

  Status ReadElement(std::string_view text) {
    RBC_ASSIGN_OR_RETURN(const Value element, ParseValue(type_.element(), text));
    bytes_.resize(bytes_.size() + size_);
    return StoreValue(element, type_.element(), bytes_.data() + bytes_.size() - size_);
  }

  const Type& type_;
  uint64_t size_ = 0;
  std::vector<int64_t> shape_;
  std::string bytes_;
};

Expected<Value> ParsePointer(const Type& type, std::string_view text) {
  if (text == "null" || text == "None") return Value(NullPointer());
  if (text.starts_with('[')) return ParseBuffer(type, text);
  if (!IsCharPointer(type)) return NoSuchValue(type, text);
  std::optional<std::string> bytes = ReadText(text);
  if (!bytes) return NoSuchValue(type, text);
  return Value(ByteString{*std::move(bytes)});
}

std::string CharacterText(const Character& character) {
  std::string text;
  AppendUtf8(text, character.code);
  return text;
}

uint32_t PartBits(const Type& type, Kind kind, uint32_t otherwise) {
  if (!type.is(kind)) return otherwise;
  const uint32_t bits = kind == Kind::kComplex ? type.bits() / 2 : type.bits();
  return bits == 16 || bits == 32 || bits == 64 || bits == 128 ? bits : otherwise;
}

// Prints one value; `nested` is inside of a struct or buffer, where text has quotes.
class Repr {
 public:
  Repr(const Type& type, bool nested) : type_(type), nested_(nested) {}

  std::string operator()(const None&) const { return "None"; }
  std::string operator()(const NullPointer&) const { return "None"; }
  std::string operator()(bool value) const { return value ? "True" : "False"; }
  std::string operator()(int64_t value) const { return std::to_string(value); }
  std::string operator()(uint64_t value) const { return std::to_string(value); }
  std::string operator()(Int128 value) const { return IntegerText(Integer::Of(value)); }
  std::string operator()(Uint128 value) const { return IntegerText(Integer::Of(value)); }
  std::string operator()(double value) const { return FloatText(value, PartBits(type_, Kind::kFloat, 64), true); }
  std::string operator()(long double value) const { return FloatText(value, PartBits(type_, Kind::kFloat, 128), true); }
  std::string operator()(const std::complex<double>& value) const {
    return ComplexText(value, PartBits(type_, Kind::kComplex, 64));
  }
  std::string operator()(const std::complex<long double>& value) const {
    return ComplexText(value, PartBits(type_, Kind::kComplex, 128));
  }
  std::string operator()(const Character& value) const { return Text(CharacterText(value)); }
  std::string operator()(const std::string& value) const { return Text(value); }
  std::string operator()(const ByteString& value) const { return QuotedBytes(value.bytes); }
  std::string operator()(const Buffer& buffer) const;
  std::string operator()(const StructValue& value) const;

 private:
  std::string Text(const std::string& text) const { return nested_ ? QuotedText(text) : text; }
  // The elements of an array from `at` on, as nested lists.
  std::string Nest(const Buffer& array, size_t depth, const char* at) const;
  static std::string Nested(const Value& value, const Type& type) {
    return std::visit(Repr(type, /*nested=*/true), value.state());
  }
  const Type& type_;
  const bool nested_;
};

std::string Repr::operator()(const StructValue& value) const {
  const bool typed = type_.is(Kind::kStruct) && type_.members().size() == value.members.size();
  std::string out = "(";
  for (size_t i = 0; i < value.members.size(); ++i) {
    const Value& member = value.members[i];
    out.append(i == 0 ? "" : ", ").append(Nested(member, typed ? type_.members()[i] : TypeOf(member)));
  }
  return out + (value.members.size() == 1 ? ",)" : ")");
}

std::string Repr::Nest(const Buffer& array, size_t depth, const char* at) const {
  if (depth == array.shape.size()) return Nested(LoadValue(array.element, at), array.element);
  std::string out = "[";
  for (int64_t i = 0; i < array.shape[depth]; ++i) {
    out.append(i == 0 ? "" : ", ").append(Nest(array, depth + 1, at + i * array.strides[depth]));
  }
  return out + "]";
}

std::string Repr::operator()(const Buffer& buffer) const {
  if (!buffer.shape.empty() && IsPlain(buffer.element)) return Nest(buffer, 0, static_cast<const char*>(buffer.data));
  const bool typed = type_.is(Kind::kPointer) && IsPlain(type_.element());
  const Type& element = typed ? type_.element() : buffer.element;
  const uint64_t size = IsPlain(element) ? SizeOf(element).value() : 0;
  if (size == 0 || buffer.data == nullptr) return "<buffer of " + std::to_string(buffer.bytes) + " bytes>";
  std::string out = "[";
  for (uint64_t at = 0; size <= buffer.bytes - at; at += size) {
    out.append(at == 0 ? "" : ", ").append(Nested(LoadValue(element, static_cast<char*>(buffer.data) + at), element));
  }
  return out + "]";
}

}  // namespace

Expected<Value> ParseValue(const Type& type, std::string_view text) {
  const std::string_view raw = text;
  text = Trim(text);
  switch (type.kind()) {
    case Kind::kBool:
      return ParseBool(type, text);
    case Kind::kChar:
      return ParseCharacter(type, text.empty() ? raw : text);
    case Kind::kInt:
    case Kind::kUint:
      return ParseInteger(type, text);
    case Kind::kFloat:
      return type.bits() > 64 ? ParseFloat<long double>(type, text) : ParseFloat<double>(type, text);
    case Kind::kComplex:
      return type.bits() > 128 ? ParseComplex<long double>(type, text) : ParseComplex<double>(type, text);
    case Kind::kString: {
      if (text == "null") return Value(NullPointer());
      std::optional<std::string> inside = IsQuoted(text) ? ReadText(text) : std::string(raw);
      return inside ? Expected<Value>(Value(*std::move(inside))) : NoSuchValue(type, text);
    }
    case Kind::kPointer:
      return ParsePointer(type, text);
    case Kind::kStruct:
      return ParseStruct(type, text);
    case Kind::kArray:
      return IsPlain(type.element()) ? ArrayReader(type).Read(text) : NoSuchValue(type, text);
    default:
      return NoSuchValue(type, text);
  }
}

std::string ToPythonRepr(const Value& value, const Type& type) {
  return std::visit(Repr(type, /*nested=*/false), value.state());
}

}  // namespace rbc::types
