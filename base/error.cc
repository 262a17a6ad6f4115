// Names of error kinds.
// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"

namespace rbc {

std::string_view Name(ErrorKind kind) {
  switch (kind) {
#define RBC_X(name, number) \
  case ErrorKind::k##name:  \
    return #name;
    RBC_ERROR_KINDS(RBC_X)
#undef RBC_X
  }
  return "Internal";
}

ErrorKind ErrorKindFromNumber(int32_t number) {
  switch (number) {
#define RBC_X(name, value) \
  case value:              \
    return ErrorKind::k##name;
    RBC_ERROR_KINDS(RBC_X)
#undef RBC_X
    default:
      return ErrorKind::kInternal;
  }
}

}  // namespace rbc
