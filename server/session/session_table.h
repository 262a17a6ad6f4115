// All sessions: who may make one, who may join one, when they end.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "server/net/listener.h"
#include "server/session/session.h"

namespace rbc::server {

// Thread-safe.
class SessionTable {
 public:
  explicit SessionTable(SessionHost& host) : host_(host) {}

  // A new session with one connection. kResourceExhausted.
  Expected<std::shared_ptr<Session>> Create(const Peer& peer, const std::string& name_space, const std::string& client);
  // One connection more. kUnknownSession also for a wrong secret, so that ids cannot be probed; kPermissionDenied for
  // another trust domain, kResourceExhausted.
  Expected<std::shared_ptr<Session>> Attach(const Peer& peer, uint64_t id, std::string_view secret);
  // A connection of it is gone. `in_doubt`: the farm closed it, and the client must be able to come back and ask.
  void Detach(const std::shared_ptr<Session>& session, bool in_doubt);
  void End(const std::shared_ptr<Session>& session);
  // Ends what outlived its lease.
  void Expire();
  void EndAll();

  std::shared_ptr<Session> Find(uint64_t id) const;
  std::vector<std::shared_ptr<Session>> All() const;
  // How long a session like that outlives its last connection.
  int64_t LeaseMs(bool local) const;

 private:
  SessionHost& host_;
  mutable std::mutex mutex_;
  std::unordered_map<uint64_t, std::shared_ptr<Session>> sessions_;
  std::unordered_map<std::string, uint64_t> per_domain_;
};

}  // namespace rbc::server
