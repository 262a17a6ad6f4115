// What LLVM says about a module, collected for the client.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <vector>

#include "base/expected.h"

namespace llvm {
class LLVMContext;
class SMDiagnostic;
}  // namespace llvm

namespace rbc::ir {

// Bounds on what goes back: the text quotes the client's own IR, which may be large.
inline constexpr size_t kMaxDiagnostics = 32;
inline constexpr size_t kMaxDiagnosticText = 4096;
inline constexpr size_t kMaxSourceLine = 512;

// Errors and warnings of one compile. Install() makes it the context's handler, without which LLVM ends the process
// upon an error; with it LLVM may go on and report success, so that HasError() must be asked before any result is used.
// Outlives the context. Not thread-safe.
class DiagnosticLog {
 public:
  void Install(llvm::LLVMContext& context);
  void Add(Diagnostic diagnostic);
  void Add(const llvm::SMDiagnostic& diagnostic);

  bool HasError() const { return has_error_; }
  std::vector<Diagnostic> TakeWarnings() const;
  // kCompileFailed where an error was recorded: LLVM reports one and may yet go on.
  Status Refusal() const;
  // An error of this kind: `message`, then the first recorded error's text; all diagnostics with it.
  Error MakeError(ErrorKind kind, std::string_view message) const;

 private:
  std::vector<Diagnostic> diagnostics_;
  bool has_error_ = false;
};

// At most `limit` bytes of `text`, control characters but newline and tab replaced.
std::string Bounded(std::string_view text, size_t limit);

}  // namespace rbc::ir
