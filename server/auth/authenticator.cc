// Who is at the other end of a connection.
// SPDX-License-Identifier: Apache-2.0
#include "server/auth/authenticator.h"

#include <fmt/format.h>

#include <ctime>

#include "server/session/random_bytes.h"

namespace rbc::server {
namespace {

constexpr std::string_view kWhereToPutIt =
    "put it into RBC_TOKEN, into token = \"...\" of this farm in rbc/client.toml, or into RemoteJIT(token=...)";

Error Denied(std::string message) {
  Error error(ErrorKind::kPermissionDenied, std::move(message));
  error.role = "daemon";
  return error;
}

std::string Date(int64_t wall_ms) {
  const std::time_t seconds = wall_ms / 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &parts);
  return text;
}

}  // namespace

Expected<Authenticator> Authenticator::Read(const std::string& path) {
  Authenticator out;
  if (path.empty()) return out;
  out.asks_ = true;
  RBC_ASSIGN_OR_RETURN(out.entries_, ReadTokenFile(path));
  return out;
}

// Looks at all of them, and at all bytes of each: the time it takes says nothing about what is in the file.
const TokenEntry* Authenticator::Find(const std::string& token) const {
  const Digest digest = TokenDigest(token);
  const TokenEntry* found = nullptr;
  for (const auto& entry : entries_)
    if (EqualSecrets(Bytes(entry.digest), Bytes(digest))) found = &entry;
  return found;
}

Expected<std::string> Authenticator::DomainFor(const Peer& peer, const std::string* token, int64_t now_ms) const {
  if (peer.local) return peer.domain;
  if (token != nullptr && !peer.encrypted && !peer.loopback)
    return Denied(
        "the token came in plain text over a network and counts as known to others; ask the operator for a new one, "
        "and "
        "send it to a tls:// address only");
  if (!asks_) return peer.domain;
  if (token == nullptr || token->empty())
    return Denied(
        fmt::format("this farm asks for a token and none was sent; ask its operator for one (rbc-farm "
                    "--new-token USER) and {}",
                    kWhereToPutIt));
  const TokenEntry* const entry = Find(*token);
  if (entry == nullptr)
    return Denied(
        fmt::format("this farm does not know the token; check that it is whole and for this farm, or ask the "
                    "operator for another one and {}",
                    kWhereToPutIt));
  if (entry->expires_ms != 0 && entry->expires_ms <= now_ms)
    return Denied(
        fmt::format("the token of {} expired on {}; ask the operator for a new one (rbc-farm --new-token {}) "
                    "and {}",
                    entry->user, Date(entry->expires_ms), entry->user, kWhereToPutIt));
  return DomainOf(*entry);
}

}  // namespace rbc::server
