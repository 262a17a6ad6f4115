// A session that behaves.
// SPDX-License-Identifier: Apache-2.0
#include "tests/harness/neighbour.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/harness/ir.h"

namespace rbc::harness {
namespace {

constexpr std::chrono::milliseconds kUsualPaceTime(60);
constexpr double kSlowWake = 20'000;  // us: the turns of some threads that use up both CPUs
constexpr std::chrono::milliseconds kPause(2);
constexpr double kTurns = 4;       // of threads in a call: client, daemon and worker, there and back
constexpr size_t kFewCalls = 300;  // of these one percent is an outlier or three

}  // namespace

Neighbour::Neighbour(const Farm& farm) {
  Client client = farm.Connect();
  const wire::FunctionInfo add = Must(client.Load(AddModule()), "the neighbour's add");
  thread_ = std::thread([this, client = std::move(client), add]() mutable { Run(std::move(client), add); });
  stalls_ = std::thread([this] { MeasureStalls(); });
  MeasureUsualPace();
}

void Neighbour::MeasureUsualPace() {
  std::this_thread::sleep_for(kUsualPaceTime);
  usual_us_ = Take().median_us;
}

Neighbour::~Neighbour() {
  stop_ = true;
  thread_.join();
  stalls_.join();
}

void Neighbour::MeasureStalls() {
  while (!stop_) {
    const auto begin = std::chrono::steady_clock::now();
    std::this_thread::sleep_for(kPause);
    const std::chrono::duration<double, std::micro> late = std::chrono::steady_clock::now() - begin - kPause;
    const std::lock_guard lock(mutex_);
    stall_us_ = std::max(stall_us_, late.count());
    ++measured_;
    answered_.notify_all();
  }
}

void Neighbour::Run(Client client, const wire::FunctionInfo& add) {
  for (int i = 0; !stop_; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    const auto result = client.Call(add, {double(i), 0.5});
    const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - begin;
    {
      const std::lock_guard lock(mutex_);
      times_us_.push_back(took.count());
      if (!result || !(result->value == Value(i + 0.5))) {
        ++wrong_;
        if (first_error_.empty()) first_error_ = result ? "a wrong sum" : Describe(result.error());
      }
    }
    answered_.notify_all();
    std::this_thread::sleep_for(kPause);
  }
}

Neighbour::Report Neighbour::Take() {
  std::unique_lock lock(mutex_);
  // A misdeed may be over before the neighbour's next call: the call that follows it counts.
  answered_.wait_for(lock, kPatience, [&] { return !times_us_.empty(); });
  // A stall that delayed them may not have been noted yet.
  answered_.wait_for(lock, kPatience, [this, before = measured_] { return measured_ != before; });
  std::sort(times_us_.begin(), times_us_.end());
  Report report;
  report.usual_us = usual_us_;
  report.stall_us = std::exchange(stall_us_, 0);
  report.calls = times_us_.size();
  report.wrong = std::exchange(wrong_, 0);
  report.first_error = std::exchange(first_error_, {});
  if (report.calls != 0) {
    report.median_us = times_us_[report.calls / 2];
    report.p99_us = times_us_[report.calls * 99 / 100];
    report.worst_us = times_us_.back();
  }
  times_us_.clear();
  return report;
}

void ExpectUndisturbed(const Neighbour::Report& report) {
  EXPECT_GT(report.calls, 0u) << "the neighbour got no answer at all";
  EXPECT_EQ(report.wrong, 0u) << "the neighbour's first error: " << report.first_error;
  const double late = kTurns * report.stall_us;
  EXPECT_LT(report.p99_us, 0.3e6 + (report.calls < kFewCalls ? late : 0)) << "of " << report.calls << " calls";
  // Its median too counts what the machine does beside; that of a few calls is one of them.
  const double turns = kSlowWake + (report.calls < 10 ? late : 0);
  EXPECT_LT(report.median_us, std::max(3 * report.usual_us, turns)) << "the usual pace is " << report.usual_us;
  EXPECT_LT(report.worst_us, 1e6 + late) << "the neighbour's median is " << report.median_us << " us";
}

}  // namespace rbc::harness
