// Errors of the library as Python exceptions, and GIL-free waits that a signal can interrupt.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nanobind/nanobind.h>

#include <atomic>
#include <memory>

#include "base/expected.h"
#include "client/src/core.h"
#include "client/src/deadline.h"
#include "client/src/interrupt.h"

namespace rbc::python {

namespace nb = nanobind;

// An instance of rbc.Error's class for this kind (rbc/_errors.py). REQUIRES: the GIL.
nb::object MakeException(const Error& error);
// Throws it, as C++ carries a Python exception.
[[noreturn]] void Throw(const Error& error);

template <typename T>
T OrThrow(Expected<T> value) {
  if (!value) Throw(value.error());
  if constexpr (!std::is_void_v<T>) return *std::move(value);
}

// So many bytes of a copy over the network have moved: what waits says so. Thread-safe, without the GIL.
void CopyMoved(uint64_t done, uint64_t total);

// Tells a thread's calls, from another thread, that nobody wants them any more.
class CancelToken {
 public:
  void Cancel() { cancelled_ = true; }
  bool cancelled() const { return cancelled_; }

 private:
  std::atomic<bool> cancelled_ = false;
};
// `_core.CancelToken` and `_core.set_cancel_token`.
void DefineCancelToken(nb::module_& module);

// Ctrl-C, or the thread's CancelToken, while a thread waits for the farm: asks the farm to stop the request, and at the
// second Ctrl-C leaves. Python's signal handlers run here, so whatever exception they raise is what the call raises; of
// a token it is CancelledError of concurrent.futures.
class Interruptible : public client::Impatience {
 public:
  explicit Interruptible(std::shared_ptr<client::Farm> farm) : farm_(std::move(farm)), waiting_(this) {}
  ~Interruptible() override;
  Wish Ask(int64_t request_id) override;
  // Ends what is shown and throws what a handler raised. REQUIRES: the GIL.
  void Finish();

 private:
  std::shared_ptr<client::Farm> farm_;
  // A new reason to end the wait, or null. REQUIRES: the GIL.
  PyObject* Raised() const;
  // What takes long says so; once a second or so. REQUIRES: the GIL.
  void Show();
  PyObject* raised_ = nullptr;
  client::Clock::time_point begin_{};  // of the first question
  bool shown_ = false;
  int times_ = 0;
  client::WithImpatience waiting_;
};

// Runs `work` without the GIL.
template <typename Work>
auto WithoutGil(const std::shared_ptr<client::Farm>& farm, Work work) {
  Interruptible interruptible(farm);
  auto result = [&] {
    nb::gil_scoped_release release;
    return work();
  }();
  interruptible.Finish();
  return result;
}

}  // namespace rbc::python
