// Functions that end client code, and those that wait for the end of its module.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

// C linkage because client code calls them. Each End... writes the fault record and ends the process.
extern "C" {
extern char client_dso_handle;
[[noreturn]] void EndByAbort();
[[noreturn]] void EndByExit(int status);
[[noreturn]] void EndByAssert(const char* expression, const char* file, unsigned line, const char* function);
[[noreturn]] void EndByShortAssert(const char* expression, const char* file, int line);
[[noreturn]] void EndByStackSmash();
[[noreturn]] void EndByBufferOverflow();
[[noreturn]] void EndByPureVirtual();
[[noreturn]] void EndByTerminate();
[[noreturn]] void EndByThrow(void* object, const void* type, void (*destructor)(void*));
[[noreturn]] void EndByRethrow();
[[noreturn]] void EndByCatch(void* object);
[[noreturn]] void EndByBadLength();
[[noreturn]] void EndByBadAlloc();
[[noreturn]] void EndByBadFunction();
[[noreturn]] void EndByLibraryError(const char* what, ...);
void* AllocateException(size_t size) noexcept;
void FreeException(void* object) noexcept;
int RunAtUnload(void (*function)());
int RunAtUnloadWith(void (*function)(void*), void* argument, void* dso);
}
