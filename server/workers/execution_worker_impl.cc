// A session's worker process as the daemon sees it.
// SPDX-License-Identifier: Apache-2.0
#include "server/workers/execution_worker_impl.h"

#include <fmt/format.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <cstring>

#include "base/error_serial.h"
#include "server/pinned_target.h"
#include "worker/device_frame.h"

namespace rbc::server {
namespace {

using std::chrono::milliseconds;
using worker::Lane;
using worker::MessageType;

constexpr std::string_view kHostTarget = "host";  // needs no device
constexpr uint32_t kMaxWaitingCalls = 1024;       // for a lane, one session
constexpr milliseconds kDeathIsSoon{5000};        // from SIGKILL to reaped
constexpr milliseconds kLookAtLent{100};
constexpr milliseconds kMostIdle{600};  // with the above: answered within a second

uint32_t FrameLength(std::string_view framed) {
  uint32_t length = 0;
  if (framed.size() >= sizeof length) std::memcpy(&length, framed.data(), sizeof length);
  return __builtin_bswap32(length);
}

// Bytes of the framed message at `offset` if all of it is there, else 0. What was not received yet is 0xff, which ends
// no message.
size_t MessageAt(std::string_view request, size_t offset) {
  if (request.size() - offset < 4) return 0;
  const size_t size = size_t{4} + FrameLength(request.substr(offset));
  if (size == 4 || size > request.size() - offset || request[offset + size - 1] == '\xff') return 0;
  return size;
}

// The messages that were received and not served, or nothing if one of them arrived in part.
std::optional<std::string> UnservedFrom(std::string_view request, size_t begin) {
  size_t end = begin;
  while (end < request.size() && request[end] != '\xff') {
    const size_t size = MessageAt(request, end);
    if (size == 0) return std::nullopt;
    end += size;
  }
  return std::string(request.substr(begin, end - begin));
}

Error WorkerLost(std::string message, bool ran) {
  Error error(ErrorKind::kWorkerLost, std::move(message));
  error.role = "execution worker";
  error.may_have_run = ran;
  error.retry_safe = !ran;
  return error;
}

}  // namespace

ExecutionWorkerImpl::ExecutionWorkerImpl(WorkerHost& host, SpawnedWorker worker, std::string domain, std::string target,
                                         uint64_t session, std::function<void(LentReturn)> on_return,
                                         DevicePool::Place place)
    : host_(host),
      process_(std::move(worker.process)),
      control_(std::move(worker.control)),
      ring_(std::move(worker.ring)),
      sandbox_(worker.sandbox),
      domain_(std::move(domain)),
      target_(std::move(target)),
      session_(session),
      on_return_(std::move(on_return)),
      arena_(std::move(worker.arena)),
      place_(std::move(place)),
      device_(place_->number()),
      uses_(host.options().lanes) {
  for (uint32_t i = 0; i < uses_.size(); ++i) ports_.emplace_back(lane(i), host.options().spin_us);
}

Expected<std::shared_ptr<ExecutionWorker>> MakeExecutionWorker(WorkerHost& host, const std::string& domain,
                                                               const std::string& target, uint64_t session,
                                                               std::function<void(LentReturn)> on_return) {
  const SupervisorOptions& options = host.options();
  const auto pinned = PinnedTarget::Of(target);
  WarmPool::Worker worker;
  if (pinned.target == kHostTarget) {
    RBC_ASSIGN_OR_RETURN(worker.process, host.Spawn(domain, SpawnOf(options, pinned.target),
                                                    worker::RingSize(options.lanes), options.arena_size));
  } else {
    RBC_ASSIGN_OR_RETURN(worker, host.warm().TakeOrStart(domain, pinned.target, pinned.device));
  }
  const auto process = worker.process.process;
  const int control = worker.process.control.get();
  auto out = std::make_shared<ExecutionWorkerImpl>(host, std::move(worker.process), domain, target, session,
                                                   std::move(on_return), std::move(worker.place));
  host.Watch(process, control, out);
  return std::shared_ptr<ExecutionWorker>(out);
}

void ExecutionWorkerImpl::TellDeadCalls(std::function<void(const DeadCall&)> told) {
  const std::lock_guard lock(mutex_);
  on_dead_call_ = std::move(told);
}

// ---- Modules -----------------------------------------------------------------------------------------------------

Status ExecutionWorkerImpl::Load(uint64_t module_id, const worker::LoadBlob& blob) {
  const std::string bytes = worker::Serialize(blob);
  const auto piece = arena_.Take(bytes.size());
  if (!piece)
    return Error(ErrorKind::kResourceExhausted,
                 fmt::format("a module of {} bytes does not fit into the session's arena of {} bytes", bytes.size(),
                             arena_.size()));
  std::memcpy(piece.data(), bytes.data(), bytes.size());
  std::unique_lock lock(mutex_);
  if (dead_) return WorkerLost("the worker is gone", false);
  auto& pending = loads_[module_id];
  for (size_t i = 0; i < blob.function_ids.size(); ++i) names_[blob.function_ids[i]] = blob.names[i];
  module_functions_[module_id] = blob.function_ids;
  lock.unlock();
  const worker::LoadBody body{module_id, piece.offset(), bytes.size()};
  if (!SendPacket(control_.get(), MessageType::kLoad, body)) process_->Kill();
  lock.lock();
  const auto done = [&] { return pending.done; };
  if (!changed_.wait_for(lock, host_.options().load_deadline, done)) {
    lock.unlock();
    Error late(ErrorKind::kDeadlineExceeded,
               fmt::format("loading the module and its constructors takes longer than {} ms",
                           host_.options().load_deadline.count()));
    late.role = "execution worker";
    KillFor(worker::kNoLane, late);
    lock.lock();
    changed_.wait_for(lock, kDeathIsSoon, done);
    loads_.erase(module_id);
    return late;
  }
  const std::optional<Error> error = std::move(pending.error);
  loads_.erase(module_id);
  if (error) return *error;
  return {};
}

void ExecutionWorkerImpl::Unload(uint64_t module_id) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = module_functions_.find(module_id);
    if (found != module_functions_.end()) {
      for (const uint64_t id : found->second) names_.erase(id);
      module_functions_.erase(found);
    }
    if (dead_) return;
  }
  SendPacket(control_.get(), MessageType::kUnload, worker::ModuleBody{module_id});
}

void ExecutionWorkerImpl::OnLoaded(const Packet& packet) {
  worker::LoadedBody body{};
  if (!packet.As(&body)) return KillFor(worker::kNoLane, Violation("Loaded"));
  const std::lock_guard lock(mutex_);
  const auto found = loads_.find(body.module_id);
  if (found == loads_.end()) return;
  if (body.failed != 0) {
    Reader reader(std::string_view(packet.body).substr(sizeof body));
    found->second.error = GetError(reader);
  }
  found->second.done = true;
  changed_.notify_all();
}

// ---- The session's arrays ----------------------------------------------------------------------------------------

Status ExecutionWorkerImpl::ShareArena(const SharedMemory& arena) {
  std::unique_lock lock(mutex_);
  if (!dead_ && arena_use_ == ArenaUse::kNone) {
    arena_use_ = ArenaUse::kSent;
    lock.unlock();
    const int fds[] = {arena.fd()};
    if (!SendPacket(control_.get(), MessageType::kDataArena, worker::DataArenaBody{arena.size()}, fds))
      process_->Kill();
    lock.lock();
  }
  const auto answered = [&] { return dead_ || arena_use_ == ArenaUse::kMapped || arena_use_ == ArenaUse::kRefused; };
  if (!changed_.wait_for(lock, host_.options().load_deadline, answered)) {
    lock.unlock();
    const Error late(ErrorKind::kDeadlineExceeded, fmt::format("the worker does not map the session's arrays in {} ms",
                                                               host_.options().load_deadline.count()));
    KillFor(worker::kNoLane, late);
    return late;
  }
  if (arena_use_ == ArenaUse::kMapped) return {};
  if (arena_use_ == ArenaUse::kRefused)
    return Error(ErrorKind::kResourceExhausted,
                 fmt::format("the worker cannot map the session's arrays, {} bytes of address space", arena.size()));
  return WorkerLost("the worker ended before the call began: " + WhyDead(), false);
}

void ExecutionWorkerImpl::OnArenaMapped(const Packet& packet) {
  worker::DataArenaMappedBody body{};
  const std::lock_guard lock(mutex_);
  if (!packet.As(&body) || arena_use_ != ArenaUse::kSent) {
    kill_reason_ = Violation("DataArenaMapped");
    process_->Kill();
    return;
  }
  arena_use_ = body.failed != 0 ? ArenaUse::kRefused : ArenaUse::kMapped;
  changed_.notify_all();
}

// ---- Relayed calls -----------------------------------------------------------------------------------------------

Expected<uint32_t> ExecutionWorkerImpl::TakeLane(Clock::time_point until, int64_t request_id) {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (dead_) return WorkerLost("the worker ended before the call began: " + WhyDead(), false);
    for (uint32_t i = 0; i < uses_.size(); ++i) {
      if (uses_[i].use != Use::kFree) continue;
      uses_[i].use = Use::kRelay;
      uses_[i].request_id = request_id;
      return i;
    }
    if (waiting_ >= kMaxWaitingCalls) {
      Error busy(ErrorKind::kBusy, fmt::format("{} calls of this session wait already, the limit", waiting_));
      busy.retry_after_ms = 100;
      busy.retry_safe = true;
      return busy;
    }
    ++waiting_;
    const auto woken = changed_.wait_until(lock, until);
    --waiting_;
    if (woken == std::cv_status::timeout) {
      Error late(ErrorKind::kDeadlineExceeded, "all lanes of the session are busy until the call's deadline");
      late.retry_safe = true;
      return late;
    }
  }
}

void ExecutionWorkerImpl::FreeLane(uint32_t index) {
  bool wake;
  {
    const std::lock_guard lock(mutex_);
    uses_[index].use = Use::kFree;
    last_used_ = Clock::now();
    wake = waiting_ != 0;
  }
  if (wake) changed_.notify_all();
}

milliseconds ExecutionWorkerImpl::DeadlineOf(const worker::CallView& call) const {
  const auto most = host_.options().call_deadline;
  return call.deadline_ms == 0 ? most : std::min<milliseconds>(milliseconds(call.deadline_ms), most);
}

Status ExecutionWorkerImpl::Call(std::string_view framed, const worker::CallView& call, std::string* reply) {
  const auto until = Clock::now() + DeadlineOf(call);
  RBC_ASSIGN_OR_RETURN(const uint32_t index, TakeLane(until, call.request_id));
  auto status = Relay(index, framed, until, reply);
  if (!status) status = AfterDeath(index, call.function_id);
  FreeLane(index);
  return *std::move(status);
}

std::optional<Status> ExecutionWorkerImpl::Relay(uint32_t index, std::string_view framed, Clock::time_point until,
                                                 std::string* reply) {
  LanePort& port = ports_[index];
  Lane* const l = port.lane();
  Arena::Piece piece;
  l->request_size = static_cast<uint32_t>(framed.size());
  if (framed.size() <= worker::kLaneRequestBytes) {
    std::memcpy(l->request, framed.data(), framed.size());
    l->request_offset = worker::kInline;
  } else {
    piece = arena_.Take(framed.size());
    if (!piece)
      return Status(
          Error(ErrorKind::kResourceExhausted,
                fmt::format("a call of {} bytes does not fit into the session's arena of {} bytes, part of it "
                            "in use",
                            framed.size(), arena_.size())));
    std::memcpy(piece.data(), framed.data(), framed.size());
    l->request_offset = piece.offset();
  }
  l->phase.store(worker::kReceived, std::memory_order_relaxed);
  l->capture_size.store(0, std::memory_order_relaxed);
  if (!port.Post()) return std::nullopt;
  switch (port.Await(until)) {
    case LaneEvent::kReply:
      return TakeReply(index, reply);
    case LaneEvent::kBigReply:
      return TakeBigReply(index, until, reply);
    case LaneEvent::kTimeout:
      return Doom(index, Error(ErrorKind::kDeadlineExceeded, "the call ran longer than its deadline and was stopped"));
    case LaneEvent::kViolation:
      return Doom(index, Violation("lane state"));
    case LaneEvent::kDead:
      break;
  }
  return std::nullopt;
}

// Kills the worker and waits for its end, since nobody may have the arena's pieces before it.
std::nullopt_t ExecutionWorkerImpl::Doom(uint32_t index, Error reason) {
  KillFor(index, std::move(reason));
  process_->AwaitExit(Clock::now() + kDeathIsSoon);
  return std::nullopt;
}

std::optional<Status> ExecutionWorkerImpl::TakeReply(uint32_t index, std::string* reply) {
  Lane* const l = ports_[index].lane();
  const uint32_t size = l->reply_size;
  if (size > worker::kLaneReplyBytes || size < 8) return Doom(index, Violation("reply size"));
  reply->assign(reinterpret_cast<const char*>(l->reply), size);
  ports_[index].Release();
  if (FrameLength(*reply) != size - 4) return Status(Violation("reply length"));
  return Status();
}

std::optional<Status> ExecutionWorkerImpl::TakeBigReply(uint32_t index, Clock::time_point until, std::string* reply) {
  LanePort& port = ports_[index];
  const uint32_t size = port.lane()->reply_size;
  const uint64_t most = host_.options().max_message;
  Arena::Piece piece;
  if (size <= most) piece = arena_.Take(size);
  if (!piece) {
    port.Release();  // the worker drops the reply when it sees the lane idle
    Error large(ErrorKind::kResourceExhausted,
                fmt::format("a reply of {} bytes is larger than the limit of {} bytes or does not fit into the "
                            "session's arena - the call has run",
                            size, most));
    large.may_have_run = true;
    return Status(large);
  }
  port.Continue(piece.offset());
  if (port.Await(std::max(until, Clock::now() + kDeathIsSoon)) != LaneEvent::kReply)
    return Doom(index, Violation("large reply"));
  reply->assign(piece.data(), size);
  port.Release();
  if (FrameLength(*reply) != size - 4) return Status(Violation("reply length"));
  return Status();
}

// ---- Lent connections --------------------------------------------------------------------------------------------

uint32_t ExecutionWorkerImpl::FirstLentLane() const {
  const auto lanes = static_cast<uint32_t>(uses_.size());
  return lanes - std::min(host_.options().lent_lanes, lanes);
}

uint64_t ExecutionWorkerImpl::calls_unseen() const {
  uint64_t calls = 0;
  for (uint32_t i = FirstLentLane(); i < uses_.size(); ++i) calls += lane(i)->calls.load();
  return calls;
}

std::optional<uint32_t> ExecutionWorkerImpl::TakeUnseenLane(Use use, uint64_t cookie, int fd) {
  const auto lanes = static_cast<uint32_t>(uses_.size());
  if (dead_ || unseen_ >= lanes - FirstLentLane()) return std::nullopt;
  for (uint32_t index = FirstLentLane(); index < lanes; ++index) {
    if (uses_[index].use != Use::kFree) continue;
    uses_[index] = LaneUse{use, cookie, 0, lane(index)->calls.load(), Clock::now(), fd};
    uses_[index].used_at = Clock::now();
    ++unseen_;
    host_.AddTickUser(1);
    return index;
  }
  return std::nullopt;
}

void ExecutionWorkerImpl::FreeUnseenLane(uint32_t index) {
  uses_[index].use = Use::kFree;
  --unseen_;
  lane(index)->direct.store(0);
  lane(index)->state.store(worker::kIdle);
  host_.AddTickUser(-1);
  changed_.notify_all();
}

bool ExecutionWorkerImpl::Lend(int fd, uint64_t cookie) {
  std::optional<uint32_t> index;
  {
    const std::lock_guard lock(mutex_);
    index = TakeUnseenLane(Use::kLent, cookie, fd);
    if (!index) return false;
    std::memset(lane(*index)->request, 0xff, sizeof lane(*index)->request);
    lane(*index)->phase.store(worker::kReceiving);
  }
  const int fds[] = {fd};
  // A worker that cannot be reached is dying: its death gives the connection back.
  SendPacket(control_.get(), MessageType::kLend, worker::LaneBody{*index, 0}, fds);
  return true;
}

void ExecutionWorkerImpl::OnReturned(const Packet& packet) {
  worker::LaneBody body{};
  LentReturn back;
  {
    const std::lock_guard lock(mutex_);
    if (!packet.As(&body) || body.lane >= uses_.size() || uses_[body.lane].use != Use::kLent ||
        lane(body.lane)->state.load() != worker::kReturned ||
        lane(body.lane)->request_size > worker::kLaneRequestBytes) {
      kill_reason_ = Violation("LaneReturned");
      process_->Kill();
      return;
    }
    Lane* const l = lane(body.lane);
    const uint32_t reason = l->return_reason;
    back.cookie = uses_[body.lane].cookie;
    back.unread.assign(reinterpret_cast<const char*>(l->request), std::min(l->request_size, worker::kLaneRequestBytes));
    back.end_of_stream = reason == worker::kEndOfStream;
    back.close = reason == worker::kSocketError;
    FreeUnseenLane(body.lane);
  }
  on_return_(std::move(back));
}

// ---- Direct lanes ------------------------------------------------------------------------------------------------

std::optional<DirectLane> ExecutionWorkerImpl::OpenDirect(uint64_t cookie) {
  const std::lock_guard lock(mutex_);
  const auto index = TakeUnseenLane(Use::kDirect, cookie, -1);
  if (!index) return std::nullopt;
  lane(*index)->short_size = worker::kNotShort;
  lane(*index)->direct.store(1);
  return DirectLane{*index, static_cast<uint32_t>(uses_.size()), ring_.size(), ring_.fd()};
}

std::optional<uint32_t> ExecutionWorkerImpl::DirectLaneOf(uint64_t cookie) const {
  for (uint32_t i = 0; i < uses_.size(); ++i)
    if (uses_[i].use == Use::kDirect && uses_[i].cookie == cookie) return i;
  return std::nullopt;
}

// What the client asked for, which the worker may not have looked at. It writes here: copied first.
ExecutionWorkerImpl::DirectRequest ExecutionWorkerImpl::DirectRequestIn(uint32_t index) const {
  const Lane& l = *lane(index);
  if (HoldsShortCall(index)) return {0, l.short_call.function_id};
  const std::string request(reinterpret_cast<const char*>(l.request), sizeof l.request);
  worker::CallView call;
  if (const size_t size = MessageAt(request, 0); size != 0)
    worker::ParseCall(std::string_view(request).substr(4, size - 4), &call);
  return {call.seqid, call.function_id};
}

Status ExecutionWorkerImpl::DirectReply(uint64_t cookie, std::string* framed) {
  std::optional<uint32_t> index;
  {
    const std::lock_guard lock(mutex_);
    index = DirectLaneOf(cookie);
  }
  if (!index) return Error(ErrorKind::kInvalidArgument, "this connection has no ring");
  const Lane& l = *lane(*index);
  std::optional<Status> taken;
  if (!dead_ && l.state.load() == worker::kReplyBig) {
    taken = TakeBigReply(*index, Clock::now() + kDeathIsSoon, framed);
  } else if (!dead_ && l.state.load() != worker::kDead) {
    return Error(ErrorKind::kInvalidArgument, "no reply waits for the daemon in this connection's lane");
  }
  if (taken && *taken) return {};
  const DirectRequest asked = DirectRequestIn(*index);
  *framed = worker::ErrorReply(asked.seqid, taken ? taken->error() : AfterDeath(*index, asked.function_id));
  return {};
}

void ExecutionWorkerImpl::CloseDirect(uint64_t cookie) {
  const std::lock_guard lock(mutex_);
  const auto index = DirectLaneOf(cookie);
  if (!index) return;
  uses_[*index].use = Use::kClosing;
  if (!HasWork(*index) && !dead_) FreeUnseenLane(*index);
}

// Whether a lent lane, between two calls, has something to do that needs nobody else.
bool ExecutionWorkerImpl::HasWork(uint32_t index) const {
  const Lane& l = *lane(index);
  if (uses_[index].use != Use::kLent) {
    const uint32_t state = l.state.load();
    return state == worker::kCall || state == worker::kShortCall || state == worker::kContinue;
  }
  const int fd = uses_[index].fd;
  int bytes = 0;
  switch (l.phase.load()) {
    case worker::kReceiving: {
      const uint32_t size = l.request_size;
      const bool whole = size >= 4 && FrameLength({reinterpret_cast<const char*>(l.request), 4}) <= size - 4;
      return whole || (ioctl(fd, FIONREAD, &bytes) == 0 && bytes > 0);
    }
    case worker::kSending:  // a client that does not read may keep the lane waiting
      return ioctl(fd, SIOCOUTQ, &bytes) == 0 && bytes == 0;
    default:
      return true;
  }
}

// A worker that is stopped, or that client code has damaged, takes no calls from a connection that it was lent; nobody
// else sees that they are there. Asked now and then only.
bool ExecutionWorkerImpl::IsStuck(uint32_t index, Clock::time_point now) {
  LaneUse& use = uses_[index];
  if (now - use.looked_at < kLookAtLent) return false;
  use.looked_at = now;
  const bool has_work = HasWork(index);
  if (!has_work || use.idle_since == Clock::time_point()) {
    use.idle_since = has_work ? now : Clock::time_point();
    return false;
  }
  return now - use.idle_since > kMostIdle;
}

void ExecutionWorkerImpl::OnTick(Clock::time_point now) {
  uint32_t late = worker::kNoLane;
  bool stuck = false;
  uint32_t limit_ms = 0;
  {
    const std::lock_guard lock(mutex_);
    if (unseen_ == 0 || dead_) return;
    const auto most = static_cast<uint32_t>(host_.options().call_deadline.count());
    for (uint32_t i = 0; i < uses_.size(); ++i) {
      if (!IsUnseen(i)) continue;
      if (uses_[i].use == Use::kClosing && !HasWork(i)) {
        FreeUnseenLane(i);
        continue;
      }
      const uint64_t calls = lane(i)->calls.load();
      if (calls != uses_[i].seen_calls || calls % 2 == 0) {
        if (calls != uses_[i].seen_calls) {
          uses_[i].idle_since = {};
          uses_[i].used_at = now;
        } else {
          stuck |= IsStuck(i, now);
        }
        uses_[i].seen_calls = calls;
        uses_[i].seen_at = now;
        continue;
      }
      const uint32_t asked = lane(i)->deadline_ms;
      limit_ms = asked == 0 ? most : std::min(asked, most);
      if (now - uses_[i].seen_at > milliseconds(limit_ms)) late = i;
      if (late == i) break;
    }
  }
  if (late != worker::kNoLane)
    KillFor(late, Error(ErrorKind::kDeadlineExceeded,
                        fmt::format("the call ran longer than its deadline of {} ms and was stopped", limit_ms)));
  else if (stuck)
    KillFor(worker::kNoLane, Error(ErrorKind::kWorkerLost, "the worker did not take its calls and was stopped"));
}

// ---- Endings -----------------------------------------------------------------------------------------------------

void ExecutionWorkerImpl::KillFor(uint32_t index, Error reason) {
  {
    const std::lock_guard lock(mutex_);
    if (!kill_reason_) {
      kill_reason_ = std::move(reason);
      kill_reason_->role = "execution worker";
      kill_lane_ = index;
    }
  }
  process_->Kill();
}

// A client's own lane is closed under its hands: it finds it dead before it posts, and asks the farm instead. A lent
// connection comes back with what was not served.
bool ExecutionWorkerImpl::CloseIdleLanes() {
  const auto now = Clock::now();
  for (uint32_t i = 0; i < uses_.size(); ++i) {
    const Use use = uses_[i].use;
    if (use == Use::kFree || use == Use::kDirect) continue;
    const bool used_lately = lane(i)->calls.load() != uses_[i].seen_calls || now - uses_[i].used_at < kMostIdle;
    if (use != Use::kLent || used_lately || uses_[i].seen_calls % 2 == 1 || HasWork(i)) return false;
  }
  for (uint32_t i = 0; i < uses_.size(); ++i) {
    uint32_t state = worker::kIdle;
    if (uses_[i].use != Use::kDirect || lane(i)->state.compare_exchange_strong(state, worker::kDead)) continue;
    OpenClosedLanes(i);
    return false;
  }
  return true;
}

void ExecutionWorkerImpl::OpenClosedLanes(uint32_t end) {
  for (uint32_t i = 0; i < end; ++i) {
    uint32_t state = worker::kDead;
    if (uses_[i].use == Use::kDirect) lane(i)->state.compare_exchange_strong(state, worker::kIdle);
  }
}

bool ExecutionWorkerImpl::Retire(std::optional<uint64_t> unseen) {
  {
    const std::lock_guard lock(mutex_);
    if (dead_ || waiting_ != 0 || !loads_.empty() || !CloseIdleLanes()) return false;
    if (unseen && calls_unseen() != *unseen) {
      OpenClosedLanes(static_cast<uint32_t>(uses_.size()));
      return false;
    }
    kill_reason_ = WorkerLost("the worker was idle and gave its device to another session", false);
    dead_.store(true, std::memory_order_release);
  }
  process_->Kill();
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, kDeathIsSoon, [&] { return explained_; });
}

Clock::time_point ExecutionWorkerImpl::last_used() const {
  const std::lock_guard lock(mutex_);
  Clock::time_point last = last_used_;
  for (uint32_t i = 0; i < uses_.size(); ++i) {
    if (!IsUnseen(i)) continue;
    const bool just_now = lane(i)->calls.load() != uses_[i].seen_calls;
    last = std::max(last, just_now ? Clock::now() : uses_[i].used_at);
  }
  return last;
}

bool ExecutionWorkerImpl::Cancel(int64_t request_id) {
  if (request_id == 0) return false;
  uint32_t found = worker::kNoLane;
  {
    const std::lock_guard lock(mutex_);
    for (uint32_t i = 0; i < uses_.size() && found == worker::kNoLane; ++i) {
      const bool relayed = uses_[i].use == Use::kRelay && uses_[i].request_id == request_id;
      const bool runs = uses_[i].use != Use::kFree && lane(i)->calls.load() % 2 == 1;
      if (relayed || (runs && lane(i)->request_id == request_id)) found = i;
    }
  }
  if (found == worker::kNoLane) return false;
  KillFor(found, Error(ErrorKind::kCancelled, "the call was cancelled"));
  return true;
}

Error ExecutionWorkerImpl::Violation(const char* what) {
  return Error(ErrorKind::kWorkerLost, fmt::format("the worker broke the protocol ({}) and was stopped", what));
}

void ExecutionWorkerImpl::OnPacket(const Packet& packet) {
  switch (packet.type) {
    case MessageType::kLoaded:
      return OnLoaded(packet);
    case MessageType::kLaneReturned:
      return OnReturned(packet);
    case MessageType::kDataArenaMapped:
      return OnArenaMapped(packet);
    case MessageType::kUnloaded:
      return;
    default:
      return KillFor(worker::kNoLane, Violation("message type"));
  }
}

void ExecutionWorkerImpl::OnControlClosed() { process_->Kill(); }

// What the lanes hold is copied first: another process may write there.
std::vector<DeadCall> ExecutionWorkerImpl::DeadCalls() const {
  std::vector<DeadCall> out;
  for (uint32_t i = 0; i < uses_.size(); ++i) {
    const Lane& l = *lane(i);
    // A short call names no arrays of the session.
    if (!IsUnseen(i) || l.calls.load() % 2 == 0 || HoldsShortCall(i)) continue;
    const std::string request(reinterpret_cast<const char*>(l.request), sizeof l.request);
    const size_t size = MessageAt(request, 0);
    worker::CallView call;
    if (size == 0 ||
        worker::ParseCall(std::string_view(request).substr(4, size - 4), &call) != worker::CallParse::kCall)
      continue;
    out.push_back({request.substr(4, size - 4), ExplainDeath(i, FunctionName(call.function_id), true)});
  }
  return out;
}

void ExecutionWorkerImpl::OnExit(int wait_status) {
  std::vector<DeadCall> dead;
  std::function<void(const DeadCall&)> tell;
  {
    const std::lock_guard lock(mutex_);
    dead_.store(true, std::memory_order_release);
    place_.reset();
    exit_status_ = wait_status;
    fault_ = ReadFault(*reinterpret_cast<const worker::RingHeader*>(ring_.data()));
    tell = on_dead_call_;
    if (tell) dead = DeadCalls();
  }
  for (const DeadCall& call : dead) tell(call);
  std::vector<LentReturn> returns;
  {
    const std::lock_guard lock(mutex_);
    explained_ = true;
    for (uint32_t i = 0; i < uses_.size(); ++i) {
      if (uses_[i].use == Use::kRelay || uses_[i].use == Use::kDirect) ports_[i].MarkDead();
      if (uses_[i].use == Use::kLent) returns.push_back(ExplainLent(i));
    }
    for (auto& [id, pending] : loads_) {
      if (pending.done) continue;
      pending.done = true;
      const bool crashed = fault_ && fault_->lane == worker::kNoLane;
      pending.error =
          crashed ? CrashOf(*fault_, "") : WorkerLost("the worker ended while it loaded a module: " + WhyDead(), true);
    }
    host_.AddTickUser(-static_cast<int>(unseen_));
    unseen_ = 0;
    changed_.notify_all();
  }
  for (auto& back : returns) on_return_(std::move(back));
}

// A short call leaves `phase` as the last call did: begun is what has the number that the worker noted last.
bool ExecutionWorkerImpl::HasBegun(uint32_t index) const {
  const Lane& l = *lane(index);
  if (l.phase.load() < worker::kRunning) return false;
  return !HoldsShortCall(index) || l.request_id == l.short_call.request_id;
}

bool ExecutionWorkerImpl::HoldsShortCall(uint32_t index) const {
  return lane(index)->direct.load() != 0 && lane(index)->short_size != worker::kNotShort;
}

Error ExecutionWorkerImpl::AfterDeath(uint32_t index, uint64_t function_id) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, kDeathIsSoon, [&] { return explained_; });
  Error error = ExplainDeath(index, FunctionName(function_id), HasBegun(index));
  error.output = Captured(index);
  return error;
}

Error ExecutionWorkerImpl::ExplainDeath(uint32_t index, const std::string& function, bool ran) const {
  Error error;
  if (kill_reason_ && kill_lane_ == index) {
    error = *kill_reason_;
    error.may_have_run = ran;
    error.function = function;
  } else if (fault_ && fault_->lane == index && !kill_reason_) {
    return CrashOf(*fault_, function);
  } else {
    error = WorkerLost(
        fmt::format("the worker ended while '{}' {}: {}", function, ran ? "ran" : "waited for it", WhyDead()), ran);
    error.function = function;
    error.signal = WIFSIGNALED(exit_status_) ? WTERMSIG(exit_status_) : 0;
  }
  return error;
}

LentReturn ExecutionWorkerImpl::ExplainLent(uint32_t index) const {
  const Lane& l = *lane(index);
  LentReturn back;
  back.cookie = uses_[index].cookie;
  const uint32_t phase = l.phase.load();
  // Copied first: another process may still hold the lane.
  const std::string request(reinterpret_cast<const char*>(l.request), sizeof l.request);
  const bool began = phase != worker::kReceiving && phase != worker::kReceived;
  const size_t first = began ? MessageAt(request, 0) : 0;
  const auto unserved = UnservedFrom(request, first);
  if (!began && unserved) {  // the next worker serves it
    back.unread = *unserved;
    return back;
  }
  worker::CallView call;
  const bool whole = first != 0 && worker::ParseCall(std::string_view(request).substr(4, first - 4), &call) ==
                                       worker::CallParse::kCall;
  back.error = ExplainDeath(index, whole ? FunctionName(call.function_id) : "", began);
  back.error->output = Captured(index);
  back.request_id = call.request_id;
  back.seqid = call.seqid;
  back.close = !whole || !unserved || phase != worker::kRunning;
  if (!back.close) back.unread = *unserved;
  return back;
}

std::string ExecutionWorkerImpl::WhyDead() const {
  if (kill_reason_) return kill_reason_->message;
  if (fault_) return fmt::format("another call of this session ended it, {}", CauseText(*fault_));
  return DescribeExit(exit_status_);
}

std::string ExecutionWorkerImpl::why_dead() const {
  const std::lock_guard lock(mutex_);
  return explained_ ? WhyDead() : std::string();
}

std::string ExecutionWorkerImpl::FunctionName(uint64_t id) const {
  if (id == worker::kDeviceMemoryFunction) return "a copy between buffers";
  const auto found = names_.find(id);
  return found == names_.end() ? std::string() : found->second;
}

std::string ExecutionWorkerImpl::Captured(uint32_t index) const {
  const size_t size = std::min<size_t>(lane(index)->capture_size.load(), host_.options().capture_limit);
  const size_t most = std::min(size, worker::kCaptureSize);
  return std::string(worker::CaptureAt(ring_.data(), static_cast<uint32_t>(uses_.size()), index), most);
}

uint64_t ExecutionWorkerImpl::calls() const {
  uint64_t calls = 0;
  for (uint32_t i = 0; i < uses_.size(); ++i) calls += lane(i)->calls.load(std::memory_order_relaxed) / 2;
  return calls;
}

bool ExecutionWorkerImpl::idle() const {
  const std::lock_guard lock(mutex_);
  for (uint32_t i = 0; i < uses_.size(); ++i)
    if (uses_[i].use == Use::kRelay || (IsUnseen(i) && lane(i)->calls.load() % 2 == 1)) return false;
  return true;
}

WorkerStatus ExecutionWorkerImpl::Describe() const {
  WorkerStatus status;
  status.pid = pid();
  status.role = "execute";
  status.domain = domain_;
  status.target = target_;
  status.session = session_;
  status.sandbox = sandbox_;
  status.jobs = calls();
  {
    const std::lock_guard lock(mutex_);
    status.client_lanes = unseen_;
  }
  status.state = idle() ? "idle" : "busy";
  return status;
}

}  // namespace rbc::server
