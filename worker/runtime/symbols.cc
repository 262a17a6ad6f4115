// What client code may link against.
// SPDX-License-Identifier: Apache-2.0
#include "worker/runtime/symbols.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <unordered_map>
#include <vector>

#include "worker/runtime/bfloat.h"
#include "worker/runtime/ending.h"
#include "worker/runtime/output.h"
#include "worker/runtime/release.h"
#include "worker/runtime/symbol_list.h"
#include "worker/runtime/vector_library.h"

// Names of the libraries without their headers, whose overloads and prototypes are of no use to a table of addresses.
extern "C" {
#define RBC_X(group, name) extern char rbc_library_##name __asm__(#name);
RBC_LIBRARY_SYMBOLS(RBC_X)
#undef RBC_X
}

namespace rbc::worker {
namespace {

std::vector<RuntimeSymbol> MakeTable() {
  std::vector<RuntimeSymbol> table = {
#define RBC_X(group, name) {#name, &rbc_library_##name, SymbolGroup::group},
      RBC_LIBRARY_SYMBOLS(RBC_X)
#undef RBC_X
#define RBC_X(group, name, ours) {#name, reinterpret_cast<void*>(&ours), SymbolGroup::group},
          RBC_OUR_SYMBOLS(RBC_X)
#undef RBC_X
  };
  std::sort(table.begin(), table.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return table;
}

const std::vector<RuntimeSymbol>& Table() {
  static const auto* table = new std::vector<RuntimeSymbol>(MakeTable());
  return *table;
}

struct Refusal {
  std::string_view reason;
  std::string_view names;  // separated by blanks
};
constexpr Refusal kRefusals[] = {
#define RBC_X(reason, names) {reason, names},
    RBC_REFUSED_SYMBOLS(RBC_X)
#undef RBC_X
};

bool Lists(std::string_view names, std::string_view name) {
  for (size_t at = names.find(name); at != std::string_view::npos; at = names.find(name, at + 1)) {
    const size_t end = at + name.size();
    if ((at == 0 || names[at - 1] == ' ') && (end == names.size() || names[end] == ' ')) return true;
  }
  return false;
}

class Symbols final : public RuntimeSymbols {
 public:
  Symbols() {
    Table();
    OpenVectorLibraries();
  }
  void* Find(std::string_view name) const override {
    const auto& table = Table();
    const auto found = std::lower_bound(table.begin(), table.end(), name,
                                        [](const auto& a, std::string_view b) { return a.name < b; });
    return found != table.end() && found->name == name ? found->address : FindVectorFunction(name);
  }
  std::string_view WhyRefused(std::string_view name) const override {
    if (name.empty()) return {};
    for (const auto& refusal : kRefusals) {
      if (Lists(refusal.names, name)) return refusal.reason;
    }
    return {};
  }
};

}  // namespace

std::span<const RuntimeSymbol> AllSymbols() { return Table(); }

const RuntimeSymbols& ClientSymbols() {
  static const auto* symbols = new Symbols;
  return *symbols;
}

}  // namespace rbc::worker
