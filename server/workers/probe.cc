// A look at the GPUs of this machine.
// SPDX-License-Identifier: Apache-2.0
#include "server/workers/probe.h"

#include "base/error_serial.h"

namespace rbc::server {
namespace {

constexpr std::chrono::seconds kProbeLimit{20};  // a driver that loads for the first time takes some
constexpr size_t kProbeArena = 1 << 20;

}  // namespace

Expected<std::vector<worker::DeviceDescription>> ProbeDevices(WorkerHost& host, const std::string& domain) {
  worker::SpawnBody spawn{};
  spawn.role = worker::Role::kProbe;
  spawn.lanes = 1;
  host.options().cuda.driver.copy(spawn.driver, sizeof spawn.driver - 1);
  RBC_ASSIGN_OR_RETURN(auto probe, host.Spawn(domain, spawn, worker::RingSize(1), kProbeArena));
  Packet packet;
  worker::JobBody body{};
  const bool answered = AwaitPacket(probe.control.get(), Clock::now() + kProbeLimit, &packet) == Receive::kPacket &&
                        packet.type == worker::MessageType::kProbed && packet.As(&body) && body.offset <= kProbeArena &&
                        body.size <= kProbeArena - body.offset;
  probe.process->KillAndReap();
  if (!answered) return Error(ErrorKind::kUnavailable, "the driver ended the process that looked for GPUs");
  const std::string bytes(probe.arena.data() + body.offset, body.size);
  if (body.job_id == 0) return worker::ParseDevices(bytes);
  Reader reader(bytes);
  return GetError(reader);
}

}  // namespace rbc::server
