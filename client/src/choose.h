// Which signature takes the elements of arrays.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>

#include "client/src/core.h"

namespace rbc::detail {

// The signature that takes elements of these types, and where the module has it.
struct Chosen {
  std::shared_ptr<const Prepared> prepared;
  const Overload* overload = nullptr;
  size_t declared = 0;
};

Expected<Chosen> Choose(CallerState& state, std::span<const types::Type> given);
// `f(x, x)`: the one type whose elements are combined.
Expected<Chosen> ChooseCombining(CallerState& state, const types::Type& element);

}  // namespace rbc::detail
