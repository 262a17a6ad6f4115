// Building, comparing and printing types.
// SPDX-License-Identifier: Apache-2.0
#include "types/type.h"

#include <algorithm>
#include <functional>

#include "types/spelling.h"

namespace rbc::types {
namespace {

size_t Mix(size_t hash, size_t value) {
  hash ^= value + 0x9e3779b97f4a7c15ull + (hash << 6) + (hash >> 2);
  return hash * 0xff51afd7ed558ccdull;
}

// Prints into one string, so that printing is linear in its output.
class Printer {
 public:
  explicit Printer(bool names) : names_(names) {}

  void Print(const Type& type) {
    switch (type.kind()) {
      case Kind::kPointer:
        return PrintSuffixed(type, "*");
      case Kind::kArray:
        return PrintSuffixed(type, Dimensions(type));
      case Kind::kStruct:
        return PrintStruct(type);
      case Kind::kFunction:
        return PrintFunction(type);
      default:
        out_ += AtomName(type);
        return PrintName(type);
    }
  }
  std::string Take() { return std::move(out_); }

 private:
  static std::string Dimensions(const Type& array) {
    std::string text = "[";
    for (uint32_t i = 0; i < array.rank(); ++i) text += i == 0 ? ":" : ",:";
    return text + (array.contiguous() ? ":1]" : "]");
  }
  void PrintName(const Type& type) {
    if (names_ && !type.name().empty()) (out_ += ' ') += type.name();
  }
  void PrintSuffixed(const Type& type, std::string_view suffix) {
    // An element's own name would read as part of this type, so it is left out.
    Print(type.element().WithName({}));
    out_ += suffix;
    PrintName(type);
  }
  void PrintList(std::span<const Type> types) {
    for (size_t i = 0; i < types.size(); ++i) {
      if (i != 0) out_ += ", ";
      Print(types[i]);
    }
  }
  void PrintStruct(const Type& type) {
    out_ += '{';
    PrintList(type.members());
    out_ += '}';
    PrintName(type);
  }
  void PrintFunction(const Type& type) {
    Print(type.result().WithName({}));
    PrintName(type);
    out_ += '(';
    PrintList(type.parameters());
    if (type.parameters().empty()) out_ += "void";
    out_ += ')';
  }

  const bool names_;
  std::string out_;
};

}  // namespace

Type::Type() {
  static const std::shared_ptr<const Node> kVoidNode = Make(Kind::kVoid, 0, 0, {}, {}).node_;
  node_ = kVoidNode;
}

Type Type::Make(Kind kind, uint32_t bits, uint32_t rank, std::string_view atom, std::vector<Type> children,
                bool contiguous) {
  auto node = std::make_shared<Node>();
  node->kind = kind;
  node->bits = bits;
  node->rank = rank;
  node->contiguous = contiguous;
  node->atom = atom;
  const size_t dimensions = 2 * size_t{rank} + contiguous;
  size_t hash = Mix(Mix(Mix(static_cast<size_t>(kind), bits), dimensions), std::hash<std::string_view>()(atom));
  for (const Type& child : children) {
    node->depth = std::max(node->depth, child.depth() + 1);
    if (__builtin_add_overflow(node->size, child.size(), &node->size)) node->size = SIZE_MAX;
    hash = Mix(hash, child.hash());
  }
  node->hash = Mix(hash, children.size());
  if (children.empty() && kind == Kind::kStruct) node->depth = 1;
  node->children = std::move(children);
  return Type(std::move(node));
}

Type Type::Bool() {
  static const Type kBool = Atom(Kind::kBool, 0);
  return kBool;
}
Type Type::Char(uint32_t bits) { return Atom(Kind::kChar, bits); }
Type Type::Int(uint32_t bits) {
  static const Type kInt64 = Atom(Kind::kInt, 64);
  return bits == 64 ? kInt64 : Atom(Kind::kInt, bits);
}
Type Type::Uint(uint32_t bits) { return Atom(Kind::kUint, bits); }
Type Type::Float(uint32_t bits) {
  static const Type kFloat64 = Atom(Kind::kFloat, 64);
  return bits == 64 ? kFloat64 : Atom(Kind::kFloat, bits);
}
Type Type::Complex(uint32_t bits) { return Atom(Kind::kComplex, bits); }
Type Type::String() {
  static const Type kString = Atom(Kind::kString, 0);
  return kString;
}
Type Type::Pointer(Type element) { return Make(Kind::kPointer, 0, 0, {}, {std::move(element)}); }
Type Type::Struct(std::vector<Type> members) { return Make(Kind::kStruct, 0, 0, {}, std::move(members)); }
Type Type::Function(Type result, std::vector<Type> parameters) {
  parameters.insert(parameters.begin(), std::move(result));
  return Make(Kind::kFunction, 0, 0, {}, std::move(parameters));
}
Type Type::Array(Type element, uint32_t rank, bool contiguous) {
  return Make(Kind::kArray, 0, rank, {}, {std::move(element)}, contiguous);
}
Type Type::Unknown(std::string_view atom) {
  Expected<Type> type = ParseAtom(Trim(atom), kHostX86_64);
  return type ? *std::move(type) : Type();
}

bool Type::Same(const Node& a, const Node& b) {
  return a.kind == b.kind && a.bits == b.bits && a.rank == b.rank && a.contiguous == b.contiguous && a.atom == b.atom &&
         a.children == b.children;
}

Type Type::WithName(std::string_view name) const {
  Type copy(node_);
  if (!name.empty()) copy.name_ = std::make_shared<const std::string>(name);
  return copy;
}

std::string Type::ToString() const {
  Printer printer(/*names=*/false);
  printer.Print(*this);
  return printer.Take();
}

std::string Type::ToDeclaration() const {
  Printer printer(/*names=*/true);
  printer.Print(*this);
  return printer.Take();
}

std::string JoinTypes(std::span<const Type> types) {
  std::string text;
  for (const Type& type : types) text.append(text.empty() ? "" : ", ").append(type.ToString());
  return text;
}

}  // namespace rbc::types
