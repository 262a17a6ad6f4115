// Addresses to listen on.
// SPDX-License-Identifier: Apache-2.0
#include "server/net/address.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <charconv>
#include <cstring>
#include <memory>
#include <string_view>

namespace rbc::server {
namespace {

Expected<Address> ParseUnix(const std::string& path) {
  Address address;
  auto* un = reinterpret_cast<sockaddr_un*>(&address.storage);
  if (path.empty() || path.size() >= sizeof un->sun_path)
    return {ErrorKind::kInvalidArgument, fmt::format("the socket path \"{}\" has {} bytes; 1 to {} are possible", path,
                                                     path.size(), sizeof un->sun_path - 1)};
  un->sun_family = AF_UNIX;
  std::memcpy(un->sun_path, path.c_str(), path.size() + 1);
  address.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  address.path = path;
  return address;
}

// getaddrinfo takes 99999 for 34463.
bool IsPort(std::string_view text) {
  uint16_t port = 0;
  const auto end = text.data() + text.size();
  const auto [stop, failure] = std::from_chars(text.data(), end, port);
  return failure == std::errc() && stop == end;
}

}  // namespace

Expected<Address> ParseAddress(const std::string& text) {
  if (text.starts_with("unix:")) return ParseUnix(text.substr(5));
  const bool tls = text.starts_with(kTlsScheme);
  const std::string place = tls ? text.substr(kTlsScheme.size()) : text;
  const auto colon = place.rfind(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == place.size())
    return {ErrorKind::kInvalidArgument,
            fmt::format("\"{}\" is no address; write HOST:PORT, tls://HOST:PORT or unix:PATH", text)};
  if (!IsPort(std::string_view(place).substr(colon + 1)))
    return {ErrorKind::kInvalidArgument,
            fmt::format("\"{}\" has no proper port; one is 0 (any free one) to 65535", text)};
  std::string host = place.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int failure = getaddrinfo(host.c_str(), place.c_str() + colon + 1, &hints, &found);
  if (failure != 0)
    return {ErrorKind::kInvalidArgument,
            fmt::format("the address \"{}\" is not known: {}", text, gai_strerror(failure))};
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, freeaddrinfo);
  Address address;
  std::memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
  address.size = found->ai_addrlen;
  address.tls = tls;
  return address;
}

bool IsLoopback(const sockaddr_storage& storage) {
  if (storage.ss_family == AF_UNIX) return true;
  if (storage.ss_family == AF_INET) {
    const auto& in = reinterpret_cast<const sockaddr_in&>(storage);
    return (ntohl(in.sin_addr.s_addr) >> 24) == 127;
  }
  const auto& in6 = reinterpret_cast<const sockaddr_in6&>(storage).sin6_addr;
  return IN6_IS_ADDR_LOOPBACK(&in6) || (IN6_IS_ADDR_V4MAPPED(&in6) && in6.s6_addr[12] == 127);
}

bool Address::is_loopback() const { return IsLoopback(storage); }

std::string PrintAddress(const sockaddr_storage& storage) {
  char text[INET6_ADDRSTRLEN] = "";
  if (storage.ss_family == AF_UNIX)
    return fmt::format("unix:{}", reinterpret_cast<const sockaddr_un&>(storage).sun_path);
  if (storage.ss_family == AF_INET) {
    const auto& in = reinterpret_cast<const sockaddr_in&>(storage);
    return fmt::format("{}:{}", inet_ntop(AF_INET, &in.sin_addr, text, sizeof text), ntohs(in.sin_port));
  }
  const auto& in6 = reinterpret_cast<const sockaddr_in6&>(storage);
  return fmt::format("[{}]:{}", inet_ntop(AF_INET6, &in6.sin6_addr, text, sizeof text), ntohs(in6.sin6_port));
}

}  // namespace rbc::server
