// Sockets of this machine's loopback, for what stands between clients and farms in tests.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <stdexcept>
#include <string>

namespace rbc::harness {

inline sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

// Makes the socket listen at a port that is free; the address to connect to. Throws std::runtime_error.
inline std::string ListenAnywhere(int fd) {
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(fd, generic, size) != 0 || listen(fd, 64) != 0 || getsockname(fd, generic, &size) != 0)
    throw std::runtime_error("no socket of this machine could be had");
  return "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
}

// Of HOST:PORT.
inline uint16_t PortOf(const std::string& address) {
  return static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
}

// Connects the socket to a port of this machine; whether somebody listens there.
inline bool ConnectTo(int fd, uint16_t port) {
  const sockaddr_in address = Loopback(port);
  return connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

}  // namespace rbc::harness
