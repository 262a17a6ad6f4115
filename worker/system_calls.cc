// Names of system calls.
// SPDX-License-Identifier: Apache-2.0
#include "worker/system_calls.h"

#include <sys/syscall.h>

#include <algorithm>
#include <iterator>

// Those that a program, a library or a driver asks for by itself.
// clang-format off
#define RBC_SYSTEM_CALLS(X) \
  X(read) X(write) X(open) X(close) X(stat) X(fstat) X(lstat) X(poll) X(lseek) X(mmap) X(mprotect) X(munmap) \
  X(brk) X(rt_sigprocmask) X(rt_sigreturn) X(ioctl) X(pread64) X(pwrite64) X(readv) X(writev) X(access) X(pipe) \
  X(select) X(sched_yield) X(mremap) X(msync) X(mincore) X(madvise) X(shmget) X(shmat) X(shmctl) X(dup) \
  X(pause) X(nanosleep) X(getitimer) X(setitimer) X(alarm) X(getpid) X(sendfile) X(socket) X(connect) X(accept) \
  X(sendto) X(recvfrom) X(sendmsg) X(recvmsg) X(shutdown) X(bind) X(listen) X(getsockname) X(socketpair) \
  X(setsockopt) X(getsockopt) X(clone) X(fork) X(vfork) X(execve) X(exit) X(wait4) X(kill) X(uname) X(fcntl) \
  X(flock) X(fsync) X(ftruncate) X(truncate) X(getdents) X(chdir) X(rename) X(mkdir) X(rmdir) X(creat) X(link) \
  X(unlink) X(symlink) X(readlink) X(chmod) X(fchmod) X(chown) X(umask) X(gettimeofday) X(getrusage) X(sysinfo) \
  X(times) X(ptrace) X(getuid) X(getgid) X(geteuid) X(getegid) X(setuid) X(setgid) X(getppid) X(sigaltstack) \
  X(statfs) X(fstatfs) X(getpriority) X(sched_setparam) X(sched_getparam) X(sched_setscheduler) \
  X(sched_getscheduler) X(sched_get_priority_max) X(sched_get_priority_min) X(mlock) X(munlock) X(mlockall) \
  X(prctl) X(arch_prctl) X(mount) X(gettid) X(tkill) X(time) X(futex) X(sched_setaffinity) X(sched_getaffinity) \
  X(getdents64) X(set_tid_address) X(restart_syscall) X(fadvise64) X(timer_create) X(timer_settime) \
  X(timer_delete) X(clock_gettime) X(clock_getres) X(clock_nanosleep) X(exit_group) X(epoll_wait) X(epoll_ctl) \
  X(tgkill) X(mbind) X(set_mempolicy) X(get_mempolicy) X(waitid) X(openat) X(newfstatat) X(unlinkat) \
  X(renameat) X(readlinkat) X(faccessat) X(ppoll) X(unshare) X(set_robust_list) X(splice) X(epoll_pwait) \
  X(signalfd) X(timerfd_create) X(eventfd) X(fallocate) X(accept4) X(signalfd4) X(eventfd2) X(epoll_create1) \
  X(dup3) X(pipe2) X(prlimit64) X(getcpu) X(process_vm_readv) X(sched_setattr) X(seccomp) X(getrandom) \
  X(memfd_create) X(bpf) X(execveat) X(userfaultfd) X(membarrier) X(mlock2) X(statx) X(rseq) \
  X(pidfd_send_signal) X(pidfd_open) X(clone3) X(close_range) X(openat2) X(pidfd_getfd) X(faccessat2) \
  X(landlock_restrict_self) X(rt_sigaction) X(dup2) X(getpeername) X(getcwd) X(getrlimit) X(setpriority) \
  X(setrlimit) X(mkdirat) X(utimensat) X(timerfd_settime) X(io_uring_setup) X(sched_getattr)
// clang-format on

namespace rbc::worker {
namespace {

struct Row {
  long number;
  std::string_view name;
};
#define RBC_X(name) {SYS_##name, #name},
constexpr Row kRows[] = {RBC_SYSTEM_CALLS(RBC_X){-1, {}}};
#undef RBC_X

}  // namespace

std::string_view SystemCallName(long number) {
  const auto* row =
      std::find_if(std::begin(kRows), std::end(kRows), [&](const Row& known) { return known.number == number; });
  return row == std::end(kRows) ? std::string_view() : row->name;
}

}  // namespace rbc::worker
