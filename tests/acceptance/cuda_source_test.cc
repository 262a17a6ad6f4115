// .cu source through C++ and the command: lowered by the machine's clang without NVIDIA's headers, run by the
// simulator.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <numeric>

#include "rbc/rbc.h"
#include "tests/harness/farm_test.h"
#include "tests/harness/paths.h"
#include "tests/harness/run_program.h"

namespace rbc::harness {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kKernels[] = R"(
#include <cmath>
#include "factor.h"
__constant__ int table[4] = {10, 20, 30, 40};
template <typename T>
__device__ T square(T x) { return x * x; }

__global__ void reverse(long long* data) {
  extern __shared__ long long open[];
  const int at = blockIdx.x * blockDim.x + threadIdx.x;
  open[threadIdx.x] = data[at];
  __syncthreads();
  data[at] = open[blockDim.x - 1 - threadIdx.x] + blockIdx.x * 1000 + threadIdx.x;
}
extern "C" __global__ void __launch_bounds__(256) histogram(const int* values, int* counts, int bins) {
  __shared__ int local[16];
  if (threadIdx.x < 16) local[threadIdx.x] = 0;
  __syncthreads();
  atomicAdd(&local[values[blockIdx.x * blockDim.x + threadIdx.x] % bins], FACTOR);
  __syncthreads();
  if (threadIdx.x < bins) atomicAdd(counts + threadIdx.x, local[threadIdx.x]);
}
__global__ void warp_sum(double* values) {
  double sum = values[threadIdx.x];
  for (int step = 16; step > 0; step /= 2) sum += __shfl_down_sync(~0u, sum, step);
  if (threadIdx.x == 0) values[0] = sum;
}
__global__ void words(int* out) {
  const dim3 size = blockDim;
  const unsigned odd = __ballot_sync(~0u, threadIdx.x % 2);
  if (threadIdx.x != 0) return;
  out[0] = size.x * 100 + gridDim.x;
  out[1] = __popc(odd);
  out[2] = atomicCAS(&out[7], 0, 9);
  out[3] = atomicMax(&out[7], 11);
  out[4] = atomicExch(&out[7], 5) + __clz(1) + __ffs(8) + warpSize;
  out[5] = table[2];
}
__global__ void maths(double* x, float* y) {
  x[threadIdx.x] = std::sin(square(x[threadIdx.x])) + pow(x[threadIdx.x], 2.5) + fmod(x[threadIdx.x], 0.75);
  y[threadIdx.x] = expf(y[threadIdx.x]) + std::sqrt(y[threadIdx.x]);
}
__global__ void more_maths(double* x, float* y) {
  x[0] = rsqrt(x[0]) + sinpi(x[0]) + normcdf(0.0) + __dadd_ru(x[0], 1e-30) + max(min(x[0], 3.0), 2.0);
  y[0] = rsqrtf(y[0]) + __expf(0.0f) + __fdividef(1.0f, y[0]) + __saturatef(7.0f) + __fmaf_rn(y[0], 2.0f, 1.0f);
}
__global__ void more_words(int* out, unsigned* wheel) {
  atomicInc(&wheel[0], 4);
  atomicDec(&wheel[1], 9);
  if (threadIdx.x != 0) return;
  out[0] = min(3, -2) + max(out[0], 40);
  out[1] = __mulhi(1 << 30, 8) + static_cast<int>(__umulhi(1u << 31, 6u));
  out[2] = __float_as_int(1.0f);
  out[3] = static_cast<int>(__int_as_float(0x40400000));
  out[4] = __ffsll(1ll << 40) + __ldg(&out[0]);
  out[5] = __brevll(1ull << 63) == 1 && __longlong_as_double(__double_as_longlong(2.5)) == 2.5;
}
__global__ void talk(int* x) { printf("x is %d and %.1f\n", x[0], 2.5); }
__global__ void checks(int* x) { assert(x[threadIdx.x] == 0); }
extern "C" __device__ double twice(double x) { return FACTOR * 2 * x; }
)";

class CudaSource : public FarmTest {
 protected:
  FarmOptions Options() const override { return FarmOptions().Set("targets.cuda", "simulate", "true"); }
  void SetUp() override {
    FarmTest::SetUp();
    WriteWholeFile(farm().folder() + "/factor.h", "#define FACTOR 1\n");
    WriteWholeFile(path(), kKernels);
  }
  std::string path() { return farm().folder() + "/ker\"nels.cu"; }  // a name that must be quoted
  RemoteJIT Jit(std::string* output = nullptr) {
    RemoteJIT::Options options;
    options.target = "cuda";
    options.on_output = [output](std::string_view text) {
      if (output != nullptr) output->append(text);
    };
    return RemoteJIT(farm().unix_address(), std::move(options));
  }
  Finished Rbc(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {ProgramPath("rbc"), "--farm", farm().unix_address()});
    return RunProgram(arguments);
  }
};

TEST_F(CudaSource, KernelsAreLaunched) {
  const auto jit = Jit();
  const Source source = Source::File(path());
  EXPECT_EQ(source.abi(), CallAbi::kKernel);
  std::vector<int64_t> data(96);
  std::iota(data.begin(), data.end(), 0);
  jit.function(source, "reverse", {"void(int64*)"}).launch({{3}, {32}, 32 * 8}, data);
  for (int64_t i = 0; i < 96; ++i) ASSERT_EQ(data[i], i / 32 * 32 + 31 - i % 32 + i / 32 * 1000 + i % 32) << i;

  std::vector<int32_t> values(256), counts(10), expected(10);
  for (int32_t i = 0; i < 256; ++i) ++expected[(values[i] = i * i % 97) % 10];
  jit.function(source, "histogram", {"void(int32*, int32*, int32)"})
      .launch({{4}, {64}, 0}, std::span<const int32_t>(values), std::span<int32_t>(counts), 10);
  EXPECT_EQ(counts, expected);

  std::vector<double> lanes(32);
  std::iota(lanes.begin(), lanes.end(), 1);
  jit.function(source, "warp_sum", {"void(float64*)"}).launch({{1}, {32}, 0}, lanes);
  EXPECT_EQ(lanes[0], 528);

  std::vector<int32_t> out(8);
  jit.function(source, "words", {"void(int32*)"}).launch({{5}, {32}, 0}, std::span<int32_t>(out).first(8));
  EXPECT_EQ(out[0], 3205);
  EXPECT_EQ(out[1], 16);
  EXPECT_EQ(out[5], 30);
}

TEST_F(CudaSource, MathsIsTheGpus) {
  std::vector<double> x = {0.5, 1, 2, 3};
  std::vector<float> y = {0.5F, 1, 2, 3};
  Jit().function(Source::File(path()), "maths", {"void(float64*, float32*)"}).launch({{1}, {4}, 0}, x, y);
  const double from[] = {0.5, 1, 2, 3};
  for (int i = 0; i < 4; ++i) {
    EXPECT_NEAR(x[i], std::sin(from[i] * from[i]) + std::pow(from[i], 2.5) + std::fmod(from[i], 0.75), 1e-14);
    EXPECT_NEAR(y[i], std::exp(from[i]) + std::sqrt(from[i]), 1e-5);
  }
}

TEST_F(CudaSource, KnowsCudasOwnMathsAndWords) {
  std::vector<double> x = {0.25};
  std::vector<float> y = {0.25F};
  const auto jit = Jit();
  const Source source = Source::File(path());
  jit.function(source, "more_maths", {"void(float64*, float32*)"}).launch({}, x, y);
  EXPECT_NEAR(x[0], 2 + std::sqrt(0.5) + 0.5 + std::nextafter(0.25, 1) + 2, 1e-14);
  EXPECT_NEAR(y[0], 2 + 1 + 4 + 1 + 1.5, 1e-5);
  std::vector<int32_t> out(6);
  std::vector<uint32_t> wheel(2);
  jit.function(source, "more_words", {"void(int32*, uint32*)"}).launch({{1}, {32}, 0}, out, wheel);
  EXPECT_EQ(out, (std::vector<int32_t>{38, 5, 0x3f800000, 3, 79, 1}));
  EXPECT_EQ(wheel, (std::vector<uint32_t>{32 % 5, 8}));
}

TEST_F(CudaSource, PrintsAndAsserts) {
  std::string output;
  const auto jit = Jit(&output);
  const Source source = Source::File(path());
  std::vector<int32_t> x = {7, 8};
  jit.function(source, "talk", {"void(int32*)"}).launch({}, x);
  EXPECT_EQ(output, "x is 7 and 2.5\n");
  try {
    jit.function(source, "checks", {"void(int32*)"}).launch({{1}, {2}, 0}, x);
    ADD_FAILURE() << "the assert holds";
  } catch (const Exception& exception) {
    EXPECT_EQ(exception.kind(), ErrorKind::kRemoteCrash);
    EXPECT_EQ(exception.cause(), "assertion failed") << exception.what();
  }
}

TEST_F(CudaSource, DeviceFunctionsAreCalledAndMapped) {
  FunctionOptions options;
  options.abi = CallAbi::kDirect;
  auto twice = Jit().function(Source::File(path()), "twice", {"float64(float64)"}, options);
  EXPECT_EQ(twice(4.5).as<double>(), 9);
  EXPECT_EQ(twice.as<double(double)>().map(std::vector<double>{1, 2}), (std::vector<double>{2, 4}));
}

TEST_F(CudaSource, TheCommandTakesIt) {
  const auto run = Rbc({"launch", path(), "reverse", "void(int64*)", "[1, 2, 3, 4, 5, 6]", "--grid", "2", "--block",
                        "3", "--shared", "24", "--target", "cuda"});
  EXPECT_EQ(run.out, "[3, 3, 3, 1006, 1006, 1006]\n") << run.ToString();
  const auto call = Rbc({"call", path(), "twice", "f64(f64)", "21", "--abi", "direct", "--target", "cuda"});
  EXPECT_EQ(call.out, "42.0\n") << call.ToString();
  const auto host = Rbc({"launch", path(), "reverse", "void(int64*)", "[1]"});
  EXPECT_THAT(host.err, StartsWith("error: Unsupported")) << host.ToString();
}

TEST_F(CudaSource, WhatIsWrongIsToldByItsLine) {
  const auto wrong = Source::TryCuda("__global__ void f(int* p) {\n  *p = missing;\n}\n");
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().kind, ErrorKind::kCompileFailed);
  ASSERT_FALSE(wrong.error().diagnostics.empty());
  EXPECT_EQ(wrong.error().diagnostics[0].line, 2);
  EXPECT_THAT(wrong.error().diagnostics[0].message, HasSubstr("missing"));
  const auto headers = Source::TryCuda("#include <cuda_runtime.h>\n");
  ASSERT_FALSE(headers);
  EXPECT_THAT(headers.error().message, HasSubstr("without NVIDIA's headers"));
  EXPECT_EQ(Source::TryFile(farm().folder() + "/none.cu").error().kind, ErrorKind::kInvalidArgument);
}

}  // namespace
}  // namespace rbc::harness
