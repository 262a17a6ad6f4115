// Error and FarmError: the same thing inside and on the wire.
// SPDX-License-Identifier: Apache-2.0
#include "thrift/error_wire.h"

namespace rbc {

std::vector<wire::Diagnostic> ToWire(const std::vector<Diagnostic>& diagnostics) {
  std::vector<wire::Diagnostic> out(diagnostics.size());
  for (size_t i = 0; i < diagnostics.size(); ++i) {
    out[i].severity = static_cast<wire::Severity::type>(diagnostics[i].severity);
    out[i].message = diagnostics[i].message;
    out[i].line = static_cast<int32_t>(diagnostics[i].line);
    out[i].column = static_cast<int32_t>(diagnostics[i].column);
    out[i].source_line = diagnostics[i].source_line;
  }
  return out;
}

std::vector<Diagnostic> FromWire(const std::vector<wire::Diagnostic>& diagnostics) {
  std::vector<Diagnostic> out(diagnostics.size());
  for (size_t i = 0; i < diagnostics.size(); ++i) {
    out[i].severity = static_cast<Severity>(diagnostics[i].severity);
    out[i].message = diagnostics[i].message;
    out[i].line = static_cast<uint32_t>(diagnostics[i].line);
    out[i].column = static_cast<uint32_t>(diagnostics[i].column);
    out[i].source_line = diagnostics[i].source_line;
  }
  return out;
}

wire::FarmError ToWire(const Error& error) {
  wire::FarmError out;
  out.kind = static_cast<wire::ErrorKind::type>(error.kind);
  out.message = error.message;
  if (!error.role.empty()) out.__set_role(error.role);
  if (!error.function.empty()) out.__set_function_name(error.function);
  if (!error.cause.empty()) out.__set_cause(error.cause);
  if (!error.address.empty()) out.__set_address(error.address);
  if (!error.output.empty()) out.__set_output(error.output);
  if (error.signal != 0) out.__set_signal(error.signal);
  if (error.may_have_run) out.__set_may_have_run(true);
  if (error.retry_safe) out.__set_retry_safe(true);
  if (error.retry_after_ms != 0) out.__set_retry_after_ms(error.retry_after_ms);
  if (!error.diagnostics.empty()) out.__set_diagnostics(ToWire(error.diagnostics));
  return out;
}

Error FromWire(const wire::FarmError& error) {
  Error out(ErrorKindFromNumber(error.kind), error.message);
  out.role = error.role;
  out.function = error.function_name;
  out.cause = error.cause;
  out.address = error.address;
  out.output = error.output;
  out.signal = error.signal;
  out.may_have_run = error.may_have_run;
  out.retry_safe = error.retry_safe;
  out.retry_after_ms = error.retry_after_ms;
  out.diagnostics = FromWire(error.diagnostics);
  return out;
}

}  // namespace rbc
