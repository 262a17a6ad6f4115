// The back ends that modules go to.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace rbc::ir {

// Each has its own intrinsics, types, attributes and calling conventions.
enum class Machine : uint8_t { kX86, kNvptx };

}  // namespace rbc::ir
