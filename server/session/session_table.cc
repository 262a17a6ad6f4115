// All sessions.
// SPDX-License-Identifier: Apache-2.0
#include "server/session/session_table.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "server/net/loop_thread.h"
#include "server/session/random_bytes.h"

namespace rbc::server {
namespace {

Error Full(const std::string& what, uint64_t used, uint64_t limit) {
  return {ErrorKind::kResourceExhausted,
          fmt::format("{}: {} in use, 1 asked for, {} allowed; end some or try again later", what, used, limit)};
}

}  // namespace

Expected<std::shared_ptr<Session>> SessionTable::Create(const Peer& peer, const std::string& name_space,
                                                        const std::string& client) {
  SessionIdentity identity;
  identity.id = RandomNumber() >> 1 | 1;  // positive on the wire
  FillRandom(identity.secret.data(), identity.secret.size());
  identity.domain = peer.domain;
  identity.name_space = name_space;
  identity.client = client.substr(0, 64);
  identity.local = peer.local;
  auto session = std::make_shared<Session>(identity, host_);
  session->connections = 1;
  const std::lock_guard lock(mutex_);
  const auto& config = host_.config;
  if (sessions_.size() >= config.max_sessions)
    return Full("sessions of this farm", sessions_.size(), config.max_sessions);
  auto& used = per_domain_[peer.domain];
  if (used >= config.max_sessions_per_domain)
    return Full("sessions of " + peer.domain, used, config.max_sessions_per_domain);
  ++used;
  sessions_.emplace(identity.id, session);
  return session;
}

Expected<std::shared_ptr<Session>> SessionTable::Attach(const Peer& peer, uint64_t id, std::string_view secret) {
  const std::lock_guard lock(mutex_);
  const auto found = sessions_.find(id);
  const std::array<char, 16> nobody{};
  const auto& expected = found != sessions_.end() ? found->second->identity().secret : nobody;
  const bool same = EqualSecrets({expected.data(), expected.size()}, secret);
  if (found == sessions_.end() || !same)
    return {ErrorKind::kUnknownSession, fmt::format("this farm has no session {} with that secret; say hello", id)};
  auto& session = found->second;
  if (session->domain() != peer.domain)
    return {ErrorKind::kPermissionDenied,
            fmt::format("the session belongs to {}, this connection to {}", session->domain(), peer.domain)};
  if (session->connections >= host_.config.max_connections_per_session)
    return Full("connections of this session", session->connections, host_.config.max_connections_per_session);
  ++session->connections;
  return session;
}

int64_t SessionTable::LeaseMs(bool local) const { return local ? 0 : static_cast<int64_t>(host_.config.lease_ms); }

void SessionTable::Detach(const std::shared_ptr<Session>& session, bool in_doubt) {
  {
    const std::lock_guard lock(mutex_);
    if (--session->connections != 0 || session->ended()) return;
    int64_t lease = LeaseMs(session->identity().local);
    if (in_doubt) lease = std::max(lease, static_cast<int64_t>(host_.config.doubt_lease_ms));
    session->expires_ms = NowMs() + lease;
    if (lease != 0) return;
  }
  End(session);
}

void SessionTable::End(const std::shared_ptr<Session>& session) {
  {
    const std::lock_guard lock(mutex_);
    if (sessions_.erase(session->id()) != 0) {
      const auto domain = per_domain_.find(session->domain());
      if (--domain->second == 0) per_domain_.erase(domain);
    }
  }
  session->End();
  spdlog::debug("session {} of {} ended", session->id(), session->domain());
}

void SessionTable::Expire() {
  std::vector<std::shared_ptr<Session>> over;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, session] : sessions_)
      if (session->connections == 0 && session->expires_ms <= NowMs()) over.push_back(session);
  }
  for (const auto& session : over) End(session);
}

void SessionTable::EndAll() {
  for (const auto& session : All()) End(session);
}

std::shared_ptr<Session> SessionTable::Find(uint64_t id) const {
  const std::lock_guard lock(mutex_);
  const auto found = sessions_.find(id);
  return found == sessions_.end() ? nullptr : found->second;
}

std::vector<std::shared_ptr<Session>> SessionTable::All() const {
  std::vector<std::shared_ptr<Session>> out;
  const std::lock_guard lock(mutex_);
  for (const auto& [id, session] : sessions_) out.push_back(session);
  return out;
}

}  // namespace rbc::server
