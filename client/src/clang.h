// C and C++ to LLVM IR text, on this machine, by the clang that it has.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/expected.h"
#include "client/src/deadline.h"

namespace rbc::client {

// `language` is "c" or "c++". The source is the file at `path`, or `code` where that is empty.
// kUnavailable: no clang. kCompileFailed: with its diagnostics.
Expected<std::string> LowerWithClang(const char* language, const std::string& path, std::string_view code,
                                     const std::vector<std::string>& flags, const Deadline& deadline);
// By the name's ending; nullptr: it is none of C or C++.
const char* LanguageOf(std::string_view path);
Expected<std::string> ReadFile(const std::string& path);

}  // namespace rbc::client
