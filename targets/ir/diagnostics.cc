// Collects LLVM's diagnostics.
// SPDX-License-Identifier: Apache-2.0
#include "targets/ir/diagnostics.h"

#include <algorithm>

#include "llvm/IR/DiagnosticHandler.h"
#include "llvm/IR/DiagnosticInfo.h"
#include "llvm/IR/DiagnosticPrinter.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/raw_ostream.h"

namespace rbc::ir {
namespace {

Severity SeverityOf(llvm::DiagnosticSeverity severity) {
  switch (severity) {
    case llvm::DS_Error:
      return Severity::kError;
    case llvm::DS_Warning:
      return Severity::kWarning;
    case llvm::DS_Remark:
      return Severity::kRemark;
    case llvm::DS_Note:
      return Severity::kNote;
  }
  return Severity::kError;
}

Severity SeverityOf(llvm::SourceMgr::DiagKind kind) {
  switch (kind) {
    case llvm::SourceMgr::DK_Error:
      return Severity::kError;
    case llvm::SourceMgr::DK_Warning:
      return Severity::kWarning;
    case llvm::SourceMgr::DK_Remark:
      return Severity::kRemark;
    case llvm::SourceMgr::DK_Note:
      return Severity::kNote;
  }
  return Severity::kError;
}

Diagnostic Convert(const llvm::SMDiagnostic& from) {
  Diagnostic to;
  to.severity = SeverityOf(from.getKind());
  to.message = from.getMessage().str();
  if (from.getLineNo() > 0) to.line = from.getLineNo();
  if (from.getColumnNo() >= 0) to.column = from.getColumnNo() + 1;
  to.source_line = from.getLineContents().str();
  return to;
}

Diagnostic Convert(const llvm::DiagnosticInfo& from) {
  if (const auto* source = llvm::dyn_cast<llvm::DiagnosticInfoSrcMgr>(&from)) {
    Diagnostic to = Convert(source->getSMDiag());
    to.severity = SeverityOf(from.getSeverity());
    return to;
  }
  Diagnostic to;
  to.severity = SeverityOf(from.getSeverity());
  llvm::raw_string_ostream text(to.message);
  llvm::DiagnosticPrinterRawOStream printer(text);
  from.print(printer);
  const llvm::DiagnosticInfoWithLocationBase* located = nullptr;
  if (const auto* unsupported = llvm::dyn_cast<llvm::DiagnosticInfoUnsupported>(&from)) located = unsupported;
  if (const auto* limit = llvm::dyn_cast<llvm::DiagnosticInfoResourceLimit>(&from)) located = limit;
  if (located != nullptr && located->isLocationAvailable()) {
    to.line = located->getLocation().getLine();
    to.column = located->getLocation().getColumn();
  }
  return to;
}

class Handler : public llvm::DiagnosticHandler {
 public:
  explicit Handler(DiagnosticLog* log) : log_(log) {}
  bool handleDiagnostics(const llvm::DiagnosticInfo& info) override {
    if (info.getSeverity() != llvm::DS_Remark) log_->Add(Convert(info));
    return true;
  }
  bool isAnalysisRemarkEnabled(llvm::StringRef) const override { return false; }
  bool isMissedOptRemarkEnabled(llvm::StringRef) const override { return false; }
  bool isPassedOptRemarkEnabled(llvm::StringRef) const override { return false; }
  bool isAnyRemarkEnabled() const override { return false; }

 private:
  DiagnosticLog* log_;
};

}  // namespace

std::string Bounded(std::string_view text, size_t limit) {
  std::string out(text.substr(0, limit));
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') c = '?';
  }
  while (!out.empty() && out.back() == '\n') out.pop_back();
  if (text.size() > limit) out += "...";
  return out;
}

void DiagnosticLog::Install(llvm::LLVMContext& context) {
  context.setDiagnosticHandler(std::make_unique<Handler>(this));
}

void DiagnosticLog::Add(Diagnostic diagnostic) {
  if (diagnostic.severity == Severity::kError) has_error_ = true;
  if (diagnostics_.size() >= kMaxDiagnostics) return;
  diagnostic.message = Bounded(diagnostic.message, kMaxDiagnosticText);
  diagnostic.source_line = Bounded(diagnostic.source_line, kMaxSourceLine);
  diagnostics_.push_back(std::move(diagnostic));
}

void DiagnosticLog::Add(const llvm::SMDiagnostic& diagnostic) { Add(Convert(diagnostic)); }

std::vector<Diagnostic> DiagnosticLog::TakeWarnings() const {
  std::vector<Diagnostic> warnings;
  std::copy_if(diagnostics_.begin(), diagnostics_.end(), std::back_inserter(warnings),
               [](const Diagnostic& d) { return d.severity == Severity::kWarning; });
  return warnings;
}

Status DiagnosticLog::Refusal() const {
  if (!has_error_) return {};
  return MakeError(ErrorKind::kCompileFailed, "the compiler refuses the module");
}

Error DiagnosticLog::MakeError(ErrorKind kind, std::string_view message) const {
  Error error(kind, std::string(message));
  for (const auto& diagnostic : diagnostics_) {
    if (diagnostic.severity != Severity::kError) continue;
    if (diagnostic.line != 0) {
      error.message += ": line " + std::to_string(diagnostic.line) + ", column " + std::to_string(diagnostic.column);
    }
    error.message += ": " + diagnostic.message;
    break;
  }
  error.diagnostics = diagnostics_;
  return error;
}

}  // namespace rbc::ir
