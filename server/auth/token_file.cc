// The file of tokens.
// SPDX-License-Identifier: Apache-2.0
#include "server/auth/token_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <toml++/toml.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <optional>

#include "base/unique_fd.h"
#include "server/names/state_files.h"
#include "server/session/random_bytes.h"

namespace rbc::server {
namespace {

constexpr std::string_view kTokenHead = "rbc_";  // so that scanners for secrets know one
constexpr size_t kMostName = 64;

Error At(const std::string& path, const toml::node& node, std::string_view what) {
  const auto& at = node.source().begin;
  return {ErrorKind::kInvalidArgument, fmt::format("{}:{}:{}: {}", path, at.line, at.column, what)};
}

// Letters, digits and ._@-: what stands in logs and status without being taken for anything else.
bool IsName(std::string_view name) {
  return !name.empty() && name.size() <= kMostName && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || std::strchr("._@-", c) != nullptr;
  });
}

Error BadName(std::string_view name) {
  return {ErrorKind::kInvalidArgument,
          fmt::format("\"{}\" is no name; give up to {} letters, digits or ._@-", name, kMostName)};
}

int DigitOf(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool ReadHex(std::string_view text, Digest* out) {
  if (text.size() != 2 * out->size()) return false;
  for (size_t i = 0; i < out->size(); ++i) {
    const int high = DigitOf(text[2 * i]), low = DigitOf(text[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    (*out)[i] = static_cast<uint8_t>(high * 16 + low);
  }
  return true;
}

int64_t WallMs(const toml::date_time& when) {
  std::tm parts{};
  parts.tm_year = when.date.year - 1900;
  parts.tm_mon = when.date.month - 1;
  parts.tm_mday = when.date.day;
  parts.tm_hour = when.time.hour;
  parts.tm_min = when.time.minute - (when.offset ? when.offset->minutes : 0);  // timegm() brings it in range
  parts.tm_sec = when.time.second;
  return static_cast<int64_t>(timegm(&parts)) * 1000;
}

Expected<TokenEntry> ReadEntry(const std::string& path, const toml::table& table) {
  TokenEntry entry;
  bool has_digest = false;
  for (const auto& [key, node] : table) {
    const auto text = node.value_exact<std::string>();
    if ((key == "user" || key == "group") && text && IsName(*text)) {
      (key == "user" ? entry.user : entry.group) = *text;
    } else if (key == "blake3" && text && ReadHex(*text, &entry.digest)) {
      has_digest = true;
    } else if (key == "expires" && node.is_date_time()) {
      entry.expires_ms = WallMs(*node.value_exact<toml::date_time>());
    } else {
      return At(path, node,
                fmt::format("'{}' is no key of a token, or has no proper value: user and group are names, blake3 is 64 "
                            "hexadecimal digits, expires a date with a time",
                            key.str()));
    }
  }
  if (entry.user.empty() || !has_digest) return At(path, table, "a token needs user and blake3");
  return entry;
}

// Whoever can write to the file can let himself in.
Status CheckOwner(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0)
    return {
        ErrorKind::kInvalidArgument,
        fmt::format("auth.tokens_file = \"{}\": {}; rbc-farm --new-token USER makes it", path, std::strerror(errno))};
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return {ErrorKind::kInvalidArgument,
            fmt::format("{} can be written by others than its owner; chmod 600 it and look at what is in it", path)};
  return {};
}

Expected<std::vector<TokenEntry>> ParseTokens(const std::string& path, const std::string& text) {
  const toml::parse_result parsed = toml::parse(text, std::string_view(path));
  if (!parsed) {
    const auto& at = parsed.error().source().begin;
    return {ErrorKind::kInvalidArgument,
            fmt::format("{}:{}:{}: {}", path, at.line, at.column, parsed.error().description())};
  }
  std::vector<TokenEntry> entries;
  for (const auto& [key, node] : parsed.table()) {
    const auto* list = node.as_array();
    if (key != "token" || list == nullptr) return At(path, node, "only [[token]] sections may be here");
    for (const auto& element : *list) {
      if (!element.is_table()) return At(path, element, "only [[token]] sections may be here");
      RBC_ASSIGN_OR_RETURN(TokenEntry entry, ReadEntry(path, *element.as_table()));
      entries.push_back(std::move(entry));
    }
  }
  return entries;
}

std::string Print(const TokenEntry& entry) {
  std::string out = fmt::format("\n[[token]]\nuser = \"{}\"\n", entry.user);
  if (!entry.group.empty()) out += fmt::format("group = \"{}\"\n", entry.group);
  if (entry.expires_ms != 0) {
    const std::time_t seconds = entry.expires_ms / 1000;
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    char text[32];
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    out += fmt::format("expires = {}\n", text);
  }
  return out + fmt::format("blake3 = \"{}\"\n", Hex(entry.digest));
}

// Whole or not at all, as far as a file can: one write.
Status Append(const std::string& path, const std::string& text) {
  const UniqueFd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (fd && write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) && fsync(fd.get()) == 0)
    return {};
  return {ErrorKind::kUnavailable, fmt::format("{} cannot be written: {}", path, std::strerror(errno))};
}

}  // namespace

std::string DomainOf(const TokenEntry& entry) {
  return entry.group.empty() ? "user:" + entry.user : "group:" + entry.group;
}

Digest TokenDigest(const std::string& token) { return Hasher().Add("rbc-token-1").Add(token).Finish(); }

Expected<std::vector<TokenEntry>> ReadTokenFile(const std::string& path) {
  RBC_RETURN_IF_ERROR(CheckOwner(path));
  RBC_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  return ParseTokens(path, text);
}

Expected<std::string> AddToken(const std::string& path, TokenEntry entry) {
  if (!IsName(entry.user)) return BadName(entry.user);
  if (!entry.group.empty() && !IsName(entry.group)) return BadName(entry.group);
  // Nothing is appended to what could not be read back.
  if (access(path.c_str(), F_OK) == 0) {
    const auto known = ReadTokenFile(path);
    if (!known) return known.error();
  }
  Digest secret;
  FillRandom(secret.data(), secret.size());
  const std::string token = std::string(kTokenHead) + Hex(secret);
  entry.digest = TokenDigest(token);
  RBC_RETURN_IF_ERROR(Append(path, Print(entry)));
  return token;
}

}  // namespace rbc::server
