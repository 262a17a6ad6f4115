// The build that this program is of: daemon and worker speak only to their own.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace rbc::worker {

// Version and a digest of all sources that both programs are made of, "0.1.0-3f2a...".
std::string_view BuildId();

}  // namespace rbc::worker
