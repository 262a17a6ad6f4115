// The farm's state for people and tools.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "server/farm.h"

namespace rbc::server {

// One JSON object; docs/operations.md names its keys. Holds no IR, arguments or secrets.
std::string StatusJson(Farm& farm);

}  // namespace rbc::server
