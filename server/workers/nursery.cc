// The daemon's hand on a nursery.
// SPDX-License-Identifier: Apache-2.0
#include "server/workers/nursery.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <vector>

#include "server/workers/fault_report.h"

namespace rbc::server {
namespace {

using std::chrono::seconds;

// A fork takes a millisecond. One that takes so long never comes: the nursery is stopped or stuck, and while it holds
// `mutex_` first calls of other sessions wait too.
constexpr seconds kForkLimit{2};
constexpr seconds kPrepareLimit{15};  // of a target's compiler: files of 100 MB from a slow disk
constexpr seconds kLockDownLimit{10};
constexpr seconds kContextLimit{60};  // of a GPU; a driver that nobody else has loaded takes many seconds
constexpr seconds kStartLimit{20};

// Where the operator says that NVIDIA's files and devices are. Nothing else of the daemon's environment goes to
// workers.
constexpr const char* kPassedOn[] = {"CUDA_HOME",       "CUDA_PATH",     "CUDA_VISIBLE_DEVICES",
                                     "LD_LIBRARY_PATH", "RBC_LIBDEVICE", "RBC_NVJITLINK"};

std::vector<std::string> PassedOnEnvironment() {
  std::vector<std::string> out;
  for (const char* name : kPassedOn) {
    if (const char* value = std::getenv(name)) out.push_back(std::string(name) + "=" + value);
  }
  return out;
}

// In the child of a vfork: only system calls, nothing that allocates.
[[noreturn]] void ExecNursery(int program, int control, char* const* argv, char* const* environment) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  // The program's descriptor must survive the move of the control socket to its place.
  const int kept = fcntl(program, F_DUPFD_CLOEXEC, 16);
  if (kept >= 0 && dup2(control, worker::kNurseryControlFd) >= 0) {
    // Everything else of the daemon is close-on-exec; the range is closed all the same.
    syscall(SYS_close_range, worker::kNurseryControlFd + 1, kept - 1, 0);
    syscall(SYS_close_range, kept + 1, ~0u, 0);
    syscall(SYS_execveat, kept, "", argv, environment, AT_EMPTY_PATH);
  }
  _exit(127);
}

seconds LimitOf(const worker::SpawnBody& spawn) {
  return spawn.role == worker::Role::kCompile && spawn.target[0] != 0 ? kPrepareLimit : kForkLimit;
}

Error NotLockedDown(seconds waited, const std::optional<Fault>& fault) {
  std::string message = waited.count() != 0
                            ? fmt::format("a worker is not locked down within {} s of its start", waited.count())
                            : std::string("a worker ends before it is locked down");
  if (fault) message += fmt::format(": {}", fault->message.empty() ? CauseText(*fault) : fault->message);
  return {ErrorKind::kUnavailable, std::move(message)};
}

}  // namespace

Expected<std::shared_ptr<Nursery>> Nursery::Start(int program, const std::string& build_id, std::string domain) {
  RBC_ASSIGN_OR_RETURN(auto pair, ControlPair());
  std::string name = "rbc-worker", flag = "--nursery", id = build_id;
  char* argv[] = {name.data(), flag.data(), id.data(), nullptr};
  std::vector<std::string> environment = PassedOnEnvironment();
  std::vector<char*> pointers;
  for (std::string& variable : environment) pointers.push_back(variable.data());
  pointers.push_back(nullptr);
  const pid_t pid = vfork();
  if (pid == 0) ExecNursery(program, pair.second.get(), argv, pointers.data());
  if (pid < 0) return Error(ErrorKind::kResourceExhausted, std::string("vfork fails: ") + std::strerror(errno));
  pair.second.Reset();
  RBC_ASSIGN_OR_RETURN(auto process, ChildProcess::Open(pid));
  std::shared_ptr<Nursery> nursery(new Nursery(process, std::move(pair.first), std::move(domain)));
  Packet packet;
  if (AwaitPacket(nursery->control_.get(), Clock::now() + kStartLimit, &packet) == Receive::kPacket) {
    if (packet.type == worker::MessageType::kNurseryReady) {
      auto ready = worker::ParseNurseryReady(packet.body);
      if (ready && ready->build_id == build_id) {
        nursery->ready_ = *std::move(ready);
        return nursery;
      }
      process->KillAndReap();
      return Error(ErrorKind::kUnavailable, "rbc-worker is of another build than rbc-farm - install both together");
    }
    Reader reader(packet.body);
    process->KillAndReap();
    return Error(ErrorKind::kUnavailable, "rbc-worker does not start: " + reader.GetString());
  }
  process->KillAndReap();
  return Error(ErrorKind::kUnavailable, "rbc-worker does not answer within 20 s of its start");
}

Expected<SpawnedWorker> Nursery::Spawn(worker::SpawnBody spawn, size_t ring_size, size_t arena_size) {
  SpawnedWorker out;
  RBC_ASSIGN_OR_RETURN(out.ring, SharedMemory::Create("rbc-ring", ring_size));
  RBC_ASSIGN_OR_RETURN(out.arena, SharedMemory::Create("rbc-arena", arena_size));
  RBC_ASSIGN_OR_RETURN(auto pair, ControlPair());
  spawn.ring_size = ring_size;
  spawn.arena_size = arena_size;
  auto* header = reinterpret_cast<worker::RingHeader*>(out.ring.data());
  header->magic = worker::kRingMagic;
  header->lanes = spawn.lanes;
  header->role = spawn.role;
  {
    const std::lock_guard lock(mutex_);
    spawn.worker_id = next_worker_++;
    const int fds[] = {pair.second.get(), out.ring.fd(), out.arena.fd()};
    Packet packet;
    worker::SpawnedBody spawned{};
    if (!SendPacket(control_.get(), worker::MessageType::kSpawn, spawn, fds) ||
        AwaitPacket(control_.get(), Clock::now() + LimitOf(spawn), &packet) != Receive::kPacket ||
        !packet.As(&spawned) || spawned.worker_id != spawn.worker_id) {
      process_->Kill();
      return Error(ErrorKind::kUnavailable, "the nursery of domain " + domain_ + " does not answer");
    }
    if (packet.type != worker::MessageType::kSpawned)
      return Error(ErrorKind::kResourceExhausted,
                   std::string("a worker cannot be forked: ") + std::strerror(spawned.error));
    RBC_ASSIGN_OR_RETURN(out.process, ChildProcess::Open(spawned.pid));
  }
  out.control = std::move(pair.first);
  pair.second.Reset();
  Packet packet;
  worker::WorkerReadyBody ready{};
  const seconds limit = worker::HasGpu(spawn) ? kContextLimit : kLockDownLimit;
  const Receive got = AwaitPacket(out.control.get(), Clock::now() + limit, &packet);
  if (got != Receive::kPacket || packet.type != worker::MessageType::kWorkerReady || !packet.As(&ready)) {
    out.process->KillAndReap();
    return NotLockedDown(got == Receive::kNothing ? limit : seconds(0), ReadFault(*header));
  }
  out.sandbox = ready.sandbox;
  return out;
}

}  // namespace rbc::server
