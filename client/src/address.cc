// Where a farm is: addresses and the user's rbc/client.toml.
// SPDX-License-Identifier: Apache-2.0
#include "client/src/address.h"

#include <fmt/format.h>
#include <sys/un.h>
#include <unistd.h>

// In this library, without exceptions: the system's own is built with them.
#undef TOML_HEADER_ONLY
#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "gen/rbc_constants.h"

namespace rbc::client {
namespace {

constexpr std::string_view kTlsScheme = "tls://";

Error BadAddress(std::string_view text, std::string_view why) {
  return Error(
      ErrorKind::kInvalidArgument,
      fmt::format("the farm address '{}' {}; give HOST:PORT, tls://HOST:PORT, unix:PATH or ssh://[user@]host[/path]",
                  text, why));
}

std::optional<uint16_t> ParsePort(std::string_view text) {
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

// A host that could be read as an option, or holds what no host name holds, never reaches ssh or the resolver.
bool IsHost(std::string_view host) {
  return !host.empty() && host[0] != '-' && host.find_first_of(" \t\r\n/@'\"\\$`;|&<>(){}*?") == std::string_view::npos;
}

// "host", "host:port", "[v6]", "[v6]:port" into address.host and .port. False: it is none of them.
bool SplitHostPort(std::string_view text, Address& address) {
  std::string_view port;
  if (text.starts_with('[')) {
    const size_t close = text.find(']');
    if (close == std::string_view::npos) return false;
    address.host = text.substr(1, close - 1);
    text.remove_prefix(close + 1);
    if (!text.empty() && text[0] != ':') return false;
    port = text.empty() ? text : text.substr(1);
    if (!text.empty() && port.empty()) return false;
  } else {
    const size_t colon = text.rfind(':');
    if (colon != std::string_view::npos && text.find(':') != colon) return false;  // a bare IPv6 address is ambiguous
    address.host = text.substr(0, colon);
    if (colon != std::string_view::npos) {
      port = text.substr(colon + 1);
      if (port.empty()) return false;
    }
  }
  if (!port.empty()) {
    const auto number = ParsePort(port);
    if (!number) return false;
    address.port = *number;
  }
  return IsHost(address.host);
}

Expected<Address> ParseUnix(std::string_view text) {
  Address address{.kind = Address::Kind::kUnix, .path = std::string(text.substr(5)), .text = std::string(text)};
  if (address.path.empty()) return BadAddress(text, "names no path");
  if (address.path.size() >= sizeof(sockaddr_un::sun_path) || address.path.find('\0') != std::string::npos)
    return BadAddress(text, fmt::format("has a path of {} bytes, more than the {} of a socket", address.path.size(),
                                        sizeof(sockaddr_un::sun_path) - 1));
  return address;
}

Expected<Address> ParseSsh(std::string_view text) {
  Address address{.kind = Address::Kind::kSsh, .path = kRemoteSocket, .text = std::string(text)};
  std::string_view rest = text.substr(6);
  if (const size_t slash = rest.find('/'); slash != std::string_view::npos) {
    if (slash + 1 < rest.size()) address.path = rest.substr(slash);
    rest = rest.substr(0, slash);
  }
  if (address.path.find_first_of(std::string_view(":\0\n", 3)) != std::string::npos)
    return BadAddress(text, "has a path that ssh cannot forward to");
  if (const size_t at = rest.rfind('@'); at != std::string_view::npos) {
    address.user = rest.substr(0, at);
    rest = rest.substr(at + 1);
    if (!IsHost(address.user)) return BadAddress(text, "has an empty or odd user");
  }
  if (!SplitHostPort(rest, address)) return BadAddress(text, "has no proper host");
  return address;
}

std::string ConfigPath() {
  if (const char* home = std::getenv("XDG_CONFIG_HOME"); home != nullptr && *home == '/')
    return std::string(home) + "/rbc/client.toml";
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != 0)
    return std::string(home) + "/.config/rbc/client.toml";
  return "";
}

Error BadConfig(const std::string& path, const toml::source_region& where, std::string_view what) {
  return Error(ErrorKind::kInvalidArgument,
               fmt::format("{}:{}:{}: {}", path, where.begin.line, where.begin.column, what));
}

struct NamedFarm {
  std::string address, token, name_space;
  TlsFiles tls;
};

struct ClientConfig {
  std::string default_farm;
  std::vector<std::pair<std::string, NamedFarm>> farms;

  const NamedFarm* Find(std::string_view name) const {
    for (const auto& [key, farm] : farms)
      if (key == name) return &farm;
    return nullptr;
  }
};

Expected<NamedFarm> ReadFarm(const std::string& path, std::string_view name, const toml::table& table) {
  NamedFarm farm;
  for (const auto& [key, node] : table) {
    std::string* const into = key == "address"       ? &farm.address
                              : key == "token"       ? &farm.token
                              : key == "namespace"   ? &farm.name_space
                              : key == "ca"          ? &farm.tls.ca
                              : key == "certificate" ? &farm.tls.certificate
                              : key == "key"         ? &farm.tls.key
                                                     : nullptr;
    if (into == nullptr)
      return BadConfig(
          path, node.source(),
          fmt::format("unknown key '{}' of farm '{}'; known are address, token, namespace, ca, certificate, key",
                      key.str(), name));
    const auto value = node.value<std::string>();
    if (!value)
      return BadConfig(path, node.source(), fmt::format("'{}' of farm '{}' must be a string", key.str(), name));
    *into = *value;
  }
  if (farm.address.empty()) return BadConfig(path, table.source(), fmt::format("farm '{}' has no address", name));
  return farm;
}

Expected<ClientConfig> ReadConfig(const std::string& path) {
  ClientConfig config;
  std::error_code ignored;
  if (path.empty() || !std::filesystem::exists(path, ignored)) return config;
  const toml::parse_result parsed = toml::parse_file(path);
  if (!parsed) return BadConfig(path, parsed.error().source(), parsed.error().description());
  for (const auto& [key, node] : parsed.table()) {
    if (key == "default" && node.is_string()) {
      config.default_farm = *node.value<std::string>();
    } else if (key == "farms" && node.is_table()) {
      for (const auto& [name, farm] : *node.as_table()) {
        if (!farm.is_table())
          return BadConfig(path, farm.source(), fmt::format("farm '{}' must be a table", name.str()));
        RBC_ASSIGN_OR_RETURN(NamedFarm read, ReadFarm(path, name.str(), *farm.as_table()));
        config.farms.emplace_back(name.str(), std::move(read));
      }
    } else {
      return BadConfig(path, node.source(),
                       fmt::format("unknown key '{}'; known are default (a string) and [farms.NAME]", key.str()));
    }
  }
  return config;
}

// Only a bare word can be the name of a farm, so that an address never waits for a file.
bool MayBeName(std::string_view text) { return text.find_first_of(":/[") == std::string_view::npos; }

}  // namespace

Expected<Address> ParseAddress(std::string_view text) {
  if (text.starts_with("unix:")) return ParseUnix(text);
  if (text.starts_with("ssh://")) return ParseSsh(text);
  const bool tls = text.starts_with(kTlsScheme);
  if (!tls && text.find("://") != std::string_view::npos) return BadAddress(text, "has an unknown scheme");
  Address address{.kind = tls ? Address::Kind::kTls : Address::Kind::kTcp,
                  .port = static_cast<uint16_t>(wire::g_rbc_constants.DEFAULT_PORT)};
  if (!SplitHostPort(tls ? text.substr(kTlsScheme.size()) : text, address))
    return BadAddress(text, "has no proper host and port");
  address.text = fmt::format(fmt::runtime(address.host.find(':') == std::string::npos ? "{}{}:{}" : "{}[{}]:{}"),
                             tls ? kTlsScheme : "", address.host, address.port);
  return address;
}

Expected<Endpoint> ChooseFarm(std::string_view argument) {
  std::string chosen(argument);
  if (const char* farm = std::getenv("RBC_FARM"); chosen.empty() && farm != nullptr) chosen = farm;
  Endpoint endpoint;
  if (chosen.empty() || MayBeName(chosen)) {
    RBC_ASSIGN_OR_RETURN(const ClientConfig config, ReadConfig(ConfigPath()));
    if (chosen.empty()) chosen = config.default_farm;
    if (const NamedFarm* farm = config.Find(chosen)) {
      endpoint.token = farm->token;
      endpoint.name_space = farm->name_space;
      endpoint.tls = farm->tls;
      chosen = farm->address;
    }
  }
  if (chosen.empty()) chosen = fmt::format("127.0.0.1:{}", wire::g_rbc_constants.DEFAULT_PORT);
  RBC_ASSIGN_OR_RETURN(endpoint.address, ParseAddress(chosen));
  if (const char* token = std::getenv("RBC_TOKEN"); token != nullptr && *token != 0) endpoint.token = token;
  return endpoint;
}

}  // namespace rbc::client
