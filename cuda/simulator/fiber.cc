// Fibers of simulated threads.
// SPDX-License-Identifier: Apache-2.0
#include "cuda/simulator/fiber.h"

#include <sys/mman.h>

#include <mutex>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <pthread.h>
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

// Keeps what the ABI says survives a call: six registers, the control words of SSE and x87.
extern "C" void rbc_sim_switch(void** from, void* to);
asm(R"(
  .text
  .globl rbc_sim_switch
  .type rbc_sim_switch, @function
rbc_sim_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  subq $8, %rsp
  stmxcsr (%rsp)
  fnstcw 4(%rsp)
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  ldmxcsr (%rsp)
  fldcw 4(%rsp)
  addq $8, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .size rbc_sim_switch, .-rbc_sim_switch

  .globl rbc_sim_begin
  .type rbc_sim_begin, @function
rbc_sim_begin:
  movq %r13, %rdi
  xorl %ebp, %ebp
  call *%r12
  ud2
  .size rbc_sim_begin, .-rbc_sim_begin
)");
extern "C" void rbc_sim_begin();

namespace rbc::simulator {
namespace {

constexpr size_t kMapped = kFiberGuard + kFiberStack;
constexpr size_t kMostPooled = 2048;
constexpr uint64_t kControlWords = 0x037f'0000'1f80ull;  // MXCSR in the lower half, the x87 word above it

struct Pool {
  std::mutex mutex;
  std::vector<char*> free;
};
// Never destroyed: threads may run until the process ends.
Pool& StackPool() {
  static Pool& pool = *new Pool;
  return pool;
}

}  // namespace

FiberStack FiberStack::Take() {
  Pool& pool = StackPool();
  {
    const std::lock_guard lock(pool.mutex);
    if (!pool.free.empty()) {
      char* const low = pool.free.back();
      pool.free.pop_back();
      return FiberStack(low);
    }
  }
  void* memory = mmap(nullptr, kMapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return {};
  char* const low = static_cast<char*>(memory) + kFiberGuard;
  if (mprotect(low, kFiberStack, PROT_READ | PROT_WRITE) == 0) return FiberStack(low);
  munmap(memory, kMapped);
  return {};
}

FiberStack::~FiberStack() {
  if (low_ == nullptr) return;
  Pool& pool = StackPool();
  {
    const std::lock_guard lock(pool.mutex);
    if (pool.free.size() < kMostPooled) {
      pool.free.push_back(low_);
      return;
    }
  }
  munmap(low_ - kFiberGuard, kMapped);
}

void Context::Prepare(const FiberStack& stack, void (*body)(void*), void* argument) {
  auto* top = reinterpret_cast<uint64_t*>(stack.high());
  *--top = 0;
  *--top = 0;  // two: a call wants the stack aligned to 16
  *--top = reinterpret_cast<uint64_t>(&rbc_sim_begin);
  *--top = 0;                                     // rbp
  *--top = 0;                                     // rbx
  *--top = reinterpret_cast<uint64_t>(body);      // r12
  *--top = reinterpret_cast<uint64_t>(argument);  // r13
  *--top = 0;                                     // r14
  *--top = 0;                                     // r15
  *--top = kControlWords;
  stack_pointer_ = top;
#if defined(__SANITIZE_ADDRESS__)
  bottom_ = reinterpret_cast<const void*>(stack.low());
  size_ = kFiberStack;
  fake_stack_ = nullptr;
  __asan_unpoison_memory_region(bottom_, size_);
#endif
}

void Context::Switch(Context& from, Context& to) {
#if defined(__SANITIZE_ADDRESS__)
  if (from.bottom_ == nullptr) {  // a thread's own stack
    pthread_attr_t attributes;
    void* low = nullptr;
    if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
      pthread_attr_getstack(&attributes, &low, &from.size_);
      pthread_attr_destroy(&attributes);
    }
    from.bottom_ = low;
  }
  __sanitizer_start_switch_fiber(&from.fake_stack_, to.bottom_, to.size_);
#endif
  rbc_sim_switch(&from.stack_pointer_, to.stack_pointer_);
  Arrived(from);
}

void Context::Arrived([[maybe_unused]] Context& here) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(here.fake_stack_, nullptr, nullptr);
#endif
}

}  // namespace rbc::simulator
