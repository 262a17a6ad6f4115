// Runs clang.
// SPDX-License-Identifier: Apache-2.0
#include "tests/targets/clang.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace rbc::testing {

bool HasClang() { return std::string_view(RBC_CLANG) != ""; }

std::string ClangModule(std::string_view source, std::string_view flags) {
  std::string directory = (std::filesystem::temp_directory_path() / "rbc-clang-XXXXXX").string();
  if (::mkdtemp(directory.data()) == nullptr) {
    ADD_FAILURE() << "no temporary directory";
    return {};
  }
  std::ofstream(directory + "/in.c") << source;
  const std::string command = std::string(RBC_CLANG) + " -w -c -emit-llvm " + std::string(flags) + " -o " + directory +
                              "/out " + directory + "/in.c";
  const int status = std::system(command.c_str());
  EXPECT_EQ(status, 0) << command << "\n" << source;
  std::ifstream out(directory + "/out", std::ios::binary);
  std::string module(std::istreambuf_iterator<char>(out), {});
  std::filesystem::remove_all(directory);
  return module;
}

}  // namespace rbc::testing
