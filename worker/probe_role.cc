// A worker that looks for GPUs and ends.
// SPDX-License-Identifier: Apache-2.0
#include "worker/probe_role.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/error_serial.h"
#include "cuda/probe.h"
#include "worker/control_socket.h"
#include "worker/device_description.h"

namespace rbc::worker {
namespace {

std::string DriverOf(const SpawnBody& spawn) { return {spawn.driver, strnlen(spawn.driver, sizeof spawn.driver)}; }

}  // namespace

void RunProbeRole(WorkerProcess& process) {
  SendPacket(kWorkerControlFd, MessageType::kWorkerReady, WorkerReadyBody{});
  const auto found = cuda::Probe(DriverOf(process.spawn));
  std::string bytes;
  if (found) {
    std::vector<DeviceDescription> devices;
    for (const auto& d : *found)
      devices.push_back({d.ordinal, d.name, d.uuid, d.sm, d.memory, d.free_memory, d.driver});
    bytes = Serialize(devices);
  } else {
    Writer writer;
    PutError(writer, found.error());
    bytes = writer.Take();
  }
  const size_t size = std::min(bytes.size(), process.arena.size());
  std::memcpy(process.arena.data(), bytes.data(), size);
  SendPacket(kWorkerControlFd, MessageType::kProbed, JobBody{found ? 0u : 1u, 0, size});
  // The daemon ends this process; a driver's own threads and handlers shall not run at exit.
  for (;;) pause();
}

}  // namespace rbc::worker
