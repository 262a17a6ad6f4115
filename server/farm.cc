// The farm: start, stop, housekeeping.
// SPDX-License-Identifier: Apache-2.0
#include "server/farm.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <thrift/TOutput.h>

#include <algorithm>

#include "server/names/state_files.h"
#include "server/wire_reply.h"

namespace rbc::server {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kHousekeeping{200};
constexpr milliseconds kGathering{50};  // of these, at most

LoopOptions LoopOptionsOf(const FarmConfig& config) {
  LoopOptions options;
  options.max_message = config.max_message;
  options.receive_memory = config.receive_memory;
  options.message_timeout = milliseconds(config.message_timeout_ms);
  options.hot_wait = milliseconds(config.hot_wait_ms);
  options.max_threads = static_cast<uint32_t>(config.max_threads);
  options.hot_threads = static_cast<uint32_t>(config.hot_threads);
  options.spin_us = static_cast<uint32_t>(config.spin_us);
  options.max_connections = static_cast<uint32_t>(config.max_connections);
  options.handshake_timeout = milliseconds(config.tls_handshake_timeout_ms);
  options.max_handshakes = static_cast<uint32_t>(config.tls_max_handshakes);
  return options;
}

}  // namespace

Error NoThread(uint64_t threads) {
  Error error(ErrorKind::kBusy,
              fmt::format("all {} threads of this farm serve other requests; try again later", threads));
  error.role = "daemon";
  error.retry_safe = true;
  error.retry_after_ms = 20;
  return error;
}

Farm::Farm(FarmConfig config, Backend& backend)
    : config_(std::move(config)),
      backend_(backend),
      store_(backend.compiles(), config_.store_bytes,
             milliseconds(config_.queue_deadline_ms + config_.compile_deadline_ms)),
      names_(config_.state_dir + "/names", {config_.max_names, config_.max_names_per_owner, config_.names_bytes}),
      gate_(std::make_shared<ReturnGate>(&loop_)),
      host_{config_, backend, store_, [gate = gate_](LentReturn returned) { gate->Return(std::move(returned)); },
            [this](int device) { return FreeADevice(device); }},
      sessions_(host_),
      loop_(LoopOptionsOf(config_), *this) {
  // Thrift speaks of each malformed message by itself, past the log.
  apache::thrift::GlobalOutput.setOutputFunction([](const char* text) { spdlog::debug("thrift: {}", text); });
}

Farm::~Farm() { Stop(); }

Status Farm::Start(std::vector<Listener> listeners) {
  RBC_ASSIGN_OR_RETURN(id_, FarmId(config_.state_dir));
  if (!config_.advertise.empty()) id_ += "@" + config_.advertise;
  RBC_ASSIGN_OR_RETURN(authenticator_, Authenticator::Read(config_.tokens_file));
  RBC_RETURN_IF_ERROR(names_.Open());
  RBC_RETURN_IF_ERROR(loop_.Start(std::move(listeners)));
  housekeeper_ = std::thread([this] { Housekeep(); });
  return {};
}

bool Farm::AllIdle() const {
  if (loop_.serving() != 0) return false;
  const auto all = sessions_.All();
  return std::all_of(all.begin(), all.end(), [](const auto& session) { return session->Idle(); });
}

bool Farm::FreeADevice(int device) const {
  std::vector<std::pair<std::shared_ptr<ExecutionWorker>, std::shared_ptr<Session>>> idle;
  for (const auto& session : sessions_.All())
    for (auto& worker : session->IdleOnDevices())
      if (device < 0 || worker->device() == device) idle.emplace_back(std::move(worker), session);
  std::sort(idle.begin(), idle.end(),
            [](const auto& a, const auto& b) { return a.first->last_used() < b.first->last_used(); });
  return std::any_of(idle.begin(), idle.end(), [](const auto& item) { return item.second->GiveUpDevice(*item.first); });
}

bool Farm::Drain(milliseconds grace, const std::atomic<bool>& hurry) {
  loop_.BeginDrain();
  const auto until = std::chrono::steady_clock::now() + grace;
  while (!AllIdle()) {
    if (hurry || std::chrono::steady_clock::now() >= until) return false;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return true;
}

void Farm::Stop() {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(stopping_, true)) return;
    changed_.notify_all();
  }
  if (housekeeper_.joinable()) housekeeper_.join();
  loop_.BeginDrain();
  sessions_.EndAll();  // calls in flight end with their workers, so the loop's threads come back
  loop_.Stop();
  sessions_.EndAll();
  gate_->Shut();
}

void Farm::Housekeep() {
  std::unique_lock lock(mutex_);
  for (uint64_t tick = 0; !changed_.wait_for(lock, kHousekeeping, [this] { return stopping_; }); ++tick) {
    lock.unlock();
    sessions_.Expire();
    if (tick % 25 == 0) names_.Expire();
    if (tick % 5 == 0) TrimMemory();
    if (config_.data_huge_pages) GatherPages();
    // Nobody waits for a compile whose client has gone. Calls go on: the client may ask for their outcome.
    for (const uint64_t connection : loop_.GoneWhileServed())
      for (const auto& session : sessions_.All()) session->CancelOf(connection);
    lock.lock();
  }
}

void Farm::TrimMemory() {
  spare_.Trim(loop_.large_messages());
  for (const auto& session : sessions_.All()) session->TrimMemory();
}

void Farm::GatherPages() const {
  const auto until = std::chrono::steady_clock::now() + kGathering;
  for (const auto& session : sessions_.All()) session->data().GatherPages(until);
}

int64_t Farm::uptime_ms() const {
  return std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - started_).count();
}

Expected<std::shared_ptr<Session>> Farm::SessionOf(const Connection& connection) const {
  if (connection.session == nullptr)
    return {ErrorKind::kUnknownSession, "this connection has no session; say hello or attach first"};
  if (connection.session->ended()) return {ErrorKind::kUnknownSession, "the session has ended; say hello again"};
  return connection.session;
}

std::string Farm::Refusal(std::string_view framed, const Error& error) { return RefusalTo(framed, error); }

void Farm::Closed(Connection& connection) {
  connection.lend_to = nullptr;
  if (connection.ring_worker != nullptr) connection.ring_worker->CloseDirect(connection.id);
  connection.ring_worker = nullptr;
  for (const uint64_t id : connection.untold)
    if (connection.session != nullptr) (void)connection.session->FreeBuffer(id);
  connection.untold.clear();
  if (connection.session != nullptr) sessions_.Detach(connection.session, connection.in_doubt);
  connection.session = nullptr;
}

}  // namespace rbc::server
