// Error and FarmError: the same thing inside and on the wire.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/error.h"
#include "gen/rbc_types.h"

namespace rbc {

wire::FarmError ToWire(const Error& error);
// Kinds that this side does not know become kInternal.
Error FromWire(const wire::FarmError& error);
std::vector<wire::Diagnostic> ToWire(const std::vector<Diagnostic>& diagnostics);
std::vector<Diagnostic> FromWire(const std::vector<wire::Diagnostic>& diagnostics);

}  // namespace rbc
