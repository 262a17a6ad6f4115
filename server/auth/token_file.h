// The file of tokens: whose each one is and until when. It holds digests, never a token.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/expected.h"
#include "base/hash.h"

namespace rbc::server {

struct TokenEntry {
  std::string user;
  std::string group;       // empty: a trust domain of the user's own
  Digest digest{};         // of the token
  int64_t expires_ms = 0;  // wall clock; 0: never
};

// "user:alice" or "group:team".
std::string DomainOf(const TokenEntry& entry);
Digest TokenDigest(const std::string& token);

// A file that is not there is kInvalidArgument, as is one that others may write to, or a mistake in it (with its line).
Expected<std::vector<TokenEntry>> ReadTokenFile(const std::string& path);
// Makes a token for `entry` (its digest is filled in), appends the entry, and returns the token: the only copy. A new
// file is readable by its owner alone. kInvalidArgument, kUnavailable.
Expected<std::string> AddToken(const std::string& path, TokenEntry entry);

}  // namespace rbc::server
