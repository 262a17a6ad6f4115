// Calls that run on threads of the library.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "client/src/farm.h"
#include "rbc/pending.h"

namespace rbc::client {

class Workers;

// Threads as calls need them, up to a bound; further ones queue. Thread-safe. A forked child gets threads of its own.
class TaskPool {
 public:
  TaskPool() = default;
  ~TaskPool();  // waits for the calls that run; what is queued ends with kCancelled
  TaskPool(const TaskPool&) = delete;
  TaskPool& operator=(const TaskPool&) = delete;
  std::shared_ptr<detail::Task> Start(const std::shared_ptr<Farm>& farm, detail::Work work);

 private:
  void Abandon();
  std::shared_ptr<Workers> workers_;  // guarded by the farm's mutex; left alone in a forked child
  uint64_t generation_ = 0;
};

}  // namespace rbc::client
