// A session that behaves: calls at its own pace while others misbehave, and checks each answer.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/harness/farm.h"

namespace rbc::harness {

class Neighbour {
 public:
  struct Report {
    size_t calls = 0;
    size_t wrong = 0;
    std::string first_error;
    double median_us = 0, p99_us = 0, worst_us = 0;
    double usual_us = 0;  // the median before anybody misbehaved
    double stall_us = 0;  // what the machine let a thread wait that asked for nothing but the processor
  };

  explicit Neighbour(const Farm& farm);
  ~Neighbour();
  // What was measured since the last report; waits a little for a first answer.
  Report Take();

 private:
  void MeasureUsualPace();
  void Run(Client client, const wire::FunctionInfo& add);
  // Measures the machine itself.
  void MeasureStalls();
  std::mutex mutex_;
  std::condition_variable answered_;
  std::vector<double> times_us_;
  size_t wrong_ = 0;
  std::string first_error_;
  double usual_us_ = 0;
  double stall_us_ = 0;
  size_t measured_ = 0;  // turns of the stalls' thread
  std::atomic<bool> stop_{false};
  std::thread thread_, stalls_;
};

// Every answer was right, the median is at most three times the usual one (or some turns of the scheduler), and none
// took longer than a second: bounds that a busy two-core machine keeps, and that a daemon which serves one session at a
// time does not. Where the machine itself was seen to let threads wait, a call, which is several, may be so much later.
void ExpectUndisturbed(const Neighbour::Report& report);

}  // namespace rbc::harness
