// Types made up at random.
// SPDX-License-Identifier: Apache-2.0
#include "tests/types/random_types.h"

namespace rbc::types {
namespace {

template <typename T, size_t N>
T Pick(std::mt19937_64& random, const T (&choices)[N]) {
  return choices[random() % N];
}

Type RandomAtom(std::mt19937_64& random) {
  const uint32_t any_width = 1 + random() % 300;
  switch (random() % 12) {
    case 0:
      return Type::Bool();
    case 1:
      return Type::String();
    case 2:
      return Type::Char(Pick(random, {8u, 16u, 32u, any_width}));
    case 3:
    case 4:
      return Type::Int(Pick(random, {8u, 16u, 32u, 64u, 128u, any_width}));
    case 5:
    case 6:
      return Type::Uint(Pick(random, {8u, 16u, 32u, 64u, 128u, any_width}));
    case 7:
    case 8:
      return Type::Float(Pick(random, {16u, 32u, 64u, 128u, any_width}));
    case 9:
      return Type::Complex(Pick(random, {32u, 64u, 128u, 256u, any_width}));
    default:
      return Type::Unknown(Pick(random, {"foo", "Foo_2", "std::pair<int>", "x86.fp", "V3V", "_iP", "const char"}));
  }
}

std::vector<Type> RandomList(std::mt19937_64& random, int depth) {
  std::vector<Type> types;
  for (size_t n = random() % 4; n > 0; --n) types.push_back(RandomType(random, depth));
  return types;
}

}  // namespace

Type RandomType(std::mt19937_64& random, int depth) {
  if (depth == 0 || random() % 3 == 0) return RandomAtom(random);
  switch (random() % 5) {
    case 0:
      return Type::Pointer(random() % 5 == 0 ? Type::Void() : RandomType(random, depth - 1));
    case 1:
      return Type::Array(RandomType(random, depth - 1), 1 + random() % kMaxArrayRank, random() % 2 == 0);
    case 2:
      return Type::Struct(RandomList(random, depth - 1));
    default: {
      Type result = random() % 4 == 0 ? Type::Void() : RandomType(random, depth - 1);
      return Type::Function(std::move(result), RandomList(random, depth - 1));
    }
  }
}

Type RandomPlainType(std::mt19937_64& random, int depth) {
  if (depth > 0 && random() % 4 == 0) {
    std::vector<Type> members;
    for (size_t n = 1 + random() % 5; n > 0; --n) members.push_back(RandomPlainType(random, depth - 1));
    return Type::Struct(std::move(members));
  }
  switch (random() % 6) {
    case 0:
      return Type::Bool();
    case 1:
      return Type::Char(Pick(random, {8u, 16u, 32u}));
    case 2:
      return Type::Int(Pick(random, {8u, 16u, 32u, 64u, 128u}));
    case 3:
      return Type::Uint(Pick(random, {8u, 16u, 32u, 64u, 128u}));
    case 4:
      return Type::Float(Pick(random, {16u, 32u, 64u, 128u}));
    default:
      return Type::Complex(Pick(random, {32u, 64u, 128u, 256u}));
  }
}

}  // namespace rbc::types
