// C source through the machine's clang, for tests.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace rbc::testing {

// Whether a clang was found when the tests were configured.
bool HasClang();
// The module that `clang FLAGS` makes of C `source`: text with "-S" among the flags, else bitcode. A test failure and
// "" if it does not compile.
std::string ClangModule(std::string_view source, std::string_view flags);

}  // namespace rbc::testing
