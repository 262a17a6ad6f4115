// A network between client and farm: loopback TCP that counts what passes, can be slow and can be cut.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_fd.h"

namespace rbc::harness {

class Relay {
 public:
  // `farm`: HOST:PORT with a numeric IPv4 host. Throws std::runtime_error.
  // `bytes_per_second`: of each direction, and with little in its queues; 0: as fast as it goes.
  explicit Relay(const std::string& farm, uint64_t bytes_per_second = 0);
  ~Relay();
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  // Where clients connect.
  const std::string& address() const { return address_; }
  // The same place, which clients take for another machine.
  std::string far_address() const { return "0.0.0.0" + address_.substr(address_.rfind(':')); }
  uint64_t to_farm() const { return to_farm_; }
  uint64_t from_farm() const { return from_farm_; }
  // Breaks all connections, and those that come, until it is mended.
  void Cut() { cut_ = true; }
  // Breaks all connections that there are. New ones are taken at once.
  void Break();
  void Mend() { cut_ = false; }

 private:
  struct Pair {
    UniqueFd client, farm;
  };
  // What a direction may pass now.
  struct Allowance {
    uint64_t rate = 0;
    double bytes = 0;
    std::chrono::steady_clock::time_point last = std::chrono::steady_clock::now();
    size_t Now();
  };
  void Run();
  void Accept();
  static bool Pass(int from, int to, std::atomic<uint64_t>& count, Allowance& allowance, std::vector<char>& buffer);

  std::string address_;
  uint16_t farm_port_ = 0;
  const uint64_t rate_;
  UniqueFd listener_;
  std::vector<Pair> pairs_;
  std::atomic<uint64_t> to_farm_{0}, from_farm_{0};
  std::atomic<bool> cut_{false}, break_{false}, stop_{false};
  std::thread thread_;
};

}  // namespace rbc::harness
