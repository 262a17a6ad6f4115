// What the throwing half of the library throws, and the values that the other half returns.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "rbc/api.h"
#include "rbc/error.h"
#include "rbc/expected.h"

namespace rbc {

// A value or an Error: what every try_ function returns.
template <typename T>
using Result = Expected<T>;

// "InvalidModule", "RemoteCrash" and so on.
RBC_API std::string_view KindName(ErrorKind kind);

// Every failure. what() is "KIND: message". The fields are those of Error (rbc/error.h).
class RBC_API Exception : public std::runtime_error {
 public:
  explicit Exception(Error error);
  ~Exception() override;
  Exception(const Exception&) = default;
  Exception& operator=(const Exception&) = default;

  const Error& error() const { return *error_; }
  ErrorKind kind() const { return error_->kind; }
  const std::string& message() const { return error_->message; }
  // Who failed: "client", "daemon", "compile worker", "execution worker".
  const std::string& role() const { return error_->role; }
  const std::string& function() const { return error_->function; }
  const std::string& cause() const { return error_->cause; }
  // Of a crash; else 0.
  int signal() const { return error_->signal; }
  bool may_have_run() const { return error_->may_have_run; }
  bool retry_safe() const { return error_->retry_safe; }
  // What the function printed before it ended.
  const std::string& output() const { return error_->output; }
  const std::vector<Diagnostic>& diagnostics() const { return error_->diagnostics; }

 private:
  std::shared_ptr<const Error> error_;  // shared, so that a copy does not throw
};

// The value, or throws the error.
template <typename T>
T ValueOrThrow(Result<T> result) {
  if (!result.has_value()) throw Exception(std::move(result).error());
  if constexpr (!std::is_void_v<T>) return std::move(result).value();
}

}  // namespace rbc
