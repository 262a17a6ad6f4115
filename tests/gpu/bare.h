// A program that uses NVIDIA's driver alone, and the timing by turns against it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cuda/driver.h"

namespace rbc::bench {

using Clock = std::chrono::steady_clock;
using cuda::CUdeviceptr;
using cuda::CUfunction;

inline constexpr const char* kNothing =
    ".version 6.3\n.target sm_75\n.address_size 64\n.visible .entry nothing()\n{\n  ret;\n}\n";

// Ends the measurement that it comes from.
[[noreturn]] inline void Die(const std::string& message) { throw std::runtime_error(message); }
inline void Must(const Status& status) {
  if (!status) Die(status.error().message);
}

inline double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

inline void Report(const std::string& name, const std::string& unit, double ours, double floor, double goal,
                   bool most) {
  const double ratio = ours / floor;
  const bool met = most ? ratio <= goal : ratio >= goal;
  std::printf("bench: %-34s ours %10.2f %-4s floor %10.2f ratio %6.3f goal %s %.2f: %s\n", name.c_str(), ours,
              unit.c_str(), floor, ratio, most ? "<=" : ">=", goal, met ? "met" : "missed");
}

// The driver as a program of its own would use it.
class Bare {
 public:
  Bare(const std::string& path, bool dry) : dry_(dry) {
    auto driver = cuda::Driver::Open(path);
    if (!driver) Die(driver.error().message);
    driver_ = *driver;
    Check(driver_->cuDeviceGet(&device_, 0), "cuDeviceGet");
    cuda::CUcontext context = nullptr;
    Check(driver_->cuCtxCreate(&context, 0, device_), "cuCtxCreate");
    Check(driver_->cuStreamCreate(&stream_, 1), "cuStreamCreate");
    Check(driver_->cuStreamCreate(&back_, 1), "cuStreamCreate");
  }
  const cuda::Driver& driver() const { return *driver_; }
  cuda::CUstream stream() const { return stream_; }
  bool dry() const { return dry_; }
  int Attribute(int which) const {
    int value = 0;
    Check(driver_->cuDeviceGetAttribute(&value, which, device_), "cuDeviceGetAttribute");
    return value;
  }
  CUfunction Load(const std::string& image, const char* kernel) const {
    cuda::CUmodule module = nullptr;
    CUfunction function = nullptr;
    Check(driver_->cuModuleLoadDataEx(&module, image.c_str(), 0, nullptr, nullptr), "cuModuleLoadDataEx");
    Check(driver_->cuModuleGetFunction(&function, module, kernel), "cuModuleGetFunction");
    return function;
  }
  CUdeviceptr OnDevice(size_t size) const {
    CUdeviceptr at = 0;
    Check(driver_->cuMemAlloc(&at, size), "cuMemAlloc");
    return at;
  }
  char* Pinned(size_t size) const {
    void* at = nullptr;
    Check(driver_->cuMemHostAlloc(&at, size, 0), "cuMemHostAlloc");
    return static_cast<char*>(at);
  }
  void Launch(CUfunction function, unsigned blocks, unsigned threads, std::string& parameters) const {
    size_t size = parameters.size();
    void* extra[] = {reinterpret_cast<void*>(1), parameters.data(), reinterpret_cast<void*>(2), &size, nullptr};
    Check(driver_->cuLaunchKernel(function, blocks, 1, 1, threads, 1, 1, 0, stream_, nullptr,
                                  size == 0 ? nullptr : extra),
          "cuLaunchKernel");
  }
  void CopyIn(CUdeviceptr to, const void* from, size_t size) const {
    Check(driver_->cuMemcpyHtoDAsync(to, from, size, stream_), "cuMemcpyHtoDAsync");
  }
  void CopyOut(void* to, CUdeviceptr from, size_t size) const {
    Check(driver_->cuMemcpyDtoHAsync(to, from, size, stream_), "cuMemcpyDtoHAsync");
  }
  void CopyWithin(CUdeviceptr to, CUdeviceptr from, size_t size) const {
    Check(driver_->cuMemcpyDtoDAsync(to, from, size, stream_), "cuMemcpyDtoDAsync");
  }
  // On a stream of its own, beside what Wait() waits for.
  void CopyBack(void* to, CUdeviceptr from, size_t size) const {
    Check(driver_->cuMemcpyDtoHAsync(to, from, size, back_), "cuMemcpyDtoHAsync");
  }
  void Wait() const { Check(driver_->cuStreamSynchronize(stream_), "cuStreamSynchronize"); }
  void WaitForBack() const { Check(driver_->cuStreamSynchronize(back_), "cuStreamSynchronize"); }
  size_t FreeMemory() const {
    size_t free = 0, total = 0;
    Check(driver_->cuMemGetInfo(&free, &total), "cuMemGetInfo");
    return free;
  }
  void Free(CUdeviceptr at) const { Check(driver_->cuMemFree(at), "cuMemFree"); }
  void FreePinned(char* at) const { Check(driver_->cuMemFreeHost(at), "cuMemFreeHost"); }

 private:
  void Check(int result, const char* what) const { Must(driver_->Check(result, what)); }
  std::shared_ptr<const cuda::Driver> driver_;
  cuda::CUdevice device_ = 0;
  cuda::CUstream stream_ = nullptr, back_ = nullptr;
  const bool dry_;
};

// Microseconds of one of `count` runs in a row.
inline double TimeOf(int count, const std::function<void()>& work) {
  const auto start = Clock::now();
  for (int i = 0; i < count; ++i) work();
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count() / count;
}

// Two ways of the same work by turns; the medians of their rounds.
inline std::pair<double, double> ByTurns(bool dry, int count, const std::function<void()>& ours,
                                         const std::function<void()>& floor) {
  std::vector<double> mine, theirs;
  for (int round = dry ? 0 : -2; round < (dry ? 1 : 7); ++round) {
    const double a = TimeOf(dry ? 1 : count, ours), b = TimeOf(dry ? 1 : count, floor);
    if (round < 0) continue;  // warm
    mine.push_back(a);
    theirs.push_back(b);
  }
  return {Median(mine), Median(theirs)};
}

// One measurement; whether it came to its end. Others go on where it does not.
inline bool Measure(const char* name, const std::function<void()>& work) {
  try {
    work();
    return true;
  } catch (const std::exception& failure) {
    std::printf("bench: %s: FAILED: %s\n", name, failure.what());
    return false;
  }
}

// PROGRAM CODE_FOLDER [--driver PATH --dry]
struct Arguments {
  std::string folder, driver;
  bool dry = false;
  Arguments(int argc, char** argv) {
    for (int i = 1; i < argc; ++i) {
      const std::string_view argument = argv[i];
      if (argument == "--dry")
        dry = true;
      else if (argument == "--driver" && i + 1 < argc)
        driver = argv[++i];
      else
        folder = argument;
    }
  }
};

// The whole of such a program: what `run` gives is its exit code, 1 where it cannot go on.
inline int RunProgram(const char* name, int argc, char** argv, int (*run)(const Arguments&)) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  try {
    return run({argc, argv});
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "%s: %s\n", name, failure.what());
    return 1;
  }
}

}  // namespace rbc::bench
