// Whether packing makes a transfer faster: measured as it goes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "packing/packer.h"

namespace rbc {

// Of one direction of one channel; what it has learnt stays for the next transfer. The line's speed is what the socket
// takes between two moments at which it took no more; where that never happens the line is faster than the sender, and
// nothing is packed. One thread at a time.
class Pacer {
 public:
  using Clock = std::chrono::steady_clock;
  using Seconds = std::chrono::duration<double>;

  // A transfer begins. `always`: each piece is packed that gets smaller by it, whatever the line.
  void Begin(bool always);
  // The next piece as it travels, appended to *out; false: it is to travel plain, and nothing was appended.
  bool Add(std::string_view piece, uint32_t element, Packer* packer, std::string* out);
  // The socket has taken so many bytes.
  void Sent(uint64_t bytes) { sent_ += bytes; }
  // It takes no more for now.
  void Full(Clock::time_point now);

  // For Add(), and for tests to decide instead: whether the next piece is to be packed, and what came of it.
  bool WouldPack();
  void Packed(uint64_t bytes, uint64_t packed, Seconds took);
  double line() const { return line_; }  // bytes a second; 0: not known

 private:
  // Both byte orders are tried with some pieces, and the better one is kept until the next trial.
  void PackBest(std::string_view piece, uint32_t element, Packer* packer, std::string* out);
  bool Pays() const;

  bool always_ = false;
  double line_ = 0, pack_speed_ = 0, ratio_ = 1;
  uint64_t sent_ = 0, sent_when_full_ = 0;
  bool was_full_ = false;  // in this transfer
  Clock::time_point full_at_;
  uint32_t since_full_ = 0;   // pieces
  uint32_t until_trial_ = 0;  // of packing at all, pieces
  uint32_t trial_pause_ = 0;  // what that begins with next
  uint32_t until_orders_ = 0;
  ByteOrder order_ = ByteOrder::kByPlace;
};

}  // namespace rbc
