// Text and bitcode in, an llvm::Module out.
// SPDX-License-Identifier: Apache-2.0
#include "targets/ir/read_module.h"

#include <fmt/format.h>

#include <charconv>
#include <string>

#include "llvm/AsmParser/Parser.h"
#include "llvm/Bitcode/BitcodeReader.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"
#include "targets/ir/diagnostics.h"

namespace rbc::ir {
namespace {

using ModuleOrError = Expected<std::unique_ptr<llvm::Module>>;

// The number behind `prefix` in `text`, or 0.
unsigned VersionBehind(std::string_view text, std::string_view prefix) {
  const auto at = text.find(prefix);
  if (at == std::string_view::npos) return 0;
  unsigned version = 0;
  std::from_chars(text.data() + at + prefix.size(), text.data() + text.size(), version);
  return version;
}

Error NewerProducer(std::string_view producer) {
  return Error(
      ErrorKind::kUnsupportedProducer,
      fmt::format("the module is made by {}, newer than the LLVM {} of this farm; emit it with LLVM {} or older",
                  Bounded(producer, 80), LLVM_VERSION_STRING, LLVM_VERSION_MAJOR));
}

// Deepest nesting of brackets outside of comments and strings.
uint32_t TextNesting(std::string_view text) {
  uint32_t depth = 0;
  uint32_t deepest = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    switch (text[i]) {
      case '(':
      case '{':
      case '[':
      case '<':
        deepest = std::max(deepest, ++depth);
        break;
      case ')':
      case '}':
      case ']':
      case '>':
        if (depth > 0) --depth;
        break;
      case ';':
      case '"': {
        const char end = text[i] == ';' ? '\n' : '"';
        i = std::min(text.find(end, i + 1), text.size());
        break;
      }
      default:
        break;
    }
  }
  return deepest;
}

ModuleOrError ReadText(std::string_view text, llvm::LLVMContext& context, DiagnosticLog* log) {
  if (text.find('\0') != std::string_view::npos) {
    return {ErrorKind::kInvalidModule, "the IR is neither bitcode nor text: it holds a NUL byte"};
  }
  if (const auto nesting = TextNesting(text); nesting > kMaxTextNesting) {
    return {ErrorKind::kInvalidModule,
            fmt::format("brackets in the IR nest {} deep, more than {}", nesting, kMaxTextNesting)};
  }
  // The lexer reads up to a NUL, which the client's bytes do not have behind them.
  const auto buffer = llvm::MemoryBuffer::getMemBufferCopy(text, "module");
  llvm::SMDiagnostic problem;
  auto module = llvm::parseAssembly(*buffer, problem, context);
  if (module) return module;
  if (const auto version = VersionBehind(text, "clang version "); version > LLVM_VERSION_MAJOR) {
    log->Add(problem);
    return NewerProducer(fmt::format("clang {}", version));
  }
  log->Add(problem);
  return log->MakeError(ErrorKind::kInvalidModule, "the IR text does not parse");
}

ModuleOrError BitcodeError(llvm::Error error, DiagnosticLog* log) {
  Diagnostic diagnostic;
  diagnostic.message = llvm::toString(std::move(error));
  log->Add(std::move(diagnostic));
  return log->MakeError(ErrorKind::kInvalidModule, "the bitcode does not read");
}

ModuleOrError ReadBitcode(std::string_view bitcode, llvm::LLVMContext& context, DiagnosticLog* log) {
  const llvm::MemoryBufferRef buffer(bitcode, "module");
  if (auto producer = llvm::getBitcodeProducerString(buffer)) {
    if (VersionBehind(*producer, "LLVM") > LLVM_VERSION_MAJOR) return NewerProducer(*producer);
  } else {
    return BitcodeError(producer.takeError(), log);
  }
  auto module = llvm::parseBitcodeFile(buffer, context);
  if (!module) return BitcodeError(module.takeError(), log);
  return std::move(*module);
}

}  // namespace

Expected<std::unique_ptr<llvm::Module>> ReadModule(std::string_view ir, llvm::LLVMContext& context,
                                                   DiagnosticLog* log) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(ir.data());
  const bool bitcode = llvm::isBitcode(bytes, bytes + ir.size());
  auto module = bitcode ? ReadBitcode(ir, context, log) : ReadText(ir, context, log);
  if (module && log->HasError()) return log->MakeError(ErrorKind::kInvalidModule, "the module does not read");
  return module;
}

}  // namespace rbc::ir
