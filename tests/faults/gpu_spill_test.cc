// More sessions than devices: arrays of those that are idle wait in the farm's memory.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <set>

#include "rbc/rbc.h"
#include "tests/harness/farm_test.h"
#include "tests/harness/library.h"

namespace rbc::harness {
namespace {

using ::testing::HasSubstr;

constexpr const char* kFunctions = R"(
define double @add(double %a, double %b) {
  %c = fadd double %a, %b
  ret double %c
}
)";

class Spill : public FarmTest {
 protected:
  FarmOptions Options() const override {
    return FarmOptions()
        .Set("targets.cuda", "driver", "\"" RBC_FAKE_CUDA "\"")
        .Set("targets.cuda", "max_contexts", "1")
        .Set("targets.cuda", "warm", "0")
        .Set("targets.cuda", "session_memory", "\"64 MiB\"")
        .Set("data", "session_bytes", "\"48 MiB\"");
  }
  RemoteJIT Jit() {
    RemoteJIT::Options options;
    options.target = "cuda";
    return RemoteJIT(farm().unix_address(), std::move(options));
  }
  std::set<pid_t> OnDevices() {
    std::set<pid_t> out;
    for (const auto& worker : farm().WorkersOf("execute")) out.insert(worker.pid);
    return out;
  }
};

TEST_F(Spill, TwoDevicesServeFourSessionsWithArrays) {
  std::vector<RemoteJIT> sessions;
  std::vector<Buffer> arrays;
  for (int i = 0; i < 4; ++i) {
    sessions.push_back(Jit());
    arrays.push_back(sessions.back().to_device(Counting(100'000, i), {.name = "array", .target = "cuda"}));
    EXPECT_LE(OnDevices().size(), 2u);
  }
  for (int turn = 0; turn < 3; ++turn) {
    for (size_t i = 0; i < 4; ++i) {
      ASSERT_TRUE(arrays[i].to_host<double>() == Counting(100'000, static_cast<double>(i))) << turn;
      EXPECT_LE(OnDevices().size(), 2u);
    }
  }
  // One that is away can be freed, and others of its session come back without it.
  const Buffer second = sessions[0].to_device(Counting(10, 7), {.target = "cuda"});
  (void)arrays[1].to_host<double>();
  (void)arrays[2].to_host<double>();
  arrays[0].free();
  EXPECT_EQ(second.to_host<double>(), Counting(10, 7));
  EXPECT_EQ(sessions[0].buffers().size(), 1u);
}

// Who asks for one device gets no room by what leaves another.
TEST_F(Spill, RoomIsMadeOnTheDeviceThatIsAskedFor) {
  const auto first = Jit(), second = Jit(), third = Jit();
  const Buffer on_one = first.to_device(Counting(10, 1), {.target = "cuda:1"});  // idle for longest
  const Buffer on_zero = second.to_device(Counting(10, 2), {.target = "cuda:0"});
  const auto before = OnDevices();
  const Buffer wanted = third.to_device(Counting(10, 3), {.target = "cuda:0"});
  const auto after = OnDevices();
  EXPECT_EQ(after.size(), 2u);
  EXPECT_EQ(std::count_if(before.begin(), before.end(), [&](pid_t pid) { return after.contains(pid); }), 1)
      << "one of both went, and no more";
  EXPECT_EQ(on_one.to_host<double>(), Counting(10, 1));
  EXPECT_EQ(OnDevices(), after) << "the other device's was left alone";
  EXPECT_EQ(on_zero.to_host<double>(), Counting(10, 2));
  EXPECT_EQ(wanted.to_host<double>(), Counting(10, 3));
}

// Launches that take no part of the daemon: it moves their arrays all the same, and they find them again.
TEST_F(Spill, RepeatedLaunchesFollowTheirArrays) {
  std::vector<RemoteJIT> sessions;
  std::vector<Buffer> arrays;
  std::vector<Caller> kernels;
  const Source source = Source::Ir("define ptx_kernel void @touch(ptr %x, i64 %n) {\n  ret void\n}\n");
  for (int i = 0; i < 3; ++i) {
    sessions.push_back(Jit());
    arrays.push_back(sessions.back().to_device(Counting(1000, i), {.target = "cuda"}));
    kernels.push_back(sessions.back().function(source, "touch", {"void(float64*, int64)"}, {.abi = CallAbi::kKernel}));
  }
  for (int turn = 0; turn < 4; ++turn) {
    for (size_t i = 0; i < 3; ++i) {
      for (int64_t n = 0; n < 30; ++n) kernels[i].launch({}, arrays[i], n);
      EXPECT_LE(OnDevices().size(), 2u);
      ASSERT_EQ(arrays[i].to_host<double>(), Counting(1000, static_cast<double>(i))) << turn;
    }
  }
}

TEST_F(Spill, WithoutRoomInTheFarmsMemoryTheDeviceStaysBusy) {
  const auto first = Jit(), second = Jit(), third = Jit();
  constexpr int64_t kLarge = 1 << 20, kFills = 5'500'000;  // doubles: 8 MiB, and 42 of the 48 that a session has
  const Buffer a = first.to_device(Counting(1000, 1), {.target = "cuda"});
  const Buffer b = second.to_device(Counting(1000, 2), {.target = "cuda"});
  const Buffer large = first.empty<double>({kLarge}, {.target = "cuda"});
  const Buffer large_too = second.empty<double>({kLarge}, {.target = "cuda"});
  const Buffer fills = first.empty<double>({kFills}), fills_too = second.empty<double>({kFills});
  const auto refused = third.try_empty("float64", {8}, {.target = "cuda"});
  ASSERT_FALSE(refused);
  EXPECT_EQ(Name(refused.error().kind), "Busy") << refused.error().message;
  EXPECT_EQ(a.to_host<double>(), Counting(1000, 1)) << "nobody lost anything";
  EXPECT_EQ(b.to_host<double>(), Counting(1000, 2));
  fills.free();
  EXPECT_EQ(third.to_device(Counting(8, 3), {.target = "cuda"}).to_host<double>(), Counting(8, 3));
  EXPECT_EQ(b.to_host<double>(), Counting(1000, 2)) << "it has its place still";
}

class SimulatedSpill : public Spill {
 protected:
  FarmOptions Options() const override {
    return FarmOptions().Set("targets.cuda", "simulate", "true").Set("targets.cuda", "max_contexts", "1");
  }
};

// Callers that have a lane of the worker for themselves, in shared memory or as a lent connection.
TEST_F(SimulatedSpill, IdleCallersMakeRoomToo) {
  const RemoteJIT far(farm().tcp_address()), near(farm().unix_address()), third(farm().unix_address());
  const FunctionOptions on_cuda{.target = "cuda"};
  const auto here = near.function<double(double, double)>(Source::Ir(kFunctions), "add", on_cuda);
  const auto there = far.function<double(double, double)>(Source::Ir(kFunctions), "add", on_cuda);
  const Buffer x = near.to_device(Counting(10, 1), {.target = "cuda"});
  for (int i = 0; i < 200; ++i) ASSERT_EQ(here(i, 1), i + 1);
  const auto soon = std::chrono::steady_clock::now() + kPatience;
  const auto made = [&](const RemoteJIT& jit, double from) -> std::optional<Buffer> {
    for (;;) {
      auto buffer = jit.try_to_device("float64", {10}, Counting(10, from).data(), 80, {.target = "cuda"});
      if (buffer) return *std::move(buffer);
      if (Name(buffer.error().kind) != "Busy" || std::chrono::steady_clock::now() > soon) return std::nullopt;
    }
  };
  const auto y = made(far, 2);
  ASSERT_TRUE(y) << "the ring's caller made room";
  for (int i = 0; i < 200; ++i) ASSERT_EQ(there(i, 2), i + 2);
  const auto z = made(third, 3);
  ASSERT_TRUE(z) << "so did the lent connection";
  EXPECT_EQ(OnDevices().size(), 1u);
  EXPECT_EQ(here(1, 2), 3);
  EXPECT_EQ(x.to_host<double>(), Counting(10, 1));
}

TEST_F(SimulatedSpill, MapsGoOnWithTheirArrays) {
  const auto first = Jit(), second = Jit();
  const Buffer x = first.to_device(Counting(1000, 0), {.target = "cuda"});
  const Buffer y = second.to_device(Counting(1000, 5), {.target = "cuda"});
  const auto add = first.function(Source::Ir(kFunctions), "add", {"float64(float64, float64)"});
  const auto theirs = second.function(Source::Ir(kFunctions), "add", {"float64(float64, float64)"});
  for (int turn = 0; turn < 3; ++turn) {
    ArrayMapOptions into, theirs_into;
    into.out = ArrayArgument::Of(x);
    theirs_into.out = ArrayArgument::Of(y);
    add.map_arrays({ArrayArgument::Of(x), ArrayArgument::One(1.0)}, into);
    theirs.map_arrays({ArrayArgument::Of(y), ArrayArgument::One(2.0)}, theirs_into);
    EXPECT_EQ(OnDevices().size(), 1u);
  }
  EXPECT_TRUE(x.to_host<double>() == Counting(1000, 3));
  EXPECT_TRUE(y.to_host<double>() == Counting(1000, 11));
}

}  // namespace
}  // namespace rbc::harness
