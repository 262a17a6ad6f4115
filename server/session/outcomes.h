// What became of a session's latest calls, for clients that lost a connection before the reply.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace rbc::server {

struct Outcome {
  enum State : uint8_t { kNever, kRunning, kReplied, kUnclear };
  State state = kNever;
  std::string reply;  // kReplied: the whole framed reply, also where it is an error
};

// The last kKept calls that carried a request id. Thread-safe.
class OutcomeTable {
 public:
  static constexpr size_t kKept = 256;
  static constexpr size_t kMaxReply = 4096;  // longer replies are forgotten: their outcome is kUnclear

  void Begin(int64_t request_id);
  void Finish(int64_t request_id, std::string_view reply);
  // Begins many, of which the last kKept are remembered. Gives the place of the first of those, for FinishAt.
  size_t BeginAll(std::span<const int64_t> request_ids);
  // `place`: of the first of those, plus the number of this one among them.
  void FinishAt(size_t place, int64_t request_id, std::string_view reply);
  // It is over, and its reply is not kept: kUnclear.
  void FinishUnkept(int64_t request_id);
  // A lent connection ended: what it served last is not known here.
  void LentEnded();
  // kUnclear also where the call may have been forgotten or served by a worker directly.
  Outcome Find(int64_t request_id) const;

 private:
  struct Entry {
    int64_t request_id = 0;
    Outcome outcome;
  };
  Entry* FindLocked(int64_t request_id);
  void BeginLocked(int64_t request_id);
  static void FinishEntry(Entry& entry, std::string_view reply);

  mutable std::mutex mutex_;
  std::vector<Entry> entries_;  // a ring once it is full
  size_t next_ = 0;
  bool forgot_ = false;
};

}  // namespace rbc::server
