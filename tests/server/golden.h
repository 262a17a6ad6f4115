// Recorded bytes: tests/golden.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "tests/harness/paths.h"

namespace rbc::server::testing {

inline std::string ToHex(const std::string& bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (size_t i = 0; i < bytes.size(); ++i) {
    const auto byte = static_cast<unsigned char>(bytes[i]);
    out += {kDigits[byte >> 4], kDigits[byte & 15]};
    if (i % 32 == 31) out += '\n';
  }
  return out + "\n";
}

// What is recorded under `name`; with RBC_RECORD set, `bytes` are recorded first.
inline std::string Golden(const std::string& name, const std::string& bytes) {
  const std::string path = harness::SourcePath("tests/golden/" + name + ".hex");
  if (std::getenv("RBC_RECORD") != nullptr && !bytes.empty()) std::ofstream(path) << ToHex(bytes);
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

inline std::string FromHex(const std::string& text) {
  std::string out;
  unsigned value = 0, digits = 0;
  for (const char c : text) {
    if (c == '\n') continue;
    value = value << 4 | static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10);
    if (++digits % 2 == 0) out += static_cast<char>(value);
  }
  return out;
}

}  // namespace rbc::server::testing
