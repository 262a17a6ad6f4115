// What tests of the client library share.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "rbc/rbc.h"

namespace rbc::harness {

using Numbers = std::vector<double>;

// from, from + 1, ...
inline Numbers Counting(size_t count, double from = 0) {
  Numbers out(count);
  std::iota(out.begin(), out.end(), from);
  return out;
}

// The error that `action` ends with; it is a failure if it does not.
template <typename F>
Error ErrorOf(F&& action) {
  try {
    action();
  } catch (const Exception& exception) {
    return exception.error();
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

}  // namespace rbc::harness
