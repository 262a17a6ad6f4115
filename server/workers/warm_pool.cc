// Keeps workers with GPUs ready.
// SPDX-License-Identifier: Apache-2.0
#include "server/workers/warm_pool.h"

#include <algorithm>

#include "server/workers/watch.h"

namespace rbc::server {
namespace {

using std::chrono::seconds;

constexpr seconds kLook{2};       // how soon a death is noticed
constexpr seconds kPause{5};      // after a start that failed
constexpr seconds kKeptFor{600};  // a domain that asks for no GPU so long has none waiting

void EndAll(std::list<WarmPool::Worker>& workers) {
  for (auto& worker : workers) worker.process.process->KillAndReap();
  workers.clear();
}

}  // namespace

worker::SpawnBody SpawnOf(const SupervisorOptions& options, const std::string& target) {
  worker::SpawnBody spawn{};
  spawn.role = worker::Role::kExecute;
  spawn.lanes = options.lanes;
  spawn.lent_lanes = std::min(options.lent_lanes, options.lanes);
  target.copy(spawn.target, sizeof spawn.target - 1);
  spawn.memory_limit = options.memory_limit;
  spawn.spin_us = options.spin_us;
  spawn.bulk_threads = options.bulk_threads;
  spawn.capture_limit = options.capture_limit;
  spawn.strict = options.strict_sandbox;
  spawn.max_message = options.max_message;
  spawn.max_string = options.max_string;
  return spawn;
}

WarmPool::WarmPool(WorkerHost& host) : host_(host) {
  const CudaOptions& cuda = host.options().cuda;
  if (cuda.warm != 0 && !cuda.simulate && !host.devices().Names().empty()) thread_ = std::thread([this] { Run(); });
}

WarmPool::~WarmPool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
  for (auto& [key, line] : lines_) EndAll(line.waiting);
}

Expected<WarmPool::Worker> WarmPool::TakeOrStart(const std::string& domain, const std::string& target, int pin) {
  if (auto waiting = Take(domain, target, pin)) return *std::move(waiting);
  auto place = host_.devices().Take(pin);
  if (!place && place.error().kind == ErrorKind::kBusy && MakeRoom(pin)) place = host_.devices().Take(pin);
  if (!place) return std::move(place).error();
  return Start(domain, target, *std::move(place));
}

std::optional<WarmPool::Worker> WarmPool::Take(const std::string& domain, const std::string& target, int pin) {
  if (!thread_.joinable()) return std::nullopt;
  std::list<Worker> gone, taken;
  {
    const std::lock_guard lock(mutex_);
    EndTheDead(&gone);
    Line& line = lines_[{domain, target}];
    line.asked = Clock::now();
    const auto found = std::find_if(line.waiting.begin(), line.waiting.end(), [&](const Worker& worker) {
      return pin < 0 || worker.place.index() == static_cast<size_t>(pin);
    });
    if (found != line.waiting.end()) taken.splice(taken.begin(), line.waiting, found);
  }
  changed_.notify_all();
  if (taken.empty()) return std::nullopt;
  taken.front().place.Use();
  return std::move(taken.front());
}

bool WarmPool::MakeRoom(int pin) {
  std::list<Worker> gone;
  {
    const std::lock_guard lock(mutex_);
    for (auto& [key, line] : lines_) {
      const auto found = std::find_if(line.waiting.begin(), line.waiting.end(), [&](const Worker& worker) {
        return pin < 0 || worker.place.index() == static_cast<size_t>(pin);
      });
      if (found == line.waiting.end()) continue;
      gone.splice(gone.begin(), line.waiting, found);
      not_before_ = Clock::now() + kPause;  // or it would be back before the session
      break;
    }
  }
  const bool any = !gone.empty();
  EndAll(gone);
  return any;
}

std::vector<WorkerStatus> WarmPool::Describe() const {
  const std::lock_guard lock(mutex_);
  std::vector<WorkerStatus> out;
  for (const auto& [key, line] : lines_) {
    for (const Worker& worker : line.waiting) {
      WorkerStatus status;
      status.pid = worker.process.process->pid();
      status.role = "warm";
      status.domain = key.first;
      status.sandbox = worker.process.sandbox;
      status.state = "idle";
      out.push_back(std::move(status));
    }
  }
  return out;
}

// ---- In the background -------------------------------------------------------------------------------------------

void WarmPool::Run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    std::list<Worker> gone;
    EndTheDead(&gone);
    ForgetTheUnused(&gone);
    const auto wanted = NextWanted();
    if (!wanted && gone.empty()) {
      if (lines_.empty())
        changed_.wait(lock);  // until a session asks for a GPU
      else
        changed_.wait_for(lock, kLook);
      continue;
    }
    lock.unlock();
    EndAll(gone);
    std::optional<Expected<Worker>> started;
    if (wanted) {
      auto place = host_.devices().Take(-1, DevicePool::For::kWarm);
      started = place ? Start(wanted->first, wanted->second, *std::move(place)) : std::move(place).error();
    }
    lock.lock();
    if (!started) continue;
    if (*started)
      lines_[*wanted].waiting.push_back(std::move(**started));
    else
      not_before_ = Clock::now() + kPause;
  }
}

void WarmPool::EndTheDead(std::list<Worker>* gone) {
  for (auto& [key, line] : lines_) {
    for (auto it = line.waiting.begin(); it != line.waiting.end();) {
      const auto next = std::next(it);
      if (it->process.process->Reap()) gone->splice(gone->end(), line.waiting, it);
      it = next;
    }
  }
}

void WarmPool::ForgetTheUnused(std::list<Worker>* gone) {
  const auto now = Clock::now();
  for (auto it = lines_.begin(); it != lines_.end();) {
    if (now - it->second.asked < kKeptFor) {
      ++it;
      continue;
    }
    gone->splice(gone->end(), it->second.waiting);
    it = lines_.erase(it);
  }
}

std::optional<WarmPool::Key> WarmPool::NextWanted() const {
  if (Clock::now() < not_before_) return std::nullopt;
  for (const auto& [key, line] : lines_)
    if (line.waiting.size() < host_.options().cuda.warm) return key;
  return std::nullopt;
}

Expected<WarmPool::Worker> WarmPool::Start(const std::string& domain, const std::string& target,
                                           DevicePool::Place place) {
  const SupervisorOptions& options = host_.options();
  Worker worker;
  worker.place = std::move(place);
  worker::SpawnBody spawn = SpawnOf(options, target);
  spawn.device = worker.place.ordinal();
  spawn.device_memory = options.cuda.session_memory;
  spawn.watch_driver = options.cuda.watch_driver;
  options.cuda.driver.copy(spawn.driver, sizeof spawn.driver - 1);
  RBC_ASSIGN_OR_RETURN(worker.process, host_.Spawn(domain, spawn, worker::RingSize(options.lanes), options.arena_size));
  return worker;
}

}  // namespace rbc::server
