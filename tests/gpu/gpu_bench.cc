// What the farm costs on a GPU, against programs that use the driver alone (goal 13), all in one run:
//   gpu_bench [--driver PATH --dry]
// --dry runs everything once on a driver whose kernels do nothing and checks no result.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "rbc/rbc.h"
#include "tests/gpu/bare.h"
#include "tests/harness/farm.h"

namespace rbc::bench {
namespace {

constexpr size_t kCallBytes = 128;  // of a small call's frame and result

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

int Run(const Arguments& arguments) {
  harness::FarmOptions options;
  options.Set("targets.cuda", "session_memory", "\"16 GiB\"");
  if (!arguments.driver.empty()) options.Set("targets.cuda", "driver", '"' + arguments.driver + '"');
  const harness::Farm farm(options);
  RemoteJIT::Options jit_options;
  jit_options.target = "cuda";
  const RemoteJIT jit(farm.unix_address(), std::move(jit_options));
  const Bare bare(arguments.driver, arguments.dry);
  bool all = Measure("calls", [&] { MeasureCalls(bare, jit); });
  all &= Measure("launches", [&] { MeasureLaunches(bare, jit); });
  all &= Measure("arrays that stay", [&] { MeasureResident(bare, jit); });
  all &= Measure("host arrays", [&] { MeasureHostArrays(bare, jit); });
  return all ? 0 : 1;
}

}  // namespace
}  // namespace rbc::bench

int main(int argc, char** argv) { return rbc::bench::RunProgram("gpu_bench", argc, argv, rbc::bench::Run); }
