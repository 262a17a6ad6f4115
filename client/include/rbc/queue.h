// Calls and maps that wait for nothing: they queue, travel together, and hand their arrays on where they run.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "rbc/array.h"
#include "rbc/buffer.h"
#include "rbc/function.h"

namespace rbc {

namespace detail {
class QueueState;
struct QueuedState;
struct QueueHandle;
}  // namespace detail

// A step of a queue, under way or over. Copies are the same step. Thread-safe. To wait for one sends what is queued.
class RBC_API Queued {
 public:
  // Whether it is over; sends what is queued.
  bool ready() const { return wait_for(std::chrono::milliseconds(0)); }
  void wait() const { (void)wait_for(std::chrono::milliseconds(-1)); }
  // False: it is not over yet. Negative: for as long as it takes.
  bool wait_for(std::chrono::milliseconds time) const;
  // Waits. Its own error, or that of the step whose array it needs.
  Result<void> try_check() const;
  // Takes it out of the queue; it then ends with kCancelled, and so does what needs it. False: it is sent already;
  // Queue::cancel stops that.
  bool cancel() const;
  // On a thread of the library once it is over; at once, here, if it is. Sends what is queued.
  void then(std::function<void()> callback) const;
  // For poll and epoll: readable once it is over. Belongs to the step; -1: no descriptor could be had. Sends what is
  // queued.
  int fd() const;

 protected:
  friend class Queue;
  friend class QueueArgument;
  friend struct detail::Inside;
  explicit Queued(std::shared_ptr<detail::QueueHandle> handle) : handle_(std::move(handle)) {}
  std::shared_ptr<detail::QueueHandle> handle_;
};

// The array that a step makes. It stays on the farm as long as a handle is there; that of a reduction over all elements
// is one value, which comes back.
class RBC_API QueuedArray : public Queued {
 public:
  const std::string& dtype() const;  // known at once
  // Waits; throws the error of what it depends on.
  Buffer get() const { return ValueOrThrow(try_get()); }
  // kInvalidArgument: it is one value that came back.
  Result<Buffer> try_get() const;
  // A copy of the elements, in C order.
  template <typename T>
  std::vector<T> to_host() const {
    const ArrayResult copy = ValueOrThrow(try_fetch());
    return copy.as<T>();
  }
  // Of an array of one element.
  template <typename T>
  T value() const {
    const std::vector<T> all = to_host<T>();
    if (all.size() != 1)
      throw Exception(Error(ErrorKind::kInvalidArgument,
                            "the array has " + std::to_string(all.size()) + " elements, asked for is its one value"));
    return all[0];
  }
  Result<ArrayResult> try_fetch() const;

 private:
  friend class Queue;
  using Queued::Queued;
};

// A call or launch that a queue holds.
class RBC_API QueuedCall : public Queued {
 public:
  Value get() const;
  // A status other than 0 is no error here.
  Result<CallResult> try_get() const;

 private:
  friend class Queue;
  using Queued::Queued;
};

// What a queued map takes: an array of this process, which is copied at once, one value, an array on the farm, or one
// that an earlier step of the same queue makes.
class RBC_API QueueArgument {
 public:
  QueueArgument(ArrayArgument array) : array_(std::move(array)) {}  // NOLINT(google-explicit-constructor)
  QueueArgument(const Buffer& buffer);                              // NOLINT(google-explicit-constructor)
  QueueArgument(const QueuedArray& made);                           // NOLINT(google-explicit-constructor)
  template <typename T>
  requires std::is_arithmetic_v<T> QueueArgument(T value)  // NOLINT(google-explicit-constructor)
      : array_(ArrayArgument::One(value)) {}
  template <typename T>
  QueueArgument(const std::vector<T>& values)
      : array_(ArrayArgument::Of(values)) {}  // NOLINT(google-explicit-constructor)

 private:
  friend class detail::QueueState;
  ArrayArgument array_;
  std::shared_ptr<const Buffer> buffer_;
  std::shared_ptr<detail::QueuedState> made_;
};

struct QueuedMapOptions {
  std::vector<QueueArgument> out{};    // none, or the one to write into instead of a new array
  std::vector<QueueArgument> where{};  // none, or a bool array; with `out`
  Accuracy accuracy = Accuracy::kFast;
};
struct QueuedReduceOptions {
  std::optional<int> axis{};
  bool ordered = false;
  Accuracy accuracy = Accuracy::kFast;
};
struct QueuedScanOptions {
  std::optional<int> axis{};
  Accuracy accuracy = Accuracy::kFast;
};

struct QueueOptions {
  std::chrono::milliseconds timeout{0};  // of each chain, waiting included; 0: the RemoteJIT's
  bool eager = false;  // steps go at once; those queued while some are under way go together after these. Else steps go
                       // when one is waited for, at flush(), and in batches where there are many
};

// Steps run in their order, on threads of the library and the farm; to queue one waits for nothing but, at the first of
// a function, what making its module needs. A step whose arguments do not fit its function is refused at once (throws);
// what goes wrong later is told by the handles that need it. Copies are the same queue. Thread-safe. With the last copy
// what is queued is sent. Not for use in a forked child.
class RBC_API Queue {
 public:
  QueuedArray map(const Caller& function, std::initializer_list<QueueArgument> arrays,
                  const QueuedMapOptions& options = {}) {
    return ValueOrThrow(try_map(function, std::span(arrays.begin(), arrays.size()), options));
  }
  QueuedArray reduce(const Caller& function, const QueueArgument& array, const QueuedReduceOptions& options = {}) {
    return ValueOrThrow(try_reduce(function, array, options));
  }
  QueuedArray scan(const Caller& function, const QueueArgument& array, const QueuedScanOptions& options = {}) {
    return ValueOrThrow(try_scan(function, array, options));
  }
  // Of numbers, arrays on the farm, and arrays that earlier steps of this queue make. Memory behind pointers must live
  // until it is over.
  template <typename... A>
  QueuedCall call(const Caller& function, A&&... arguments) {
    return ValueOrThrow(try_call(function, std::vector<Value>{Value(std::forward<A>(arguments))...}));
  }
  // A call of a function on host that returns an array: it stays on the farm, as what a map makes.
  template <typename... A>
  QueuedArray keep(const Caller& function, A&&... arguments) {
    return ValueOrThrow(try_keep(function, std::vector<Value>{Value(std::forward<A>(arguments))...}));
  }
  // The same of one that returns a struct with arrays too: they are in CallResult::kept, as those of Caller::try_keep.
  template <typename... A>
  QueuedCall keep_all(const Caller& function, A&&... arguments) {
    return ValueOrThrow(try_keep_all(function, std::vector<Value>{Value(std::forward<A>(arguments))...}));
  }
  template <typename... A>
  QueuedCall launch(const Caller& kernel, const Grid& grid, A&&... arguments) {
    return ValueOrThrow(try_launch(kernel, grid, std::vector<Value>{Value(std::forward<A>(arguments))...}));
  }
  Result<QueuedArray> try_map(const Caller& function, std::span<const QueueArgument> arrays,
                              const QueuedMapOptions& options = {});
  Result<QueuedArray> try_reduce(const Caller& function, const QueueArgument& array,
                                 const QueuedReduceOptions& options = {});
  Result<QueuedArray> try_scan(const Caller& function, const QueueArgument& array,
                               const QueuedScanOptions& options = {});
  Result<QueuedCall> try_call(const Caller& function, std::vector<Value> arguments);
  Result<QueuedArray> try_keep(const Caller& function, std::vector<Value> arguments);
  Result<QueuedCall> try_keep_all(const Caller& function, std::vector<Value> arguments);
  Result<QueuedCall> try_launch(const Caller& kernel, const Grid& grid, std::vector<Value> arguments);

  // Sends what is queued, and waits for nothing.
  void flush();
  // Until all is over that is queued now. Errors stay where they are.
  void wait();
  // Stops the running step and all after it: kCancelled. True if there was one.
  bool cancel();

 private:
  friend class RemoteJIT;
  friend struct detail::Inside;
  struct Owner;
  explicit Queue(std::shared_ptr<Owner> owner) : owner_(std::move(owner)) {}
  std::shared_ptr<Owner> owner_;
};

// Waits for all of them; then throws the error of the first that has one.
template <typename... Steps>
void gather(const Steps&... steps) {
  (steps.wait(), ...);
  (ValueOrThrow(steps.try_check()), ...);
}

}  // namespace rbc
