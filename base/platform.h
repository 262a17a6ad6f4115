// What differs between Linux on x86-64 and other machines, for the client library and what it is made of. Nothing else
// there asks which system it is: tests/base/portable_sources.sh sees to it. RBC_PORTABLE builds what others get.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

#if defined(__linux__) && !defined(RBC_PORTABLE)
#define RBC_ON_LINUX 1
#else
#define RBC_ON_LINUX 0
#endif
#if defined(__x86_64__) && !defined(RBC_PORTABLE)
#define RBC_ON_X86_64 1
#include <immintrin.h>
#else
#define RBC_ON_X86_64 0
#endif

namespace rbc::platform {

// Whether a farm's memory can be this process's too: rings and arenas. Elsewhere everything goes over the socket.
inline constexpr bool kSharesMemory = RBC_ON_LINUX;

// ---- processors

// Between two looks at a word that another CPU writes.
inline void CpuRelax() {
#if RBC_ON_X86_64
  _mm_pause();
#endif
}
// How many CPUs this process may use.
int AllowedCpus();
// Lets the thread that shares this CPU have it, where the kernel can be told to; else nothing.
void LeaveThisCpu();

// ---- memory

// memcpy for what is much larger than the caches, and past them where the processor can.
void CopyPastCaches(char* to, const char* from, size_t bytes);
// Mapped memory that a forked child has not, and memory that is left out of core dumps; where there is such a wish.
void KeepFromChildren(void* memory, size_t bytes);
void KeepFromDumps(void* memory, size_t bytes);
// Private memory that is best in huge pages, where there is such a wish. REQUIRES: begins at a page.
void WishHugePages(void* memory, size_t bytes);
// Of a word in memory that processes share. REQUIRES: kSharesMemory. Wait returns at a wake-up, after `ms`, at a
// signal, or at once where the word has another value.
void WakeAll(std::atomic<uint32_t>& word);
void WaitWhile(std::atomic<uint32_t>& word, uint32_t value, int ms);

// ---- descriptors; all are closed at exec. Made ones are negative, or the function false, with errno, at failure

// A stream socket that does not block.
int OpenSocket(int family);
bool OpenSocketPair(int fds[2]);
bool OpenPipe(int fds[2]);
// Without a signal where nobody reads, and without waiting. `more` follows at once. As ::send().
ssize_t Send(int fd, const void* bytes, size_t size, bool more = false);
// The same, and waits where the socket does.
ssize_t SendAndWait(int fd, const void* bytes, size_t size);
ssize_t ReceiveMessage(int fd, msghdr* message, int flags);

// Something to poll for that happens once.
class Event {
 public:
  Event() = default;
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  // Opens it. False: there is no descriptor to be had.
  bool Open();
  bool is_open() const { return read_ >= 0; }
  int fd() const { return read_; }  // readable from the signal on; negative before Open()
  void Signal();

 private:
  int read_ = -1, write_ = -1;  // of an eventfd the same
};

}  // namespace rbc::platform
