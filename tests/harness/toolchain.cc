// The machine's clang and LLVM tools.
// SPDX-License-Identifier: Apache-2.0
#include "tests/harness/toolchain.h"

#include <sstream>
#include <stdexcept>

#include "tests/harness/paths.h"
#include "tests/harness/run_program.h"

namespace rbc::harness {

std::string CompileC(const std::string& source, IrForm form, const std::vector<std::string>& flags) {
  std::vector<std::string> command = {"clang"};
  command.insert(command.end(), flags.begin(), flags.end());
  command.insert(command.end(), {"-x", "c", "-emit-llvm", form == IrForm::kText ? "-S" : "-c", "-", "-o", "-"});
  const Finished run = RunProgram(command, {.input = source});
  if (run.exit_code != 0) throw std::runtime_error("clang refuses the test's source: " + run.ToString());
  return run.out;
}

std::string Assemble(const std::string& text) {
  const Finished run = RunProgram({LlvmToolPath("llvm-as"), "-", "-o", "-"}, {.input = text});
  return run.exit_code == 0 ? run.out : "";
}

std::vector<std::string> DefinedFunctions(const std::string& bitcode) {
  const Finished run = RunProgram({LlvmToolPath("llvm-nm"), "--defined-only", "-"}, {.input = bitcode});
  std::vector<std::string> names;
  std::istringstream lines(run.out);
  for (std::string address, kind, name; lines >> address >> kind >> name;) {
    if (kind == "T" || kind == "t" || kind == "W") names.push_back(name);
  }
  return names;
}

}  // namespace rbc::harness
