// The type of a value, parameter or function: parsed from text, printed, mangled, compared.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/expected.h"
#include "types/data_model.h"

namespace rbc::types {

enum class Kind : uint8_t {
  kVoid,
  kBool,
  kChar,
  kInt,
  kUint,
  kFloat,
  kComplex,
  kString,
  kPointer,
  kStruct,
  kFunction,
  kArray,
  kUnknown,
};

// Limits on what Parse() and Demangle() take; both answer kInvalidArgument beyond them.
inline constexpr size_t kMaxTypeDepth = 128;        // nesting of composites
inline constexpr size_t kMaxTypeText = 64 * 1024;   // bytes
inline constexpr uint32_t kMaxTypeBits = 1u << 23;  // as LLVM's widest integer
inline constexpr uint32_t kMaxArrayRank = 32;

// An immutable type; copies share its nodes. Thread-safe. docs/types.md has the grammar and the mangling.
// A type may carry a C-style name (`int64 add(int64 a, int64 b)`: the function and its parameters are named);
// names take no part in equality, hashing and mangling.
class Type {
 public:
  Type();  // void

  // Hostile text is fine. `model` decides what `long`, `wchar`, `size_t`, `intp` and their like are.
  static Expected<Type> Parse(std::string_view text, const DataModel& model = kHostX86_64);
  // The inverse of Mangle(). kInvalidArgument for anything that Mangle() does not make.
  static Expected<Type> Demangle(std::string_view mangled);

  // Types made in code. The callers are ours: they keep to kMaxTypeDepth and to the rules of Parse()
  // (no void parameter, member or element).
  static Type Void() { return Type(); }
  static Type Bool();
  static Type Char(uint32_t bits);
  static Type Int(uint32_t bits);
  static Type Uint(uint32_t bits);
  static Type Float(uint32_t bits);
  static Type Complex(uint32_t bits);
  static Type String();
  static Type Pointer(Type element);
  static Type Struct(std::vector<Type> members);
  static Type Function(Type result, std::vector<Type> parameters);
  static Type Array(Type element, uint32_t rank, bool contiguous = false);
  // `atom` is a text that Parse() takes for an unknown atom, else this is the type that it takes it for (void on
  // error).
  static Type Unknown(std::string_view atom);

  // The normal form without names: `float64(float64, float64)`, `{int32, float64}`, `int8*`, `float64[:,:]`,
  // `float64[:,::1]`.
  std::string ToString() const;
  // With the names: `int64 add(int64 a, int64 b)`.
  std::string ToDeclaration() const;
  // Atoms: one letter, or V<length>V<name>. Pointer _T P, struct _T1 T2.. K, function _R a A1 A2.. A (no parameters:
  // the one parameter v), array _T N<rank>N, contiguous _T N<rank>CN. The first character decides, and after `_T` the
  // next one: prefix-free.
  std::string Mangle() const;

  Kind kind() const { return node_->kind; }
  bool is(Kind kind) const { return node_->kind == kind; }
  // Of char, int, uint, float and complex (both parts together); else 0.
  uint32_t bits() const { return node_->bits; }
  // Of an array: its number of dimensions; else 0.
  uint32_t rank() const { return node_->rank; }
  // Of an array: elements lie side by side in C order (`T[]`, `T[::1]`, `T[:,::1]`); else any strides.
  bool contiguous() const { return node_->contiguous; }
  // Of an unknown atom: its text; else empty.
  const std::string& atom() const { return node_->atom; }
  // REQUIRES: pointer or array.
  const Type& element() const { return node_->children.front(); }
  // REQUIRES: struct.
  std::span<const Type> members() const { return node_->children; }
  // REQUIRES: function.
  const Type& result() const { return node_->children.front(); }
  // REQUIRES: function. Empty for `T(void)`.
  std::span<const Type> parameters() const { return std::span(node_->children).subspan(1); }
  // 0 for atoms.
  size_t depth() const { return node_->depth; }
  // Of its text, counted in types: itself and all that it is made of.
  size_t size() const { return node_->size; }

  // The C-style name; empty if it has none.
  std::string_view name() const { return name_ ? std::string_view(*name_) : std::string_view(); }
  Type WithName(std::string_view name) const;

  size_t hash() const { return node_->hash; }
  friend bool operator==(const Type& a, const Type& b) {
    return a.node_ == b.node_ || (a.node_->hash == b.node_->hash && Same(*a.node_, *b.node_));
  }

 private:
  struct Node {
    Kind kind = Kind::kVoid;
    uint32_t bits = 0;
    uint32_t rank = 0;
    bool contiguous = false;
    size_t depth = 0;
    size_t size = 1;
    size_t hash = 0;
    std::string atom;
    std::vector<Type> children;  // element; members; result, then parameters
  };
  explicit Type(std::shared_ptr<const Node> node) : node_(std::move(node)) {}
  static Type Make(Kind kind, uint32_t bits, uint32_t rank, std::string_view atom, std::vector<Type> children,
                   bool contiguous = false);
  static Type Atom(Kind kind, uint32_t bits) { return Make(kind, bits, 0, {}, {}); }
  static bool Same(const Node& a, const Node& b);
  friend class Parser;
  friend Expected<Type> ParseAtom(std::string_view text, const DataModel& model);

  std::shared_ptr<const Node> node_;
  std::shared_ptr<const std::string> name_;
};

struct TypeHash {
  size_t operator()(const Type& type) const { return type.hash(); }
};

// "`a, b`" without the quotes: the normal forms with a comma between.
std::string JoinTypes(std::span<const Type> types);

}  // namespace rbc::types
