// C, C++ and CUDA to LLVM IR text, on this machine, by the clang that it has.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/expected.h"
#include "client/src/deadline.h"

namespace rbc::client {

// `language` is "c", "c++" or "cuda". The source is the file at `path`, or `code` where that is empty. Of CUDA source
// the device's half is lowered, without any header of NVIDIA's: cuda_prelude.cuh is what it finds declared.
// kUnavailable: no clang, or one that cannot lower it. kCompileFailed: with its diagnostics.
Expected<std::string> LowerWithClang(const char* language, const std::string& path, std::string_view code,
                                     const std::vector<std::string>& flags, const Deadline& deadline);
// By the name's ending; nullptr: it is none of C, C++ or CUDA.
const char* LanguageOf(std::string_view path);
Expected<std::string> ReadFile(const std::string& path);

}  // namespace rbc::client
