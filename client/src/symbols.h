// Which functions a module defines, found without LLVM, and which of them a name and a signature mean.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/expected.h"
#include "types/type.h"

namespace rbc::client {

bool IsBitcode(std::string_view ir);
// The names of the functions that the module defines and shows, in its order. Absent where it cannot be told: bitcode
// without a symbol table. Text or bitcode, trusted no more than the farm trusts it; a wrong answer costs an error
// there.
std::optional<std::vector<std::string>> DefinedFunctions(std::string_view ir);

// What a user means by `name` for a function of type `signature`: the exact symbol, else the name with the mangled type
// behind it, else the one C++ function of that name, of several the one whose parameters are those of the signature.
// `alone`: there is no other signature, so that the exact symbol cannot be meant for another.
// kUnknownName says what there is instead. Where the names cannot be told, the mangled form is taken if `ir` holds that
// text (bitcode keeps its names as plain bytes).
Expected<std::string> ResolveSymbol(const std::string& name, const types::Type& signature, bool alone,
                                    const std::optional<std::vector<std::string>>& defined, std::string_view ir = {});

}  // namespace rbc::client
