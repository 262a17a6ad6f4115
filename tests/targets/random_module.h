// Modules made up from a seed: what users write, and among it what they should not.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "targets/target.h"

namespace rbc::testing {

struct RandomModule {
  std::string ir;
  std::vector<FunctionDeclaration> functions;
  CompileOptions options;
};

// The same module for the same seed, always. About one in ten does not compile.
RandomModule MakeRandomModule(uint64_t seed);

}  // namespace rbc::testing
