// Who is at the other end of a connection: the trust domain that a token stands for.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/expected.h"
#include "server/auth/token_file.h"
#include "server/net/listener.h"

namespace rbc::server {

// Immutable, thread-safe.
class Authenticator {
 public:
  // Without tokens: everybody is who the socket says.
  Authenticator() = default;
  // `path` empty: without tokens. What ReadTokenFile says.
  static Expected<Authenticator> Read(const std::string& path);

  bool asks_for_tokens() const { return asks_; }
  // The trust domain of a peer that shows `token` (null: none) at `now_ms` on the wall clock. Peers on a Unix socket
  // are who the kernel says, whatever they show. kPermissionDenied with what to do.
  Expected<std::string> DomainFor(const Peer& peer, const std::string* token, int64_t now_ms) const;

  // Who comes by a token has a namespace of his own; others share "default".
  static std::string DefaultNamespace(const std::string& domain) { return ByToken(domain) ? domain : "default"; }
  static bool MayEnter(const std::string& name_space, const std::string& domain) {
    return name_space == domain || !ByToken(name_space);
  }
  // Whether a trust domain is one that only a token gives.
  static bool ByToken(const std::string& domain) { return domain.starts_with("user:") || domain.starts_with("group:"); }

 private:
  const TokenEntry* Find(const std::string& token) const;

  bool asks_ = false;
  std::vector<TokenEntry> entries_;
};

}  // namespace rbc::server
