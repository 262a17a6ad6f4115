// The exception of the library's throwing half.
// SPDX-License-Identifier: Apache-2.0
#include "rbc/exception.h"

#include <fmt/format.h>

namespace rbc {

std::string_view KindName(ErrorKind kind) { return Name(kind); }

Exception::Exception(Error error)
    : std::runtime_error(fmt::format("{}: {}", Name(error.kind), error.message)),
      error_(std::make_shared<const Error>(std::move(error))) {}

Exception::~Exception() = default;

}  // namespace rbc
