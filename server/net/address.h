// Addresses to listen on.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/socket.h>

#include <string>
#include <string_view>

#include "base/expected.h"

namespace rbc::server {

// HOST:PORT, [IPV6]:PORT, tls://HOST:PORT or unix:PATH, resolved.
struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  std::string path;  // of a Unix socket, else ""
  bool tls = false;

  bool is_unix() const { return !path.empty(); }
  bool is_loopback() const;  // Unix sockets too: nobody else reaches them
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

inline constexpr std::string_view kTlsScheme = "tls://";

// May ask the resolver. kInvalidArgument.
Expected<Address> ParseAddress(const std::string& text);
// As ParseAddress reads it; the address of a socket that is bound or accepted.
std::string PrintAddress(const sockaddr_storage& storage);
bool IsLoopback(const sockaddr_storage& storage);

}  // namespace rbc::server
