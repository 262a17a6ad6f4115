// A farm as one RemoteJIT sees it: session, connections, modules, recovery.
// SPDX-License-Identifier: Apache-2.0
#include "client/src/farm.h"

#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <random>

#include "client/src/dial.h"
#include "client/src/interrupt.h"
#include "gen/rbc_constants.h"
#include "thrift/error_wire.h"
#include "thrift/handle.h"

#ifndef RBC_VERSION
#error "the build sets RBC_VERSION"
#endif

namespace rbc::client {
namespace {

constexpr size_t kMostIdle = 32;
// A farm that was there before gets so long to come back from a restart.
constexpr int64_t kReconnectMs = 1000;
// IR larger than this is sent only after the farm has said that it does not know it.
constexpr size_t kAskFirst = 16 * 1024;
constexpr int64_t kReleaseMs = 1000;
constexpr size_t kMostReleases = 1 << 16;  // of a kind

int64_t RandomStart() {
  std::random_device random;
  return static_cast<int64_t>((uint64_t{random()} << 32 | random()) >> 2) | 1;
}

}  // namespace

// ---- fork ------------------------------------------------------------------------------------------------------

namespace {
std::atomic<uint64_t> fork_generation{0};
}
uint64_t ForkGeneration() { return fork_generation.load(std::memory_order_relaxed); }

// Every farm of the process, so that a child can close what it must not share.
struct ForkHandlers {
  std::mutex mutex;
  std::vector<Farm*> farms;

  // Never destroyed: farms may be left at exit.
  static ForkHandlers& Get() {
    static ForkHandlers* const handlers = [] {
      auto* made = new ForkHandlers;
      ::pthread_atfork(Prepare, Parent, Child);
      return made;
    }();
    return *handlers;
  }
  static void Prepare() {
    Get().mutex.lock();
    for (Farm* farm : Get().farms) farm->mutex_.lock();
  }
  static void Parent() {
    for (Farm* farm : Get().farms) farm->mutex_.unlock();
    Get().mutex.unlock();
  }
  static void Child() {
    fork_generation.fetch_add(1, std::memory_order_relaxed);
    for (Farm* farm : Get().farms) {
      farm->BecomeChild();
      farm->mutex_.unlock();
    }
    Get().mutex.unlock();
  }
};

// In the child, under the mutex. Connections lent to threads that are not here any more, the condition variable that
// they may wait on, and the tunnel are left as they lie; their descriptors are closed.
void Farm::BecomeChild() {
  State* const old = state_.release();
  for (auto& connection : old->idle) (void)connection.release();
  for (auto& channel : old->idle_bulk) (void)channel.release();
  for (const int fd : old->open) ::close(fd);
  if (old->tunnel) {
    old->tunnel->Abandon();
  }
  state_ = std::make_unique<State>();
  state_->epoch = old->epoch;  // a new session gets a new number: what is loaded in the parent's is not in ours
  next_request_ = RandomStart();
}

std::shared_ptr<Farm> Farm::Create(Endpoint endpoint, FarmOptions options) {
  std::shared_ptr<Farm> farm(new Farm(std::move(endpoint), options));
  ForkHandlers& handlers = ForkHandlers::Get();
  const std::lock_guard lock(handlers.mutex);
  handlers.farms.push_back(farm.get());
  return farm;
}

Farm::Farm(Endpoint endpoint, FarmOptions options)
    : endpoint_(std::move(endpoint)),
      options_(options),
      next_request_(RandomStart()),
      state_(std::make_unique<State>()) {}

Farm::~Farm() {
  ForkHandlers& handlers = ForkHandlers::Get();
  const std::lock_guard lock(handlers.mutex);
  std::erase(handlers.farms, this);
}

// ---- connections -----------------------------------------------------------------------------------------------

Expected<Farm::Lease> Farm::Acquire(const Deadline& deadline, Module* module, Loaded* loaded, Clock::time_point now) {
  for (;;) {
    std::unique_ptr<Connection> connection;
    uint64_t epoch;
    {
      const std::lock_guard lock(mutex_);
      epoch = state_->epoch;
      if (!state_->idle.empty()) {
        connection = std::move(state_->idle.back());
        state_->idle.pop_back();
      }
      if (module != nullptr) *loaded = module->loaded_;
    }
    if (!connection) break;
    if (connection->epoch == epoch && (IsSurelyAlive(*connection, now) || connection->Alive())) {
      connection->last_used = now;
      return Lease(this, std::move(connection));
    }
    Drop(std::move(connection));
  }
  RBC_ASSIGN_OR_RETURN(Lease lease, Connect(deadline));
  if (module != nullptr) {
    const std::lock_guard lock(mutex_);
    *loaded = module->loaded_;
  }
  return lease;
}

Expected<Farm::Lease> Farm::Connect(const Deadline& deadline) {
  for (;;) {
    uint64_t epoch;
    std::shared_ptr<const wire::HelloReply> session;
    {
      std::unique_lock lock(mutex_);
      while (!state_->connected.wait_for(lock, std::chrono::milliseconds(PatientMs(deadline.RemainingMs())),
                                         [&] { return !state_->connecting; })) {
        if (!deadline.Expired()) {
          lock.unlock();
          if (ThisThreadGivesUp()) return Error(ErrorKind::kCancelled, "connecting to the farm was interrupted");
          lock.lock();
          continue;
        }
        return Error(ErrorKind::kDeadlineExceeded,
                     fmt::format("the farm at {} is not connected within {} ms; see whether it is stopped",
                                 endpoint_.address.text, deadline.GivenMs()));
      }
      epoch = state_->epoch;
      session = state_->session;
      state_->connecting = session == nullptr;
    }
    if (!session) {
      auto lease = SayHello(deadline);
      const std::lock_guard lock(mutex_);
      state_->connecting = false;
      state_->connected.notify_all();
      return lease;
    }
    RBC_ASSIGN_OR_RETURN(Lease lease, Attach(epoch, std::move(session), deadline));
    if (lease) return lease;
    ForgetSession(epoch);
  }
}

// The address to dial: the farm's own, or the near end of the tunnel.
Expected<Address> Farm::Near(const Deadline& deadline) {
  if (endpoint_.address.kind != Address::Kind::kSsh) return endpoint_.address;
  std::shared_ptr<Tunnel> dead;  // ended outside of the mutex
  {
    const std::lock_guard lock(mutex_);
    if (state_->tunnel && state_->tunnel->Alive()) return state_->tunnel->near();
    dead = std::move(state_->tunnel);
  }
  RBC_ASSIGN_OR_RETURN(std::shared_ptr<Tunnel> tunnel, Tunnel::Open(endpoint_.address, deadline));
  const std::lock_guard lock(mutex_);
  if (!state_->tunnel) state_->tunnel = std::move(tunnel);
  return state_->tunnel->near();
}

Expected<std::shared_ptr<const TlsClient>> Farm::Tls() {
  {
    const std::lock_guard lock(mutex_);
    if (tls_) return tls_;
  }
  RBC_ASSIGN_OR_RETURN(std::shared_ptr<const TlsClient> made, TlsClient::Make(endpoint_.tls));
  const std::lock_guard lock(mutex_);
  if (!tls_) tls_ = std::move(made);
  return tls_;
}

Expected<Farm::Socket> Farm::OpenSocket(const Address& address, const Deadline& deadline) {
  std::shared_ptr<const TlsClient> tls;
  if (address.kind == Address::Kind::kTls) {
    RBC_ASSIGN_OR_RETURN(tls, Tls());
  }
  RBC_ASSIGN_OR_RETURN(Dialed dialed, Dial(address, deadline));
  Socket out{std::move(dialed.fd), nullptr, dialed.same_machine && endpoint_.address.kind != Address::Kind::kSsh};
  if (tls) {
    RBC_ASSIGN_OR_RETURN(out.tls, tls->Begin(out.fd.get(), address, deadline));
  }
  if (address.kind == Address::Kind::kTcp && !out.same_machine && !endpoint_.token.empty())
    return Error(ErrorKind::kPermissionDenied,
                 fmt::format("a token is for the farm at {}, and others could read it on the way; write tls:// before "
                             "the address, or do without the token (RBC_TOKEN, token in rbc/client.toml)",
                             address.text));
  const std::lock_guard lock(mutex_);
  state_->far = !out.same_machine;
  return out;
}

Expected<std::unique_ptr<Connection>> Farm::OpenOnce(const Address& address, const Deadline& deadline) {
  RBC_ASSIGN_OR_RETURN(Socket socket, OpenSocket(address, deadline));
  return std::make_unique<Connection>(std::move(socket.fd), endpoint_.address.text, socket.same_machine,
                                      std::move(socket.tls));
}

// A farm that this object has known before may be in the middle of a restart: tried again for a moment.
Expected<std::unique_ptr<Connection>> Farm::Open(const Address& address, const Deadline& deadline) {
  bool known;
  {
    const std::lock_guard lock(mutex_);
    known = state_->epoch != 0;
  }
  const Deadline attempt = deadline.AtMostMs(options_.connect_timeout_ms);
  const Deadline patience = attempt.AtMostMs(known ? kReconnectMs : 0);
  for (int pause_ms = 5;; pause_ms = std::min(pause_ms * 2, 100)) {
    auto connection = OpenOnce(address, attempt);
    // A certificate does not get better by waiting.
    if (!connection && connection.error().kind == ErrorKind::kConnectionLost &&
        connection.error().cause != kWrongCertificate && patience.RemainingMs() > pause_ms) {
      ::poll(nullptr, 0, pause_ms);
      if (ThisThreadGivesUp()) return Error(ErrorKind::kCancelled, "connecting to the farm was interrupted");
      continue;
    }
    if (!connection) return std::move(connection).error();
    const std::lock_guard lock(mutex_);
    state_->open.push_back((*connection)->fd());
    if (SharesMemory()) (*connection)->AllowRing();
    return connection;
  }
}

Expected<Farm::Lease> Farm::SayHello(const Deadline& deadline) {
  RBC_ASSIGN_OR_RETURN(const Address near, Near(deadline));
  RBC_ASSIGN_OR_RETURN(std::unique_ptr<Connection> connection, Open(near, deadline));
  wire::HelloRequest request;
  request.protocol_major = wire::g_rbc_constants.PROTOCOL_MAJOR;
  request.protocol_minor = wire::g_rbc_constants.PROTOCOL_MINOR;
  request.client = "librbc " RBC_VERSION;
  if (!endpoint_.token.empty()) request.__set_token(endpoint_.token);
  if (!endpoint_.name_space.empty()) request.__set_name_space(endpoint_.name_space);
  // A farm that takes connections but says nothing is stopped: known sooner than at the end of a long request.
  auto reply = connection->Ask(deadline.AtMostMs(options_.connect_timeout_ms), [&](wire::FarmClient& client) {
    wire::HelloReply hello;
    client.hello(hello, request);
    return hello;
  });
  if (!reply) {
    Drop(std::move(connection));
    Error error = std::move(reply).error();
    const std::lock_guard lock(mutex_);
    if (error.kind == ErrorKind::kConnectionLost && state_->tunnel)
      error.message += fmt::format(" (ssh: {})", state_->tunnel->Complaint());
    return error;
  }
  if (reply->protocol_major != request.protocol_major) {
    Drop(std::move(connection));
    return Error(ErrorKind::kProtocolMismatch,
                 fmt::format("the farm at {} speaks protocol {}.{} and this client {}.{}; update the older of the two",
                             endpoint_.address.text, reply->protocol_major, reply->protocol_minor,
                             request.protocol_major, request.protocol_minor));
  }
  connection->SetLimit(static_cast<size_t>(std::max<int64_t>(reply->max_message, 0)));
  const std::lock_guard lock(mutex_);
  connection->epoch = ++state_->epoch;
  state_->session = std::make_shared<const wire::HelloReply>(std::move(*reply));
  state_->releases = {};
  state_->arena = nullptr;
  state_->asked_arena = false;
  return Lease(this, std::move(connection));
}

Expected<Farm::Lease> Farm::Attach(uint64_t epoch, std::shared_ptr<const wire::HelloReply> session,
                                   const Deadline& deadline) {
  wire::AttachRequest request;
  request.session_id = session->session_id;
  request.secret = session->secret;
  request.farm_id = session->farm_id;
  if (!endpoint_.token.empty()) request.__set_token(endpoint_.token);
  RBC_ASSIGN_OR_RETURN(Address address, Near(deadline));
  for (int hop = 0;; ++hop) {
    RBC_ASSIGN_OR_RETURN(std::unique_ptr<Connection> connection, Open(address, deadline));
    const auto reply = connection->Ask(deadline.AtMostMs(options_.connect_timeout_ms), [&](wire::FarmClient& client) {
      wire::HelloReply hello;
      client.attach(hello, request);
      return hello;
    });
    if (reply) {
      connection->SetLimit(static_cast<size_t>(std::max<int64_t>(session->max_message, 0)));
      connection->epoch = epoch;
      return Lease(this, std::move(connection));
    }
    Drop(std::move(connection));
    const Error& error = reply.error();
    if (error.kind == ErrorKind::kUnknownSession) return Lease();
    if (error.kind != ErrorKind::kWrongFarm) return error;
    // A balancer led elsewhere: follow once to where the session lives, but never through an ssh of a farm's choosing,
    // and never out of TLS.
    auto there = ParseAddress(error.address);
    if (hop > 0 || !there || there->kind == Address::Kind::kSsh) return Lease();
    if (endpoint_.address.kind == Address::Kind::kTls) there->kind = Address::Kind::kTls;
    address = *std::move(there);
  }
}

void Farm::Take(std::unique_ptr<Connection> connection) {
  for (;;) {
    Releases releases;
    {
      const std::lock_guard lock(mutex_);
      if (connection->broken() || connection->epoch != state_->epoch || state_->idle.size() >= kMostIdle) break;
      if (state_->releases.empty()) {
        state_->idle.push_back(std::move(connection));
        return;
      }
      std::swap(releases, state_->releases);
    }
    Tell(releases, *connection);
  }
  Drop(std::move(connection));
}

// Closes under the mutex, so that a fork in between cannot close a descriptor that is somebody else's by then.
void Farm::Drop(std::unique_ptr<Connection> connection) {
  const std::lock_guard lock(mutex_);
  std::erase(state_->open, connection->fd());
  connection.reset();
}

void Farm::ForgetSession(uint64_t epoch) {
  std::vector<std::unique_ptr<Connection>> stale;
  {
    const std::lock_guard lock(mutex_);
    if (state_->epoch != epoch) return;
    state_->session = nullptr;
    state_->arena = nullptr;
    state_->trusted.clear();
    stale.swap(state_->idle);
    for (auto& channel : state_->idle_bulk) std::erase(state_->open, channel->fd());
    state_->idle_bulk.clear();
  }
  for (auto& connection : stale) Drop(std::move(connection));
}

void Farm::Forget(Module& module, uint64_t epoch) {
  const std::lock_guard lock(mutex_);
  if (module.loaded_.epoch == epoch) module.loaded_ = Loaded();
}

bool Farm::MayRepeat(const Error& error, const Lease& lease, int attempt) {
  if (attempt + 1 >= kMostAttempts) return false;
  if (error.kind == ErrorKind::kUnknownSession) {
    ForgetSession(lease->epoch);
    return true;
  }
  return error.kind == ErrorKind::kConnectionLost && lease->broken();
}

void Farm::Close() {
  uint64_t epoch;
  std::unique_ptr<Connection> connection;
  {
    const std::lock_guard lock(mutex_);
    epoch = state_->epoch;
    if (state_->session && !state_->idle.empty()) {
      connection = std::move(state_->idle.back());
      state_->idle.pop_back();
    }
  }
  if (connection) {
    (void)connection->Ask(Deadline::AfterMs(kReleaseMs), [](wire::FarmClient& client) { client.bye(); });
    Drop(std::move(connection));
  }
  ForgetSession(epoch);
}

Expected<std::shared_ptr<const wire::HelloReply>> Farm::Hello(const Deadline& deadline) {
  RBC_ASSIGN_OR_RETURN(const Lease lease, Acquire(deadline));
  const std::lock_guard lock(mutex_);
  if (!state_->session) return Error(ErrorKind::kUnknownSession, "the session ended in this moment; ask again");
  return state_->session;
}

Expected<bool> Farm::Cancel(int64_t request_id, const Deadline& deadline) {
  return Ask(deadline, [&](wire::FarmClient& client) { return client.cancel(request_id); });
}

// ---- modules ---------------------------------------------------------------------------------------------------

Module::~Module() { farm_->Unload(*this); }

std::shared_ptr<Module> Farm::Add(std::string ir, std::string target,
                                  std::vector<wire::FunctionDeclaration> declarations, wire::CompileOptions options) {
  const Digest handle = HandleOf(target, declarations, options, ir);
  const std::lock_guard lock(mutex_);
  std::weak_ptr<Module>& slot = modules_[handle];
  if (auto known = slot.lock()) return known;
  std::shared_ptr<Module> module(new Module);
  module->farm_ = shared_from_this();
  module->ir_ = std::move(ir);
  module->target_ = std::move(target);
  module->declarations_ = std::move(declarations);
  module->options_ = options;
  module->handle_ = handle;
  slot = module;
  return module;
}

namespace {

// A published function as if it had been compiled here.
wire::CompileReply AsCompiled(const wire::PublishedFunction& published) {
  wire::CompileReply reply;
  reply.handle = published.handle;
  reply.module_id = published.module_id;
  reply.functions = {published.info};
  reply.cached = true;
  reply.stateful = true;  // not told: assume the worse
  return reply;
}

wire::PublishedFunction LookUp(wire::FarmClient& client, const std::string& name) {
  wire::PublishedFunction published;
  client.lookup(published, name);
  return published;
}

}  // namespace

Expected<std::shared_ptr<Module>> Farm::Connect(const std::string& name, const Deadline& deadline) {
  RBC_ASSIGN_OR_RETURN(const wire::PublishedFunction published,
                       Ask(deadline, [&](wire::FarmClient& client) { return LookUp(client, name); }));
  std::shared_ptr<Module> module(new Module);
  module->farm_ = shared_from_this();
  module->published_name_ = name;
  module->target_ = published.target;
  wire::FunctionDeclaration declaration;
  declaration.symbol = published.info.symbol;
  declaration.signature = published.info.signature;
  declaration.abi = published.info.abi;
  module->declarations_ = {declaration};
  return module;
}

Expected<wire::CompileReply> Farm::Compile(const Module& module, Connection& connection, const Deadline& deadline) {
  if (!module.published_name_.empty()) {
    RBC_ASSIGN_OR_RETURN(
        const wire::PublishedFunction published,
        connection.Ask(deadline, [&](wire::FarmClient& client) { return LookUp(client, module.published_name_); }));
    if (published.info.signature != module.declarations_[0].signature)
      return Error(ErrorKind::kUnknownName,
                   fmt::format("'{}' is published as `{}` now, not as `{}`; connect to it again",
                               module.published_name_, published.info.signature, module.declarations_[0].signature));
    return AsCompiled(published);
  }
  wire::CompileRequest request;
  request.request_id = NextRequestId();
  ThisWaiting().request_id = request.request_id;
  request.handle = std::string(Bytes(module.handle_));
  request.target = module.target_;
  request.functions = module.declarations_;
  request.options = module.options_;
  request.deadline_ms = TellFarm(deadline);
  const auto compile = [&](wire::FarmClient& client) {
    wire::CompileReply reply;
    client.compile(reply, request);
    return reply;
  };
  if (module.ir_.size() > kAskFirst) {
    auto known = connection.Ask(deadline, compile);
    if (known || known.error().kind != ErrorKind::kUnknownModule) return known;
  }
  request.__set_ir(module.ir_);
  return connection.Ask(deadline, compile);
}

Expected<Loaded> Farm::LoadOver(Module& module, Lease& lease, const Deadline& deadline) {
  FlushReleases(lease);
  RBC_ASSIGN_OR_RETURN(wire::CompileReply reply, Compile(module, *lease.operator->(), deadline));
  if (reply.functions.size() != module.declarations_.size())
    return Error(ErrorKind::kProtocolMismatch,
                 fmt::format("the farm at {} answers with {} functions for the {} that were declared",
                             endpoint_.address.text, reply.functions.size(), module.declarations_.size()));
  Loaded loaded;
  loaded.epoch = lease->epoch;
  loaded.module_id = reply.module_id;
  loaded.repeatable = reply.repeatable;
  loaded.stateful = reply.stateful;
  loaded.reply = std::make_shared<const wire::CompileReply>(std::move(reply));
  const std::lock_guard lock(mutex_);
  module.loaded_ = loaded;
  return loaded;
}

Expected<bool> Farm::LoadIfMissing(Module& module, Lease& lease, int attempt, const Deadline& deadline,
                                   Loaded* loaded) {
  if (loaded->epoch == lease->epoch) return true;
  auto made = LoadOver(module, lease, deadline);
  if (!made && MayRepeat(made.error(), lease, attempt)) return false;
  RBC_ASSIGN_OR_RETURN(*loaded, std::move(made));
  return true;
}

Expected<Loaded> Farm::Load(Module& module, const Deadline& deadline, bool again) {
  for (int attempt = 0;; ++attempt) {
    Loaded loaded;
    RBC_ASSIGN_OR_RETURN(Lease lease, Acquire(deadline, &module, &loaded));
    if (loaded.epoch == lease->epoch && !again) return loaded;
    auto made = LoadOver(module, lease, deadline);
    if (made || !MayRepeat(made.error(), lease, attempt)) return made;
  }
}

void Farm::Unload(Module& module) {
  std::unique_lock lock(mutex_);
  if (const auto known = modules_.find(module.handle_); known != modules_.end() && known->second.expired())
    modules_.erase(known);
  Release(std::move(lock), &Releases::modules, module.loaded_.epoch, module.loaded_.module_id);
}

void Farm::FreeBuffer(uint64_t epoch, int64_t id) {
  std::unique_lock lock(mutex_);
  if (epoch == state_->epoch) state_->trusted.erase(id);
  Release(std::move(lock), &Releases::buffers, epoch, id);
}

void Farm::Release(std::unique_lock<std::mutex> lock, std::vector<int64_t> Releases::*kind, uint64_t epoch,
                   int64_t id) {
  if (epoch == 0 || epoch != state_->epoch || !state_->session) return;
  std::vector<int64_t>& waiting = state_->releases.*kind;
  if (waiting.size() < kMostReleases) waiting.push_back(id);
  if (state_->idle.empty()) return;
  std::unique_ptr<Connection> connection = std::move(state_->idle.back());
  state_->idle.pop_back();
  lock.unlock();
  Take(std::move(connection));
}

void Farm::FlushReleases(Lease& lease) {
  Releases releases;
  {
    const std::lock_guard lock(mutex_);
    if (lease->epoch != state_->epoch) return;
    std::swap(releases, state_->releases);
  }
  Tell(releases, *lease.operator->());
}

void Farm::Tell(const Releases& releases, Connection& connection) {
  const Deadline deadline = Deadline::AfterMs(kReleaseMs);
  const auto tell = [&](const std::vector<int64_t>& ids, void (wire::FarmClient::*release)(int64_t)) {
    for (const int64_t id : ids) {
      if (connection.broken()) return;  // the session's end releases the rest
      (void)connection.Ask(deadline, [&](wire::FarmClient& client) { (client.*release)(id); });
    }
  };
  tell(releases.modules, &wire::FarmClient::unload);
  tell(releases.buffers, &wire::FarmClient::buffer_free);
}

}  // namespace rbc::client
