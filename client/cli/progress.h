// Says so where something takes more than a second: a line on the terminal, gone when it is over.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

namespace rbc::cli {

class Progress {
 public:
  // `what` runs from now until the end of this object. Nothing is shown where standard error is no terminal.
  explicit Progress(std::string what);
  ~Progress();
  Progress(const Progress&) = delete;

  // So many bytes of a copy have moved. Thread-safe.
  void Moved(uint64_t done, uint64_t total);

 private:
  void Watch();
  void Show(int64_t seconds);

  const std::string what_;
  std::atomic<int> percent_{0};  // of the copy that was last heard of
  std::atomic<std::chrono::steady_clock::time_point> heard_{};
  std::mutex mutex_;
  std::condition_variable end_;
  bool over_ = false;
  std::thread thread_;
};

}  // namespace rbc::cli
