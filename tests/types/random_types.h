// Types made up at random, the same for the same seed.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <random>

#include "types/type.h"

namespace rbc::types {

// Any type that Parse() can give, at most `depth` composites deep; never void.
Type RandomType(std::mt19937_64& random, int depth);
// One that has a size on the host and holds no pointer.
Type RandomPlainType(std::mt19937_64& random, int depth);

}  // namespace rbc::types
