// What NVIDIA's driver asks of the system after lock-down, and its worker's filter refuses.
// SPDX-License-Identifier: Apache-2.0
#include "worker/driver_calls.h"

#include <errno.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>

#include "worker/proc_self.h"
#include "worker/system_calls.h"

// Makes a system call. What follows its instruction has a name, for the filter.
extern "C" long rbc_driver_call(long number, const long* arguments);
extern "C" const char rbc_behind_driver_call[];
asm(R"(
  .pushsection .text
  .globl rbc_driver_call
  .hidden rbc_driver_call
  .type rbc_driver_call, @function
rbc_driver_call:
  mov %rdi, %rax
  mov %rsi, %r11
  mov 0(%r11), %rdi
  mov 8(%r11), %rsi
  mov 16(%r11), %rdx
  mov 24(%r11), %r10
  mov 32(%r11), %r8
  mov 40(%r11), %r9
  syscall
  .globl rbc_behind_driver_call
  .hidden rbc_behind_driver_call
rbc_behind_driver_call:
  ret
  .size rbc_driver_call, . - rbc_driver_call
  .popsection
)");

namespace rbc::worker {
namespace {

struct Call {
  long number;
  long arguments[6];
};

Call CallOf(int number, const ucontext_t& machine) {
  const auto& regs = machine.uc_mcontext.gregs;
  return {number, {regs[REG_RDI], regs[REG_RSI], regs[REG_RDX], regs[REG_R10], regs[REG_R8], regs[REG_R9]}};
}

// Which argument is a path; -1: none.
int PathArgument(long number) {
  switch (number) {
    case SYS_open:
    case SYS_stat:
    case SYS_lstat:
    case SYS_access:
    case SYS_readlink:
    case SYS_mkdir:
    case SYS_unlink:
    case SYS_statfs:
    case SYS_execve:
      return 0;
    case SYS_openat:
    case SYS_newfstatat:
    case SYS_statx:
    case SYS_faccessat:
    case SYS_faccessat2:
    case SYS_readlinkat:
    case SYS_unlinkat:
    case SYS_mkdirat:
      return 1;
    default:
      return -1;
  }
}

// "openat(-100, "/dev/nvidiactl", 0x80002)": snprintf of numbers and strings does not allocate.
size_t Spell(const Call& call, char* text, size_t size) {
  const std::string_view name = SystemCallName(call.number);
  int used = name.empty() ? std::snprintf(text, size, "system call %ld(", call.number)
                          : std::snprintf(text, size, "%.*s(", static_cast<int>(name.size()), name.data());
  const int path = PathArgument(call.number);
  const int last = path < 0 ? 4 : path + 2;
  for (int i = 0; i < last && used > 0 && static_cast<size_t>(used) < size; ++i) {
    const long argument = call.arguments[i];
    const char* const comma = i == 0 ? "" : ", ";
    char* const to = text + used;
    const size_t left = size - static_cast<size_t>(used);
    used += i == path ? std::snprintf(to, left, "%s\"%.160s\"", comma,
                                      argument == 0 ? "" : reinterpret_cast<const char*>(argument))
                      : std::snprintf(to, left, "%s%#lx", comma, argument);
  }
  used = std::min(used, static_cast<int>(size) - 2);
  text[used] = ')';
  text[used + 1] = 0;
  return static_cast<size_t>(used) + 1;
}

// Whether a request like it was not told yet. Of a few hundred that differ.
bool IsNew(const Call& call) {
  static std::atomic<uint64_t> seen[512];
  uint64_t hash = 0xcbf29ce484222325 ^ static_cast<uint64_t>(call.number + 1);
  const int path = PathArgument(call.number);
  const auto* at = path < 0 ? nullptr : reinterpret_cast<const unsigned char*>(call.arguments[path]);
  for (; at != nullptr && *at != 0; ++at) hash = (hash ^ *at) * 0x100000001b3;
  for (auto& place : seen) {
    uint64_t known = 0;
    if (place.compare_exchange_strong(known, hash)) return true;
    if (known == hash) return false;
  }
  return false;
}

void TellCall(const Call& call, long result) {
  char line[400];
  constexpr std::string_view kBegin = "gpu worker: after lock-down the driver asks for ";
  kBegin.copy(line, kBegin.size());
  size_t size = kBegin.size();
  size += Spell(call, line + size, sizeof line - size - 32);
  size += static_cast<size_t>(std::snprintf(line + size, 32, " = %ld\n", result));
  const long write[6] = {STDERR_FILENO, reinterpret_cast<long>(line), static_cast<long>(size)};
  rbc_driver_call(SYS_write, write);
}

// SIGSYS stays open, else the kernel ends the thread at its next refused call. Done to the mask that the handler
// leaves: that of the call itself would go with the handler.
long SetMask(const Call& call, ucontext_t& machine) {
  constexpr uint64_t kOpen = uint64_t{1} << (SIGSYS - 1);
  uint64_t now;
  std::memcpy(&now, &machine.uc_sigmask, sizeof now);
  if (call.arguments[2] != 0) std::memcpy(reinterpret_cast<void*>(call.arguments[2]), &now, sizeof now);
  if (call.arguments[1] == 0) return 0;
  uint64_t set;
  std::memcpy(&set, reinterpret_cast<const void*>(call.arguments[1]), sizeof set);
  switch (call.arguments[0]) {
    case SIG_BLOCK:
      now |= set;
      break;
    case SIG_UNBLOCK:
      now &= ~set;
      break;
    case SIG_SETMASK:
      now = set;
      break;
    default:
      return -EINVAL;
  }
  now &= ~kOpen;
  std::memcpy(&machine.uc_sigmask, &now, sizeof now);
  return 0;
}

bool MakesProcess(long number) {
  return number == SYS_clone || number == SYS_fork || number == SYS_vfork || number == SYS_execve ||
         number == SYS_execveat;
}

}  // namespace

bool NameDriverCall(int number, void* machine_state, char* text, size_t size) {
  Spell(CallOf(number, *static_cast<ucontext_t*>(machine_state)), text, size);
  return false;
}

bool DoDriverCall(int number, void* machine_state, char*, size_t) {
  auto& machine = *static_cast<ucontext_t*>(machine_state);
  const Call call = CallOf(number, machine);
  const int kept = errno;
  const bool is_mask = number == SYS_rt_sigprocmask;
  const long result = is_mask                ? SetMask(call, machine)
                      : MakesProcess(number) ? -EPERM
                                             : rbc_driver_call(call.number, call.arguments);
  if (!is_mask && IsNew(call)) TellCall(call, result);
  errno = kept;
  machine.uc_mcontext.gregs[REG_RAX] = result;
  return true;
}

const void* BehindDriverCall() { return rbc_behind_driver_call; }

void TellThreadsWithoutSignals() {
  for (const std::string& task : ListSelf("task")) {
    const std::string folder = "task/" + task;
    const uint64_t blocked = NumberBehind(ReadSelf(folder + "/status"), "SigBlk:", 16);
    if ((blocked >> (SIGSYS - 1) & 1) == 0) continue;
    std::string name = ReadSelf(folder + "/comm");
    std::erase(name, '\n');
    std::fprintf(stderr, "gpu worker: the driver's thread '%s' blocks SIGSYS\n", name.c_str());
  }
}

}  // namespace rbc::worker
