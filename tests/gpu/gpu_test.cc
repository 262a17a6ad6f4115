// What only a GPU can show: faults of the hardware, how soon the device serves again, what neighbours feel, many
// sessions at once. RBC_REQUIRE=cuda runs it on the machine's GPU and fails without one; else the simulator plays it,
// and what the simulator cannot do skips and says so. Lines that begin with "measured:" are for scripts/gpu-check.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <thread>

#include "rbc/rbc.h"
#include "tests/harness/farm_test.h"
#include "tests/harness/library.h"

namespace rbc::harness {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using ::testing::HasSubstr;

constexpr char kModule[] = R"(
@turning = internal global i32 0
@slots = internal addrspace(3) global [64 x i64] poison, align 8
@what = private constant [6 x i8] c"x > 0\00"
@file = private constant [19 x i8] c"/home/me/kernel.cu\00"
@name = private constant [2 x i8] c"f\00"
declare void @llvm.trap()
declare void @__assertfail(ptr, ptr, i32, ptr, i64)
declare double @llvm.sin.f64(double)
declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()
declare i32 @llvm.nvvm.read.ptx.sreg.ctaid.x()
declare void @llvm.nvvm.barrier.cta.sync.aligned.all(i32)
define double @good(double %x) {
  %s = call double @llvm.sin.f64(double %x)
  %r = fadd double %s, 1.0
  ret double %r
}
define i64 @triple(i64 %x) {
  %r = mul i64 %x, 3
  ret i64 %r
}
define i64 @bad_address(i64 %x) {
  %p = inttoptr i64 140737488289792 to ptr
  store volatile i64 %x, ptr %p
  ret i64 %x
}
define i64 @null_address(i64 %x) {
  %p = inttoptr i64 8 to ptr
  %v = load volatile i64, ptr %p
  ret i64 %v
}
define i64 @traps(i64 %x) {
  call void @llvm.trap()
  unreachable
}
define i64 @asserts(i64 %x) {
  call void @__assertfail(ptr @what, ptr @file, i32 12, ptr @name, i64 1)
  ret i64 %x
}
define i64 @endless(i64 %x) {
  br label %again
again:
  %one = load volatile i32, ptr @turning
  br label %again
}
define ptx_kernel void @misaligned(ptr %p) {
  %odd = getelementptr i8, ptr %p, i64 1
  store volatile i64 1, ptr %odd, align 8
  ret void
}
define ptx_kernel void @past_memory(ptr %p) {
  %far = getelementptr i8, ptr %p, i64 70368744177664
  store volatile i32 1, ptr %far
  ret void
}
define ptx_kernel void @reverse(ptr %data) {
  %tid = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %ctaid = call i32 @llvm.nvvm.read.ptx.sreg.ctaid.x()
  %base = mul i32 %ctaid, 64
  %at = add i32 %base, %tid
  %mine = getelementptr inbounds i64, ptr %data, i32 %at
  %value = load i64, ptr %mine
  %slot = getelementptr inbounds i64, ptr addrspace(3) @slots, i32 %tid
  store i64 %value, ptr addrspace(3) %slot
  call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)
  %other = sub i32 63, %tid
  %from = getelementptr inbounds i64, ptr addrspace(3) @slots, i32 %other
  %reversed = load i64, ptr addrspace(3) %from
  %thousand = mul i32 %ctaid, 1000
  %mark = add i32 %thousand, %tid
  %wide = zext i32 %mark to i64
  %result = add i64 %reversed, %wide
  store i64 %result, ptr %mine
  ret void
}
)";

// A module for the host has no such intrinsics.
constexpr char kHostModule[] = R"(
define i64 @triple(i64 %x) {
  %r = mul i64 %x, 3
  ret i64 %r
}
)";

double MillisecondsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

class Gpu : public FarmTest {
 protected:
  FarmOptions Options() const override {
    // Those of sessions that just ended count for a moment.
    return WithCuda().Set("targets.cuda", "max_contexts", "32");
  }
  void SetUp() override {
    FarmTest::SetUp();
    const auto targets = Jit().try_targets().value();
    const auto cuda = std::find_if(targets.begin(), targets.end(), [](const auto& t) { return t.name == "cuda"; });
    ASSERT_NE(cuda, targets.end());
    ASSERT_FALSE(cuda->device_infos.empty())
        << (OnHardware() ? "RBC_REQUIRE=cuda, and this farm shows no GPU: " + farm().log() : "no simulated device");
    ASSERT_EQ(cuda->simulated, !OnHardware());
  }

  RemoteJIT Jit(const std::string& target = "cuda") {
    RemoteJIT::Options options;
    options.target = target;
    options.timeout = milliseconds(60'000);
    options.on_output = [](std::string_view) {};
    return RemoteJIT(farm().unix_address(), std::move(options));
  }
  static Function<double(double)> Good(const RemoteJIT& jit) {
    return jit.function<double(double)>(Source::Ir(kModule), "good");
  }
  static Caller Kernel(const RemoteJIT& jit, const std::string& name) {
    FunctionOptions options;
    options.abi = CallAbi::kKernel;
    return jit.function(Source::Ir(kModule), name, {"void(int64*)"}, options);
  }
  // The session of `jit` has lost its device; how long until its next call is answered.
  static void ExpectServesAgain(const RemoteJIT& jit, const std::string& after) {
    const auto start = Clock::now();
    EXPECT_EQ(jit.function<int64_t(int64_t)>(Source::Ir(kModule), "triple")(14), 42) << "after " << after;
    std::printf("measured: after %s the session is served again in %.0f ms\n", after.c_str(), MillisecondsSince(start));
  }
};

TEST_F(Gpu, FaultsEndTheirCallOnly) {
  const auto jit = Jit(), neighbour = Jit();
  const auto theirs = Good(neighbour);
  ASSERT_EQ(theirs(0), 1);
  struct {
    const char* name;
    const char* cause;
  } const cases[] = {{"bad_address", "invalid memory access"},
                     {"null_address", "invalid memory access"},
                     {"traps", "trap"},
                     {"asserts", "assertion failed"}};
  for (const auto& [name, cause] : cases) {
    const Error error = ErrorOf([&] { jit.function<int64_t(int64_t)>(Source::Ir(kModule), name)(1); });
    EXPECT_EQ(Name(error.kind), "RemoteCrash") << name << ": " << error.message;
    // A GPU may tell of a trap as of an illegal instruction.
    EXPECT_THAT(error.cause, ::testing::AnyOf(cause, std::string_view(cause) == "trap" ? "illegal instruction" : cause))
        << error.message;
    EXPECT_EQ(error.function, name);
    EXPECT_THAT(error.message, ::testing::Not(HasSubstr("/home")));
    EXPECT_EQ(theirs(0), 1) << "the neighbour, after " << name;
    ExpectServesAgain(jit, name);
  }
}

TEST_F(Gpu, AKernelPastItsMemoryEndsTheLaunchOnly) {
  const auto jit = Jit(), neighbour = Jit();
  const auto theirs = Good(neighbour);
  ASSERT_EQ(theirs(0), 1);
  std::vector<int64_t> memory(64);
  const Error error = ErrorOf([&] { Kernel(jit, "past_memory").launch({{2}, {32}, 0}, memory); });
  EXPECT_EQ(Name(error.kind), "RemoteCrash") << error.message;
  EXPECT_EQ(error.cause, "invalid memory access");
  EXPECT_EQ(theirs(0), 1);
  ExpectServesAgain(jit, "past_memory");
}

TEST_F(Gpu, AMisalignedAccessEndsTheLaunchOnly) {
  if (!OnHardware()) GTEST_SKIP() << "the simulator's processor does misaligned accesses; RBC_REQUIRE=cuda runs this";
  const auto jit = Jit(), neighbour = Jit();
  const auto theirs = Good(neighbour);
  ASSERT_EQ(theirs(0), 1);
  std::vector<int64_t> memory(64);
  const Error error = ErrorOf([&] { Kernel(jit, "misaligned").launch({{1}, {1}, 0}, memory); });
  EXPECT_EQ(Name(error.kind), "RemoteCrash") << error.message;
  EXPECT_EQ(error.cause, "misaligned memory access");
  EXPECT_EQ(theirs(0), 1);
  ExpectServesAgain(jit, "misaligned");
}

// An endless kernel is ended by its worker's death. Meanwhile the neighbour, a process with a context of its own, is
// served: how slowly is told.
TEST_F(Gpu, AnEndlessKernelMeetsItsDeadlineBesideANeighbour) {
  const auto jit = Jit(), neighbour = Jit();
  const auto theirs = Good(neighbour);
  ASSERT_EQ(theirs(0), 1);
  const auto median_of_neighbour = [&](int calls) {
    std::vector<double> times;
    for (int i = 0; i < calls; ++i) {
      const auto start = Clock::now();
      EXPECT_EQ(theirs(0), 1);
      times.push_back(MillisecondsSince(start));
    }
    std::sort(times.begin(), times.end());
    return std::pair(times[times.size() / 2], times.back());
  };
  const auto [alone, alone_worst] = median_of_neighbour(200);
  const auto endless = jit.function<int64_t(int64_t)>(Source::Ir(kModule), "endless").with_timeout(milliseconds(2000));
  auto running = endless.call_async(1);
  std::this_thread::sleep_for(milliseconds(500));  // compiled and running
  const auto [beside, beside_worst] = median_of_neighbour(20);
  std::printf(
      "measured: a neighbour's call takes %.3f ms (worst %.3f) alone, %.3f (worst %.3f) beside an endless kernel\n",
      alone, alone_worst, beside, beside_worst);
  const auto result = running.try_get();
  ASSERT_FALSE(result);
  EXPECT_EQ(Name(result.error().kind), "DeadlineExceeded") << result.error().message;
  ExpectServesAgain(jit, "an endless kernel");
  EXPECT_EQ(theirs(0), 1);
}

// One life of a session; the number of results that were wrong.
int Live(const std::string& address, uint64_t seed) {
  const bool gpu = seed % 4 != 3;
  RemoteJIT::Options options;
  options.target = gpu ? "cuda" : "host";
  options.timeout = milliseconds(60'000);
  const RemoteJIT jit(address, std::move(options));
  const Source source = Source::Ir(gpu ? kModule : kHostModule);
  int wrong = 0;
  const auto triple = jit.function<int64_t(int64_t)>(source, "triple");
  for (int64_t i = 0; i < 20; ++i) wrong += triple(i) != 3 * i;
  std::vector<int64_t> rows(1000 + seed * 37 % 20'000);
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<int64_t>(i ^ seed);
  const auto mapped = triple.map(rows);
  for (size_t i = 0; i < rows.size(); ++i) wrong += mapped[i] != 3 * rows[i];
  if (!gpu) return wrong;
  FunctionOptions kernel;
  kernel.abi = CallAbi::kKernel;
  std::vector<int64_t> data(640);
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<int64_t>(i * 7);
  jit.function(source, "reverse", {"void(int64*)"}, kernel).launch({{10}, {64}, 0}, data);
  for (int64_t block = 0; block < 10; ++block)
    for (int64_t i = 0; i < 64; ++i) wrong += data[block * 64 + i] != (block * 64 + 63 - i) * 7 + block * 1000 + i;
  if (seed % 8 == 0) {
    const auto crash = jit.function(source, "traps", {"int64(int64)"}).try_call({::rbc::Value(1)});
    wrong += crash || crash.error().kind != ErrorKind::kRemoteCrash;
    wrong += triple(5) != 15;
  }
  return wrong;
}

TEST_F(Gpu, SixteenSessionsShareIt) {
  const auto end = Clock::now() + std::chrono::seconds(LongRun() ? 600 : OnHardware() ? 30 : 3);
  std::atomic<int> wrong{0}, lives{0};
  std::vector<std::thread> threads;
  for (uint64_t n = 0; n < 16; ++n) {
    threads.emplace_back([&, n] {
      for (uint64_t round = 0; Clock::now() < end; ++round) {
        try {
          wrong += Live(farm().unix_address(), n + round * 16);
        } catch (const Exception& exception) {
          ADD_FAILURE() << "session " << n << " round " << round << ": " << exception.what();
          ++wrong;
        }
        ++lives;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  std::printf("measured: %d sessions lived, sixteen at a time\n", lives.load());
  EXPECT_TRUE(WaitUntil(kPatience, [&] { return farm().WorkersOf("execute").empty(); }));
  // A context counts until its process is gone.
  EXPECT_TRUE(WaitUntil(kPatience, [&] { return farm().StatusJson().at("devices").at(0).at("contexts") == 0; }));
}

}  // namespace
}  // namespace rbc::harness
