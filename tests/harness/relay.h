// A network between client and farm: loopback TCP that counts what passes and can be cut.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_fd.h"

namespace rbc::harness {

class Relay {
 public:
  // `farm`: HOST:PORT with a numeric IPv4 host. Throws std::runtime_error.
  explicit Relay(const std::string& farm);
  ~Relay();
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  // Where clients connect.
  const std::string& address() const { return address_; }
  uint64_t to_farm() const { return to_farm_; }
  uint64_t from_farm() const { return from_farm_; }
  // Breaks all connections, and those that come, until it is mended.
  void Cut() { cut_ = true; }
  void Mend() { cut_ = false; }

 private:
  struct Pair {
    UniqueFd client, farm;
  };
  void Run();
  void Accept();
  static bool Pass(int from, int to, std::atomic<uint64_t>& count, std::vector<char>& buffer);

  std::string address_;
  uint16_t farm_port_ = 0;
  UniqueFd listener_;
  std::vector<Pair> pairs_;
  std::atomic<uint64_t> to_farm_{0}, from_farm_{0};
  std::atomic<bool> cut_{false}, stop_{false};
  std::thread thread_;
};

}  // namespace rbc::harness
