// Refusals inside the service's methods: what the generated processor catches.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>

#include "base/expected.h"
#include "thrift/error_wire.h"

namespace rbc::server {

[[noreturn]] inline void Throw(Error error) {
  if (error.role.empty()) error.role = "daemon";
  throw ToWire(error);
}
[[noreturn]] inline void Throw(ErrorKind kind, std::string message) { Throw(Error(kind, std::move(message))); }

template <typename T>
T OrThrow(Expected<T> value) {
  if (!value) Throw(std::move(value).error());
  return *std::move(value);
}
inline void OrThrow(Status status) {
  if (!status) Throw(std::move(status).error());
}

}  // namespace rbc::server
