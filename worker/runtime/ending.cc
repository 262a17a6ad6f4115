// Functions that end client code.
// SPDX-License-Identifier: Apache-2.0
#include "worker/runtime/ending.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <typeinfo>

#include "worker/call_context.h"
#include "worker/fault.h"
#include "worker/module_instance.h"

using rbc::worker::EndWithFault;
using rbc::worker::FaultCause;

namespace {

// "expression, file.c:12": the file's folders are the client's own business, but a build machine's often.
[[noreturn]] void EndAssert(const char* expression, const char* file, unsigned line, const void* caller) {
  const char* name = std::strrchr(file, '/');
  char text[400];
  std::snprintf(text, sizeof text, "%s, %s:%u", expression, name == nullptr ? file : name + 1, line);
  EndWithFault(FaultCause::kAssert, SIGABRT, 0, nullptr, caller, text);
}

[[noreturn]] void Refuse(const char* text, const void* caller) {
  EndWithFault(FaultCause::kRefused, 0, 0, nullptr, caller, text);
}

}  // namespace

#define RBC_CALLER __builtin_return_address(0)

extern "C" {

char client_dso_handle = 0;

void EndByAbort() { EndWithFault(FaultCause::kAbort, SIGABRT, 0, nullptr, RBC_CALLER, {}); }

void EndByExit(int status) { EndWithFault(FaultCause::kExit, 0, status, nullptr, RBC_CALLER, {}); }

void EndByAssert(const char* expression, const char* file, unsigned line, const char*) {
  EndAssert(expression, file, line, RBC_CALLER);
}

void EndByShortAssert(const char* expression, const char* file, int line) {
  EndAssert(expression, file, static_cast<unsigned>(line), RBC_CALLER);
}

void EndByStackSmash() {
  EndWithFault(FaultCause::kStackSmash, SIGABRT, 0, nullptr, RBC_CALLER, "stack smashing detected");
}

void EndByBufferOverflow() {
  EndWithFault(FaultCause::kAbort, SIGABRT, 0, nullptr, RBC_CALLER, "buffer overflow detected");
}

void EndByPureVirtual() {
  EndWithFault(FaultCause::kAbort, SIGABRT, 0, nullptr, RBC_CALLER, "a pure virtual function is called");
}

void EndByTerminate() { EndWithFault(FaultCause::kAbort, SIGABRT, 0, nullptr, RBC_CALLER, "std::terminate is called"); }

void EndByThrow(void*, const void* type, void (*)(void*)) {
  char text[300];
  std::snprintf(text, sizeof text, "a C++ exception of type %s is thrown; exceptions are not supported",
                static_cast<const std::type_info*>(type)->name());
  Refuse(text, RBC_CALLER);
}

void EndByRethrow() { Refuse("a C++ exception is handled; exceptions are not supported", RBC_CALLER); }
void EndByCatch(void*) { Refuse("a C++ exception is caught; exceptions are not supported", RBC_CALLER); }
void EndByBadLength() { Refuse("an array of negative or huge length is allocated", RBC_CALLER); }
void EndByBadFunction() { Refuse("an empty std::function is called", RBC_CALLER); }
void EndByBadAlloc() { EndWithFault(FaultCause::kOutOfMemory, 0, 0, nullptr, RBC_CALLER, "std::bad_alloc"); }
void EndByLibraryError(const char* what, ...) { Refuse(what, RBC_CALLER); }

void* AllocateException(size_t size) noexcept { return std::malloc(size); }
void FreeException(void* object) noexcept { std::free(object); }

int RunAtUnloadWith(void (*function)(void*), void* argument, void*) {
  auto* context = rbc::worker::CurrentContext();
  if (context == nullptr || context->module == nullptr) return -1;
  context->module->AtExit(function, argument);
  return 0;
}

int RunAtUnload(void (*function)()) {
  // The argument is passed in a register that a function without parameters does not look at.
  return RunAtUnloadWith(reinterpret_cast<void (*)(void*)>(function), nullptr, nullptr);
}

}  // extern "C"
