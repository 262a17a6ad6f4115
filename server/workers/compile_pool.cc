// The queue in front of the compile workers, and their quarantine.
// SPDX-License-Identifier: Apache-2.0
#include "server/workers/compile_pool.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>

#include <algorithm>
#include <condition_variable>
#include <csignal>
#include <cstring>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "server/workers/fault_report.h"
#include "server/workers/watch.h"

namespace rbc::server {
namespace {

using std::chrono::milliseconds;

constexpr size_t kJobArea = 512ull << 20;      // job and result; pages come when touched
constexpr uint64_t kDiscardFrom = 1ull << 20;  // what a larger job touched is given back
constexpr milliseconds kCancelPoll{50};        // how soon a cancellation is noticed
constexpr size_t kMostQuarantined = 4096;

// One compile worker. Used by one job at a time, the job's own thread drives it.
class CompileWorker final : public WorkerEvents {
 public:
  // `prepared`: for targets whose compilers are prepared on demand; such a worker serves the others too.
  CompileWorker(SpawnedWorker worker, std::string domain, bool prepared)
      : worker_(std::move(worker)), domain_(std::move(domain)), prepared_(prepared) {}

  const std::string& domain() const { return domain_; }
  bool prepared() const { return prepared_; }
  uint32_t jobs() const { return jobs_.load(std::memory_order_relaxed); }
  bool exited() const { return worker_.process->exited(); }
  void Kill() { worker_.process->Kill(); }
  const std::shared_ptr<ChildProcess>& process() const { return worker_.process; }

  void OnPacket(const Packet&) override {}
  void OnControlClosed() override {}
  void OnExit(int) override {}
  void OnTick(Clock::time_point) override {}
  WorkerStatus Describe() const override {
    WorkerStatus status;
    status.pid = worker_.process->pid();
    status.role = "compile";
    status.domain = domain_;
    status.sandbox = worker_.sandbox;
    status.jobs = jobs();
    status.state = busy_ ? "busy" : "idle";
    return status;
  }

  enum class End : uint8_t { kDone, kDied, kLate, kCancelled };
  // Runs a job to its end. kDone: *result is the worker's answer.
  End Run(const std::string& job, Clock::time_point until, const CancelToken* cancel, Expected<Artifact>* result);
  // After kDied: the error, and whether the module is to blame.
  Error ExplainDeath(bool* own_cause);

 private:
  End Await(Clock::time_point until, const CancelToken* cancel, Packet* packet);

  SpawnedWorker worker_;
  const std::string domain_;
  const bool prepared_;
  std::atomic<uint32_t> jobs_{0};
  std::atomic<bool> busy_{false};
};

CompileWorker::End CompileWorker::Await(Clock::time_point until, const CancelToken* cancel, Packet* packet) {
  for (;;) {
    const auto now = Clock::now();
    switch (AwaitPacket(worker_.control.get(), std::min(until, now + kCancelPoll), packet)) {
      case Receive::kPacket:
        return End::kDone;
      case Receive::kClosed:
        return End::kDied;
      case Receive::kNothing:
        break;
    }
    if (cancel != nullptr && cancel->cancelled) return End::kCancelled;
    if (Clock::now() >= until) return End::kLate;
  }
}

CompileWorker::End CompileWorker::Run(const std::string& job, Clock::time_point until, const CancelToken* cancel,
                                      Expected<Artifact>* result) {
  busy_ = true;
  const uint64_t id = ++jobs_;
  std::memcpy(worker_.arena.data(), job.data(), job.size());
  worker::JobBody body{id, 0, job.size()};
  Packet packet;
  End end = SendPacket(worker_.control.get(), worker::MessageType::kCompile, body) ? Await(until, cancel, &packet)
                                                                                   : End::kDied;
  if (end == End::kDone) {
    const bool sane = packet.type == worker::MessageType::kCompiled && packet.As(&body) && body.job_id == id &&
                      body.offset <= kJobArea && body.size <= kJobArea - body.offset;
    if (!sane) {
      end = End::kDied;
    } else {
      // Copied before it is read: the worker may still write there.
      const std::string bytes(worker_.arena.data() + body.offset, body.size);
      *result = worker::ParseResult(bytes);
      if (body.offset + body.size > kDiscardFrom) worker_.arena.Discard(kDiscardFrom, kJobArea - kDiscardFrom);
    }
  }
  busy_ = false;
  return end;
}

Error CompileWorker::ExplainDeath(bool* own_cause) {
  worker_.process->Kill();
  const int status = worker_.process->AwaitExit(Clock::now() + std::chrono::seconds(5)).value_or(0);
  const auto& header = *reinterpret_cast<const worker::RingHeader*>(worker_.ring.data());
  *own_cause = true;
  if (const auto fault = ReadFault(header)) return CompileCrashOf(*fault);
  *own_cause = !(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  Error error(ErrorKind::kCompileCrash,
              fmt::format("the compiler ended on this module: {}, in phase '{}' at function '{}'", DescribeExit(status),
                          HostileText(header.phase, sizeof header.phase),
                          HostileText(header.function, sizeof header.function)));
  error.role = "compile worker";
  error.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  error.cause = DescribeExit(status);
  return error;
}

class CompilePoolImpl final : public CompilePool {
 public:
  explicit CompilePoolImpl(WorkerHost& host) : host_(host) {}
  Expected<Artifact> Compile(const CompileTask& task) override;
  void WakeCancelled() override { changed_.notify_all(); }
  PoolCounters counters() const override {
    const std::lock_guard lock(mutex_);
    PoolCounters out = counters_;
    out.queued = static_cast<uint32_t>(queue_.size());
    out.running = running_;
    return out;
  }

 private:
  struct Waiter {
    uint64_t client;
    bool granted = false;
  };
  struct Suspect {
    uint32_t kills = 0;
    Clock::time_point until;
    Error error;
  };

  Status Enter(const CompileTask& task);
  void Leave(uint64_t client);
  void GrantNext();  // REQUIRES: mutex_ held
  bool IsPreparedOnDemand(const std::string& target) const;
  Expected<std::shared_ptr<CompileWorker>> TakeWorker(const std::string& domain, const std::string& target);
  void GiveBack(std::shared_ptr<CompileWorker> worker);
  Expected<Artifact> RunOnce(const CompileTask& task, const std::string& job, bool fresh, bool* retry);
  std::optional<Error> InQuarantine(const Digest& key);
  void Suspicious(const Digest& key, const Error& error);

  const SupervisorOptions& options() const { return host_.options(); }

  WorkerHost& host_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::list<Waiter*> queue_;                           // oldest first
  std::unordered_map<uint64_t, uint32_t> running_of_;  // client to jobs
  uint32_t running_ = 0;
  std::list<std::shared_ptr<CompileWorker>> idle_;  // most recently used first
  std::unordered_map<Digest, Suspect, DigestHash> suspects_;
  PoolCounters counters_;
};

// ---- Queue -------------------------------------------------------------------------------------------------------

Status CompilePoolImpl::Enter(const CompileTask& task) {
  const auto until = Clock::now() + options().queue_deadline;
  Waiter self{task.client};
  std::unique_lock lock(mutex_);
  const auto own = static_cast<uint32_t>(
      std::count_if(queue_.begin(), queue_.end(), [&](const Waiter* w) { return w->client == task.client; }));
  if (queue_.size() >= options().queue_limit || own >= options().queue_limit_per_client) {
    ++counters_.busy;
    Error busy(ErrorKind::kBusy, own >= options().queue_limit_per_client
                                     ? fmt::format("{} compiles of this client wait already, the limit", own)
                                     : fmt::format("{} compiles wait already, the limit", queue_.size()));
    busy.retry_after_ms = 100;
    busy.retry_safe = true;
    return busy;
  }
  const auto place = queue_.insert(queue_.end(), &self);
  GrantNext();
  while (!self.granted) {
    const bool late = changed_.wait_until(lock, until) == std::cv_status::timeout;
    if (self.granted) break;
    const bool cancelled = task.cancel != nullptr && task.cancel->cancelled;
    if (!late && !cancelled) continue;
    queue_.erase(place);
    if (cancelled) return Error(ErrorKind::kCancelled, "the compile was cancelled while it waited");
    Error error(ErrorKind::kDeadlineExceeded,
                fmt::format("the compile waited {} ms for a free compile worker", options().queue_deadline.count()));
    error.retry_safe = true;
    return error;
  }
  return {};
}

// The client with the least running work first, the oldest job of it.
void CompilePoolImpl::GrantNext() {
  bool any = false;
  while (running_ < options().compile_workers && !queue_.empty()) {
    const auto load = [&](const Waiter* w) {
      const auto found = running_of_.find(w->client);
      return found == running_of_.end() ? 0u : found->second;
    };
    const auto next = std::min_element(queue_.begin(), queue_.end(),
                                       [&](const Waiter* a, const Waiter* b) { return load(a) < load(b); });
    (*next)->granted = true;
    ++running_;
    ++running_of_[(*next)->client];
    queue_.erase(next);
    any = true;
  }
  if (any) changed_.notify_all();
}

void CompilePoolImpl::Leave(uint64_t client) {
  const std::lock_guard lock(mutex_);
  --running_;
  if (--running_of_[client] == 0) running_of_.erase(client);
  GrantNext();
}

// ---- Workers -----------------------------------------------------------------------------------------------------

bool CompilePoolImpl::IsPreparedOnDemand(const std::string& target) const {
  const auto& all = host_.targets();
  return std::any_of(all.begin(), all.end(),
                     [&](const TargetInfo& info) { return info.name == target && info.compiler_on_demand; });
}

Expected<std::shared_ptr<CompileWorker>> CompilePoolImpl::TakeWorker(const std::string& domain,
                                                                     const std::string& target) {
  const bool prepared = IsPreparedOnDemand(target);
  {
    const std::lock_guard lock(mutex_);
    idle_.remove_if([](const auto& worker) { return worker->exited(); });
    for (auto it = idle_.begin(); it != idle_.end(); ++it) {
      if ((*it)->domain() != domain || (prepared && !(*it)->prepared())) continue;
      auto worker = std::move(*it);
      idle_.erase(it);
      return worker;
    }
    // Idle workers that cannot take the job make room.
    while (!idle_.empty() && idle_.size() + running_ > options().compile_workers) {
      idle_.back()->Kill();
      idle_.pop_back();
    }
    ++counters_.workers_started;
  }
  worker::SpawnBody spawn{};
  spawn.role = worker::Role::kCompile;
  spawn.lanes = 1;
  spawn.memory_limit = options().compile_memory_limit;
  spawn.strict = options().strict_sandbox;
  if (prepared) target.copy(spawn.target, sizeof spawn.target - 1);
  RBC_ASSIGN_OR_RETURN(auto spawned, host_.Spawn(domain, spawn, worker::RingSize(1), kJobArea));
  auto worker = std::make_shared<CompileWorker>(std::move(spawned), domain, prepared);
  host_.Watch(worker->process(), -1, worker);
  return worker;
}

void CompilePoolImpl::GiveBack(std::shared_ptr<CompileWorker> worker) {
  if (worker->jobs() >= options().compile_jobs_per_worker) return worker->Kill();
  const std::lock_guard lock(mutex_);
  idle_.push_front(std::move(worker));
}

// ---- Quarantine --------------------------------------------------------------------------------------------------

std::optional<Error> CompilePoolImpl::InQuarantine(const Digest& key) {
  const std::lock_guard lock(mutex_);
  const auto found = suspects_.find(key);
  if (found == suspects_.end()) return std::nullopt;
  const auto now = Clock::now();
  if (now >= found->second.until) {
    suspects_.erase(found);
    return std::nullopt;
  }
  if (found->second.kills < 2) return std::nullopt;
  ++counters_.quarantined;
  Error error = found->second.error;
  error.kind = ErrorKind::kQuarantined;
  error.message = "this module killed two compile workers and is refused for a while: " + error.message;
  error.retry_after_ms = std::chrono::duration_cast<milliseconds>(found->second.until - now).count();
  return error;
}

void CompilePoolImpl::Suspicious(const Digest& key, const Error& error) {
  const std::lock_guard lock(mutex_);
  if (suspects_.size() >= kMostQuarantined) suspects_.erase(suspects_.begin());
  auto& suspect = suspects_[key];
  ++suspect.kills;
  suspect.error = error;
  suspect.until = Clock::now() + options().quarantine;
}

// ---- A job -------------------------------------------------------------------------------------------------------

Expected<Artifact> CompilePoolImpl::RunOnce(const CompileTask& task, const std::string& job, bool fresh, bool* retry) {
  *retry = false;
  RBC_ASSIGN_OR_RETURN(auto worker, TakeWorker(task.domain, task.job->target));
  if (fresh && worker->jobs() != 0) {
    worker->Kill();
    auto next = TakeWorker(task.domain, task.job->target);
    if (!next) return std::move(next).error();
    worker = *std::move(next);
  }
  const bool was_fresh = worker->jobs() == 0;
  const auto most = options().compile_deadline;
  const auto deadline = task.deadline_ms == 0 ? most : std::min<milliseconds>(milliseconds(task.deadline_ms), most);
  Expected<Artifact> result = Error();
  switch (worker->Run(job, Clock::now() + deadline, task.cancel.get(), &result)) {
    case CompileWorker::End::kDone:
      GiveBack(std::move(worker));
      return result;
    case CompileWorker::End::kCancelled:
      worker->Kill();
      return Error(ErrorKind::kCancelled, "the compile was cancelled");
    case CompileWorker::End::kLate: {
      bool unused = false;
      Error error = worker->ExplainDeath(&unused);
      error.kind = ErrorKind::kDeadlineExceeded;
      error.signal = 0;
      error.cause = "deadline";
      error.message = fmt::format(
          "the compile takes longer than its deadline of {} ms - make the module smaller or raise "
          "the deadline",
          deadline.count());
      if (deadline == most) Suspicious(task.key, error);
      return error;
    }
    case CompileWorker::End::kDied:
      break;
  }
  bool own_cause = false;
  Error error = worker->ExplainDeath(&own_cause);
  // A worker that had other jobs before may have been unwell already; a SIGKILL that was not ours says nothing.
  *retry = !was_fresh || !own_cause;
  if (was_fresh && own_cause) Suspicious(task.key, error);
  return error;
}

Expected<Artifact> CompilePoolImpl::Compile(const CompileTask& task) {
  if (auto refused = InQuarantine(task.key)) return *std::move(refused);
  const std::string job = worker::Serialize(*task.job);
  if (job.size() > kJobArea / 2)
    return Error(ErrorKind::kResourceExhausted,
                 fmt::format("a module of {} bytes is larger than the limit of {} bytes", job.size(), kJobArea / 2));
  RBC_RETURN_IF_ERROR(Enter(task));
  bool retry = false;
  auto result = RunOnce(task, job, false, &retry);
  if (retry) result = RunOnce(task, job, true, &retry);
  Leave(task.client);
  const std::lock_guard lock(mutex_);
  if (result)
    ++counters_.compiled;
  else if (result.error().kind == ErrorKind::kCompileCrash)
    ++counters_.crashed;
  else
    ++counters_.failed;
  return result;
}

}  // namespace

std::unique_ptr<CompilePool> MakeCompilePool(WorkerHost& host) { return std::make_unique<CompilePoolImpl>(host); }

}  // namespace rbc::server
