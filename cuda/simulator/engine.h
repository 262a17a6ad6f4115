// Runs simulated kernels: the threads of a grid, block by block, on the calling thread.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/expected.h"

namespace rbc::simulator {

struct Launch {
  void (*entry)(const void* parameters) = nullptr;
  const void* parameters = nullptr;
  uint32_t grid[3] = {1, 1, 1};
  uint32_t block[3] = {1, 1, 1};
  uint32_t static_shared = 0;   // bytes
  uint32_t dynamic_shared = 0;  // bytes
  bool meets = false;           // threads of a block wait for each other: each gets a stack of its own
};

// What the process around the engine offers. Called on the thread of the launch.
struct Surroundings {
  void (*print)(std::string_view text) = nullptr;  // may be null: nothing is printed
  // The running code's stack from now on; both 0: the thread's own again. May be null.
  void (*on_stack)(uintptr_t low, uintptr_t high) = nullptr;
};

// Runs all threads to their end. Thread-safe: each call is a device of its own. Nothing of a launch that failed goes
// on; what it wrote stays. kInvalidArgument: a grid, block or shared memory that no device has; kResourceExhausted;
// kRemoteCrash with cause: "trap", "assertion failed", "deadlock", where the message says which thread of which block.
// A wild access or an endless loop is the process's own.
Status Run(const Launch& launch, const Surroundings& surroundings);

// The largest that any of today's devices takes.
inline constexpr uint32_t kMaxShared = 227 * 1024;

// "block (1,0,0), thread (3,0,0)" of what runs on this thread, or 0 characters. Async-signal-safe. Returns the length.
size_t DescribeRunning(char* text, size_t size);

// Address of one of the functions of abi.h, or nullptr.
void* FindSymbol(std::string_view name);

}  // namespace rbc::simulator
