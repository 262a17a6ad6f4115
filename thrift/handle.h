// The handle of a module: what the client computes, the daemon checks first, and nothing else may define.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/hash.h"
#include "gen/rbc_types.h"

namespace rbc {

// BLAKE3 over, each length-prefixed: "rbc-handle-1", target, opt_level, flags (1 debug, 2 contract, 4 serial), number
// of functions, then symbol, signature and abi of each, and the raw IR bytes.
Digest HandleOf(const std::string& target, const std::vector<wire::FunctionDeclaration>& functions,
                const wire::CompileOptions& options, const std::string& ir);

}  // namespace rbc
