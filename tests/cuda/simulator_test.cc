// The simulator's engine: kernels written by hand as compiled code would be, each thread a call of the entry.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <numeric>
#include <thread>
#include <vector>

#include "cuda/simulator/abi.h"
#include "cuda/simulator/engine.h"

namespace rbc::simulator {
namespace {

using ::testing::HasSubstr;

constexpr uint32_t kAllLanes = 0xffffffff;

uint32_t Linear(const Thread& t) { return t.tid[0] + t.ntid[0] * (t.tid[1] + t.ntid[1] * t.tid[2]); }

Launch Of(void (*entry)(const void*), const void* parameters, uint32_t grid, uint32_t block) {
  Launch launch;
  launch.entry = entry;
  launch.parameters = parameters;
  launch.grid[0] = grid;
  launch.block[0] = block;
  return launch;
}
Launch Meeting(void (*entry)(const void*), const void* parameters, uint32_t grid, uint32_t block) {
  Launch launch = Of(entry, parameters, grid, block);
  launch.meets = true;
  return launch;
}

std::string printed;
Surroundings Around() {
  Surroundings around;
  around.print = [](std::string_view text) { printed += text; };
  return around;
}
Status Launched(const Launch& launch) {
  printed.clear();
  return Run(launch, Around());
}

struct Out {
  int64_t* to;
};
template <typename T>
const T& As(const void* parameters) {
  return *static_cast<const T*>(parameters);
}

// ---- Indices -----------------------------------------------------------------------------------------------------

void WriteIndices(const void* p) {
  const Thread& t = *rbc_sim_thread();
  const uint32_t block = t.ctaid[0] + t.nctaid[0] * (t.ctaid[1] + t.nctaid[1] * t.ctaid[2]);
  const uint32_t threads = t.ntid[0] * t.ntid[1] * t.ntid[2];
  As<Out>(p).to[block * threads + Linear(t)] = block * 1000 + Linear(t);
}

TEST(Simulator, RunsEachThreadOfEachBlockOnce) {
  for (const bool meets : {false, true}) {
    std::vector<int64_t> out(2 * 3 * 2 * 5 * 4 * 3, -1);
    const Out parameters{out.data()};
    Launch launch = Of(WriteIndices, &parameters, 2, 5);
    launch.grid[1] = 3;
    launch.grid[2] = 2;
    launch.block[1] = 4;
    launch.block[2] = 3;
    launch.meets = meets;
    ASSERT_TRUE(Launched(launch));
    for (size_t i = 0; i < out.size(); ++i) EXPECT_EQ(out[i], static_cast<int64_t>(i / 60 * 1000 + i % 60));
  }
}

// ---- Barriers and shared memory ----------------------------------------------------------------------------------

void Reverse(const void* p) {
  const Thread& t = *rbc_sim_thread();
  auto* shared = reinterpret_cast<int64_t*>(t.shared);
  const uint32_t i = t.tid[0];
  shared[i] = As<Out>(p).to[t.ctaid[0] * t.ntid[0] + i];
  rbc_sim_barrier(0, 0, kNoReduction, 0);
  As<Out>(p).to[t.ctaid[0] * t.ntid[0] + i] = shared[t.ntid[0] - 1 - i];
}

TEST(Simulator, ReversesThroughSharedMemory) {
  std::vector<int64_t> out(3 * 1024);
  std::iota(out.begin(), out.end(), 0);
  const Out parameters{out.data()};
  Launch launch = Meeting(Reverse, &parameters, 3, 1024);
  launch.dynamic_shared = 1024 * sizeof(int64_t);
  ASSERT_TRUE(Launched(launch));
  for (size_t i = 0; i < out.size(); ++i)
    ASSERT_EQ(out[i], static_cast<int64_t>(i / 1024 * 1024 + 1023 - i % 1024)) << i;
}

void LeaveEarly(const void* p) {
  const Thread& t = *rbc_sim_thread();
  if (t.tid[0] % 3 == 0) rbc_sim_exit();
  for (int round = 0; round < 10; ++round) rbc_sim_barrier(0, 0, kNoReduction, 0);
  As<Out>(p).to[t.tid[0]] = rbc_sim_barrier(1, 0, kPopulationCount, t.tid[0] % 2);
}

TEST(Simulator, EndedThreadsAreNotWaitedFor) {
  std::vector<int64_t> out(100, -1);
  const Out parameters{out.data()};
  ASSERT_TRUE(Launched(Meeting(LeaveEarly, &parameters, 1, 100)));
  int64_t odd = 0;
  for (int i = 0; i < 100; ++i) odd += i % 3 != 0 && i % 2 != 0;
  for (int i = 0; i < 100; ++i) EXPECT_EQ(out[i], i % 3 == 0 ? -1 : odd) << i;
}

// ---- Warps -------------------------------------------------------------------------------------------------------

void ShuffleSum(const void* p) {
  const Thread& t = *rbc_sim_thread();
  uint32_t value = Linear(t) + 1;
  for (uint32_t offset = 16; offset != 0; offset /= 2)
    value += static_cast<uint32_t>(rbc_sim_shuffle(kShuffleDown, kAllLanes, value, offset, 31));
  if (t.lane == 0) As<Out>(p).to[t.warp] = value;
}

TEST(Simulator, SumsByShuffles) {
  std::vector<int64_t> out(8, -1);
  const Out parameters{out.data()};
  ASSERT_TRUE(Launched(Meeting(ShuffleSum, &parameters, 1, 256)));
  for (int64_t warp = 0; warp < 8; ++warp) EXPECT_EQ(out[warp], 32 * (warp * 32) + 32 * 33 / 2);
}

void Votes(const void* p) {
  const Thread& t = *rbc_sim_thread();
  auto* out = As<Out>(p).to;
  const uint32_t lane = t.lane;
  const auto note = [&](int test, int64_t value) { out[test * 32 + lane] = value; };
  note(13, rbc_sim_active_mask());  // first: some lanes end before others
  note(0, rbc_sim_vote(kVoteBallot, kAllLanes, lane % 3 == 0));
  note(1, rbc_sim_vote(kVoteAll, kAllLanes, lane < 32));
  note(2, rbc_sim_vote(kVoteAny, kAllLanes, lane == 40));
  note(3, rbc_sim_vote(kVoteUniform, kAllLanes, lane < 5));
  note(4, static_cast<int64_t>(rbc_sim_match(kMatchAny, kAllLanes, lane % 4)));
  note(5, static_cast<int64_t>(rbc_sim_match(kMatchAll, kAllLanes, 7)));
  note(6, static_cast<int64_t>(rbc_sim_match(kMatchAll, kAllLanes, lane)));
  note(7, rbc_sim_reduce(kReduceAdd, kAllLanes, lane));
  note(8, static_cast<int32_t>(rbc_sim_reduce(kReduceMin, kAllLanes, lane - 5)));
  note(9, rbc_sim_reduce(kReduceUmax, kAllLanes, lane - 5));
  note(10, static_cast<int64_t>(rbc_sim_shuffle(kShuffleUp, kAllLanes, lane * 10, 1, 0)));
  note(11, static_cast<int64_t>(rbc_sim_shuffle(kShuffleButterfly, kAllLanes, lane * 10, 1, 31)));
  note(12, static_cast<int64_t>(rbc_sim_shuffle(kShuffleIndex, kAllLanes, lane * 10, 2, (24 << 8) | 31)));
  // Two halves of the warp at once, each its own operation.
  const uint32_t half = lane < 16 ? 0xffffu : 0xffff0000u;
  note(14, rbc_sim_reduce(lane < 16 ? kReduceAdd : kReduceUmax, half, lane));
}

TEST(Simulator, VotesMatchesReducesShuffles) {
  std::vector<int64_t> out(15 * 32, -1);
  const Out parameters{out.data()};
  ASSERT_TRUE(Launched(Meeting(Votes, &parameters, 1, 32)));
  const auto at = [&](int test, int lane) { return out[test * 32 + lane]; };
  constexpr int64_t kInside = int64_t{1} << 32;
  for (int lane = 0; lane < 32; ++lane) {
    EXPECT_EQ(at(0, lane), 0x49249249);
    EXPECT_EQ(at(1, lane), 1);
    EXPECT_EQ(at(2, lane), 0);
    EXPECT_EQ(at(3, lane), 0);
    EXPECT_EQ(at(4, lane), int64_t{0x11111111} << lane % 4);
    EXPECT_EQ(at(5, lane), 0xffffffff | kInside);
    EXPECT_EQ(at(6, lane), 0);
    EXPECT_EQ(at(7, lane), 496);
    EXPECT_EQ(at(8, lane), -5);
    EXPECT_EQ(at(9, lane), 0xffffffff);
    EXPECT_EQ(at(10, lane), lane == 0 ? 0 : (lane - 1) * 10 | kInside);
    EXPECT_EQ(at(11, lane), (lane ^ 1) * 10 | kInside);
    EXPECT_EQ(at(12, lane), (lane / 8 * 8 + 2) * 10 | kInside);
    EXPECT_EQ(at(13, lane), 0xffffffff);
    EXPECT_EQ(at(14, lane), lane < 16 ? 120 : 31);
  }
}

struct Spin {
  std::atomic<uint32_t>* lock;
  int64_t* count;
};
void SpinLock(const void* p) {
  const auto& spin = As<Spin>(p);
  while (spin.lock->exchange(1) != 0) rbc_sim_yield();
  const int64_t seen = *spin.count;
  rbc_sim_yield();
  *spin.count = seen + 1;
  spin.lock->store(0);
}

TEST(Simulator, SpinLocksEnd) {
  std::atomic<uint32_t> lock{0};
  int64_t count = 0;
  const Spin parameters{&lock, &count};
  ASSERT_TRUE(Launched(Meeting(SpinLock, &parameters, 2, 64)));
  EXPECT_EQ(count, 128);
}

// ---- Failures ----------------------------------------------------------------------------------------------------

void TrapAt37(const void*) {
  const Thread& t = *rbc_sim_thread();
  if (t.ctaid[0] == 2 && t.tid[0] == 37) rbc_sim_trap();
}
void AssertFails(const void*) { rbc_sim_assert_fail("x > 0", "/home/somebody/kernel.cu", 12, "f", 1); }
void WaitForNobody(const void*) {
  if (rbc_sim_thread()->tid[0] == 3) rbc_sim_barrier(1, 0, kNoReduction, 0);
  rbc_sim_barrier(0, 0, kNoReduction, 0);
}
void ShuffleAlone(const void*) {
  if (rbc_sim_thread()->lane < 8)
    rbc_sim_shuffle(kShuffleDown, kAllLanes, 1, 1, 31);
  else
    rbc_sim_barrier(0, 0, kNoReduction, 0);
}

TEST(Simulator, TrapsAndAssertsSayWhere) {
  for (const bool meets : {false, true}) {
    Launch launch = Of(TrapAt37, nullptr, 4, 64);
    launch.meets = meets;
    const Status trap = Launched(launch);
    ASSERT_FALSE(trap);
    EXPECT_EQ(trap.error().kind, ErrorKind::kRemoteCrash);
    EXPECT_EQ(trap.error().cause, "trap");
    EXPECT_THAT(trap.error().message, HasSubstr("block (2,0,0), thread (37,0,0)"));
    launch = Of(AssertFails, nullptr, 1, 1);
    launch.meets = meets;
    const Status failed = Launched(launch);
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().cause, "assertion failed");
    EXPECT_THAT(failed.error().message, HasSubstr("x > 0, kernel.cu:12"));
    EXPECT_THAT(failed.error().message, ::testing::Not(HasSubstr("/home")));
  }
}

TEST(Simulator, DeadlocksAreNoticed) {
  const Status barrier = Launched(Meeting(WaitForNobody, nullptr, 1, 32));
  ASSERT_FALSE(barrier);
  EXPECT_EQ(barrier.error().cause, "deadlock");
  EXPECT_THAT(barrier.error().message, HasSubstr("32 at a barrier"));
  const Status warp = Launched(Meeting(ShuffleAlone, nullptr, 1, 32));
  ASSERT_FALSE(warp);
  EXPECT_THAT(warp.error().message, HasSubstr("24 at a barrier, 8 for lanes"));
}

TEST(Simulator, RefusesWhatNoDeviceHas) {
  const auto kind = [](uint32_t grid_y, uint32_t x, uint32_t y, uint32_t z, uint32_t shared) {
    Launch launch = Of(TrapAt37, nullptr, 1, x);
    launch.grid[1] = grid_y;
    launch.block[1] = y;
    launch.block[2] = z;
    launch.dynamic_shared = shared;
    const Status status = Launched(launch);
    return status ? std::string("fine") : std::string(Name(status.error().kind));
  };
  EXPECT_EQ(kind(1, 1024, 1, 1, 0), "fine");
  EXPECT_EQ(kind(1, 1025, 1, 1, 0), "InvalidArgument");
  EXPECT_EQ(kind(1, 64, 64, 1, 0), "InvalidArgument");
  EXPECT_EQ(kind(1, 1, 1, 65, 0), "InvalidArgument");
  EXPECT_EQ(kind(0, 1, 1, 1, 0), "InvalidArgument");
  EXPECT_EQ(kind(65536, 1, 1, 1, 0), "InvalidArgument");
  EXPECT_EQ(kind(1, 1, 1, 1, 228 * 1024), "InvalidArgument");
  EXPECT_EQ(kind(1, 0xffffffff, 2, 2, 0), "InvalidArgument");
}

TEST(Simulator, AFailedLaunchLeavesNothingBehind) {
  for (int i = 0; i < 100; ++i) {
    ASSERT_FALSE(Launched(Meeting(WaitForNobody, nullptr, 1, 256)));
    std::vector<int64_t> out(8, -1);
    const Out parameters{out.data()};
    ASSERT_TRUE(Launched(Meeting(ShuffleSum, &parameters, 1, 256)));
    EXPECT_EQ(out[7], 32 * (7 * 32) + 32 * 33 / 2);
  }
}

// ---- Output ------------------------------------------------------------------------------------------------------

void Print(const void*) {
  struct {
    int32_t a;
    double b;
    const char* c;
    int64_t d;
    uint32_t e;
    int32_t width;
    int32_t f;
  } const arguments{-7, 2.5, "text", int64_t{1} << 40, 255, 6, 42};
  EXPECT_EQ(rbc_sim_vprintf("%d %.2f %s %lld %x [%*d] 100%% %q\n", &arguments), 7);
}

TEST(Simulator, PrintsAsDevicesDo) {
  ASSERT_TRUE(Launched(Of(Print, nullptr, 1, 1)));
  EXPECT_EQ(printed, "-7 2.50 text 1099511627776 ff [    42] 100% %q\n");
}

TEST(Simulator, LaunchesRunBesideEachOther) {
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int n = 0; n < 4; ++n) {
    threads.emplace_back([&] {
      for (int round = 0; round < 20; ++round) {
        std::vector<int64_t> out(512);
        std::iota(out.begin(), out.end(), 0);
        const Out parameters{out.data()};
        Launch launch = Meeting(Reverse, &parameters, 1, 512);
        launch.dynamic_shared = 512 * sizeof(int64_t);
        if (!simulator::Run(launch, Surroundings())) ++wrong;
        for (int64_t i = 0; i < 512; ++i) wrong += out[i] != 511 - i;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(Simulator, KnowsItsSymbols) {
  EXPECT_NE(FindSymbol("rbc_sim_barrier"), nullptr);
  EXPECT_EQ(FindSymbol("rbc_sim_nothing"), nullptr);
}

}  // namespace
}  // namespace rbc::simulator
