// An llvm::Module as a Source. Header only; for LLVM 14 to 22, whichever the program already uses.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <llvm/Bitcode/BitcodeWriter.h>
#include <llvm/IR/Module.h>
#include <llvm/Support/raw_ostream.h>

#include <string>

#include "rbc/source.h"

namespace rbc {

// The module as bitcode; it is not changed. Needs the component bitwriter.
inline Source FromLlvm(const llvm::Module& module) {
  std::string bitcode;
  llvm::raw_string_ostream out(bitcode);
  llvm::WriteBitcodeToFile(module, out);
  out.flush();
  return Source::Ir(std::move(bitcode));
}

}  // namespace rbc
