// What client code may link against: one table from name to address.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "targets/target.h"

namespace rbc::worker {

// What a symbol is for; also how docs and tests are ordered.
enum class SymbolGroup : uint8_t {
  kMath,
  kComplex,
  kCompiler,  // what compilers call without being asked: wide integers, half precision, checked copies
  kMemory,
  kString,
  kCharacter,
  kHeap,
  kSort,
  kNumber,  // text to numbers and back
  kOutput,  // captured
  kEnd,     // ends the call or is run when the module goes
  kRandom,
  kTime,
  kCxx,
};

struct RuntimeSymbol {
  std::string_view name;
  void* address;
  SymbolGroup group;
};

// All of them, sorted by name.
std::span<const RuntimeSymbol> AllSymbols();

// The table as targets see it. Made at the first call, constant from then on.
const RuntimeSymbols& ClientSymbols();

}  // namespace rbc::worker
