// The line and the thread that draws it.
// SPDX-License-Identifier: Apache-2.0
#include "client/cli/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

namespace rbc::cli {
namespace {

constexpr auto kAfter = std::chrono::seconds(1);
constexpr auto kEvery = std::chrono::milliseconds(250);
constexpr auto kStale = std::chrono::seconds(1);  // a copy tells more often
constexpr const char* kClear = "\r\x1b[K";
constexpr int kBar = 30;  // characters

}  // namespace

Progress::Progress(std::string what) : what_(std::move(what)) {
  if (isatty(STDERR_FILENO) == 1) thread_ = std::thread([this] { Watch(); });
}

Progress::~Progress() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
  }
  end_.notify_one();
  thread_.join();
}

void Progress::Moved(uint64_t done, uint64_t total) {
  const double part = total == 0 ? 1 : static_cast<double>(done) / static_cast<double>(total);
  percent_ = static_cast<int>(part * 100);
  heard_ = std::chrono::steady_clock::now();
}

void Progress::Watch() {
  const auto begin = std::chrono::steady_clock::now();
  bool shown = false;
  std::unique_lock lock(mutex_);
  for (auto wait = std::chrono::milliseconds(kAfter); !end_.wait_for(lock, wait, [this] { return over_; });
       wait = kEvery) {
    Show(std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - begin).count());
    shown = true;
  }
  if (shown) fmt::print(stderr, "{}", kClear);
}

void Progress::Show(int64_t seconds) {
  const int percent = percent_;
  if (percent >= 100 || std::chrono::steady_clock::now() - heard_.load() > kStale) {
    fmt::print(stderr, "{}rbc: {} ({} s)", kClear, what_, seconds);
  } else {
    const int full = percent * kBar / 100;
    fmt::print(stderr, "{}rbc: copying [{:#<{}}{:.<{}}] {} % ({} s)", kClear, "", full, "", kBar - full, percent,
               seconds);
  }
  std::fflush(stderr);
}

}  // namespace rbc::cli
