// Calls that run on threads of the library.
// SPDX-License-Identifier: Apache-2.0
#include "client/src/task.h"

#include <fmt/format.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "base/platform.h"
#include "client/src/core.h"

namespace rbc::client {
namespace {

constexpr size_t kMostThreads = 64;
constexpr int64_t kCancelMs = 2000;

class FarmTask : public detail::Task {
 public:
  FarmTask(std::weak_ptr<Farm> farm, detail::Work work) : farm_(std::move(farm)), work_(std::move(work)) {}

  int Descriptor() override {
    const std::lock_guard lock(mutex_);
    if (!event_.is_open() && event_.Open() && done_) event_.Signal();
    return event_.fd();
  }
  bool Ready() const override {
    const std::lock_guard lock(mutex_);
    return done_;
  }
  bool WaitFor(std::chrono::milliseconds time) override {
    std::unique_lock lock(mutex_);
    if (time.count() >= 0) return over_.wait_for(lock, time, [&] { return done_; });
    over_.wait(lock, [&] { return done_; });
    return true;
  }
  void Then(std::function<void()> callback) override {
    {
      const std::lock_guard lock(mutex_);
      if (!done_) {
        callbacks_.push_back(std::move(callback));
        return;
      }
    }
    callback();
  }
  bool Cancel() override {
    {
      const std::lock_guard lock(mutex_);
      if (done_) return false;
      if (!started_) {
        cancelled_ = true;  // ends when its turn comes
        return true;
      }
    }
    const auto farm = farm_.lock();
    const int64_t id = request_id_.load(std::memory_order_acquire);
    if (!farm || id == 0) return false;
    const auto stopped = farm->Cancel(id, Deadline::AfterMs(kCancelMs));
    return stopped && *stopped;
  }
  void Run(const Error* refused) {
    Error cancelled(ErrorKind::kCancelled, "the call is cancelled before it starts");
    {
      const std::lock_guard lock(mutex_);
      started_ = true;
      if (cancelled_) refused = &cancelled;
    }
    {
      // Gone before anybody is told: what it holds is then the user's alone, to end when the user wants.
      const detail::Work work = std::move(work_);
      work(&request_id_, refused);
    }
    std::vector<std::function<void()>> callbacks;
    {
      const std::lock_guard lock(mutex_);
      done_ = true;
      callbacks.swap(callbacks_);
      if (event_.is_open()) event_.Signal();
      over_.notify_all();
    }
    for (auto& callback : callbacks) callback();
  }

 private:
  const std::weak_ptr<Farm> farm_;
  detail::Work work_;
  std::atomic<int64_t> request_id_{0};
  mutable std::mutex mutex_;
  std::condition_variable over_;
  bool started_ = false, cancelled_ = false, done_ = false;
  platform::Event event_;
  std::vector<std::function<void()>> callbacks_;
};

}  // namespace

// The threads of one pool in one process.
class Workers : public std::enable_shared_from_this<Workers> {
 public:
  void Add(std::shared_ptr<FarmTask> task) {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(task));
    if (idle_ < queue_.size() && threads_.size() < kMostThreads)
      threads_.emplace_back([self = shared_from_this()] { self->Serve(); });
    changed_.notify_one();
  }
  void Stop() {
    std::deque<std::shared_ptr<FarmTask>> left;
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      left.swap(queue_);
      changed_.notify_all();
    }
    const Error cancelled(ErrorKind::kCancelled, "the call is cancelled: its RemoteJIT is gone");
    for (auto& task : left) task->Run(&cancelled);
    for (std::thread& thread : threads_) {
      // The last reference may go on one of these threads.
      if (thread.get_id() == std::this_thread::get_id())
        thread.detach();
      else
        thread.join();
    }
  }

 private:
  void Serve() {
    std::unique_lock lock(mutex_);
    for (;;) {
      ++idle_;
      changed_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
      --idle_;
      if (queue_.empty()) return;
      const auto task = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      task->Run(nullptr);
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<FarmTask>> queue_;
  std::vector<std::thread> threads_;
  size_t idle_ = 0;
  bool stopping_ = false;
};

std::shared_ptr<detail::Task> TaskPool::Start(const std::shared_ptr<Farm>& farm, detail::Work work) {
  auto task = std::make_shared<FarmTask>(farm, std::move(work));
  std::shared_ptr<Workers> workers;
  {
    const std::lock_guard lock(farm->mutex());
    if (workers_ != nullptr && generation_ != ForkGeneration()) Abandon();
    if (workers_ == nullptr) workers_ = std::make_shared<Workers>();
    generation_ = ForkGeneration();
    workers = workers_;
  }
  workers->Add(task);
  return task;
}

// In a forked child: the parent's threads are not here, so their objects can be neither joined nor destroyed.
void TaskPool::Abandon() {
  [[maybe_unused]] auto* const left_as_it_lies = new std::shared_ptr<Workers>(std::move(workers_));
}

TaskPool::~TaskPool() {
  if (workers_ == nullptr) return;
  if (generation_ != ForkGeneration())
    Abandon();
  else
    workers_->Stop();
}

}  // namespace rbc::client

namespace rbc::detail {

std::shared_ptr<Task> Start(const std::shared_ptr<Core>& core, Work work) {
  return core->tasks.Start(core->farm, std::move(work));
}

}  // namespace rbc::detail
