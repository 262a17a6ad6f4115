// The fault record and the signal handlers that write it.
// SPDX-License-Identifier: Apache-2.0
#include "worker/fault.h"

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>

#include "worker/call_context.h"
#include "worker/function_table.h"

namespace rbc::worker {
namespace {

constexpr size_t kAlternateStack = 64 * 1024;   // address space; a frame with AVX-512 state takes 4 KiB
constexpr size_t kOverflowReach = 1024 * 1024;  // how far below a stack an access still counts as its overflow

RingHeader* ring = nullptr;
FunctionFinder function_finder = nullptr;
FaultDescriber fault_describer = nullptr;
ForbiddenCallHandler forbidden_call_handler = nullptr;
constinit thread_local CallContext* current_context = nullptr;
constinit thread_local bool in_fault = false;

// Text into a fixed array, NUL-terminated.
template <size_t kSize>
void CopyText(char (&out)[kSize], std::string_view text) {
  const size_t size = std::min(text.size(), kSize - 1);
  if (size != 0) std::memcpy(out, text.data(), size);
  out[size] = 0;
}

void NameFunction(FaultRecord& record, const CallContext* context, const void* code_address) {
  const char* found = function_finder != nullptr && code_address != nullptr ? function_finder(code_address) : "";
  if (*found != 0)
    CopyText(record.function, found);
  else if (context != nullptr && context->function != nullptr)
    CopyText(record.function, context->function->name);
  else
    CopyText(record.function, ring->function);
}

void Fill(FaultRecord& record, FaultCause cause, int signal, int code, const void* address, const void* code_address,
          std::string_view message) {
  const CallContext* context = current_context;
  record.cause = cause;
  record.signal = signal;
  record.code = code;
  record.lane = context != nullptr ? context->lane : kNoLane;
  record.address = reinterpret_cast<uint64_t>(address);
  record.function_id = context != nullptr && context->function != nullptr ? context->function->id : 0;
  CopyText(record.message, message);
  CopyText(record.phase, context != nullptr && context->phase != nullptr ? context->phase : ring->phase);
  NameFunction(record, context, code_address);
}

bool IsStackOverflow(const CallContext* context, uintptr_t address, uintptr_t stack_pointer) {
  if (context == nullptr || context->stack_low == 0) return false;
  if (stack_pointer < context->stack_low || stack_pointer > context->stack_high) return true;
  return address < context->stack_low && address >= context->stack_low - kOverflowReach;
}

// What glibc wants to say before it aborts (a damaged heap, say) arrives here as a refused writev to stderr.
std::string_view LastWords(const ucontext_t& machine) {
  const auto& regs = machine.uc_mcontext.gregs;
  if (regs[REG_RDI] != STDERR_FILENO || regs[REG_RDX] < 1) return {};
  const auto* parts = reinterpret_cast<const iovec*>(regs[REG_RSI]);
  return {static_cast<const char*>(parts[0].iov_base), parts[0].iov_len};
}

void OnSignal(int signal, siginfo_t* info, void* machine_state) {
  char asked[256] = {};
  if (signal == SIGSYS) {
    if (forbidden_call_handler != nullptr &&
        forbidden_call_handler(info->si_syscall, machine_state, asked, sizeof asked))
      return;
  }
  const auto& machine = *static_cast<const ucontext_t*>(machine_state);
  const auto* code = reinterpret_cast<const void*>(machine.uc_mcontext.gregs[REG_RIP]);
  const auto stack_pointer = static_cast<uintptr_t>(machine.uc_mcontext.gregs[REG_RSP]);
  if (signal == SIGSYS) {
    if (info->si_syscall == SYS_writev && !in_fault) {
      in_fault = true;  // hostile code may have made this call with wild pointers
      const std::string_view words = LastWords(machine);
      in_fault = false;
      if (!words.empty()) EndWithFault(FaultCause::kAbort, SIGABRT, 0, nullptr, nullptr, words);
    }
    EndWithFault(FaultCause::kForbiddenCall, signal, info->si_syscall, info->si_call_addr, code, asked);
  }
  const bool memory = signal == SIGSEGV || signal == SIGBUS;
  const auto cause =
      signal == SIGABRT ? FaultCause::kAbort
      : memory && IsStackOverflow(current_context, reinterpret_cast<uintptr_t>(info->si_addr), stack_pointer)
          ? FaultCause::kStackOverflow
          : FaultCause::kSignal;
  char where[128];
  const size_t size = fault_describer != nullptr ? fault_describer(where, sizeof where) : 0;
  EndWithFault(cause, signal, info->si_code, info->si_addr, code, {where, size});
}

void OnExit(int status, void*) { EndWithFault(FaultCause::kExit, 0, status, nullptr, nullptr, {}); }

}  // namespace

CallContext* CurrentContext() { return current_context; }
void SetCurrentContext(CallContext* context) { current_context = context; }
std::mutex& OutputOfCall::Turn() {
  static constinit std::mutex turn;
  return turn;
}

void SetFunctionFinder(FunctionFinder finder) { function_finder = finder; }
void SetFaultDescriber(FaultDescriber describer) { fault_describer = describer; }

void SetForbiddenCallHandler(ForbiddenCallHandler handler) { forbidden_call_handler = handler; }

void EndByDevice(const Error& error) {
  EndWithFault(FaultCause::kDevice, 0, 0, nullptr, nullptr, error.cause + "\n" + error.message);
}

void UseAlternateStack() {
  void* memory = mmap(nullptr, kAlternateStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return;
  const stack_t stack{.ss_sp = memory, .ss_flags = 0, .ss_size = kAlternateStack};
  sigaltstack(&stack, nullptr);
}

void RecordFaultsIn(RingHeader* header) {
  ring = header;
  struct sigaction action {};
  action.sa_sigaction = OnSignal;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS}) {
    sigaction(signal, &action, nullptr);
  }
  std::set_terminate([] {
    EndWithFault(FaultCause::kAbort, SIGABRT, 0, nullptr, __builtin_return_address(0), "std::terminate is called");
  });
  std::set_new_handler([] { EndWithFault(FaultCause::kOutOfMemory, 0, 0, nullptr, nullptr, "no memory is left"); });
  on_exit(OnExit, nullptr);  // a library that calls exit() must not look like a worker that ended well
}

void EndWithFault(FaultCause cause, int signal, int code, const void* address, const void* code_address,
                  std::string_view message) {
  if (ring == nullptr || in_fault) _exit(kFaultExitStatus);
  in_fault = true;
  uint32_t free = 0;
  auto& record = ring->fault;
  if (record.claimed.compare_exchange_strong(free, 1)) {
    Fill(record, cause, signal, code, address, code_address, message);
    record.claimed.store(2, std::memory_order_release);
  } else {
    // Another thread is writing it: let it finish, but not for ever, it may be the one that is broken.
    for (int i = 0; i < 10'000 && record.claimed.load(std::memory_order_acquire) != 2; ++i) sched_yield();
  }
  _exit(kFaultExitStatus);
}

}  // namespace rbc::worker
