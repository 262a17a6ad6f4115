// Where the programs under test, this checkout's files and LLVM's tools lie. One source file knows, so that a checkout
// in another folder compiles the tests to the same objects.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace rbc::harness {

/** The path of a program of this build: "rbc-farm", "rbc-worker" or "rbc". */
std::string ProgramPath(std::string_view program);

/** The path of a file or folder of this checkout, given from its root: "examples/add.ll". */
std::string SourcePath(std::string_view file = "");

/** The path of a tool of the LLVM that this build uses: "llvm-as". */
std::string LlvmToolPath(std::string_view tool);

}  // namespace rbc::harness
