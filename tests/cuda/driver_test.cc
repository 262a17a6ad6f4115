// The Driver API against a driver that fails on demand: what each error becomes, and that nothing leaks.
// SPDX-License-Identifier: Apache-2.0
#include "cuda/driver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <thread>

#include "cuda/gpu.h"
#include "cuda/probe.h"
#include "tests/fake_cuda/fake_cuda.h"

namespace rbc::cuda {
namespace {

using ::testing::HasSubstr;

constexpr const char* kImage = ".visible .entry work()";

class FakeDriver : public ::testing::Test {
 protected:
  void SetUp() override { FakeCuda::Heal(); }
  void TearDown() override {
    FakeCuda::Heal();
    EXPECT_EQ(FakeCuda::Left("contexts"), 0);
    EXPECT_EQ(FakeCuda::Left("modules"), 0);
    EXPECT_EQ(FakeCuda::Left("streams"), 0);
    EXPECT_EQ(FakeCuda::Left("events"), 0);
    EXPECT_EQ(FakeCuda::Left("memory"), 0);
  }
};

// Everything that a worker does with a GPU.
Status UseAll(uint64_t memory_limit = 0, size_t bytes = 1000) {
  RBC_ASSIGN_OR_RETURN(const auto gpu, Gpu::Open(RBC_FAKE_CUDA, 1, memory_limit));
  RBC_ASSIGN_OR_RETURN(const auto image, gpu->Load(kImage));
  RBC_ASSIGN_OR_RETURN(const auto function, gpu->Find(image, "work"));
  RBC_ASSIGN_OR_RETURN(auto track, gpu->Take());
  const auto run = [&]() -> Status {
    RBC_RETURN_IF_ERROR(track->Reserve(bytes));
    std::memset(track->staging(), 7, bytes);
    RBC_RETURN_IF_ERROR(track->CopyIn(0, bytes));
    KernelLaunch launch;
    launch.function = function;
    launch.parameters = "12345678";
    launch.shared_bytes = 64 * 1024;
    RBC_RETURN_IF_ERROR(track->Launch(launch));
    std::memset(track->staging(), 0, bytes);
    RBC_RETURN_IF_ERROR(track->CopyOut(0, bytes));
    RBC_RETURN_IF_ERROR(track->Await());
    RBC_RETURN_IF_ERROR(track->Finish());
    return track->staging()[bytes - 1] == 7 ? Status() : Error(ErrorKind::kInternal, "the bytes did not come back");
  };
  // On a lane's thread, which did not open the GPU.
  Status status;
  std::thread([&] {
    status = gpu->MakeCurrent();
    if (status) status = run();
  }).join();
  gpu->Give(std::move(track));
  return status;
}

TEST_F(FakeDriver, RunsWhatAWorkerDoes) {
  const Status status = UseAll();
  EXPECT_TRUE(status) << status.error().message;
}

// Everything that happens to an array which stays on a GPU: through more pinned blocks than there are, whole and in
// part.
Status CopyAll(uint64_t memory_limit = 0, size_t bytes = 3 * StagedCopy::kBlock + 17) {
  RBC_ASSIGN_OR_RETURN(const auto gpu, Gpu::Open(RBC_FAKE_CUDA, 1, memory_limit));
  RBC_ASSIGN_OR_RETURN(const CUdeviceptr first, gpu->Allocate(bytes));
  RBC_ASSIGN_OR_RETURN(const CUdeviceptr second, gpu->Allocate(bytes));
  std::string in(bytes, 0), out(bytes, 1);
  for (size_t i = 0; i < bytes; ++i) in[i] = static_cast<char>(i * 31 / 7);
  RBC_RETURN_IF_ERROR(gpu->CopyIn(first, in.data(), bytes));
  RBC_RETURN_IF_ERROR(gpu->CopyWithin(second, first, bytes));
  RBC_RETURN_IF_ERROR(gpu->CopyOut(out.data(), second, bytes));
  if (in != out) return Error(ErrorKind::kInternal, "the bytes did not come back");
  RBC_RETURN_IF_ERROR(gpu->CopyOut(out.data(), second + 5, 3));
  if (out.substr(0, 3) != in.substr(5, 3)) return Error(ErrorKind::kInternal, "a part did not come back");
  gpu->Free(first);
  return gpu->reserved() == bytes ? Status() : Error(ErrorKind::kInternal, "what is free is not counted so");
}

TEST_F(FakeDriver, KeepsArraysAndCopiesThem) {
  const Status status = CopyAll();
  EXPECT_TRUE(status) << status.error().message;
}

TEST_F(FakeDriver, ErrorsOfCopiesHaveTheirMeaningAndLeaveNothing) {
  for (const char* function :
       {"cuMemAlloc", "cuMemHostAlloc", "cuStreamCreate", "cuEventCreate", "cuEventRecord", "cuEventSynchronize",
        "cuMemcpyHtoDAsync", "cuMemcpyDtoHAsync", "cuMemcpyDtoDAsync", "cuStreamSynchronize"}) {
    for (const auto& [result, kind] : {std::pair{2, ErrorKind::kResourceExhausted}, {700, ErrorKind::kRemoteCrash}}) {
      FakeCuda::FailAt(function, result);
      const Status status = CopyAll();
      ASSERT_FALSE(status) << function;
      EXPECT_EQ(Name(status.error().kind), Name(kind)) << function;
      EXPECT_THAT(status.error().message, HasSubstr(function));
      FakeCuda::Heal();
    }
  }
  const Status large = CopyAll(20 << 20);
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().kind, ErrorKind::kResourceExhausted);
  EXPECT_THAT(large.error().message, HasSubstr("the limit is 20971520"));
}

// A block is filled while the one before it is on its way.
TEST_F(FakeDriver, CopiesOverlapWithTheProcessorsWork) {
  const auto gpu = Gpu::Open(RBC_FAKE_CUDA, 0, 0);
  ASSERT_TRUE(gpu);
  const auto memory = (*gpu)->Allocate(4 * StagedCopy::kBlock);
  ASSERT_TRUE(memory);
  std::string bytes(4 * StagedCopy::kBlock, 'x');
  (void)FakeCuda::Told();
  ASSERT_TRUE((*gpu)->CopyIn(*memory, bytes.data(), bytes.size()));
  std::string told = FakeCuda::Told();
  EXPECT_THAT(told, ::testing::MatchesRegex("H[0-9:]+ H[0-9:]+ W H[0-9:]+ W H[0-9:]+ S[0-9]+ "));
  ASSERT_TRUE((*gpu)->CopyOut(bytes.data(), *memory, bytes.size()));
  told = FakeCuda::Told();
  EXPECT_THAT(told, ::testing::MatchesRegex("D[0-9:]+ D[0-9:]+ W D[0-9:]+ W D[0-9:]+ W W "));
}

// The functions that can fail on the way, and every result that the table knows.
constexpr const char* kFunctions[] = {"cuDeviceGet",
                                      "cuCtxCreate",
                                      "cuDeviceGetAttribute",
                                      "cuCtxSetLimit",
                                      "cuCtxSetCurrent",
                                      "cuModuleLoadDataEx",
                                      "cuModuleGetFunction",
                                      "cuStreamCreate",
                                      "cuMemHostAlloc",
                                      "cuMemAlloc",
                                      "cuMemcpyHtoDAsync",
                                      "cuFuncSetAttribute",
                                      "cuLaunchKernel",
                                      "cuMemcpyDtoHAsync",
                                      "cuStreamSynchronize",
                                      "cuStreamQuery",
                                      "cuMemHostGetDevicePointer"};
struct Expectation {
  int result;
  ErrorKind kind;
  const char* cause;
};
constexpr Expectation kExpectations[] = {
    {1, ErrorKind::kInvalidArgument, ""},
    {2, ErrorKind::kResourceExhausted, ""},
    {3, ErrorKind::kInternal, ""},
    {4, ErrorKind::kRemoteCrash, "the driver was shut down"},
    {46, ErrorKind::kBusy, ""},
    {100, ErrorKind::kUnavailable, ""},
    {101, ErrorKind::kUnavailable, ""},
    {200, ErrorKind::kInvalidModule, ""},
    {209, ErrorKind::kInvalidModule, ""},
    {214, ErrorKind::kRemoteCrash, "uncorrectable memory error of the GPU"},
    {218, ErrorKind::kInvalidModule, ""},
    {222, ErrorKind::kInvalidModule, ""},
    {500, ErrorKind::kInvalidModule, ""},
    {600, ErrorKind::kBusy, ""},
    {700, ErrorKind::kRemoteCrash, "invalid memory access"},
    {701, ErrorKind::kInvalidArgument, ""},
    {702, ErrorKind::kRemoteCrash, "the kernel ran into the driver's time limit"},
    {710, ErrorKind::kRemoteCrash, "assertion failed"},
    {714, ErrorKind::kRemoteCrash, "stack overflow"},
    {715, ErrorKind::kRemoteCrash, "illegal instruction"},
    {716, ErrorKind::kRemoteCrash, "misaligned memory access"},
    {717, ErrorKind::kRemoteCrash, "access in the wrong address space"},
    {718, ErrorKind::kRemoteCrash, "jump to an invalid address"},
    {719, ErrorKind::kRemoteCrash, "trap"},
    {802, ErrorKind::kBusy, ""},
    {803, ErrorKind::kUnavailable, ""},
    {999, ErrorKind::kRemoteCrash, "unknown failure of the GPU"},
    {12345, ErrorKind::kRemoteCrash, "unknown failure of the GPU"},
};

TEST_F(FakeDriver, EveryErrorAtEveryCallHasItsMeaning) {
  for (const char* function : kFunctions) {
    for (const auto& [result, kind, cause] : kExpectations) {
      if (function == std::string_view("cuStreamQuery") && result == kNotReady) continue;  // is no error
      FakeCuda::FailAt(function, result);
      const Status status = UseAll();
      ASSERT_FALSE(status) << function << " " << result;
      EXPECT_EQ(Name(status.error().kind), Name(kind)) << function << " " << result;
      EXPECT_EQ(status.error().cause, cause) << function;
      EXPECT_THAT(status.error().message, HasSubstr(function));
      EXPECT_THAT(status.error().message, HasSubstr("error " + std::to_string(result)));
      EXPECT_EQ(status.error().may_have_run, kind == ErrorKind::kRemoteCrash);
      FakeCuda::Heal();
      ASSERT_TRUE(UseAll()) << "after " << function << " " << result;
    }
  }
}

TEST_F(FakeDriver, ADriverThatDoesNotStartIsUnavailable) {
  for (const int result : {3, 34, 100, 803, 999}) {
    FakeCuda::FailAt("cuInit", result);
    const Status status = UseAll();
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().kind, ErrorKind::kUnavailable) << result;
  }
}

TEST_F(FakeDriver, BadCodeComesWithTheCompilersWords) {
  FakeCuda::FailAt("cuModuleLoadDataEx", 218);
  const Status status = UseAll();
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message, HasSubstr("ptxas fatal"));
}

TEST_F(FakeDriver, MemoryIsBoundedAndGivenBack) {
  const Status large = UseAll(1 << 20, 2 << 20);
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().kind, ErrorKind::kResourceExhausted);
  EXPECT_THAT(large.error().message, HasSubstr("the limit is 1048576"));
  EXPECT_TRUE(UseAll(1 << 20, 1 << 19));
  const auto gpu = Gpu::Open(RBC_FAKE_CUDA, 0, 1 << 20);
  ASSERT_TRUE(gpu);
  auto first = (*gpu)->Take();
  ASSERT_TRUE(first);
  ASSERT_TRUE((*first)->Reserve(800'000));
  EXPECT_FALSE((*first)->Reserve(1'100'000));
  EXPECT_EQ((*gpu)->reserved(), 0u);
  ASSERT_TRUE((*first)->Reserve(800'000));
  (*gpu)->Give(*std::move(first));
}

TEST_F(FakeDriver, ProbesBothGpus) {
  const auto gpus = Probe(RBC_FAKE_CUDA);
  ASSERT_TRUE(gpus) << gpus.error().message;
  ASSERT_EQ(gpus->size(), 2u);
  EXPECT_EQ((*gpus)[0].name, "Fake GPU A");
  EXPECT_EQ((*gpus)[1].sm, 90u);
  EXPECT_EQ((*gpus)[1].memory, uint64_t{16} << 30);
  EXPECT_EQ((*gpus)[1].free_memory, uint64_t{15} << 30);
  EXPECT_EQ((*gpus)[1].driver, "13.0");
  EXPECT_EQ((*gpus)[1].uuid, "GPU-a1a1a1a1-a1a1-a1a1-a1a1-a1a1a1a1a1a1");
}

TEST(Driver, NoLibraryIsUnavailable) {
  const auto none = Driver::Open("/nowhere/libcuda.so.1");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().kind, ErrorKind::kUnavailable);
  const auto other = Driver::Open("libm.so.6");
  ASSERT_FALSE(other);
  EXPECT_THAT(other.error().message, HasSubstr("too old: it lacks cuInit"));
}

}  // namespace
}  // namespace rbc::cuda
