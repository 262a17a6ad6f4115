// Results as public values that know the type that they are printed as.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rbc/value.h"
#include "types/value.h"

namespace rbc {

struct ValueMaker {
  static Value Make(types::Value value, const types::Type& type);
};

}  // namespace rbc
