// The symbol table that LLVM writes behind a bitcode module, read without LLVM.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rbc::client {

// Functions that the module defines and shows. Absent: no symbol table that this reader knows. Hostile input is fine.
std::optional<std::vector<std::string>> BitcodeFunctions(std::string_view bitcode);

}  // namespace rbc::client
