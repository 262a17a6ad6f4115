// Reads LLVM IR that a client sent.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string_view>

#include "base/expected.h"

namespace llvm {
class LLVMContext;
class Module;
}  // namespace llvm

namespace rbc::ir {

class DiagnosticLog;

// Nesting of types and constants in text beyond which the parser's recursion becomes a risk.
inline constexpr uint32_t kMaxTextNesting = 256;

// Reads text or bitcode of this LLVM or an older one, typed pointers included. `ir` is hostile.
// kUnsupportedProducer: written by a newer LLVM; kInvalidModule: anything else that does not read.
Expected<std::unique_ptr<llvm::Module>> ReadModule(std::string_view ir, llvm::LLVMContext& context, DiagnosticLog* log);

}  // namespace rbc::ir
