// The real workers behind the farm.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "server/backend.h"
#include "server/config/config.h"

namespace rbc::server {

// Starts the supervisor with the nursery of `first_domain`.
Expected<std::unique_ptr<Backend>> StartSupervisor(const FarmConfig& config, const std::string& first_domain);

}  // namespace rbc::server
