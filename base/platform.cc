// What differs between Linux on x86-64 and other machines.
// SPDX-License-Identifier: Apache-2.0
#include "base/platform.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <thread>

#if RBC_ON_LINUX
#include <linux/futex.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#endif

namespace rbc::platform {

// ---- processors

#if RBC_ON_LINUX
int AllowedCpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

void LeaveThisCpu() {
  cpu_set_t allowed;
  const int here = sched_getcpu();
  if (here < 0 || here >= CPU_SETSIZE || sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  cpu_set_t others = allowed;
  CPU_CLR(here, &others);
  if (CPU_COUNT(&others) == 0 || sched_setaffinity(0, sizeof others, &others) != 0) return;
  sched_setaffinity(0, sizeof allowed, &allowed);
}
#else
int AllowedCpus() {
  const unsigned cpus = std::thread::hardware_concurrency();
  return cpus == 0 ? 1 : static_cast<int>(cpus);
}

void LeaveThisCpu() {}
#endif

// ---- memory

#if RBC_ON_X86_64
// Stores that do not read the line they write. 16 bytes at a time: the memory is the bound, not the processor.
void CopyPastCaches(char* to, const char* from, size_t bytes) {
  constexpr size_t kLine = 64;
  const size_t head = -reinterpret_cast<uintptr_t>(to) % kLine;
  if (bytes < head + kLine) {
    if (bytes != 0) std::memcpy(to, from, bytes);
    return;
  }
  std::memcpy(to, from, head);
  to += head, from += head, bytes -= head;
  for (; bytes >= kLine; to += kLine, from += kLine, bytes -= kLine) {
    const auto* source = reinterpret_cast<const __m128i*>(from);
    auto* target = reinterpret_cast<__m128i*>(to);
    const __m128i a = _mm_loadu_si128(source), b = _mm_loadu_si128(source + 1);
    const __m128i c = _mm_loadu_si128(source + 2), d = _mm_loadu_si128(source + 3);
    _mm_stream_si128(target, a);
    _mm_stream_si128(target + 1, b);
    _mm_stream_si128(target + 2, c);
    _mm_stream_si128(target + 3, d);
  }
  _mm_sfence();
  std::memcpy(to, from, bytes);
}
#else
void CopyPastCaches(char* to, const char* from, size_t bytes) {
  if (bytes != 0) std::memcpy(to, from, bytes);
}
#endif

#if RBC_ON_LINUX
void KeepFromChildren(void* memory, size_t bytes) { ::madvise(memory, bytes, MADV_DONTFORK); }
void KeepFromDumps(void* memory, size_t bytes) { ::madvise(memory, bytes, MADV_DONTDUMP); }
void WishHugePages(void* memory, size_t bytes) { ::madvise(memory, bytes, MADV_HUGEPAGE); }

void WakeAll(std::atomic<uint32_t>& word) {
  ::syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

void WaitWhile(std::atomic<uint32_t>& word, uint32_t value, int ms) {
  const timespec timeout{ms / 1000, ms % 1000 * 1'000'000L};
  ::syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAIT, value, &timeout, nullptr, 0);
}
#else
void KeepFromChildren(void*, size_t) {}
void KeepFromDumps(void*, size_t) {}
void WishHugePages(void*, size_t) {}
void WakeAll(std::atomic<uint32_t>&) {}
void WaitWhile(std::atomic<uint32_t>&, uint32_t, int) {}
#endif

// ---- descriptors

namespace {

#if RBC_ON_LINUX
constexpr int kSendFlags = MSG_NOSIGNAL, kMore = MSG_MORE;
#else
constexpr int kMore = 0;
#ifdef MSG_NOSIGNAL
constexpr int kSendFlags = MSG_NOSIGNAL;
#else
constexpr int kSendFlags = 0;  // sockets of ours are told so when they are made
#endif

// Between the making of a descriptor and this another thread may start a program, which then has it too.
bool CloseAtExec(int fd) { return fd >= 0 && ::fcntl(fd, F_SETFD, FD_CLOEXEC) == 0; }

int Told(int fd) {
  if (!CloseAtExec(fd)) return fd;
#ifdef SO_NOSIGPIPE
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
  return fd;
}
#endif

}  // namespace

#if RBC_ON_LINUX
int OpenSocket(int family) { return ::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0); }
bool OpenSocketPair(int fds[2]) { return ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0; }
bool OpenPipe(int fds[2]) { return ::pipe2(fds, O_CLOEXEC) == 0; }
ssize_t ReceiveMessage(int fd, msghdr* message, int flags) { return ::recvmsg(fd, message, flags | MSG_CMSG_CLOEXEC); }
#else
int OpenSocket(int family) {
  const int fd = Told(::socket(family, SOCK_STREAM, 0));
  if (fd >= 0) ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
  return fd;
}

bool OpenSocketPair(int fds[2]) {
  if (::socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0) return false;
  Told(fds[0]);
  Told(fds[1]);
  return true;
}

bool OpenPipe(int fds[2]) { return ::pipe(fds) == 0 && CloseAtExec(fds[0]) && CloseAtExec(fds[1]); }

ssize_t ReceiveMessage(int fd, msghdr* message, int flags) {
  const ssize_t n = ::recvmsg(fd, message, flags);
  if (n < 0) return n;
  for (cmsghdr* header = CMSG_FIRSTHDR(message); header != nullptr; header = CMSG_NXTHDR(message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    int descriptor;
    std::memcpy(&descriptor, CMSG_DATA(header), sizeof descriptor);
    CloseAtExec(descriptor);
  }
  return n;
}
#endif

ssize_t Send(int fd, const void* bytes, size_t size, bool more) {
  return ::send(fd, bytes, size, kSendFlags | MSG_DONTWAIT | (more ? kMore : 0));
}

ssize_t SendAndWait(int fd, const void* bytes, size_t size) { return ::send(fd, bytes, size, kSendFlags); }

Event::~Event() {
  if (read_ >= 0) ::close(read_);
  if (write_ >= 0 && write_ != read_) ::close(write_);
}

#if RBC_ON_LINUX
bool Event::Open() {
  read_ = write_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return is_open();
}
#else
bool Event::Open() {
  int fds[2];
  if (!OpenPipe(fds)) return false;
  read_ = fds[0], write_ = fds[1];
  ::fcntl(write_, F_SETFL, O_NONBLOCK);
  ::fcntl(read_, F_SETFL, O_NONBLOCK);
  return true;
}
#endif

void Event::Signal() {
  const uint64_t one = 1;  // of an eventfd the count; any bytes of a pipe
  [[maybe_unused]] const ssize_t n = ::write(write_, &one, sizeof one);
}

}  // namespace rbc::platform
