// Whether everything that a module refers to is there.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "base/expected.h"

namespace llvm {
class Module;
}  // namespace llvm

namespace rbc {
class RuntimeSymbols;
}

namespace rbc::ir {

// Every function and variable that is declared and not defined. kMissingSymbol names all that `symbols` lacks, with
// the reason where it is known.
Status CheckSymbols(const llvm::Module& module, const RuntimeSymbols& symbols);

// The same for a finished object: LLVM makes calls of its own (__atomic_load, half precision, ...).
Status CheckObjectSymbols(std::string_view object, const RuntimeSymbols& symbols);

}  // namespace rbc::ir
