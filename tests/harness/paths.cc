// See the header.
// SPDX-License-Identifier: Apache-2.0
#include "tests/harness/paths.h"

namespace rbc::harness {
namespace {

std::string In(std::string folder, std::string_view name) {
  if (!name.empty()) folder.append("/").append(name);
  return folder;
}

}  // namespace

std::string ProgramPath(std::string_view program) { return In(RBC_BIN_DIR, program); }
std::string SourcePath(std::string_view file) { return In(RBC_SOURCE_DIR, file); }
std::string LlvmToolPath(std::string_view tool) { return In(RBC_LLVM_BIN_DIR, tool); }

}  // namespace rbc::harness
