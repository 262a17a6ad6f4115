// A worker from its fork to its role.
// SPDX-License-Identifier: Apache-2.0
#include "worker/worker_process.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "worker/compile_role.h"
#include "worker/execute_role.h"
#include "worker/fault.h"
#include "worker/probe_role.h"

namespace rbc::worker {
namespace {

constexpr int kStartExitStatus = 72;  // it ended before it was ready; the reason is on stderr

[[noreturn]] void EndAtStart(const char* what) {
  std::perror(what);
  _exit(kStartExitStatus);
}

// Through high numbers first, so that none of the three overwrites another.
void PlaceDescriptors(UniqueFd fds[3]) {
  constexpr int kHigh = 64;
  for (int i = 0; i < 3; ++i) fds[i].Reset(fcntl(fds[i].get(), F_DUPFD_CLOEXEC, kHigh));
  for (int i = 0; i < 3; ++i) {
    if (dup3(fds[i].get(), kWorkerControlFd + i, O_CLOEXEC) < 0) EndAtStart("rbc-worker: dup3");
    fds[i].Release();
  }
  syscall(SYS_close_range, kWorkerControlFd + 3, ~0u, 0);
}

void* MapShared(int fd, size_t size) {
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
  if (memory == MAP_FAILED) EndAtStart("rbc-worker: mmap of shared memory");
  return memory;
}

}  // namespace

void RunWorker(const SpawnBody& spawn, const NurseryState& nursery, UniqueFd control, UniqueFd ring, UniqueFd arena) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  UniqueFd fds[3] = {std::move(control), std::move(ring), std::move(arena)};
  PlaceDescriptors(fds);
  WorkerProcess process;
  process.spawn = spawn;
  process.nursery = &nursery;
  process.ring = static_cast<RingHeader*>(MapShared(kWorkerRingFd, spawn.ring_size));
  process.arena = {static_cast<uint8_t*>(MapShared(kWorkerArenaFd, spawn.arena_size)), spawn.arena_size};
  if (process.ring->magic != kRingMagic) EndAtStart("rbc-worker: not a ring");
  // The mappings are all that is needed of them.
  close(kWorkerRingFd);
  close(kWorkerArenaFd);
  RecordFaultsIn(process.ring);
  UseAlternateStack();
  if (spawn.role == Role::kProbe) RunProbeRole(process);
  const Error error = spawn.role == Role::kCompile ? RunCompileRole(process) : RunExecuteRole(process);
  EndWithFault(FaultCause::kFatalError, 0, 0, nullptr, nullptr, error.message);
}

}  // namespace rbc::worker
