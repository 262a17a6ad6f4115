// What the farm costs on a GPU, against programs that use the driver alone (goal 13), all in one run:
//   gpu_bench CODE_FOLDER [--driver PATH --dry]
// CODE_FOLDER is gpu_code's. --dry runs everything once on a driver whose kernels do nothing and checks no result.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "cuda/driver.h"
#include "rbc/rbc.h"
#include "tests/gpu/bench_functions.h"
#include "tests/harness/farm.h"

namespace rbc::bench {
namespace {

using Clock = std::chrono::steady_clock;
using cuda::CUdeviceptr;
using cuda::CUfunction;

constexpr const char* kNothing =
    ".version 6.3\n.target sm_75\n.address_size 64\n.visible .entry nothing()\n{\n  ret;\n}\n";
constexpr unsigned kThreads = 256;
constexpr size_t kCallBytes = 128;  // of a small call's frame and result
constexpr int kMajor = 75, kMinor = 76, kMultiprocessors = 16;

[[noreturn]] void Die(const std::string& message) {
  std::fprintf(stderr, "gpu_bench: %s\n", message.c_str());
  std::exit(1);
}
void Must(const Status& status) {
  if (!status) Die(status.error().message);
}

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

void Report(const std::string& name, const std::string& unit, double ours, double floor, double goal, bool most) {
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
double TimeOf(int count, const std::function<void()>& work) {
  const auto start = Clock::now();
  for (int i = 0; i < count; ++i) work();
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count() / count;
}

// Two ways of the same work by turns; the medians of their rounds.
std::pair<double, double> ByTurns(bool dry, int count, const std::function<void()>& ours,
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

// ---- Calls -------------------------------------------------------------------------------------------------------

constexpr char kAdd[] = "define double @add(double %x, double %y) {\n  %r = fadd double %x, %y\n  ret double %r\n}\n";

void MeasureCalls(const Bare& bare, const RemoteJIT& jit) {
  const CUfunction nothing = bare.Load(kNothing, "nothing");
  const CUdeviceptr there = bare.OnDevice(kCallBytes);
  char* const here = bare.Pinned(kCallBytes);
  std::string none;
  const auto launch = [&] {
    bare.Launch(nothing, 1, 1, none);
    bare.Wait();
  };
  const auto copies = [&] {
    bare.CopyIn(there, here, kCallBytes);
    bare.Launch(nothing, 1, 1, none);
    bare.CopyOut(here, there, kCallBytes);
    bare.Wait();
  };
  const auto add = jit.function<double(double, double)>(Source::Ir(kAdd), "add");
  const auto call = [&] {
    if (const double sum = add(1.5, 2); sum != 3.5 && !bare.dry()) Die("the farm adds wrong");
  };
  auto [ours, floor] = ByTurns(bare.dry(), 500, call, launch);
  Report("call through the farm / launch", "us", ours, floor, 1.3, true);
  std::tie(ours, floor) = ByTurns(bare.dry(), 500, call, copies);
  Report("call through the farm / with copies", "us", ours, floor, 1.3, true);
}

// ---- Launches ----------------------------------------------------------------------------------------------------

constexpr char kOne[] = "define ptx_kernel void @one(ptr %x) {\n  store double 1.5, ptr %x\n  ret void\n}\n";

// Of a kernel whose array stays on the GPU, and of two in one chain.
void MeasureLaunches(const Bare& bare, const RemoteJIT& jit) {
  const CUfunction nothing = bare.Load(kNothing, "nothing");
  std::string none;
  const auto launch = [&] {
    bare.Launch(nothing, 1, 1, none);
    bare.Wait();
  };
  const Buffer array = jit.empty<double>({1000}, {.target = "cuda"});
  const auto one = jit.function(Source::Ir(kOne), "one", {"void(float64*)"}, {.abi = CallAbi::kKernel});
  const auto [ours, floor] = ByTurns(
      bare.dry(), 500, [&] { one.launch({}, array); }, launch);
  if (array.slice(0, 0, 1).to_host<double>()[0] != 1.5 && !bare.dry()) Die("the farm's kernel writes nothing");
  Report("launch over a resident array / launch", "us", ours, floor, 1.3, true);
  Queue queue = jit.queue();
  const auto [chained, many] = ByTurns(
      bare.dry(), 20,
      [&] {
        for (int i = 0; i < 50; ++i) queue.launch(one, {}, array);
        queue.wait();
      },
      [&] {
        for (int i = 0; i < 50; ++i) launch();
      });
  Report("50 launches in a chain / 50 launches", "us", chained, many, 1.3, true);
}

// ---- Code --------------------------------------------------------------------------------------------------------

struct Columns {
  std::vector<CUdeviceptr> in;
  CUdeviceptr ours = 0, theirs = 0;
};

template <typename T>
void Append(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// targets/cuda/launch.h: MapParameters and a Column each.
std::string OurParameters(size_t rows, CUdeviceptr outcome, const Columns& columns, int64_t size) {
  std::string out;
  Append(out, uint64_t{rows});
  Append(out, uint64_t{outcome});
  for (const CUdeviceptr column : columns.in) {
    Append(out, uint64_t{column});
    Append(out, size);
  }
  Append(out, uint64_t{columns.ours});
  Append(out, size);
  return out;
}

std::string TheirParameters(size_t rows, const Columns& columns) {
  std::string out;
  Append(out, uint64_t{rows});
  for (const CUdeviceptr column : columns.in) Append(out, uint64_t{column});
  Append(out, uint64_t{columns.theirs});
  return out;
}

template <typename T>
void CompareResults(const Bare& bare, const Columns& columns, size_t rows, const char* name) {
  char* const here = bare.Pinned(2 * rows * sizeof(T));
  bare.CopyOut(here, columns.ours, rows * sizeof(T));
  bare.CopyOut(here + rows * sizeof(T), columns.theirs, rows * sizeof(T));
  bare.Wait();
  const T *mine = reinterpret_cast<T*>(here), *theirs = mine + rows;
  const double allowed = sizeof(T) == 8 ? 1e-11 : 2e-3;
  for (size_t i = 0; i < rows && !bare.dry(); ++i)
    if (!(std::abs(double{mine[i]} - double{theirs[i]}) <= allowed * (1 + std::abs(double{theirs[i]}))))
      Die(fmt::format("{}: row {} is {} and {}", name, i, mine[i], theirs[i]));
}

template <typename T>
void MeasureCode(const Bare& bare, const std::string& folder) {
  const int sm = bare.Attribute(kMajor) * 10 + bare.Attribute(kMinor);
  const auto blocks = static_cast<unsigned>(bare.Attribute(kMultiprocessors) * 8);
  const size_t rows = bare.dry() ? 1000 : size_t{1} << 24;
  Columns columns;
  std::vector<T> values(rows);
  for (int c = 0; c < 2; ++c) {
    for (size_t i = 0; i < rows; ++i) values[i] = static_cast<T>(0.5 + static_cast<double>((i * (c + 7)) % 1000) / 500);
    columns.in.push_back(bare.OnDevice(rows * sizeof(T)));
    bare.CopyIn(columns.in.back(), values.data(), rows * sizeof(T));
    bare.Wait();
  }
  columns.ours = bare.OnDevice(rows * sizeof(T));
  columns.theirs = bare.OnDevice(rows * sizeof(T));
  const CUdeviceptr outcome = bare.OnDevice(8);
  const auto both = columns.in;
  for (const auto& function : kTimedFunctions) {
    const bool is_double = sizeof(T) == 8;
    const std::string mine = harness::ReadWholeFile(folder + "/" + CodeFile(function, is_double, sm, true));
    const std::string theirs = harness::ReadWholeFile(folder + "/" + CodeFile(function, is_double, sm, false));
    if (mine.empty() || theirs.empty()) {
      std::printf("bench: %s: no code for sm_%d in %s; name it to scripts/gpu-bundle\n", function.name, sm,
                  folder.c_str());
      continue;
    }
    columns.in = both;
    columns.in.resize(static_cast<size_t>(function.columns));
    const CUfunction ours = bare.Load(mine, "rbc_map_0"), entry = bare.Load(theirs, "entry");
    std::string our_parameters = OurParameters(rows, outcome, columns, sizeof(T));
    std::string their_parameters = TheirParameters(rows, columns);
    const auto run = [&](CUfunction kernel, std::string& parameters) {
      for (int i = 0; i < 10; ++i) bare.Launch(kernel, blocks, kThreads, parameters);
      bare.Wait();
    };
    const auto [a, b] = ByTurns(
        bare.dry(), 3, [&] { run(ours, our_parameters); }, [&] { run(entry, their_parameters); });
    Report(fmt::format("code of {} {}", function.name, is_double ? "float64" : "float32"), "us", a / 10, b / 10, 1.05,
           true);
    CompareResults<T>(bare, columns, rows, function.name);
  }
}

// ---- Arrays ------------------------------------------------------------------------------------------------------

ArrayArgument In(const Buffer& buffer) {
  return {buffer.dtype(), nullptr, buffer.shape(), buffer.strides(), buffer.id(), buffer.offset()};
}

// An addition of arrays on a target, written into a third one.
class Addition {
 public:
  Addition(const Bare& bare, const RemoteJIT& jit, size_t rows, const std::string& target)
      : dry_(bare.dry()),
        add_(jit.function(Source::Ir(kAdd), "add", {"float64(float64, float64)"})),
        x_(Make(jit, rows, target)),
        y_(Make(jit, rows, target)),
        z_(Make(jit, rows, target)) {
    const std::vector<double> ones(1 << 20, 1.5), twos(1 << 20, 2);
    for (size_t first = 0; first < rows; first += ones.size()) {
      const size_t count = std::min(ones.size(), rows - first);
      Part(x_, first, count).copy_from(std::span(ones).first(count));
      Part(y_, first, count).copy_from(std::span(twos).first(count));
    }
    into_.out = In(z_);
  }
  void Run() const { add_.map_arrays({In(x_), In(y_)}, into_); }
  void Sum() const {
    const double sum = add_.reduce(In(x_)).as<double>()[0];
    if (sum != 1.5 * static_cast<double>(x_.size()) && !dry_) Die("the farm's reduction adds wrong");
  }
  // Along an axis of as many rows of 4,096 as there are.
  void SumAlong(int axis) const {
    constexpr int64_t kWidth = 4096;
    const int64_t rows = std::max<int64_t>(static_cast<int64_t>(x_.size()) / kWidth, 1);
    const int64_t width = std::min<int64_t>(kWidth, static_cast<int64_t>(x_.size()));
    const Buffer table = x_.slice(0, 0, rows * width).reshape({rows, width});
    const auto sums = add_.reduce(In(table), {.axis = axis}).as<double>();
    const double wanted = 1.5 * static_cast<double>(axis == 0 ? rows : width);
    if ((sums.front() != wanted || sums.back() != wanted) && !dry_)
      Die("the farm's reduction along an axis adds wrong");
  }
  void Scan() const {
    ArrayScanOptions options;
    options.out = In(z_);
    add_.scan(In(x_), options);
  }
  void CheckScan() const {
    const double last = Part(z_, z_.bytes() / 8 - 1, 1).to_host<double>()[0];
    if (last != 1.5 * static_cast<double>(z_.size()) && !dry_) Die("the farm's scan adds wrong");
  }
  void CheckResult() const {
    for (const size_t row : {size_t{0}, z_.bytes() / 16, z_.bytes() / 8 - 1})
      if (Part(z_, row, 1).to_host<double>()[0] != 3.5 && !dry_) Die("the farm's map adds wrong");
  }

 private:
  static Buffer Make(const RemoteJIT& jit, size_t rows, const std::string& target) {
    return jit.empty<double>({static_cast<int64_t>(rows)}, {.target = target});
  }
  static Buffer Part(const Buffer& all, size_t first, size_t count) {
    return all.slice(0, static_cast<int64_t>(first), static_cast<int64_t>(first + count));
  }
  const bool dry_;
  const Caller add_;
  const Buffer x_, y_, z_;
  ArrayMapOptions into_;
};

constexpr double Moved(size_t arrays, size_t bytes) { return static_cast<double>(arrays) * static_cast<double>(bytes); }

// Arrays that stay on the GPU: bytes read and written a second, against a copy within the GPU.
void MeasureResident(const Bare& bare, const RemoteJIT& jit) {
  const size_t most = bare.dry() ? 1000 : size_t{1} << 28;
  const size_t rows = std::min(most, bare.FreeMemory() / 16 / sizeof(double)), bytes = rows * sizeof(double);
  const Addition addition(bare, jit, rows, "cuda");
  const CUdeviceptr from = bare.OnDevice(bytes), to = bare.OnDevice(bytes);
  const auto copy = [&] {
    bare.CopyWithin(to, from, bytes);
    bare.Wait();
  };
  const auto [ours, floor] = ByTurns(
      bare.dry(), 20, [&] { addition.Run(); }, copy);
  addition.CheckResult();
  const auto [sums, read] = ByTurns(
      bare.dry(), 20, [&] { addition.Sum(); }, copy);
  Report("resident sum / copy on the GPU", "MB/s", Moved(1, bytes) / sums, Moved(2, bytes) / read, 0.9, false);
  for (const int axis : {0, 1}) {
    const auto [along, copied] = ByTurns(
        bare.dry(), 20, [&] { addition.SumAlong(axis); }, copy);
    Report(fmt::format("resident sum along axis {} / copy", axis), "MB/s", Moved(1, bytes) / along,
           Moved(2, bytes) / copied, 0.9, false);
  }
  const auto [scans, through] = ByTurns(
      bare.dry(), 20, [&] { addition.Scan(); }, copy);
  addition.CheckScan();
  Report("resident scan (3 of bytes) / copy", "MB/s", Moved(3, bytes) / scans, Moved(2, bytes) / through, 0.9, false);
  Report("resident add / copy on the GPU", "MB/s", Moved(3, bytes) / ours, Moved(2, bytes) / floor, 0.9, false);
  bare.Free(from);
  bare.Free(to);
}

// Arrays in the farm's memory: two go there, one comes back; against pinned copies of the same bytes both ways at once.
void MeasureHostArrays(const Bare& bare, const RemoteJIT& jit) {
  const size_t rows = bare.dry() ? 1000 : size_t{1} << 26, bytes = rows * sizeof(double);
  const Addition addition(bare, jit, rows, "host");
  const CUdeviceptr there = bare.OnDevice(3 * bytes);
  char* const here = bare.Pinned(3 * bytes);
  const auto copies = [&] {
    bare.CopyIn(there, here, 2 * bytes);
    bare.CopyBack(here + 2 * bytes, there + 2 * bytes, bytes);
    bare.Wait();
    bare.WaitForBack();
  };
  const auto [ours, floor] = ByTurns(
      bare.dry(), 3, [&] { addition.Run(); }, copies);
  addition.CheckResult();
  Report("map of host arrays / pinned copies", "MB/s", Moved(3, bytes) / ours, Moved(3, bytes) / floor, 0.85, false);
  bare.Free(there);
  bare.FreePinned(here);
}

int Run(const std::string& folder, const std::string& driver, bool dry) {
  harness::FarmOptions options;
  options.Set("targets.cuda", "session_memory", "\"16 GiB\"");
  if (!driver.empty()) options.Set("targets.cuda", "driver", '"' + driver + '"');
  const harness::Farm farm(options);
  RemoteJIT::Options jit_options;
  jit_options.target = "cuda";
  const RemoteJIT jit(farm.unix_address(), std::move(jit_options));
  const Bare bare(driver, dry);
  MeasureCalls(bare, jit);
  MeasureLaunches(bare, jit);
  MeasureResident(bare, jit);
  MeasureHostArrays(bare, jit);
  MeasureCode<double>(bare, folder);
  MeasureCode<float>(bare, folder);
  return 0;
}

}  // namespace
}  // namespace rbc::bench

int main(int argc, char** argv) {
  std::string driver;
  bool dry = false;
  for (int i = 2; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--dry") dry = true;
    if (std::string_view(argv[i]) == "--driver" && i + 1 < argc) driver = argv[++i];
  }
  if (argc < 2) {
    std::fputs("gpu_bench CODE_FOLDER [--driver PATH --dry]\n", stderr);
    return 2;
  }
  try {
    return rbc::bench::Run(argv[1], driver, dry);
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "gpu_bench: %s\n", failure.what());
    return 1;
  }
}
