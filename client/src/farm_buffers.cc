// The buffers of a session, and how their bytes reach it.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "client/src/farm.h"

namespace rbc::client {
namespace {

constexpr size_t kMostBulk = 2;  // idle raw channels

}  // namespace

Error Farm::SessionGone() {
  return Error(ErrorKind::kBufferLost, "the buffer went with its session; make it anew in the current one");
}

Expected<std::shared_ptr<const ArenaMap>> Farm::ArenaOf(Lease& lease, const Deadline& deadline) {
  if (!SharesMemory()) return std::shared_ptr<const ArenaMap>();
  {
    const std::lock_guard lock(mutex_);
    if (state_->epoch == lease->epoch && state_->asked_arena) return state_->arena;
  }
  auto map = lease->MapArena(deadline);
  // A farm of before 1.2 has no buffers, so that this is one that shares none.
  if (!map && map.error().kind != ErrorKind::kUnsupported) return map;
  const std::lock_guard lock(mutex_);
  const auto arena = map ? *map : nullptr;
  if (state_->epoch != lease->epoch) return arena;
  if (!state_->asked_arena) state_->arena = arena;
  state_->asked_arena = true;
  return state_->arena;
}

Expected<OwnedBuffer> Farm::CreateBuffer(const wire::BufferSpec& spec, const Deadline& deadline) {
  for (int attempt = 0;; ++attempt) {
    RBC_ASSIGN_OR_RETURN(Lease lease, Acquire(deadline));
    FlushReleases(lease);
    OwnedBuffer out;
    out.epoch = lease->epoch;
    auto arena = ArenaOf(lease, deadline);
    if (!arena && MayRepeat(arena.error(), lease, attempt)) continue;
    if (!arena) return std::move(arena).error();
    auto info = lease->Ask(deadline, [&](wire::FarmClient& client) {
      wire::BufferInfo reply;
      client.buffer_create(reply, spec);
      return reply;
    });
    if (!info && MayRepeat(info.error(), lease, attempt)) continue;
    if (!info) return std::move(info).error();
    out.arena = *std::move(arena);
    out.info = *std::move(info);
    return out;
  }
}

Expected<std::unique_ptr<BulkChannel>> Farm::BulkOf(uint64_t epoch, const Deadline& deadline) {
  std::shared_ptr<const wire::HelloReply> session;
  for (;;) {
    std::unique_ptr<BulkChannel> channel;
    {
      const std::lock_guard lock(mutex_);
      if (state_->epoch != epoch || !state_->session) return SessionGone();
      session = state_->session;
      if (state_->idle_bulk.empty()) break;
      channel = std::move(state_->idle_bulk.back());
      state_->idle_bulk.pop_back();
    }
    if (channel->Alive()) return channel;
    const std::lock_guard lock(mutex_);
    std::erase(state_->open, channel->fd());
    channel.reset();
  }
  RBC_ASSIGN_OR_RETURN(const Address near, Near(deadline));
  RBC_ASSIGN_OR_RETURN(Socket socket, OpenSocket(near, deadline.AtMostMs(options_.connect_timeout_ms)));
  std::unique_ptr<BulkChannel> channel;
  Packing packing;
  {
    const std::lock_guard lock(mutex_);
    state_->open.push_back(socket.fd.get());
    channel = std::make_unique<BulkChannel>(std::move(socket.fd), std::move(socket.tls), endpoint_.address.text,
                                            deadline.GivenMs());
    channel->epoch = epoch;
    packing = PackingOf(*session);
  }
  Status attached = channel->Attach(session->session_id, session->secret, endpoint_.token, packing);
  if (attached) return channel;
  TakeBulk(std::move(channel));
  if (attached.error().kind == ErrorKind::kUnknownSession) {
    ForgetSession(epoch);
    return SessionGone();
  }
  return std::move(attached).error();
}

Packing Farm::PackingOf(const wire::HelloReply& session) const {
  constexpr int32_t kSince = 4;
  if (session.protocol_minor < kSince || endpoint_.address.kind == Address::Kind::kUnix) return Packing::kNone;
  if (options_.packing == Packing::kWhereFaster && !state_->far) return Packing::kNone;
  return options_.packing;
}

// Closes what is broken or too much; under the mutex, as Drop does.
void Farm::TakeBulk(std::unique_ptr<BulkChannel> channel) {
  const std::lock_guard lock(mutex_);
  if (!channel->broken() && channel->epoch == state_->epoch && state_->session &&
      state_->idle_bulk.size() < kMostBulk) {
    state_->idle_bulk.push_back(std::move(channel));
    return;
  }
  std::erase(state_->open, channel->fd());
  channel.reset();
}

bool Farm::IsCurrent(uint64_t epoch) {
  const std::lock_guard lock(mutex_);
  return state_->session != nullptr && state_->epoch == epoch;
}

bool Farm::IsRepeatable(const Module& module) {
  const std::lock_guard lock(mutex_);
  return module.loaded_.epoch != 0 && module.loaded_.repeatable;
}

bool Farm::LeavesAlone(const Module& module, size_t function, size_t parameter) {
  const std::lock_guard lock(mutex_);
  const Loaded& loaded = module.loaded_;
  if (loaded.epoch == 0 || loaded.repeatable || function >= loaded.reply->functions.size())
    return loaded.epoch != 0 && loaded.repeatable;
  const auto& read_only = loaded.reply->functions[function].read_only;
  return std::find(read_only.begin(), read_only.end(), static_cast<int32_t>(parameter)) != read_only.end();
}

bool Farm::IsFar() {
  const std::lock_guard lock(mutex_);
  return state_->far;
}

bool Farm::Speaks(uint64_t epoch, int32_t minor) {
  const std::lock_guard lock(mutex_);
  return state_->session != nullptr && state_->epoch == epoch && state_->session->protocol_minor >= minor;
}

void Farm::TrustPlaces(uint64_t epoch, uint64_t ends, std::span<const int64_t> buffers) {
  const std::lock_guard lock(mutex_);
  if (state_->session != nullptr && state_->epoch == epoch && state_->ends == ends)
    state_->trusted.insert(buffers.begin(), buffers.end());
}

bool Farm::TrustsPlaces(uint64_t epoch, std::span<const int64_t> buffers) {
  const std::lock_guard lock(mutex_);
  return state_->session != nullptr && state_->epoch == epoch &&
         std::all_of(buffers.begin(), buffers.end(), [this](int64_t id) { return state_->trusted.contains(id); });
}

uint64_t Farm::Ends() {
  const std::lock_guard lock(mutex_);
  return state_->ends;
}

void Farm::DistrustPlace(uint64_t epoch, int64_t buffer) {
  const std::lock_guard lock(mutex_);
  if (state_->epoch == epoch) state_->trusted.erase(buffer);
}

void Farm::NoteEnd(const Error& error) {
  switch (error.kind) {
    case ErrorKind::kRemoteCrash:
    case ErrorKind::kWorkerLost:
    case ErrorKind::kStateLost:
    case ErrorKind::kDeadlineExceeded:
    case ErrorKind::kCancelled:
    case ErrorKind::kConnectionLost:
    case ErrorKind::kBufferLost: {
      const std::lock_guard lock(mutex_);
      state_->trusted.clear();
      ++state_->ends;
      return;
    }
    default:
      return;
  }
}

}  // namespace rbc::client
