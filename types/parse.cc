// Type::Parse: by the last character, each character looked at a bounded number of times.
// SPDX-License-Identifier: Apache-2.0
#include <vector>

#include "types/spelling.h"
#include "types/type.h"

namespace rbc::types {
namespace {

Error Invalid(std::string message) { return Error(ErrorKind::kInvalidArgument, std::move(message)); }

// The text in messages, shortened.
std::string Quote(std::string_view text) {
  constexpr size_t kShown = 80;
  return "`" + std::string(text.substr(0, kShown)) + (text.size() > kShown ? "..." : "") + "`";
}

}  // namespace

// Parses one text. Positions are indices into it; ranges are [begin, end).
class Parser {
 public:
  Parser(std::string_view text, const DataModel& model) : text_(text), model_(model) {}

  Expected<Type> Parse() {
    if (text_.size() > kMaxTypeText) {
      return Invalid("type text has " + std::to_string(text_.size()) + " bytes, the limit is " +
                     std::to_string(kMaxTypeText) + "; use a shorter type");
    }
    RBC_RETURN_IF_ERROR(MatchBrackets());
    return ParseRange(0, text_.size(), 0);
  }

 private:
  // Fills partner_: for each bracket the position of its other half.
  Status MatchBrackets() {
    partner_.assign(text_.size(), 0);
    std::vector<size_t> open;
    for (size_t i = 0; i < text_.size(); ++i) {
      const char c = text_[i];
      if (c == '(' || c == '[' || c == '{') open.push_back(i);
      if (c != ')' && c != ']' && c != '}') continue;
      const char expected = c == ')' ? '(' : c == ']' ? '[' : '{';
      if (open.empty() || text_[open.back()] != expected) return Unbalanced(i);
      partner_[i] = open.back();
      partner_[open.back()] = i;
      open.pop_back();
    }
    return open.empty() ? Status() : Unbalanced(open.back());
  }
  Error Unbalanced(size_t position) const {
    return Invalid("type " + Quote(text_) + " has an unbalanced `" + text_[position] + "` at character " +
                   std::to_string(position + 1) + "; close every bracket that is opened");
  }
  Error TooDeep() const {
    return Invalid("type " + Quote(text_) + " nests deeper than the limit of " + std::to_string(kMaxTypeDepth) +
                   "; use a flatter type");
  }

  Expected<Type> ParseRange(size_t begin, size_t end, size_t depth) {
    if (depth > kMaxTypeDepth) return TooDeep();
    while (begin < end && IsBlank(text_[begin])) ++begin;
    while (begin < end && IsBlank(text_[end - 1])) --end;
    if (begin == end) return Type();
    switch (text_[end - 1]) {
      case '*':
        return ParsePointer(begin, end, depth);
      case '}':
        return ParseStruct(begin, end, depth);
      case ')':
        return ParseFunction(begin, end, depth);
      case ']':
        return ParseArray(begin, end, depth);
      default:
        return ParseNamedOrAtom(begin, end, depth);
    }
  }

  Expected<Type> ParsePointer(size_t begin, size_t end, size_t depth) {
    RBC_ASSIGN_OR_RETURN(Type element, ParseRange(begin, end - 1, depth + 1));
    if (!element.name().empty() && !element.is(Kind::kFunction)) {
      return Invalid("type " + Quote(text_.substr(begin, end - begin)) + " has the name `" +
                     std::string(element.name()) + "` before its `*`; write the name last");
    }
    return Checked(Type::Pointer(element.WithName({})));
  }

  Expected<Type> ParseStruct(size_t begin, size_t end, size_t depth) {
    const size_t open = partner_[end - 1];
    if (open != begin)
      return Invalid("type " + Quote(text_.substr(begin, end - begin)) +
                     " has text before a struct; separate types by commas");
    RBC_ASSIGN_OR_RETURN(std::vector<Type> members, ParseList(open + 1, end - 1, depth + 1));
    for (const Type& member : members) {
      if (member.is(Kind::kVoid)) return NoVoid(begin, end, "struct member");
    }
    return Checked(Type::Struct(std::move(members)));
  }

  Expected<Type> ParseFunction(size_t begin, size_t end, size_t depth) {
    const size_t open = partner_[end - 1];
    RBC_ASSIGN_OR_RETURN(Type result, ParseRange(begin, open, depth + 1));
    RBC_ASSIGN_OR_RETURN(std::vector<Type> parameters, ParseList(open + 1, end - 1, depth + 1));
    if (parameters.size() == 1 && parameters[0].is(Kind::kVoid) && parameters[0].name().empty()) parameters.clear();
    for (const Type& parameter : parameters) {
      if (parameter.is(Kind::kVoid)) return NoVoid(begin, end, "parameter");
    }
    const std::string name(result.name());
    RBC_ASSIGN_OR_RETURN(Type function, Checked(Type::Function(result.WithName({}), std::move(parameters))));
    return function.WithName(name);
  }

  // Between the brackets: nothing, or one of `:` and `::1` for each dimension, `::1` only for the last one. Nothing and
  // `::1` are C order, `:` alone is any strides.
  Expected<Type> ParseArray(size_t begin, size_t end, size_t depth) {
    const size_t open = partner_[end - 1];
    std::string_view inside = Trim(text_.substr(open + 1, end - open - 2));
    uint32_t rank = 1;
    bool contiguous = inside.empty();
    for (bool last = inside.empty(); !last;) {
      const size_t comma = inside.find(',');
      const std::string_view dimension = Trim(inside.substr(0, comma));
      last = comma == std::string_view::npos;
      if (dimension != ":" && !(last && dimension == "::1")) {
        return Invalid("array type " + Quote(text_.substr(begin, end - begin)) + " has the dimension " +
                       Quote(dimension) + "; write `:` for each dimension, or `::1` for the last (C order)");
      }
      contiguous = dimension == "::1";
      if (last) break;
      if (++rank > kMaxArrayRank) {
        return Invalid("array type has more than " + std::to_string(kMaxArrayRank) + " dimensions; use fewer");
      }
      inside.remove_prefix(comma + 1);
    }
    RBC_ASSIGN_OR_RETURN(Type element, ParseRange(begin, open, depth + 1));
    if (element.is(Kind::kVoid)) return NoVoid(begin, end, "array element");
    const std::string name(element.name());  // as in C's `double x[]`
    RBC_ASSIGN_OR_RETURN(Type array, Checked(Type::Array(element.WithName({}), rank, contiguous)));
    return array.WithName(name);
  }

  // `int64`, `unsigned long`, `foo`, or one of those with a name behind it.
  Expected<Type> ParseNamedOrAtom(size_t begin, size_t end, size_t depth) {
    const std::string_view text = text_.substr(begin, end - begin);
    size_t name = end;
    while (name > begin && IsIdentifierPart(text_[name - 1])) --name;
    const bool has_name = name < end && name > begin && IsIdentifierStart(text_[name]) &&
                          std::string_view(" \t\n\v\f\r*)]}").find(text_[name - 1]) != std::string_view::npos;
    const std::string_view word = text_.substr(name, end - name);
    if (!has_name || IsTypeKeyword(word)) return ParseAtom(text, model_);
    RBC_ASSIGN_OR_RETURN(const std::optional<Type> known, KnownAtom(text, model_));
    if (known) return *known;
    RBC_ASSIGN_OR_RETURN(const Type type, ParseRange(begin, name, depth + 1));
    if (!type.name().empty()) {
      return Invalid("type " + Quote(text) + " carries two names, `" + std::string(type.name()) + "` and `" +
                     std::string(word) + "`; give it one");
    }
    return type.WithName(word);
  }

  // The types between commas at this level; commas inside brackets belong to deeper levels.
  Expected<std::vector<Type>> ParseList(size_t begin, size_t end, size_t depth) {
    std::vector<Type> types;
    if (Trim(text_.substr(begin, end - begin)).empty()) return types;
    size_t item = begin;
    for (size_t i = begin; i <= end; ++i) {
      if (i < end && (text_[i] == '(' || text_[i] == '[' || text_[i] == '{')) i = partner_[i];
      if (i < end && text_[i] != ',') continue;
      RBC_ASSIGN_OR_RETURN(Type type, ParseRange(item, i, depth));
      types.push_back(std::move(type));
      item = i + 1;
    }
    return types;
  }

  Error NoVoid(size_t begin, size_t end, std::string_view what) const {
    return Invalid("type " + Quote(text_.substr(begin, end - begin)) + " has a void or empty " + std::string(what) +
                   "; name its type or leave it out");
  }
  Expected<Type> Checked(Type type) const {
    if (type.depth() > kMaxTypeDepth) return TooDeep();
    return type;
  }

  const std::string_view text_;
  const DataModel& model_;
  std::vector<size_t> partner_;
};

Expected<Type> Type::Parse(std::string_view text, const DataModel& model) { return Parser(text, model).Parse(); }

}  // namespace rbc::types
