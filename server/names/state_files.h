// Files of the farm's state folder.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/expected.h"

namespace rbc::server {

// Makes the folder, its parents too, readable by nobody else. kUnavailable.
Status MakeFolder(const std::string& path);
Expected<std::string> ReadFile(const std::string& path);
// Replaces `path` at once: readers see the old bytes or the new ones. On disk when it returns. kUnavailable.
Status WriteFile(const std::string& path, const std::string& bytes);
// The farm's id, made at first use: 32 hexadecimal digits. kUnavailable.
Expected<std::string> FarmId(const std::string& state_dir);

}  // namespace rbc::server
