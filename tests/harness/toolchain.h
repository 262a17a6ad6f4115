// The machine's clang and LLVM tools, as a user has them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace rbc::harness {

// C lowered to IR by the machine's clang (Debian's is 14). Throws std::runtime_error with clang's own words.
enum class IrForm { kText, kBitcode };
std::string CompileC(const std::string& source, IrForm form = IrForm::kText,
                     const std::vector<std::string>& flags = {"-O1"});
// Text to bitcode of the farm's own LLVM; "" where the assembler refuses or crashes.
std::string Assemble(const std::string& text);
// Names of the functions that bitcode or text defines, from llvm-nm; empty where it cannot read it.
std::vector<std::string> DefinedFunctions(const std::string& bitcode);

}  // namespace rbc::harness
