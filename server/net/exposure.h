// Which addresses may be listened on: what other machines reach is encrypted and asks who they are.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/expected.h"
#include "server/config/config.h"

namespace rbc::server {

// Looks before anything is bound. kInvalidArgument with the address and what to set.
Status CheckAddresses(const FarmConfig& config);

}  // namespace rbc::server
