// The system calls that are left to a worker.
// SPDX-License-Identifier: Apache-2.0
#include "worker/syscall_filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "worker/protocol.h"

namespace rbc::worker {
namespace {

constexpr uint32_t kX32Bit = 0x40000000;
constexpr uint8_t kToTrap = 0xff;  // a jump that Call() resolves: to the refusal at the end of its block

sock_filter Instruction(uint16_t code, uint32_t operand, uint8_t if_true = 0, uint8_t if_false = 0) {
  return {code, if_true, if_false, operand};
}
sock_filter Load(size_t offset) { return Instruction(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset)); }
sock_filter Return(uint32_t action) { return Instruction(BPF_RET | BPF_K, action); }
sock_filter IfEqual(uint32_t value, uint8_t if_true, uint8_t if_false) {
  return Instruction(BPF_JMP | BPF_JEQ | BPF_K, value, if_true, if_false);
}
sock_filter And(uint32_t mask) { return Instruction(BPF_ALU | BPF_AND | BPF_K, mask); }
sock_filter LoadArgument(unsigned index, bool high = false) {
  return Load(offsetof(seccomp_data, args) + 8 * index + (high ? 4 : 0));
}

using Condition = std::vector<sock_filter>;

// The whole 64 bits.
Condition Equals(unsigned argument, uint32_t value) {
  return {LoadArgument(argument), IfEqual(value, 0, kToTrap), LoadArgument(argument, true), IfEqual(0, 0, kToTrap)};
}
// Of the low 32 bits, which are all that the kernel looks at in these arguments.
[[maybe_unused]] Condition HasOneOf(unsigned argument, uint32_t bits) {
  return {LoadArgument(argument), And(bits), IfEqual(0, kToTrap, 0)};
}
Condition HasNone(unsigned argument, uint32_t bits) {
  return {LoadArgument(argument), And(bits), IfEqual(0, 0, kToTrap)};
}
[[maybe_unused]] Condition HasAll(unsigned argument, uint32_t bits) {
  return {LoadArgument(argument), And(bits), IfEqual(bits, 0, kToTrap)};
}
[[maybe_unused]] Condition LacksOne(unsigned argument, uint32_t bits) {
  return {LoadArgument(argument), And(bits), IfEqual(bits, kToTrap, 0)};
}
// One of the values, when the bits of `ignored` are left out.
Condition IsOneOf(unsigned argument, uint32_t ignored, std::initializer_list<uint32_t> values) {
  Condition out = {LoadArgument(argument), And(~ignored)};
  auto left = static_cast<uint8_t>(values.size());
  for (const uint32_t value : values) {
    --left;
    out.push_back(IfEqual(value, left, left == 0 ? kToTrap : 0));
  }
  return out;
}

class Filter {
 public:
  // Not null: lets every call through that is made just before this address.
  explicit Filter(const void* trusted = nullptr) {
    program_ = {Load(offsetof(seccomp_data, arch)), IfEqual(AUDIT_ARCH_X86_64, 1, 0), Return(SECCOMP_RET_TRAP)};
    if (trusted != nullptr) {
      const auto address = reinterpret_cast<uint64_t>(trusted);
      constexpr size_t kPlace = offsetof(seccomp_data, instruction_pointer);
      for (const sock_filter& step : {Load(kPlace), IfEqual(static_cast<uint32_t>(address), 0, 3), Load(kPlace + 4),
                                      IfEqual(static_cast<uint32_t>(address >> 32), 0, 1), Return(SECCOMP_RET_ALLOW)})
        program_.push_back(step);
    }
    for (const sock_filter& step : {Load(offsetof(seccomp_data, nr)),
                                    Instruction(BPF_JMP | BPF_JGE | BPF_K, kX32Bit, 0, 1), Return(SECCOMP_RET_TRAP)})
      program_.push_back(step);
  }
  // Lets a call through if all conditions hold, else refuses it.
  void Allow(long number, std::initializer_list<Condition> conditions = {}) {
    std::vector<sock_filter> block;
    for (const auto& condition : conditions) block.insert(block.end(), condition.begin(), condition.end());
    block.push_back(Return(SECCOMP_RET_ALLOW));
    if (conditions.size() != 0) block.push_back(Return(SECCOMP_RET_TRAP));
    for (size_t i = 0; i < block.size(); ++i) {
      const auto to_end = static_cast<uint8_t>(block.size() - 2 - i);
      if (block[i].jt == kToTrap) block[i].jt = to_end;
      if (block[i].jf == kToTrap) block[i].jf = to_end;
    }
    program_.push_back(IfEqual(static_cast<uint32_t>(number), 0, static_cast<uint8_t>(block.size())));
    program_.insert(program_.end(), block.begin(), block.end());
  }
  void Answer(long number, uint32_t action) {
    program_.push_back(IfEqual(static_cast<uint32_t>(number), 0, 1));
    program_.push_back(Return(action));
  }
  std::vector<sock_filter> Finish(uint32_t otherwise) {
    program_.push_back(Return(otherwise));
    return std::move(program_);
  }

 private:
  std::vector<sock_filter> program_;
};

// Memory without a way to make it executable. `kinds`: of mappings, of which one is needed.
[[maybe_unused]] void AllowMemory(Filter& filter, uint32_t kinds) {
  filter.Allow(SYS_brk);
  filter.Allow(SYS_mmap, {HasNone(2, PROT_EXEC), HasOneOf(3, kinds)});
  filter.Allow(SYS_munmap);
  filter.Allow(SYS_mremap);
  filter.Allow(SYS_madvise, {IsOneOf(2, 0, {MADV_DONTNEED, MADV_FREE})});
}

[[maybe_unused]] void AllowThreadsAndClocks(Filter& filter, std::initializer_list<uint32_t> prctl) {
  filter.Allow(SYS_sched_yield);
  filter.Allow(SYS_clock_gettime);  // where the vDSO has no clock of its own
  filter.Allow(SYS_gettimeofday);
  filter.Allow(SYS_time);
  filter.Allow(SYS_getcpu);
  filter.Allow(SYS_exit);
  filter.Allow(SYS_exit_group);
  filter.Allow(SYS_restart_syscall);  // a wait goes on after SIGSTOP and SIGCONT
  filter.Allow(SYS_prctl, {IsOneOf(0, 0, prctl)});
}

[[maybe_unused]] void AllowFutex(Filter& filter) {
  filter.Allow(SYS_futex, {IsOneOf(1, FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME,
                                   {FUTEX_WAIT, FUTEX_WAKE, FUTEX_WAIT_BITSET, FUTEX_WAKE_BITSET})});
}

// On the connected sockets that it holds; no descriptor can be sent, the control socket alone brings new ones. The two
// calls of a lent connection's path have no conditions, because the kernel remembers only then that it need not run
// the filter: 0.7 us a call. An address would be refused by a connected socket anyway.
[[maybe_unused]] void AllowSockets(Filter& filter) {
  filter.Allow(SYS_recvfrom);
  filter.Allow(SYS_sendto);
  filter.Allow(SYS_recvmsg, {Equals(0, kWorkerControlFd)});
}

#ifdef RBC_SANITIZED
// Sanitizers read /proc, map memory and talk to stderr; what could harm others stays forbidden.
std::vector<sock_filter> WideFilter() {
  Filter filter;
  for (const long number : {SYS_execve,
                            SYS_execveat,
                            SYS_fork,
                            SYS_vfork,
                            SYS_ptrace,
                            SYS_socket,
                            SYS_connect,
                            SYS_bind,
                            SYS_listen,
                            SYS_accept,
                            SYS_accept4,
                            SYS_mount,
                            SYS_umount2,
                            SYS_pivot_root,
                            SYS_chroot,
                            SYS_setns,
                            SYS_unshare,
                            SYS_bpf,
                            SYS_perf_event_open,
                            SYS_init_module,
                            SYS_finit_module,
                            SYS_delete_module,
                            SYS_kexec_load,
                            SYS_reboot,
                            SYS_process_vm_readv,
                            SYS_process_vm_writev,
                            SYS_keyctl,
                            SYS_add_key,
                            SYS_request_key,
                            SYS_open_by_handle_at,
                            SYS_setuid,
                            SYS_setgid,
                            SYS_setresuid,
                            SYS_setresgid,
                            SYS_kill,
                            SYS_unlink,
                            SYS_unlinkat,
                            SYS_rename,
                            SYS_renameat2,
                            SYS_mkdir,
                            SYS_mkdirat,
                            SYS_chmod,
                            SYS_fchmod,
                            SYS_fchmodat,
                            SYS_chown,
                            SYS_truncate,
                            SYS_ftruncate,
                            SYS_io_uring_setup,
                            SYS_userfaultfd,
                            SYS_memfd_create,
                            SYS_pidfd_getfd})
    filter.Answer(number, SECCOMP_RET_TRAP);
  return filter.Finish(SECCOMP_RET_ALLOW);
}
#endif

}  // namespace

#ifdef RBC_SANITIZED
std::vector<sock_filter> CompileFilter() { return WideFilter(); }
std::vector<sock_filter> ExecuteFilter() { return WideFilter(); }
std::vector<sock_filter> GpuFilter() { return WideFilter(); }
std::vector<sock_filter> WatchedGpuFilter(const void*) { return WideFilter(); }
#else
std::vector<sock_filter> CompileFilter() {
  Filter filter;
  AllowMemory(filter, MAP_ANONYMOUS);
  filter.Allow(SYS_mprotect, {HasNone(2, PROT_EXEC)});
  AllowSockets(filter);
  AllowFutex(filter);
  AllowThreadsAndClocks(filter, {PR_GET_SECCOMP});
  filter.Allow(SYS_close);
  // What LLVM prints goes to /dev/null. Before it prints why it ends, it asks whether that is a terminal.
  filter.Allow(SYS_write, {IsOneOf(0, 0, {1, 2})});
  filter.Answer(SYS_ioctl, SECCOMP_RET_ERRNO | ENOTTY);
  // A module that names a file is refused by the compiler itself, with a message that says so.
  for (const long number : {SYS_open, SYS_openat, SYS_stat, SYS_newfstatat, SYS_lstat, SYS_statx, SYS_access,
                            SYS_faccessat, SYS_readlink, SYS_readlinkat, SYS_getcwd})
    filter.Answer(number, SECCOMP_RET_ERRNO | EACCES);
  return filter.Finish(SECCOMP_RET_TRAP);
}

std::vector<sock_filter> ExecuteFilter() {
  Filter filter;
  AllowFutex(filter);
  AllowSockets(filter);
  filter.Allow(SYS_poll);
  filter.Allow(SYS_sched_getaffinity, {Equals(0, 0)});  // its own thread only: see base/step_aside.h
  filter.Allow(SYS_sched_setaffinity, {Equals(0, 0)});
  AllowMemory(filter, MAP_ANONYMOUS | MAP_SHARED);  // shared: of what the daemon sent, the session's arrays
  filter.Allow(SYS_mprotect, {LacksOne(2, PROT_WRITE | PROT_EXEC)});
  AllowThreadsAndClocks(filter, {PR_GET_SECCOMP});
  filter.Allow(SYS_close);
  return filter.Finish(SECCOMP_RET_TRAP);
}

namespace {

// What the driver and its libraries may ask beside ioctl: of themselves and of what is open already. None of it opens
// anything, makes a process or reaches one.
void AllowHarmless(Filter& filter) {
  for (const long number : {SYS_set_robust_list,
                            SYS_rseq,
                            SYS_sigaltstack,
                            SYS_rt_sigaction,
                            SYS_rt_sigreturn,
                            SYS_gettid,
                            SYS_getpid,
                            SYS_getppid,
                            SYS_getuid,
                            SYS_geteuid,
                            SYS_getgid,
                            SYS_getegid,
                            SYS_nanosleep,
                            SYS_clock_nanosleep,
                            SYS_clock_getres,
                            SYS_times,
                            SYS_sched_getaffinity,
                            SYS_sched_setaffinity,
                            SYS_sched_getparam,
                            SYS_sched_getscheduler,
                            SYS_sched_get_priority_max,
                            SYS_sched_get_priority_min,
                            SYS_get_mempolicy,
                            SYS_getrlimit,
                            SYS_getrusage,
                            SYS_sysinfo,
                            SYS_uname,
                            SYS_getrandom,
                            SYS_mincore,
                            SYS_mlock,
                            SYS_munlock,
                            SYS_eventfd2,
                            SYS_pipe2,
                            SYS_dup,
                            SYS_epoll_create1,
                            SYS_epoll_ctl,
                            SYS_epoll_wait,
                            SYS_epoll_pwait,
                            SYS_close,
                            SYS_fstat,
                            SYS_lseek,
                            SYS_pread64})
    filter.Allow(number);
  filter.Allow(SYS_fcntl, {IsOneOf(1, 0, {F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD, F_DUPFD_CLOEXEC})});
  filter.Allow(SYS_prlimit64, {Equals(0, 0), Equals(2, 0)});  // asks only
}

// Not null: what refuses the narrow filter comes to the handler of SIGSYS, whose own calls are made just before
// `trusted`.
std::vector<sock_filter> MakeGpuFilter(const void* trusted) {
  Filter filter(trusted);
  AllowFutex(filter);
  AllowSockets(filter);
  filter.Allow(SYS_ioctl);
  filter.Allow(SYS_poll);
  filter.Allow(SYS_ppoll);
  filter.Allow(SYS_read);
  filter.Allow(SYS_write);
  filter.Allow(SYS_mmap, {HasNone(2, PROT_EXEC)});
  filter.Allow(SYS_brk);
  filter.Allow(SYS_munmap);
  filter.Allow(SYS_mremap);
  filter.Allow(SYS_madvise);
  filter.Allow(SYS_mprotect, {HasNone(2, PROT_EXEC)});
  AllowThreadsAndClocks(filter, {PR_GET_SECCOMP, PR_SET_NAME, PR_GET_NAME});
  AllowHarmless(filter);
  // The driver's own threads, no processes.
  filter.Allow(SYS_clone, {HasAll(0, CLONE_THREAD | CLONE_VM)});
  filter.Answer(SYS_clone3, SECCOMP_RET_ERRNO | ENOSYS);  // glibc then asks by clone
  if (trusted != nullptr) return filter.Finish(SECCOMP_RET_TRAP);
  filter.Allow(SYS_rt_sigprocmask);
  for (const long number :
       {SYS_open, SYS_openat, SYS_stat, SYS_newfstatat, SYS_lstat, SYS_statx, SYS_access, SYS_faccessat, SYS_faccessat2,
        SYS_readlink, SYS_readlinkat, SYS_mkdir, SYS_unlink, SYS_socket, SYS_memfd_create, SYS_userfaultfd})
    filter.Answer(number, SECCOMP_RET_ERRNO | EACCES);
  for (const long number :
       {SYS_mbind, SYS_set_mempolicy, SYS_sched_setscheduler, SYS_sched_setparam, SYS_setpriority, SYS_membarrier})
    filter.Answer(number, SECCOMP_RET_ERRNO | EPERM);
  return filter.Finish(SECCOMP_RET_TRAP);
}

}  // namespace

// No client code runs on the host here, so this holds what a mistake of the driver's or a crafted module could do: what
// was opened before lock-down may be used (ioctl, mmap without execution), nothing else can be opened, no process made.
std::vector<sock_filter> GpuFilter() { return MakeGpuFilter(nullptr); }
std::vector<sock_filter> WatchedGpuFilter(const void* trusted) { return MakeGpuFilter(trusted); }
#endif

}  // namespace rbc::worker
