// How long a function takes to PTX and to a cubin, against NVIDIA's run-time compiler on the same function (goal 9):
// both warm, in this process, by turns. gpu_compile [--rounds N] [--sm SM]
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "targets/cuda/libdevice.h"
#include "targets/cuda/nvjitlink.h"
#include "tests/bench/nvrtc.h"
#include "tests/targets/clang.h"
#include "tests/targets/cuda_harness.h"
#include "tests/targets/harness.h"

namespace {

using Clock = std::chrono::steady_clock;

struct Function {
  const char* name;
  const char* c;       // for clang and, with __device__ before it, for NVRTC
  const char* kernel;  // NVRTC's entry around it
  const char* signature;
};

constexpr Function kFunctions[] = {
    {"add", "double add(double a, double b) { return a + b; }",
     "extern \"C\" __global__ void entry(const double* f, double* r) { *r = add(f[0], f[1]); }",
     "float64(float64, float64)"},
    {"call_price",
     "double call_price(double s, double k, double r, double v, double t) {\n"
     "  double a = (log(s / k) + (r + 0.5 * v * v) * t) / (v * sqrt(t)), b = a - v * sqrt(t);\n"
     "  return s * (0.5 * (1.0 + erf(a / sqrt(2.0)))) - k * exp(-r * t) * (0.5 * (1.0 + erf(b / sqrt(2.0))));\n}",
     "extern \"C\" __global__ void entry(const double* f, double* r) { *r = call_price(f[0], f[1], f[2], f[3], f[4]); "
     "}",
     "float64(float64, float64, float64, float64, float64)"}};

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

template <typename Work>
double Milliseconds(Work&& work) {
  const auto start = Clock::now();
  if (work().empty()) {
    std::fputs("a compile failed\n", stderr);
    std::exit(1);
  }
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

}  // namespace

int main(int argc, char** argv) {
  int rounds = 15, sm = 90;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::string_view(argv[i]) == "--rounds") rounds = std::max(5, std::atoi(argv[i + 1]));
    if (std::string_view(argv[i]) == "--sm") sm = std::atoi(argv[i + 1]);
  }
  rbc::bench::Nvrtc nvrtc;
  if (!nvrtc.Open()) {
    std::fputs("no libnvrtc here: it comes with CUDA's toolkit\n", stderr);
    return 1;
  }
  rbc::testing::CudaTarget();
  if (rbc::cuda::LibdevicePath().empty() || rbc::cuda::NvJitLinkPath().empty()) {
    std::fputs("no libdevice or no nvJitLink here: run scripts/install-deps\n", stderr);
    return 1;
  }
  bool met = true;
  for (const auto& f : kFunctions) {
    const auto ir =
        rbc::testing::ClangModule(std::string("#include <math.h>\n") + f.c, "-O1 -c -emit-llvm -fno-math-errno");
    const std::string cuda = std::string("__device__ ") + f.c + "\n" + f.kernel;
    for (const bool cubin : {false, true}) {
      rbc::CompileOptions options = rbc::testing::ForPtx(sm);
      if (cubin) options.emit = rbc::Emit::kCubin;
      const auto ours = [&] {
        auto artifact = rbc::testing::CompileCuda(ir, {{f.name, f.signature, rbc::Abi::kSysv}}, options);
        return artifact ? artifact->code : "";
      };
      std::vector<double> mine, theirs;
      for (int i = -2; i < rounds; ++i) {
        const double a = Milliseconds(ours), b = Milliseconds([&] { return nvrtc.Run(cuda, sm, cubin, false); });
        if (i < 0) continue;  // warm
        mine.push_back(a);
        theirs.push_back(b);
      }
      const double goal = cubin ? 0.7 : 1.0 / 3, ratio = Median(mine) / Median(theirs);
      met &= ratio <= goal;
      std::printf("%-10s to %-5s sm_%d: %7.2f ms, NVRTC %7.2f ms, ratio %.2f, goal %.2f: %s\n", f.name,
                  cubin ? "cubin" : "PTX", sm, Median(mine), Median(theirs), ratio, goal,
                  ratio <= goal ? "met" : "missed");
    }
  }
  return met ? 0 : 3;
}
