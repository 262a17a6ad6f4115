// Starts nurseries and workers, watches their deaths and their control sockets.
// SPDX-License-Identifier: Apache-2.0
#include "server/workers/supervisor.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <deque>
#include <future>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "server/workers/compile_pool.h"
#include "server/workers/device_pool.h"
#include "server/workers/probe.h"
#include "server/workers/warm_pool.h"
#include "server/workers/watch.h"
#include "worker/build_id.h"

namespace rbc::server {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kTick{20};
constexpr milliseconds kSweep{500};
constexpr milliseconds kSweepAfterDeath{15'000};
constexpr uint64_t kWakeUp = 0;  // epoll data of the event descriptor

// A nursery ends when told to, or when something is wrong with it: the next spawn starts another.
class NurseryEvents final : public WorkerEvents {
 public:
  NurseryEvents(std::shared_ptr<Nursery> nursery, std::function<void(Nursery*)> on_exit)
      : nursery_(std::move(nursery)), on_exit_(std::move(on_exit)) {}
  void OnPacket(const Packet&) override {}
  void OnControlClosed() override {}
  void OnExit(int) override { on_exit_(nursery_.get()); }
  void OnTick(Clock::time_point) override {}
  WorkerStatus Describe() const override {
    WorkerStatus status;
    status.pid = nursery_->process()->pid();
    status.role = "nursery";
    status.domain = nursery_->domain();
    status.sandbox = nursery_->ready().sandbox;
    status.state = "idle";
    return status;
  }

 private:
  const std::shared_ptr<Nursery> nursery_;
  const std::function<void(Nursery*)> on_exit_;
};

}  // namespace

class Supervisor::Impl final : public WorkerHost {
 public:
  explicit Impl(SupervisorOptions options) : options_(std::move(options)) {}
  ~Impl() override;
  rbc::Status Start(const std::string& first_domain);

  const SupervisorOptions& options() const override { return options_; }
  Expected<SpawnedWorker> Spawn(const std::string& domain, const worker::SpawnBody& spawn, size_t ring_size,
                                size_t arena_size) override;
  void Watch(std::shared_ptr<ChildProcess> process, int control, std::shared_ptr<WorkerEvents> events) override;
  void AddTickUser(int change) override;
  DevicePool& devices() override { return devices_; }
  WarmPool& warm() override { return *warm_; }
  const std::vector<TargetInfo>& targets() const override { return ready_.targets; }
  const std::string& device_notes() const { return device_notes_; }

  std::vector<WorkerStatus> Describe() const;
  const worker::NurseryReady& ready() const { return ready_; }
  CompilePool& compiles() { return *compiles_; }

 private:
  struct Watched {
    std::shared_ptr<ChildProcess> process;
    int control = -1;
    std::shared_ptr<WorkerEvents> events;
  };
  void Loop();
  void Wake();
  void RunPosted();
  void Post(std::function<void()> work);
  void OnEvent(uint64_t id, bool death);
  void DrainControl(uint64_t id, Watched& watched);
  void Forget(uint64_t id);
  void Tick();
  int WaitMs(bool ticking) const;
  void ReapStrangers();
  rbc::Status FindDevices(const std::string& domain);
  Expected<std::shared_ptr<Nursery>> NurseryOf(const std::string& domain);
  Expected<std::shared_ptr<Nursery>> StartNursery(const std::string& domain);  // on the thread

  const SupervisorOptions options_;
  UniqueFd program_, epoll_, wake_;
  std::thread thread_;
  std::atomic<bool> stopping_{false};
  std::atomic<int> tick_users_{0};
  Clock::time_point sweep_until_{}, next_sweep_{};  // the thread's
  pid_t stranger_ = 0;                              // the thread's
  worker::NurseryReady ready_;
  DevicePool devices_;
  std::string device_notes_;
  std::unique_ptr<CompilePool> compiles_;
  std::unique_ptr<WarmPool> warm_;

  mutable std::mutex mutex_;
  std::condition_variable none_watched_;
  std::deque<std::function<void()>> posted_;
  std::map<std::string, std::shared_ptr<Nursery>> nurseries_;
  std::unordered_map<uint64_t, Watched> watched_;
  uint64_t next_id_ = 1;
};

rbc::Status Supervisor::Impl::Start(const std::string& first_domain) {
  program_.Reset(open(options_.worker_path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!program_)
    return Error(ErrorKind::kUnavailable,
                 "rbc-worker cannot be opened at " + options_.worker_path + " - set worker.path or install it there");
  epoll_.Reset(epoll_create1(EPOLL_CLOEXEC));
  wake_.Reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kWakeUp;
  epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event);
  thread_ = std::thread([this] { Loop(); });
  RBC_ASSIGN_OR_RETURN(auto nursery, NurseryOf(first_domain));
  ready_ = nursery->ready();
  RBC_RETURN_IF_ERROR(FindDevices(first_domain));
  compiles_ = MakeCompilePool(*this);
  warm_ = std::make_unique<WarmPool>(*this);
  return {};
}

// What there is of GPUs goes into the targets' descriptions.
rbc::Status Supervisor::Impl::FindDevices(const std::string& domain) {
  const CudaOptions& cuda = options_.cuda;
  std::vector<worker::DeviceDescription> found;
  if (cuda.simulate) {
    found.push_back(SimulatedGpu());
  } else {
    auto probed = ProbeDevices(*this, domain);
    // No driver is no reason not to start; a target without devices says why when it is called.
    if (probed)
      found = *std::move(probed);
    else
      device_notes_ = std::move(probed).error().message;
  }
  RBC_RETURN_IF_ERROR(devices_.Configure(cuda, std::move(found)));
  for (TargetInfo& target : ready_.targets) {
    if (!target.name.starts_with("cuda")) continue;
    target.simulated = cuda.simulate;
    target.devices = devices_.Names();
    if (const uint32_t sm = devices_.LeastSm(); sm != 0) target.cpu = "sm_" + std::to_string(sm);
  }
  return {};
}

Supervisor::Impl::~Impl() {
  warm_.reset();  // starts no more workers
  if (!thread_.joinable()) return;
  {
    std::unique_lock lock(mutex_);
    stopping_ = true;
    for (const auto& [id, watched] : watched_) watched.process->Kill();
    none_watched_.wait_for(lock, std::chrono::seconds(5), [&] { return watched_.empty(); });
  }
  Wake();
  thread_.join();
}

// ---- The thread --------------------------------------------------------------------------------------------------

void Supervisor::Impl::Loop() {
  epoll_event events[64];
  auto next_tick = Clock::now();
  for (;;) {
    const bool ticking = tick_users_.load() > 0;
    const int count = epoll_wait(epoll_.get(), events, 64, WaitMs(ticking));
    for (int i = 0; i < count; ++i) {
      const uint64_t data = events[i].data.u64;
      if (data == kWakeUp) {
        uint64_t ignored;
        if (read(wake_.get(), &ignored, sizeof ignored) < 0) continue;
      } else {
        OnEvent(data >> 1, (data & 1) != 0);
      }
    }
    RunPosted();
    if (ticking && Clock::now() >= next_tick) {
      Tick();
      next_tick = Clock::now() + kTick;
    }
    ReapStrangers();
    if (stopping_) {
      const std::lock_guard lock(mutex_);
      if (watched_.empty()) return;
    }
  }
}

int Supervisor::Impl::WaitMs(bool ticking) const {
  if (ticking) return static_cast<int>(kTick.count());
  return Clock::now() < sweep_until_ ? static_cast<int>(kSweep.count()) : -1;
}

// A nursery that dies between its fork and its word of it leaves a child of ours that nobody watches. It ends by itself
// when its control socket closes, and is reaped here. One at a time, and only if it is still there a round later: it
// might be on its way to Watch().
void Supervisor::Impl::ReapStrangers() {
  const auto now = Clock::now();
  if (now >= sweep_until_ || now < next_sweep_) return;
  next_sweep_ = now + kSweep;
  siginfo_t info{};
  if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, watched] : watched_)
      if (watched.process->pid() == info.si_pid) return;
  }
  if (stranger_ == info.si_pid)
    waitid(P_PID, static_cast<id_t>(info.si_pid), &info, WEXITED | WNOHANG);
  else
    stranger_ = info.si_pid;
}

void Supervisor::Impl::Wake() {
  const uint64_t one = 1;
  if (write(wake_.get(), &one, sizeof one) < 0) return;  // full: it is awake anyway
}

void Supervisor::Impl::Post(std::function<void()> work) {
  {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(work));
  }
  Wake();
}

void Supervisor::Impl::RunPosted() {
  for (;;) {
    std::function<void()> work;
    {
      const std::lock_guard lock(mutex_);
      if (posted_.empty()) return;
      work = std::move(posted_.front());
      posted_.pop_front();
    }
    work();
  }
}

void Supervisor::Impl::Tick() {
  std::vector<std::shared_ptr<WorkerEvents>> all;
  {
    const std::lock_guard lock(mutex_);
    all.reserve(watched_.size());
    for (const auto& [id, watched] : watched_) all.push_back(watched.events);
  }
  const auto now = Clock::now();
  for (const auto& events : all) events->OnTick(now);
}

void Supervisor::Impl::AddTickUser(int change) {
  if (tick_users_.fetch_add(change) == 0 && change > 0) Wake();
}

// ---- Watching ----------------------------------------------------------------------------------------------------

void Supervisor::Impl::Watch(std::shared_ptr<ChildProcess> process, int control, std::shared_ptr<WorkerEvents> events) {
  const int pidfd = process->pidfd();
  uint64_t id;
  {
    const std::lock_guard lock(mutex_);
    id = next_id_++;
    if (stopping_) process->Kill();
    watched_[id] = Watched{std::move(process), control, std::move(events)};
  }
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = id << 1 | 1;
  epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, pidfd, &event);
  if (control < 0) return;
  event.events = EPOLLIN | EPOLLRDHUP;
  event.data.u64 = id << 1;
  epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, control, &event);
}

void Supervisor::Impl::OnEvent(uint64_t id, bool death) {
  Watched watched;
  {
    const std::lock_guard lock(mutex_);
    const auto found = watched_.find(id);
    if (found == watched_.end()) return;
    watched = found->second;
  }
  if (watched.control >= 0) DrainControl(id, watched);
  if (!death || !watched.process->Reap()) return;
  const int status = watched.process->AwaitExit(Clock::now()).value_or(0);
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, watched.process->pidfd(), nullptr);
  if (watched.control >= 0) epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, watched.control, nullptr);
  watched.events->OnExit(status);
  Forget(id);
}

void Supervisor::Impl::DrainControl(uint64_t id, Watched& watched) {
  Packet packet;
  for (;;) {
    switch (ReceivePacket(watched.control, &packet)) {
      case Receive::kPacket:
        watched.events->OnPacket(packet);
        break;
      case Receive::kNothing:
        return;
      case Receive::kClosed: {
        epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, watched.control, nullptr);
        const std::lock_guard lock(mutex_);
        const auto found = watched_.find(id);
        if (found != watched_.end()) found->second.control = -1;
        watched.control = -1;
        watched.events->OnControlClosed();
        return;
      }
    }
  }
}

void Supervisor::Impl::Forget(uint64_t id) {
  Watched gone;  // destroyed outside the lock
  const std::lock_guard lock(mutex_);
  gone = std::move(watched_[id]);
  watched_.erase(id);
  if (watched_.empty()) none_watched_.notify_all();
}

std::vector<WorkerStatus> Supervisor::Impl::Describe() const {
  std::vector<std::shared_ptr<WorkerEvents>> all;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, watched] : watched_) all.push_back(watched.events);
  }
  std::vector<WorkerStatus> out;
  out.reserve(all.size());
  for (const auto& events : all) out.push_back(events->Describe());
  if (warm_ == nullptr) return out;
  for (auto& waiting : warm_->Describe()) out.push_back(std::move(waiting));
  return out;
}

// ---- Nurseries ---------------------------------------------------------------------------------------------------

Expected<std::shared_ptr<Nursery>> Supervisor::Impl::StartNursery(const std::string& domain) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = nurseries_.find(domain);
    if (found != nurseries_.end()) return found->second;
  }
  RBC_ASSIGN_OR_RETURN(auto nursery, Nursery::Start(program_.get(), std::string(worker::BuildId()), domain));
  {
    const std::lock_guard lock(mutex_);
    nurseries_[domain] = nursery;
  }
  Watch(nursery->process(), -1, std::make_shared<NurseryEvents>(nursery, [this](Nursery* gone) {
          sweep_until_ = Clock::now() + kSweepAfterDeath;
          const std::lock_guard lock(mutex_);
          std::erase_if(nurseries_, [&](const auto& item) { return item.second.get() == gone; });
        }));
  return nursery;
}

Expected<std::shared_ptr<Nursery>> Supervisor::Impl::NurseryOf(const std::string& domain) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return Error(ErrorKind::kUnavailable, "the farm is stopping");
    const auto found = nurseries_.find(domain);
    if (found != nurseries_.end() && !found->second->process()->exited()) return found->second;
  }
  auto promise = std::make_shared<std::promise<Expected<std::shared_ptr<Nursery>>>>();
  auto result = promise->get_future();
  Post([this, promise, domain] { promise->set_value(StartNursery(domain)); });
  return result.get();
}

Expected<SpawnedWorker> Supervisor::Impl::Spawn(const std::string& domain, const worker::SpawnBody& spawn,
                                                size_t ring_size, size_t arena_size) {
  RBC_ASSIGN_OR_RETURN(auto nursery, NurseryOf(domain));
  auto worker = nursery->Spawn(spawn, ring_size, arena_size);
  if (worker || worker.error().kind != ErrorKind::kUnavailable) return worker;
  // The nursery died under us or does not answer; its successor gets one try.
  nursery->process()->Kill();
  nursery->process()->AwaitExit(Clock::now() + std::chrono::seconds(2));
  {
    const std::lock_guard lock(mutex_);
    const auto found = nurseries_.find(domain);
    if (found != nurseries_.end() && found->second == nursery) nurseries_.erase(found);
  }
  RBC_ASSIGN_OR_RETURN(auto next, NurseryOf(domain));
  return next->Spawn(spawn, ring_size, arena_size);
}

// ---- The public face ---------------------------------------------------------------------------------------------

Supervisor::Supervisor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Supervisor::~Supervisor() = default;

Expected<std::unique_ptr<Supervisor>> Supervisor::Start(SupervisorOptions options, const std::string& first_domain) {
  auto impl = std::make_unique<Impl>(std::move(options));
  RBC_RETURN_IF_ERROR(impl->Start(first_domain));
  return std::unique_ptr<Supervisor>(new Supervisor(std::move(impl)));
}

const std::vector<TargetInfo>& Supervisor::targets() const { return impl_->ready().targets; }
std::vector<DeviceStatus> Supervisor::Devices() const { return impl_->devices().Status(); }
const std::string& Supervisor::device_notes() const { return impl_->device_notes(); }
const std::string& Supervisor::sandbox_notes() const { return impl_->ready().notes; }
CompilePool& Supervisor::compiles() { return impl_->compiles(); }

Expected<std::shared_ptr<ExecutionWorker>> Supervisor::StartExecutionWorker(const std::string& domain,
                                                                            const std::string& target, uint64_t session,
                                                                            std::function<void(LentReturn)> on_return) {
  return MakeExecutionWorker(*impl_, domain, target, session, std::move(on_return));
}

std::vector<WorkerStatus> Supervisor::Status() const { return impl_->Describe(); }

std::string DescribeSandbox(uint32_t bits) {
  static constexpr std::pair<uint32_t, const char*> kNames[] = {
      {worker::kNoNewPrivileges, "no-new-privileges"},
      {worker::kSeccomp, "seccomp"},
      {worker::kLandlock, "landlock"},
      {worker::kUserNamespace, "user-namespace"},
      {worker::kNetworkNamespace, "network-namespace"},
      {worker::kPidNamespace, "pid-namespace"},
      {worker::kIpcNamespace, "ipc-namespace"},
      {worker::kMountNamespace, "mount-namespace"},
      {worker::kResourceLimits, "resource-limits"},
      {worker::kNoCapabilities, "no-capabilities"},
      {worker::kWideSeccomp, "wide-seccomp"},
  };
  std::string out;
  for (const auto& [bit, name] : kNames)
    if ((bits & bit) != 0) out.append(out.empty() ? "" : " ").append(name);
  return out;
}

}  // namespace rbc::server
