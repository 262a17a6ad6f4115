// Libraries of vector maths that the machine has.
// SPDX-License-Identifier: Apache-2.0
#include "worker/runtime/vector_library.h"

#include <dlfcn.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "targets/vector_functions.h"

namespace rbc::worker {
namespace {

using Table = std::vector<std::pair<std::string_view, void*>>;  // sorted by symbol

// Bound at once: nothing of it is left to do under a filter of system calls. Never closed.
void* Open(MathAccuracy accuracy) { return dlopen(VectorLibrary(accuracy), RTLD_NOW | RTLD_LOCAL); }

Table MakeTable() {
  Table table;
  void* const fast = Open(MathAccuracy::kFast);
  void* const accurate = Open(MathAccuracy::kAccurate);
  for (const auto& function : VectorFunctions()) {
    void* const library = function.accuracy == MathAccuracy::kFast ? fast : accurate;
    void* const address = library == nullptr ? nullptr : dlsym(library, function.symbol.c_str());
    if (address != nullptr) table.emplace_back(function.symbol, address);
  }
  return table;
}

const Table& Functions() {
  static const auto* table = new Table(MakeTable());
  return *table;
}

}  // namespace

void OpenVectorLibraries() { Functions(); }

void* FindVectorFunction(std::string_view symbol) {
  const Table& table = Functions();
  const auto found = std::lower_bound(table.begin(), table.end(), symbol,
                                      [](const auto& entry, std::string_view wanted) { return entry.first < wanted; });
  return found != table.end() && found->first == symbol ? found->second : nullptr;
}

}  // namespace rbc::worker
