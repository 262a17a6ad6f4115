// A queue and its steps as Python holds them; rbc/queue.py is what users see.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nanobind/nanobind.h>

#include <memory>
#include <optional>
#include <vector>

#include "client/python/src/farm_object.h"

namespace rbc::python {

class StepObject {
 public:
  StepObject(QueuedArray array, std::shared_ptr<client::Farm> farm)
      : array_(std::move(array)), farm_(std::move(farm)) {}
  // `words`: of a launch, what its kernel tells of an exception (rbc/_kernel.py).
  using Words = std::vector<int64_t>;
  StepObject(QueuedCall call, std::shared_ptr<client::Farm> farm, std::shared_ptr<const Words> words = nullptr)
      : call_(std::move(call)), farm_(std::move(farm)), words_(std::move(words)) {}

  const std::optional<QueuedArray>& array() const { return array_; }
  uint64_t Number() const;
  size_t Rank() const;  // dimensions of the array that it makes
  // False: it is not over yet. Negative: for as long as it takes.
  bool Wait(double seconds) const;
  bool Cancel() const { return step().cancel(); }
  // `callback()` on a thread of the library once it is over; at once if it is. `send`: what is queued goes now.
  void Then(nb::callable callback, bool send) const;
  // A dict; of an array: buffer, or dtype, shape and data; of a call: value; of a launch: words. Always status, row,
  // shape, output, and the number of the step that status is of. Raises its error. REQUIRES: it is over.
  nb::dict Outcome() const;
  nb::dict Times() const;

 private:
  const Queued& step() const { return array_ ? static_cast<const Queued&>(*array_) : *call_; }

  std::optional<QueuedArray> array_;
  std::optional<QueuedCall> call_;
  std::shared_ptr<client::Farm> farm_;
  std::shared_ptr<const Words> words_;
};

class QueueObject {
 public:
  QueueObject(const RemoteJIT& rjit, bool eager, int64_t timeout_ms);
  // Arrays are steps of this queue, or as for FunctionObject::MapArrays; `out` is one such array, or None.
  std::unique_ptr<StepObject> Map(const FunctionObject& function, const nb::list& arrays, nb::handle out);
  std::unique_ptr<StepObject> Reduce(const FunctionObject& function, nb::handle array, std::optional<int> axis,
                                     bool ordered);
  std::unique_ptr<StepObject> Scan(const FunctionObject& function, nb::handle array, std::optional<int> axis);
  // `keeps`: its array stays, as that of a map.
  std::unique_ptr<StepObject> Call(const FunctionObject& function, const nb::tuple& args, bool keeps);
  // Of a function that returns a struct with arrays: these stay.
  std::unique_ptr<StepObject> KeepAll(const FunctionObject& function, const nb::tuple& args);
  // The kernel's last argument, so many words, is added here.
  std::unique_ptr<StepObject> Launch(const FunctionObject& kernel, const std::vector<int32_t>& blocks,
                                     const std::vector<int32_t>& threads, int32_t shared_bytes, const nb::tuple& args,
                                     size_t words);
  void Flush() { queue_.flush(); }
  void Wait();
  bool Cancel();
  void Profile(bool on);

 private:
  QueueArgument Take(nb::handle given) const;

  Queue queue_;
  std::shared_ptr<client::Farm> farm_;
};

void DefineQueue(nb::module_& module);

}  // namespace rbc::python
