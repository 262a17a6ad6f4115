// Results of calls whose arrays stay on the farm, as Python has them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nanobind/nanobind.h>

#include <memory>
#include <vector>

#include "client/src/core.h"
#include "rbc/buffer.h"

namespace rbc::python {

// A DeviceArray, or a tuple with one in the place of each array. `value` has nothing in these places.
nanobind::object KeptToPython(const types::Value& value, const std::vector<rbc::Buffer>& arrays,
                              const types::Type& type, const std::shared_ptr<client::Farm>& farm);

}  // namespace rbc::python
