// Errors and diagnostics as bytes.
// SPDX-License-Identifier: Apache-2.0
#include "base/error_serial.h"

namespace rbc {

void PutDiagnostics(Writer& writer, const std::vector<Diagnostic>& diagnostics) {
  writer.Put(static_cast<uint32_t>(diagnostics.size()));
  for (const auto& d : diagnostics) {
    writer.Put(d.severity);
    writer.PutBytes(d.message);
    writer.Put(d.line);
    writer.Put(d.column);
    writer.PutBytes(d.source_line);
  }
}

std::vector<Diagnostic> GetDiagnostics(Reader& reader) {
  constexpr size_t kLeast = 17;  // severity, two lengths, line, column
  std::vector<Diagnostic> out(reader.GetCount(kLeast));
  for (auto& d : out) {
    d.severity = reader.Get<Severity>();
    d.message = reader.GetString();
    d.line = reader.Get<uint32_t>();
    d.column = reader.Get<uint32_t>();
    d.source_line = reader.GetString();
  }
  return out;
}

void PutError(Writer& writer, const Error& error) {
  writer.Put(error.kind);
  for (const auto* text : {&error.message, &error.role, &error.function, &error.cause, &error.address, &error.output})
    writer.PutBytes(*text);
  writer.Put(error.signal);
  writer.Put(static_cast<uint8_t>(error.may_have_run));
  writer.Put(static_cast<uint8_t>(error.retry_safe));
  writer.Put(error.retry_after_ms);
  PutDiagnostics(writer, error.diagnostics);
}

Error GetError(Reader& reader) {
  Error error;
  error.kind = ErrorKindFromNumber(reader.Get<int32_t>());
  for (auto* text : {&error.message, &error.role, &error.function, &error.cause, &error.address, &error.output})
    *text = reader.GetString();
  error.signal = reader.Get<int32_t>();
  error.may_have_run = reader.GetBool();
  error.retry_safe = reader.GetBool();
  error.retry_after_ms = reader.Get<int64_t>();
  error.diagnostics = GetDiagnostics(reader);
  return error;
}

}  // namespace rbc
