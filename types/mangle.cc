// Type::Mangle and its inverse.
// SPDX-License-Identifier: Apache-2.0
#include <charconv>

#include "types/spelling.h"
#include "types/type.h"

namespace rbc::types {
namespace {

void MangleInto(const Type& type, std::string& out) {
  switch (type.kind()) {
    case Kind::kPointer:
      MangleInto(type.element(), out += '_');
      out += 'P';
      return;
    case Kind::kArray:
      MangleInto(type.element(), out += '_');
      out.append("N").append(std::to_string(type.rank())).append(type.contiguous() ? "CN" : "N");
      return;
    case Kind::kStruct:
      out += '_';
      for (const Type& member : type.members()) MangleInto(member, out);
      out += 'K';
      return;
    case Kind::kFunction:
      MangleInto(type.result(), out += '_');
      out += 'a';
      for (const Type& parameter : type.parameters()) MangleInto(parameter, out);
      out += type.parameters().empty() ? "vA" : "A";
      return;
    default:
      if (const char letter = AtomLetter(type)) {
        out += letter;
        return;
      }
      const std::string name = AtomName(type);
      out.append("V").append(std::to_string(name.size())).append("V").append(name);
  }
}

// Reads one mangled type after the other from hostile text.
class Demangler {
 public:
  explicit Demangler(std::string_view text) : text_(text) {}

  Expected<Type> Demangle() {
    if (text_.size() > kMaxTypeText) return Bad("is longer than " + std::to_string(kMaxTypeText) + " bytes");
    RBC_ASSIGN_OR_RETURN(Type type, ReadType(0));
    if (position_ != text_.size()) return Bad("continues behind its end");
    return type;
  }

 private:
  Error Bad(std::string_view why) const {
    constexpr size_t kShown = 80;
    std::string shown;
    for (const char c : text_.substr(0, kShown)) shown += c >= 0x20 && c < 0x7f ? c : '?';
    return Error(ErrorKind::kInvalidArgument, "mangled type `" + shown + "` " + std::string(why) + " at character " +
                                                  std::to_string(position_ + 1) + "; pass what the mangler made");
  }
  char Peek() const { return position_ < text_.size() ? text_[position_] : '\0'; }
  bool Take(char c) {
    if (position_ >= text_.size() || text_[position_] != c) return false;
    ++position_;
    return true;
  }

  Expected<Type> ReadType(size_t depth) {
    if (depth > kMaxTypeDepth) return Bad("nests deeper than " + std::to_string(kMaxTypeDepth));
    if (position_ == text_.size()) return Bad("ends too early");
    if (Take('_')) return ReadComposite(depth);
    if (Take('V')) return ReadNamed();
    const std::optional<Type> atom = AtomOfLetter(Peek());
    if (!atom) return Bad("has an unknown letter");
    ++position_;
    return *atom;
  }

  Expected<Type> ReadComposite(size_t depth) {
    if (depth == kMaxTypeDepth) return Bad("nests deeper than " + std::to_string(kMaxTypeDepth));
    if (Take('K')) return Type::Struct({});
    RBC_ASSIGN_OR_RETURN(Type first, ReadType(depth + 1));
    if (Take('P')) return Type::Pointer(std::move(first));
    if (Take('a')) return ReadFunction(std::move(first), depth);
    if (first.is(Kind::kVoid)) return Bad("has a void member or element");
    if (Take('N')) return ReadArray(std::move(first));
    std::vector<Type> members = {std::move(first)};
    while (!Take('K')) {
      RBC_ASSIGN_OR_RETURN(Type member, ReadType(depth + 1));
      if (member.is(Kind::kVoid)) return Bad("has a void member");
      members.push_back(std::move(member));
    }
    return Type::Struct(std::move(members));
  }

  Expected<Type> ReadFunction(Type result, size_t depth) {
    if (Take('v')) {
      if (!Take('A')) return Bad("has a void parameter");
      return Type::Function(std::move(result), {});
    }
    std::vector<Type> parameters;
    do {
      RBC_ASSIGN_OR_RETURN(Type parameter, ReadType(depth + 1));
      if (parameter.is(Kind::kVoid)) return Bad("has a void parameter");
      parameters.push_back(std::move(parameter));
    } while (!Take('A'));
    return Type::Function(std::move(result), std::move(parameters));
  }

  // A decimal number without leading zeros; 0 if there is none or it exceeds `limit`.
  uint32_t ReadNumber(uint32_t limit) {
    uint32_t number = 0;
    if (Peek() == '0') return 0;
    const auto parsed = std::from_chars(text_.data() + position_, text_.data() + text_.size(), number);
    if (parsed.ec != std::errc() || number > limit) return 0;
    position_ = parsed.ptr - text_.data();
    return number;
  }

  Expected<Type> ReadArray(Type element) {
    const uint32_t rank = ReadNumber(kMaxArrayRank);
    const bool contiguous = Take('C');
    if (rank == 0 || !Take('N')) return Bad("has a bad array rank");
    return Type::Array(std::move(element), rank, contiguous);
  }

  // Only what Mangle() writes so: an atom without a letter, in its normal form.
  Expected<Type> ReadNamed() {
    const uint32_t size = ReadNumber(kMaxTypeText);
    if (size == 0 || !Take('V') || size > text_.size() - position_) return Bad("has a bad name length");
    const std::string_view name = text_.substr(position_, size);
    Expected<Type> type = Trim(name).size() == size ? ParseAtom(name, kHostX86_64) : Error();
    if (!type || AtomLetter(*type) != 0 || AtomName(*type) != name) return Bad("has a name that is no unknown atom");
    position_ += size;
    return type;
  }

  const std::string_view text_;
  size_t position_ = 0;
};

}  // namespace

std::string Type::Mangle() const {
  std::string out;
  MangleInto(*this, out);
  return out;
}

Expected<Type> Type::Demangle(std::string_view mangled) { return Demangler(mangled).Demangle(); }

}  // namespace rbc::types
