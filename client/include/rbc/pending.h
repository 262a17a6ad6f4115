// A call under way: wait for it, be told, poll a descriptor, or cancel it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <type_traits>

#include "rbc/exception.h"

namespace rbc {

namespace detail {

struct Core;

// The part of a pending call that knows no type. Thread-safe.
class RBC_API Task {
 public:
  virtual ~Task() = default;
  // Readable once the call is over; closed with the Task. -1: no descriptor could be had.
  virtual int Descriptor() = 0;
  virtual bool Ready() const = 0;
  virtual bool WaitFor(std::chrono::milliseconds time) = 0;  // negative: for as long as it takes
  // On a thread of the library once the call is over; at once, here, if it is.
  virtual void Then(std::function<void()> callback) = 0;
  // True if the call has been stopped, or will not start. It then ends with kCancelled.
  virtual bool Cancel() = 0;
};

// `work` gets where to tell the number of the request that it has sent, or an Error instead of its turn.
using Work = std::function<void(std::atomic<int64_t>* request_id, const Error* refused)>;
RBC_API std::shared_ptr<Task> Start(const std::shared_ptr<Core>& core, Work work);

}  // namespace detail

// Copies share the one call. Thread-safe. The last copy may go before the call is over.
template <typename T>
class Pending {
 public:
  // The result; waits for it, throws its error.
  T get() const { return ValueOrThrow(try_get()); }
  Result<T> try_get() const {
    task_->WaitFor(std::chrono::milliseconds(-1));
    return **slot_;
  }
  bool ready() const { return task_->Ready(); }
  // False: it is not over yet.
  bool wait_for(std::chrono::milliseconds time) const { return task_->WaitFor(time); }
  // For poll and epoll: readable once the call is over. Belongs to the call.
  int fd() const { return task_->Descriptor(); }
  bool cancel() const { return task_->Cancel(); }
  // `callback(Result<T>)` on a thread of the library once the call is over; at once if it is.
  template <typename Callback>
  void then(Callback callback) const {
    task_->Then([slot = slot_, callback = std::move(callback)] { callback(**slot); });
  }
  std::future<T> future() const {
    auto promise = std::make_shared<std::promise<T>>();
    then([promise](const Result<T>& result) {
      if (!result.has_value()) {
        promise->set_exception(std::make_exception_ptr(Exception(result.error())));
      } else if constexpr (std::is_void_v<T>) {
        promise->set_value();
      } else {
        promise->set_value(result.value());
      }
    });
    return promise->get_future();
  }

  // For the library: `call(request_id)` runs on one of its threads.
  template <typename Call>
  static Pending Start(const std::shared_ptr<detail::Core>& core, Call call) {
    Pending out;
    out.slot_ = std::make_shared<std::optional<Result<T>>>();
    out.task_ = detail::Start(core, [slot = out.slot_, call = std::move(call)](std::atomic<int64_t>* request_id,
                                                                               const Error* refused) mutable {
      if (refused != nullptr) {
        slot->emplace(*refused);
      } else {
        slot->emplace(call(request_id));
      }
    });
    return out;
  }

 private:
  std::shared_ptr<detail::Task> task_;
  std::shared_ptr<std::optional<Result<T>>> slot_;
};

}  // namespace rbc
