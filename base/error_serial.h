// Errors and diagnostics as bytes, for the border between daemon and worker.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "base/error.h"
#include "base/serial.h"

namespace rbc {

void PutDiagnostics(Writer& writer, const std::vector<Diagnostic>& diagnostics);
std::vector<Diagnostic> GetDiagnostics(Reader& reader);
void PutError(Writer& writer, const Error& error);
// From a peer that may lie: check reader.ok() afterwards; unknown kinds become kInternal.
Error GetError(Reader& reader);

}  // namespace rbc
