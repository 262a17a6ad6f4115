// The nursery.
// SPDX-License-Identifier: Apache-2.0
#include "worker/nursery.h"

#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "worker/build_id.h"
#include "worker/control_messages.h"
#include "worker/control_socket.h"
#include "worker/runtime/symbols.h"
#include "worker/stack.h"
#include "worker/worker_process.h"

namespace rbc::worker {
namespace {

constexpr int kMallocArenas = 16;  // set, because glibc would ask the kernel for the number of CPUs after lock-down

// 0, 1 and 2 are open from here on, so that no descriptor of ours ever is one of them.
void OpenStandardDescriptors() {
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) return;
  dup2(null, STDIN_FILENO);
  dup2(null, STDOUT_FILENO);
  if (fcntl(STDERR_FILENO, F_GETFD) < 0) dup2(null, STDERR_FILENO);
  if (null > STDERR_FILENO) close(null);
}

// Gives back memory of an arena other than the first: how much of it may go glibc asks a file of the kernel's, once.
void TrimArena() {
  std::thread([] {
    std::array<void*, 32> blocks{};
    for (void*& block : blocks) block = malloc(64 << 10);
    std::for_each(blocks.rbegin(), blocks.rend(), free);  // the last of an arena first, so that it shrinks
  }).join();
}

// What glibc does once and by a system call that workers may not make.
void WarmLibrary() {
  mallopt(M_ARENA_MAX, kMallocArenas);
  TrimArena();
  // A sort of more than 1024 bytes asks how much memory the machine has, once.
  std::vector<uint64_t> numbers(4096);
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = i * 2654435761u % 4099;
  qsort(numbers.data(), numbers.size(), sizeof numbers[0], [](const void* a, const void* b) {
    const auto x = *static_cast<const uint64_t*>(a), y = *static_cast<const uint64_t*>(b);
    return x < y ? -1 : x > y ? 1 : 0;
  });
}

void PrepareProcess() {
  signal(SIGPIPE, SIG_IGN);
  OpenStandardDescriptors();
  const rlimit stack{kStackSize, kStackSize};
  setrlimit(RLIMIT_STACK, &stack);
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  WarmLibrary();
}

// Forks a worker as a child of the daemon, which reaps it. Returns the pid as the daemon sees it, 0 in the child.
pid_t ForkWorker(bool pid_namespace) {
  int* tid = nullptr;
  // glibc keeps the thread id in its thread's descriptor; the child's must be written there too.
  unsigned long flags = CLONE_PARENT;
  if (prctl(PR_GET_TID_ADDRESS, &tid) == 0 && tid != nullptr) flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
  if (pid_namespace) flags |= CLONE_NEWPID;
  return static_cast<pid_t>(syscall(SYS_clone, flags, nullptr, nullptr, tid, 0));
}

class Nursery {
 public:
  explicit Nursery(NurseryState state) : state_(std::move(state)) {}

  bool SayReady() {
    NurseryReady ready;
    ready.build_id = std::string(BuildId());
    for (const auto& factory : Targets()) ready.targets.push_back(factory.create(*state_.symbols)->Info());
    ready.notes = state_.sandbox.notes;
    ready.sandbox = state_.sandbox.inherited;
    return SendPacket(kNurseryControlFd, MessageType::kNurseryReady, std::string_view(Serialize(ready)));
  }

  void Serve() {
    SpawnBody spawn;
    while (receiver_.Receive(kNurseryControlFd)) {
      auto& fds = receiver_.fds();
      if (receiver_.type() != MessageType::kSpawn || !receiver_.As(&spawn) || !fds[0] || !fds[1] || !fds[2]) return;
      if (!Spawn(spawn, fds)) return;
      for (auto& fd : fds) fd.Reset();  // not ours to keep: the daemon waits for their end of file
    }
  }

 private:
  static void PrepareCompiler(const SpawnBody& spawn) {
    const std::string_view target(spawn.target, strnlen(spawn.target, sizeof spawn.target));
    const TargetFactory* factory = FindTarget(target);
    if (factory != nullptr && factory->prepare_compiler != nullptr) factory->prepare_compiler();
  }

  bool Spawn(const SpawnBody& spawn, std::array<UniqueFd, 4>& fds) {
    if (spawn.role == Role::kCompile) PrepareCompiler(spawn);
    pid_t pid = ForkWorker(state_.sandbox.pid_namespaces);
    if (pid < 0 && state_.sandbox.pid_namespaces) pid = ForkWorker(false);
    if (pid == 0) RunWorker(spawn, state_, std::move(fds[0]), std::move(fds[1]), std::move(fds[2]));
    const SpawnedBody body{spawn.worker_id, pid, pid < 0 ? errno : 0};
    return SendPacket(kNurseryControlFd, pid < 0 ? MessageType::kSpawnFailed : MessageType::kSpawned, body);
  }

  const NurseryState state_;
  PacketReceiver receiver_;
};

bool Fail(const std::string& message) {
  Writer body;
  body.PutBytes(message);
  return SendPacket(kNurseryControlFd, MessageType::kNurseryFailed, std::string_view(body.bytes()));
}

}  // namespace

int RunNursery(const std::string& build_id) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (build_id != BuildId()) {
    Fail("it is build " + std::string(BuildId()) + ", the daemon is build " + build_id);
    return 1;
  }
  PrepareProcess();
  NurseryState state;
  state.symbols = &ClientSymbols();
  state.sandbox = PlanSandbox();
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // again: a new user namespace clears it
  for (const auto& factory : Targets()) {
    if (factory.initialize != nullptr) factory.initialize();
  }
  Nursery nursery(std::move(state));
  if (!nursery.SayReady()) return 1;
  nursery.Serve();
  return 0;
}

}  // namespace rbc::worker
