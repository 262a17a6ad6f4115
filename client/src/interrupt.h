// What a thread that waits for a farm does when its user loses patience.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

namespace rbc::client {

// Asked by the thread that waits, when a signal interrupted it and a few times a second besides.
class Impatience {
 public:
  enum class Wish { kWait, kCancel, kLeave };
  virtual ~Impatience() = default;
  // kCancel: the farm is to stop request `request_id` (0: it cannot be stopped), whose answer is waited for. kLeave:
  // not even that; the connection is given up.
  virtual Wish Ask(int64_t request_id) = 0;
};

// Of this thread; nullptr: it waits until the deadline.
struct Waiting {
  Impatience* impatience = nullptr;
  int64_t request_id = 0;  // of what is waited for
};
Waiting& ThisWaiting();

inline constexpr int kImpatienceMs = 200;

// True: whoever waits on this thread does not want to any more. Asks.
inline bool ThisThreadLeaves() {
  const Waiting& waiting = ThisWaiting();
  return waiting.impatience != nullptr && waiting.impatience->Ask(waiting.request_id) == Impatience::Wish::kLeave;
}

// The same where nothing has been sent that the farm could stop: the first wish to end is the last.
inline bool ThisThreadGivesUp() {
  Impatience* const impatience = ThisWaiting().impatience;
  return impatience != nullptr && impatience->Ask(0) != Impatience::Wish::kWait;
}
// How long such a thread may sleep before it asks.
inline int PatientMs(int ms) { return ThisWaiting().impatience == nullptr ? ms : std::min(ms, kImpatienceMs); }

// Sets the thread's impatience and takes it back.
class WithImpatience {
 public:
  explicit WithImpatience(Impatience* impatience) : before_(ThisWaiting()) { ThisWaiting() = {impatience, 0}; }
  ~WithImpatience() { ThisWaiting() = before_; }
  WithImpatience(const WithImpatience&) = delete;
  WithImpatience& operator=(const WithImpatience&) = delete;

 private:
  const Waiting before_;
};

}  // namespace rbc::client
