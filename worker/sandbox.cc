// Lock-down.
// SPDX-License-Identifier: Apache-2.0
#include "worker/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>

#include "worker/driver_calls.h"
#include "worker/landlock.h"
#include "worker/proc_self.h"
#include "worker/stack.h"
#include "worker/syscall_filter.h"

namespace rbc::worker {
namespace {

struct Namespace {
  int flag;
  uint32_t bit;
  const char* file;
  const char* name;
};
constexpr Namespace kNamespaces[] = {
    {CLONE_NEWUSER, kUserNamespace, "/proc/self/ns/user", "user"},
    {CLONE_NEWNET, kNetworkNamespace, "/proc/self/ns/net", "network"},
    {CLONE_NEWIPC, kIpcNamespace, "/proc/self/ns/ipc", "IPC"},
    {CLONE_NEWNS, kMountNamespace, "/proc/self/ns/mnt", "mount"},
};

ino_t NamespaceId(const Namespace& space) {
  struct stat info {};
  return stat(space.file, &info) == 0 ? info.st_ino : 0;
}

// Leaves the daemon's namespaces; the bits of those that are really other ones now.
uint32_t LeaveNamespaces(std::string* notes) {
  ino_t before[std::size(kNamespaces)];
  int all = 0;
  for (size_t i = 0; i < std::size(kNamespaces); ++i) {
    before[i] = NamespaceId(kNamespaces[i]);
    all |= kNamespaces[i].flag;
  }
  // The user namespace alone gives the right to the others where the daemon is not root.
  if (unshare(all) != 0) {
    for (const auto& space : kNamespaces) unshare(space.flag);
  }
  uint32_t bits = 0;
  for (size_t i = 0; i < std::size(kNamespaces); ++i) {
    const ino_t now = NamespaceId(kNamespaces[i]);
    if (before[i] != 0 && now != 0 && now != before[i])
      bits |= kNamespaces[i].bit;
    else
      notes->append("no ").append(kNamespaces[i].name).append(" namespace; ");
  }
  return bits;
}

constexpr uint64_t kOfDriver = 64;           // descriptors that NVIDIA's driver makes after lock-down: events, pipes
constexpr uint64_t kOwnData = 128ull << 20;  // private memory of a worker's own: heap of the nursery, tables, buffers

struct Limit {
  int resource;
  rlim_t value;
};

bool IsWatched(const SpawnBody& spawn) { return HasGpu(spawn) && spawn.watch_driver != 0; }

// What the driver holds when its context is there; the worker's limits count from there.
struct Held {
  uint64_t descriptors = 0;  // the highest, and some more that it makes of what it has
  uint64_t data = 0;         // bytes of private memory
};
Held HeldByDriver(const SpawnBody& spawn) {
  Held held;
  if (!HasGpu(spawn)) return held;
  for (const std::string& name : ListSelf("fd")) held.descriptors = std::max(held.descriptors, NumberBehind(name, ""));
  held.descriptors += kOfDriver;
  held.data = NumberBehind(ReadSelf("status"), "VmData:") * 1024;
  return held;
}

std::vector<Limit> LimitsOf(const SpawnBody& spawn, const Held& held) {
  std::vector<Limit> limits = {
      {RLIMIT_CORE, 0},
      {RLIMIT_FSIZE, IsWatched(spawn) ? RLIM_INFINITY : 0},  // what is told of a driver goes to the farm's log
      {RLIMIT_MEMLOCK, 0},
      {RLIMIT_MSGQUEUE, 0},
      // Standard descriptors, control socket, a lent connection a lane, and some on their way in.
      {RLIMIT_NOFILE, held.descriptors + 16 + spawn.lanes},
  };
#ifndef RBC_SANITIZED
  // Data, not address space: JIT code and lazily used stacks need much of the latter.
  if (spawn.memory_limit != 0)
    limits.push_back({RLIMIT_DATA, held.data + spawn.memory_limit + kOwnData + spawn.lanes * uint64_t{kStackSize}});
#endif
  if (spawn.cpu_seconds != 0) limits.push_back({RLIMIT_CPU, spawn.cpu_seconds});
  return limits;
}

bool SetLimits(const std::vector<Limit>& limits) {
  bool all = true;
  for (const auto& [resource, value] : limits) {
    const auto kind = static_cast<__rlimit_resource>(resource);
    rlimit limit{};
    getrlimit(kind, &limit);
    const rlim_t wanted = std::min(value, limit.rlim_max);
    limit = {wanted, wanted};
    all &= setrlimit(kind, &limit) == 0 && getrlimit(kind, &limit) == 0 && limit.rlim_max <= value;
  }
  return all;
}

bool DropCapabilities() {
  for (int capability = 0; prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0; ++capability) {
  }
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[2] = {}, now[2] = {};
  syscall(SYS_capset, &header, none);
  return syscall(SYS_capget, &header, now) == 0 && std::memcmp(now, none, sizeof none) == 0;
}

std::string NamesOfMissing(uint32_t missing) {
  static constexpr struct {
    uint32_t bit;
    const char* name;
  } kNames[] = {{kNoNewPrivileges, "no-new-privileges"},
                {kSeccomp, "seccomp"},
                {kLandlock, "Landlock"},
                {kUserNamespace, "user namespace"},
                {kNetworkNamespace, "network namespace"},
                {kPidNamespace, "pid namespace"},
                {kIpcNamespace, "IPC namespace"},
                {kMountNamespace, "mount namespace"},
                {kResourceLimits, "resource limits"},
                {kNoCapabilities, "capabilities dropped"}};
  std::string out;
  for (const auto& [bit, name] : kNames) {
    if (missing & bit) out.append(out.empty() ? "" : ", ").append(name);
  }
  return out;
}

constexpr uint32_t kComplete = kNoNewPrivileges | kSeccomp | kLandlock | kUserNamespace | kNetworkNamespace |
                               kPidNamespace | kIpcNamespace | kMountNamespace | kResourceLimits | kNoCapabilities;

}  // namespace

SandboxPlan PlanSandbox() {
  SandboxPlan plan;
  plan.inherited = LeaveNamespaces(&plan.notes);
  // Tried at each fork, because only a fork shows it; needs the rights that a user namespace of ours or root gives.
  plan.pid_namespaces = (plan.inherited & kUserNamespace) != 0 || geteuid() == 0;
  if (!plan.pid_namespaces) plan.notes += "no pid namespaces; ";
  if (LandlockAbi() == 0) plan.notes += "no Landlock; ";
  plan.compile_filter = CompileFilter();
  plan.execute_filter = ExecuteFilter();
  plan.gpu_filter = GpuFilter();
  plan.watched_gpu_filter = WatchedGpuFilter(BehindDriverCall());
  return plan;
}

Expected<Restrictions> RestrictProcess(const SandboxPlan& plan, const SpawnBody& spawn) {
  Restrictions out;
  out.active = plan.inherited;
  if (syscall(SYS_getpid) == 1) out.active |= kPidNamespace;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
    out.active |= kNoNewPrivileges;
  const std::vector<Limit> limits = LimitsOf(spawn, HeldByDriver(spawn));
  if (!IsWatched(spawn)) out.landlock_abi = ForbidFileSystem();
  if (out.landlock_abi != 0) out.active |= kLandlock;
  if (SetLimits(limits)) out.active |= kResourceLimits;
  if (DropCapabilities()) out.active |= kNoCapabilities;
#ifndef RBC_SANITIZED
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  if (!IsWatched(spawn))
    dup2(STDIN_FILENO, STDERR_FILENO);  // what a library prints goes to /dev/null, not to the daemon's log
#endif
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // last: some of the above clears it
  return out;
}

Expected<WorkerReadyBody> FilterSystemCalls(const SandboxPlan& plan, const SpawnBody& spawn,
                                            const Restrictions& restrictions) {
  WorkerReadyBody ready{restrictions.active, restrictions.landlock_abi};
  const auto& filter = spawn.role == Role::kCompile ? plan.compile_filter
                       : IsWatched(spawn)           ? plan.watched_gpu_filter
                       : HasGpu(spawn)              ? plan.gpu_filter
                                                    : plan.execute_filter;
  const sock_fprog program{static_cast<unsigned short>(filter.size()), const_cast<sock_filter*>(filter.data())};
  const long failed = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
  // This very question is one that the filter lets through.
  if (failed == 0 && prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == SECCOMP_MODE_FILTER) ready.sandbox |= kSeccomp;
#ifdef RBC_SANITIZED
  constexpr bool kSanitized = true;
#else
  constexpr bool kSanitized = false;
#endif
  if (kSanitized || IsWatched(spawn)) ready.sandbox |= kWideSeccomp;
  const uint32_t missing = kComplete & ~ready.sandbox;
  if (spawn.strict != 0 && (missing != 0 || (ready.sandbox & kWideSeccomp) != 0))
    return Error(ErrorKind::kUnavailable, "lock-down is not complete, sandbox = \"strict\" asks for it; missing: " +
                                              (missing != 0 ? NamesOfMissing(missing) : "the narrow seccomp profile"));
  return ready;
}

}  // namespace rbc::worker
