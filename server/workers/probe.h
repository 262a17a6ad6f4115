// A look at the GPUs of this machine, by a process that ends after it: the daemon loads no driver.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/expected.h"
#include "server/workers/watch.h"
#include "worker/device_description.h"

namespace rbc::server {

// kUnavailable: no driver that can be used; the message says why.
Expected<std::vector<worker::DeviceDescription>> ProbeDevices(WorkerHost& host, const std::string& domain);

}  // namespace rbc::server
