// Fibers of simulated threads: a stack each, switched by hand in a few nanoseconds.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace rbc::simulator {

inline constexpr size_t kFiberStack = 128 * 1024;
inline constexpr size_t kFiberGuard = 64 * 1024;  // address space only; an access there is a stack overflow

// Memory for one fiber, above a guard. Taken from and given back to a pool of the process.
class FiberStack {
 public:
  FiberStack() = default;
  FiberStack(FiberStack&& other) noexcept : low_(std::exchange(other.low_, nullptr)) {}
  FiberStack& operator=(FiberStack&& other) noexcept {
    std::swap(low_, other.low_);
    return *this;
  }
  ~FiberStack();
  // Empty: no memory is left.
  static FiberStack Take();
  explicit operator bool() const { return low_ != nullptr; }
  uintptr_t low() const { return reinterpret_cast<uintptr_t>(low_); }
  uintptr_t high() const { return low() + kFiberStack; }

 private:
  explicit FiberStack(char* low) : low_(low) {}
  char* low_ = nullptr;
};

// A place where execution stands still.
class Context {
 public:
  Context() = default;
  // Will call `body(argument)`, which must not return, on `stack`.
  void Prepare(const FiberStack& stack, void (*body)(void*), void* argument);
  // Stands still in `from` and goes on in `to`.
  static void Switch(Context& from, Context& to);
  // Called first thing after each arrival, on a new stack too.
  static void Arrived(Context& here);

 private:
  void* stack_pointer_ = nullptr;
#if defined(__SANITIZE_ADDRESS__)
  void* fake_stack_ = nullptr;
  const void* bottom_ = nullptr;
  size_t size_ = 0;
#endif
};

}  // namespace rbc::simulator
