// A target's name as clients say it: "cuda", or "cuda:1" for its second device.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <charconv>
#include <string>
#include <string_view>

namespace rbc::server {

struct PinnedTarget {
  std::string target;
  int device = -1;  // number within the farm; -1: any

  // What is no number behind the colon stays part of the name, which is then unknown.
  static PinnedTarget Of(std::string_view name) {
    const size_t colon = name.find(':');
    int device = -1;
    if (colon != std::string_view::npos) {
      const char* const end = name.data() + name.size();
      const auto [at, failure] = std::from_chars(name.data() + colon + 1, end, device);
      if (failure == std::errc() && at == end && device >= 0) return {std::string(name.substr(0, colon)), device};
    }
    return {std::string(name), -1};
  }
};

}  // namespace rbc::server
