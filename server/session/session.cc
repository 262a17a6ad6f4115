// A session: its modules, functions, workers, requests in flight.
// SPDX-License-Identifier: Apache-2.0
#include "server/session/session.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "server/pinned_target.h"
#include "server/session/lose_written.h"
#include "server/session/random_bytes.h"

namespace rbc::server {
namespace {

Error Ended() { return {ErrorKind::kUnknownSession, "the session has ended; say hello again"}; }

Error Limit(const char* what, uint64_t used, uint64_t asked, uint64_t limit) {
  return {
      ErrorKind::kResourceExhausted,
      fmt::format("the {} are used up: {} in use, {} asked for, {} allowed; unload some", what, used, asked, limit)};
}

worker::LoadBlob MakeBlob(const SessionModule& module, const ModulePayload& payload) {
  worker::LoadBlob blob;
  blob.artifact = payload.artifact;
  blob.function_ids = module.function_ids;
  for (const auto& function : module.info->functions) blob.names.push_back(function.declaration.symbol);
  blob.serial = module.info->serial;
  return blob;
}

DataLimits LimitsOf(const FarmConfig& config) {
  return {config.data_session_bytes, config.data_max_bytes, config.data_max_buffers};
}

constexpr std::chrono::milliseconds kStopPatience{1000};
constexpr int kTriesForADevice = 4;
constexpr char kHost[] = "host";  // whose workers see the data arena

// The first of ids that are not taken for those of another session.
uint64_t RandomStart() { return (RandomNumber() >> 17) + 1; }

}  // namespace

Session::Session(SessionIdentity identity, SessionHost& host)
    : identity_(std::move(identity)),
      host_(host),
      slots_(std::make_shared<SlotTable>()),
      data_(std::make_shared<SessionData>(LimitsOf(host.config), host.data, RandomStart())),
      next_module_(RandomStart()) {}

Session::~Session() { End(); }

Expected<std::shared_ptr<SessionModule>> Session::Add(const StoredModule& stored) {
  const auto& config = host_.config;
  const std::lock_guard lock(mutex_);
  if (ended_) return Ended();
  if (const auto found = by_key_.find(stored.info->key); found != by_key_.end()) {
    ++found->second->uses;
    return modules_.at(found->second->id);
  }
  const size_t count = stored.info->functions.size();
  if (modules_.size() >= config.max_modules_per_session)
    return Limit("modules of this session", modules_.size(), 1, config.max_modules_per_session);
  if (functions_ + count > config.max_functions_per_session)
    return Limit("functions of this session", functions_, count, config.max_functions_per_session);
  if (host_.modules.load() >= config.max_modules)
    return Limit("modules of this farm", host_.modules, 1, config.max_modules);
  auto module = std::make_shared<SessionModule>();
  module->id = next_module_++;
  module->info = stored.info;
  module->slots = slots_;
  module->function_ids = slots_->Allocate(count);
  module->uses = 1;
  slots_->Publish(module);
  modules_.emplace(module->id, module);
  by_key_.emplace(stored.info->key, module.get());
  functions_ += count;
  ++host_.modules;
  return module;
}

Status Session::Unload(uint64_t module_id) {
  std::shared_ptr<SessionModule> gone;  // goes, and waits for its calls, without the lock
  const std::lock_guard lock(mutex_);
  const auto found = modules_.find(module_id);
  if (found == modules_.end())
    return {ErrorKind::kUnknownModule, fmt::format("this session has no module {}", module_id)};
  if (--found->second->uses != 0) return {};
  gone = std::move(found->second);
  for (const auto& [key, twin] : gone->bulk) {
    const auto held = modules_.find(twin->id);
    if (held == modules_.end() || --held->second->uses != 0) continue;
    by_key_.erase(twin->info->key);
    functions_ -= twin->function_ids.size();
    --host_.modules;
    slots_->Withdraw(*twin);
    modules_.erase(held);
  }
  modules_.erase(found);
  by_key_.erase(gone->info->key);
  functions_ -= gone->function_ids.size();
  --host_.modules;
  slots_->Withdraw(*gone);
  return {};
}

std::shared_ptr<SessionModule> Session::FindModule(uint64_t module_id) const {
  const std::lock_guard lock(mutex_);
  const auto found = modules_.find(module_id);
  return found == modules_.end() ? nullptr : found->second;
}

Expected<std::shared_ptr<ExecutionWorker>> Session::Loaded(SessionModule& module) {
  const std::lock_guard lock(module.load_mutex);
  if (module.loaded_in != nullptr) {
    if (!module.loaded_in->dead()) return module.loaded_in;
    module.loaded_in = nullptr;
    if (module.info->stateful) {
      Error error(
          ErrorKind::kStateLost,
          fmt::format("the globals of the module of \"{}\" were lost with their worker; call again to start anew",
                      module.info->functions.front().declaration.symbol));
      error.role = "daemon";
      error.function = module.info->functions.front().declaration.symbol;
      return error;
    }
  }
  std::shared_ptr<ExecutionWorker> worker;
  auto status = Load(module, &worker);
  // A worker that died before this module began in it costs one more try.
  if (!status && status.error().kind == ErrorKind::kWorkerLost && !status.error().may_have_run && !ended_)
    status = Load(module, &worker);
  RBC_RETURN_IF_ERROR(std::move(status));
  module.loaded_in = worker;
  return worker;
}

Status Session::Load(SessionModule& module, std::shared_ptr<ExecutionWorker>* worker) {
  const auto stored = host_.store.Find(module.info->key);
  if (!stored)
    return {ErrorKind::kUnknownModule,
            fmt::format("the code of module {} is no longer kept; send the IR again", module.id)};
  RBC_ASSIGN_OR_RETURN(*worker, WorkerFor(module.info->target));
  if (module.info->target == kHost && data_->buffers() != 0) RBC_RETURN_IF_ERROR(EnsureArena(**worker));
  return (*worker)->Load(module.id, MakeBlob(module, *stored->payload));
}

Expected<std::shared_ptr<ExecutionWorker>> Session::WorkerFor(const std::string& target) {
  WorkerSlot* slot;
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return Ended();
    auto& owner = workers_[target];
    if (owner == nullptr) owner = std::make_unique<WorkerSlot>();
    slot = owner.get();
  }
  const std::lock_guard starting(slot->mutex);
  if (slot->worker != nullptr && !slot->worker->dead()) return slot->worker;
  if (slot->worker == nullptr && ++host_.workers > host_.config.max_workers) {
    --host_.workers;
    Error error(ErrorKind::kBusy, fmt::format("all {} execution workers of this farm are in use; try again later",
                                              host_.config.max_workers));
    error.retry_after_ms = 1000;
    return error;
  }
  auto started = host_.backend.StartExecutionWorker(domain(), target, id(), host_.on_return);
  // The device serves as many as it may: who does not use it makes room, which others may have taken before us.
  const int pin = PinnedTarget::Of(target).device;
  for (int tries = 0; !started && started.error().kind == ErrorKind::kBusy && tries < kTriesForADevice; ++tries) {
    if (!host_.free_a_device || !host_.free_a_device(pin)) break;
    started = host_.backend.StartExecutionWorker(domain(), target, id(), host_.on_return);
  }
  if (!started) {
    if (slot->worker == nullptr) --host_.workers;
    return std::move(started).error();
  }
  ListenToDeath(**started);
  spdlog::debug("session {}: worker {} for target {}", id(), (*started)->pid(), target);
  const std::lock_guard lock(mutex_);
  slot->worker = *std::move(started);
  if (!ended_) return slot->worker;
  slot->worker->Kill(Ended());
  return Ended();
}

// What its calls were writing that this process does not see is lost by name.
void Session::ListenToDeath(ExecutionWorker& worker) const {
  worker.TellDeadCalls([slots = slots_, kept = std::weak_ptr(data_)](const DeadCall& dead) {
    worker::CallView call;
    uint32_t index = 0;
    const auto data = kept.lock();
    if (data == nullptr || worker::ParseCall(dead.message, &call) != worker::CallParse::kCall) return;
    if (const auto module = slots->Find(call.function_id, &index); module != nullptr)
      LoseWritten(call, *module, index, dead.error, *data);
  });
}

Status Session::EnsureArena(ExecutionWorker& worker) {
  if (worker.has_arena()) return {};
  RBC_ASSIGN_OR_RETURN(const auto arena, data_->Arena());
  return worker.ShareArena(arena->memory());
}

Status Session::ShareArenaWithWorkers() {
  std::shared_ptr<ExecutionWorker> worker;
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = workers_.find(kHost); found != workers_.end()) worker = found->second->worker;
  }
  if (worker == nullptr || worker->dead()) return {};
  Status shared = EnsureArena(*worker);
  if (!shared && worker->dead()) return {};  // the next one gets it
  return shared;
}

std::vector<std::shared_ptr<ExecutionWorker>> Session::IdleOnDevices() const {
  std::vector<std::shared_ptr<ExecutionWorker>> out;
  const std::lock_guard lock(mutex_);
  for (const auto& [target, slot] : workers_) {
    if (slot->worker == nullptr || slot->worker->dead() || !target.starts_with("cuda") || !slot->worker->idle())
      continue;
    const bool keeps_state = std::any_of(modules_.begin(), modules_.end(), [&](const auto& item) {
      return item.second->info->stateful && item.second->info->target == target;
    });
    if (!keeps_state) out.push_back(slot->worker);
  }
  return out;
}

std::vector<std::shared_ptr<ExecutionWorker>> Session::Workers() const {
  std::vector<std::shared_ptr<ExecutionWorker>> out;
  const std::lock_guard lock(mutex_);
  for (const auto& [target, slot] : workers_)
    if (slot->worker != nullptr) out.push_back(slot->worker);
  return out;
}

void Session::TrimMemory() {
  data_->Trim();
  for (const auto& worker : Workers()) worker->TrimMemory();
}

std::shared_ptr<CancelToken> Session::BeginRequest(int64_t request_id, uint64_t connection, bool runs) {
  auto token = std::make_shared<CancelToken>();
  const std::lock_guard lock(mutex_);
  token->cancelled = ended_.load();
  requests_.push_back({request_id, connection, token, runs});
  return token;
}

void Session::EndRequest(const CancelToken& token) {
  const std::lock_guard lock(mutex_);
  std::erase_if(requests_, [&](const Request& request) { return request.token.get() == &token; });
}

bool Session::Cancel(int64_t request_id) {
  if (request_id == 0) return false;
  std::vector<std::shared_ptr<CancelToken>> tokens;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& request : requests_)
      if (request.id == request_id) tokens.push_back(request.token);
  }
  for (const auto& token : tokens) host_.store.Cancel(*token);
  if (tokens.empty()) return StopCall(request_id);
  // A call that is on its way to a worker has no lane yet: asked for until it has one, or all is over.
  for (auto left = kStopPatience; left.count() > 0 && Runs(request_id) && !StopCall(request_id); --left)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return true;
}

bool Session::StopCall(int64_t request_id) const {
  const auto workers = Workers();
  return std::any_of(workers.begin(), workers.end(),
                     [request_id](const auto& worker) { return worker->Cancel(request_id); });
}

bool Session::Runs(int64_t request_id) const {
  const std::lock_guard lock(mutex_);
  return std::any_of(requests_.begin(), requests_.end(),
                     [request_id](const Request& request) { return request.id == request_id && request.runs; });
}

void Session::CancelOf(uint64_t connection) {
  std::vector<std::shared_ptr<CancelToken>> tokens;
  std::vector<int64_t> running;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& request : requests_) {
      if (request.connection != connection) continue;
      tokens.push_back(request.token);
      if (request.runs) running.push_back(request.id);
    }
  }
  for (const auto& token : tokens) host_.store.Cancel(*token);
  // A local client is never back to ask: what runs for it would only keep its memory.
  if (!identity_.local) return;
  for (const int64_t id : running) StopCall(id);
}

void Session::End() {
  std::unordered_map<uint64_t, std::shared_ptr<SessionModule>> modules;
  std::vector<std::shared_ptr<CancelToken>> tokens;
  {
    const std::lock_guard lock(mutex_);
    if (ended_.exchange(true)) return;
    modules = std::move(modules_);
    modules_.clear();
    by_key_.clear();
    functions_ = 0;
    for (const auto& request : requests_) tokens.push_back(request.token);
  }
  for (const auto& token : tokens) host_.store.Cancel(*token);
  for (const auto& worker : Workers()) {
    worker->Kill(Ended());
    --host_.workers;
  }
  data_->End();
  for (const auto& [id, module] : modules) slots_->Withdraw(*module);
  host_.modules -= modules.size();
}

bool Session::Idle() const {
  const auto workers = Workers();
  return std::all_of(workers.begin(), workers.end(),
                     [](const auto& worker) { return worker->dead() || worker->idle(); });
}

uint64_t Session::calls() const {
  uint64_t sum = 0;
  for (const auto& worker : Workers()) sum += worker->calls();
  return sum;
}

size_t Session::modules() const {
  const std::lock_guard lock(mutex_);
  return modules_.size();
}

size_t Session::workers() const { return Workers().size(); }

}  // namespace rbc::server
