// Stacks whose bounds are known.
// SPDX-License-Identifier: Apache-2.0
#include "worker/stack.h"

#include <pthread.h>
#include <sys/mman.h>

#include <cstring>
#include <memory>
#include <string>

extern "C" void* __libc_stack_end;

namespace rbc::worker {
namespace {

constexpr size_t kMostArguments = 256 * 1024;

void* RunBody(void* body) {
  const std::unique_ptr<std::function<void()>> owned(static_cast<std::function<void()>*>(body));
  (*owned)();
  return nullptr;
}

}  // namespace

Status StartOnOwnStack(CallContext* context, std::function<void()> body) {
  void* memory = mmap(nullptr, kStackGuard + kStackSize, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return Error(ErrorKind::kResourceExhausted, "no address space is left for a stack");
  char* low = static_cast<char*>(memory) + kStackGuard;
  context->stack_low = reinterpret_cast<uintptr_t>(low);
  context->stack_high = context->stack_low + kStackSize;
  auto owned = std::make_unique<std::function<void()>>(std::move(body));
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_t thread;
  int failed = mprotect(low, kStackSize, PROT_READ | PROT_WRITE) != 0 ? errno : 0;
  if (failed == 0) failed = pthread_attr_setstack(&attributes, low, kStackSize);
  if (failed == 0) failed = pthread_create(&thread, &attributes, RunBody, owned.get());
  pthread_attr_destroy(&attributes);
  if (failed != 0)
    return Error(ErrorKind::kResourceExhausted, std::string("a lane's thread cannot be started: ") + strerror(failed));
  owned.release();
  return {};
}

void DescribeMainStack(CallContext* context) {
  const auto top = reinterpret_cast<uintptr_t>(__libc_stack_end);
  // The kernel counts the limit from the very top, where arguments and environment lie: how large they are is not
  // known, so that the lowest part of the stack counts as overflow already. A valid access there does not fault.
  context->stack_high = top + kStackGuard;
  context->stack_low = top - kStackSize + kMostArguments;
}

}  // namespace rbc::worker
