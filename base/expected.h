// Expected<T>: a value or an Error. Named like std::expected, which this compiler's library does not have yet.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cassert>
#include <optional>
#include <utility>
#include <variant>

#include "base/error.h"

namespace rbc {

template <typename T>
class [[nodiscard]] Expected {
 public:
  Expected(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Expected(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor)
  Expected(ErrorKind kind, std::string message) : Expected(Error(kind, std::move(message))) {}

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }
  // REQUIRES: has_value().
  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  // REQUIRES: !has_value().
  Error& error() & { return std::get<1>(state_); }
  const Error& error() const& { return std::get<1>(state_); }
  Error&& error() && { return std::get<1>(std::move(state_)); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Expected<void> {
 public:
  // Not "= default": `return {};` would then fill the whole object with zeros first, some 250 bytes.
  Expected() noexcept {}                               // NOLINT(modernize-use-equals-default)
  Expected(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)
  Expected(ErrorKind kind, std::string message) : Expected(Error(kind, std::move(message))) {}

  bool has_value() const { return !error_.has_value(); }
  explicit operator bool() const { return has_value(); }
  Error& error() & { return *error_; }
  const Error& error() const& { return *error_; }
  Error&& error() && { return *std::move(error_); }

 private:
  std::optional<Error> error_;
};

using Status = Expected<void>;

// Returns the error of `expression` from the enclosing function, if it has one.
#define RBC_RETURN_IF_ERROR(expression)                                                                \
  do {                                                                                                 \
    if (auto rbc_status = (expression); !rbc_status.has_value()) return std::move(rbc_status).error(); \
  } while (false)

#define RBC_CONCAT_INNER(a, b) a##b
#define RBC_CONCAT(a, b) RBC_CONCAT_INNER(a, b)
// RBC_ASSIGN_OR_RETURN(auto x, F()): x is F()'s value, or the enclosing function returns F()'s error.
#define RBC_ASSIGN_OR_RETURN(declaration, expression)                                                                  \
  auto RBC_CONCAT(rbc_expected_, __LINE__) = (expression);                                                             \
  if (!RBC_CONCAT(rbc_expected_, __LINE__).has_value()) return std::move(RBC_CONCAT(rbc_expected_, __LINE__)).error(); \
  declaration = std::move(RBC_CONCAT(rbc_expected_, __LINE__)).value()

}  // namespace rbc
