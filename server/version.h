// What the farm calls itself.
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace rbc::server {

inline constexpr const char* kFarmVersion = "0.1.0";

}  // namespace rbc::server
