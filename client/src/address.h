// Where a farm is: HOST:PORT, tls://HOST:PORT, unix:PATH or ssh://[user@]host[:port][/path], and which of the user's
// farms is meant.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/expected.h"

namespace rbc::client {

// The farm's socket on the far side of ssh:// where the address names none.
inline constexpr char kRemoteSocket[] = "/run/rbc/farm.sock";

struct Address {
  enum class Kind : uint8_t { kTcp, kUnix, kSsh, kTls };
  Kind kind = Kind::kTcp;
  std::string host{};  // kTcp, kTls, kSsh
  uint16_t port = 0;   // kTcp, kTls; kSsh: 0 leaves it to ssh
  std::string user{};  // kSsh, may be empty
  std::string path{};  // kUnix; kSsh: the socket on that machine
  std::string text{};  // as errors name it
};

// kInvalidArgument where `text` is none of the four forms. A bare host takes the default port.
Expected<Address> ParseAddress(std::string_view text);

// Files in PEM. Empty: the system's CAs; no certificate of our own.
struct TlsFiles {
  std::string ca, certificate, key;
};

// A farm as a user's choice: where, as whom, in which namespace.
struct Endpoint {
  Address address;
  std::string token;
  std::string name_space;
  TlsFiles tls;
};

// `argument`, else RBC_FARM, else the `default` of the user's rbc/client.toml, else loopback. What comes out may be the
// name of a farm in that file. The token is that of RBC_TOKEN, else the
// file's. Reads the file at most once a call; a missing file is an empty one.
Expected<Endpoint> ChooseFarm(std::string_view argument);

}  // namespace rbc::client
