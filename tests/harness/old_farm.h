// A farm of protocol 1.3, as far as a client over TCP can tell: a relay to a real one that speaks with the code of that
// time. Fields of later are skipped both ways, methods and raw channels of later are refused as they were then.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_fd.h"

namespace rbc::harness {

class OldFarm {
 public:
  static constexpr int kMinor = 3;

  // `farm`: HOST:PORT with a numeric IPv4 host. Throws std::runtime_error.
  explicit OldFarm(const std::string& farm);
  ~OldFarm();
  OldFarm(const OldFarm&) = delete;
  OldFarm& operator=(const OldFarm&) = delete;

  const std::string& address() const { return address_; }
  // What came that such a farm does not know: methods, kinds of raw channels, bytes of fields.
  int refused() const { return refused_; }
  uint64_t skipped_bytes() const { return skipped_bytes_; }

 private:
  void Accept();
  void Serve(int client);
  void ServeMessages(int client, int farm);
  void ServeChannel(int client, int farm);
  int Keep(UniqueFd fd);

  const uint16_t farm_port_;
  std::string address_;
  UniqueFd listener_;
  std::atomic<bool> stop_{false};
  std::atomic<int> refused_{0};
  std::atomic<uint64_t> skipped_bytes_{0};
  std::mutex mutex_;
  std::vector<UniqueFd> sockets_;  // until the end, which wakes who reads them
  std::vector<std::thread> threads_;
  std::thread accepts_;
};

}  // namespace rbc::harness
