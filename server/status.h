// The farm's state for people and tools.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "server/farm.h"

namespace rbc::server {

// One JSON object; docs/operations.md names its keys. Holds no IR, arguments or secrets,
// and to a `viewer` who came by a token nothing of other trust domains.
std::string StatusJson(Farm& farm, const Peer& viewer);

}  // namespace rbc::server
