// Arrays that stay on a real farm, through the library: by shared memory and over TCP.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <limits>
#include <random>
#include <thread>

#include "rbc/rbc.h"
#include "tests/harness/farm_test.h"
#include "tests/harness/ir.h"
#include "tests/harness/library.h"

namespace rbc::harness {
namespace {

using std::chrono::milliseconds;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Everything that both ways of copying must do.
class Buffers : public FarmTest, public ::testing::WithParamInterface<const char*> {
 protected:
  bool local() const { return std::string(GetParam()) == "unix"; }
  const std::string& address() { return local() ? farm().unix_address() : farm().tcp_address(); }
  RemoteJIT Jit(RemoteJIT::Options options = {}) { return RemoteJIT(address(), std::move(options)); }
};
INSTANTIATE_TEST_SUITE_P(Over, Buffers, ::testing::Values("unix", "tcp"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(Buffers, GoThereAndBack) {
  const auto jit = Jit();
  for (const size_t count : {size_t{0}, size_t{1}, size_t{1000}, size_t{100'000}, size_t{9'000'000}}) {
    const Numbers numbers = Counting(count);
    const Buffer buffer = jit.to_device(numbers);
    EXPECT_EQ(buffer.dtype(), "float64");
    EXPECT_THAT(buffer.shape(), ElementsAre(static_cast<int64_t>(count)));
    EXPECT_EQ(buffer.bytes(), count * 8);
    EXPECT_TRUE(buffer.to_host<double>() == numbers) << count;
  }
  EXPECT_TRUE(jit.buffers().empty()) << "freed with the last handle";
}

TEST_P(Buffers, AreFreedWithTheLastHandle) {
  const auto jit = Jit();
  std::optional<Buffer> row;
  {
    const Buffer whole = jit.to_device(std::span<const double>(Counting(12)), {3, 4}, {.name = "table"});
    row = whole.slice(0, 1, 2);
    ASSERT_EQ(jit.buffers().size(), 1u);
    EXPECT_EQ(jit.buffers()[0].name, "table");
    EXPECT_THAT(jit.buffers()[0].shape, ElementsAre(3, 4));
  }
  EXPECT_THAT(row->to_host<double>(), ElementsAre(4, 5, 6, 7)) << "a view keeps it";
  row.reset();
  EXPECT_TRUE(jit.buffers().empty());
}

// The one connection is busy when the handle goes: the farm hears of it from the call that has the connection.
TEST_P(Buffers, AreFreedThoughACallIsRunning) {
  RemoteJIT::Options options;
  options.direct = false;
  const auto jit = Jit(options);
  const auto count = jit.function<int64_t(int64_t)>(
      Source::C("long count(long n) { volatile long i = 0; while (i < n) i = i + 1; return i; }"), "count");
  std::optional<Buffer> row = jit.to_device(Counting(12));
  EXPECT_EQ(count(1), 1);
  std::thread caller([&] { EXPECT_EQ(count(300'000'000), 300'000'000); });
  EXPECT_TRUE(WaitUntil(milliseconds(20'000), [&] {
    const auto workers = farm().WorkersOf("execute");
    return !workers.empty() && workers[0].state == "busy";
  }));
  row.reset();
  caller.join();
  EXPECT_TRUE(WaitUntil(milliseconds(20'000), [&] { return farm().StatusJson()["data"]["buffers"] == 0; }));
}

TEST_P(Buffers, AreFreedByTheirName) {
  const auto jit = Jit();
  const Buffer first = jit.to_device(Counting(3), {.name = "table"}), other = jit.to_device(Counting(3), {.name = "x"});
  const Buffer second = jit.to_device(Counting(3), {.name = "table"}), view = second.slice(0, 1, 2);
  jit.to_device(Counting(3), {.name = "gone"});
  EXPECT_EQ(jit.free("table"), 2u);
  for (const Buffer* buffer : {&first, &second, &view})
    EXPECT_EQ(ErrorOf([&] { (void)buffer->to_host<double>(); }).kind, ErrorKind::kBufferLost);
  EXPECT_EQ(other.to_host<double>(), Counting(3));
  EXPECT_EQ(jit.buffers().size(), 1u);
  for (const char* name : {"table", "gone", "", "never"})
    EXPECT_EQ(ErrorOf([&] { jit.free(name); }).kind, ErrorKind::kBufferLost) << name;
  EXPECT_EQ(jit.free("x"), 1u);
  EXPECT_TRUE(jit.buffers().empty());
}

TEST_P(Buffers, WhatEndedIsToldByName) {
  const auto jit = Jit();
  const auto source = Source::Ir("define double @twice(double %x) { %r = fadd double %x, %x\n ret double %r }");
  const Caller twice = jit.function(source, "twice", {"float64(float64)"});
  const Buffer freed = jit.to_device(Counting(3), {.name = "freed"}),
               kept = jit.to_device(Counting(3), {.name = "kept"});
  const auto map = [&](const Buffer& buffer) { return twice.try_map_arrays(std::array{ArrayArgument::Of(buffer)}); };
  const auto is_lost = [](const Error& error, const std::string& name) {
    EXPECT_EQ(error.kind, ErrorKind::kBufferLost);
    EXPECT_THAT(error.message, HasSubstr('"' + name + '"'));
  };
  EXPECT_TRUE(map(freed) && map(kept));
  Queue queue = jit.queue();
  const QueuedArray queued = queue.map(twice, {freed});
  freed.free();
  is_lost(map(freed).error(), "freed");
  is_lost(ErrorOf([&] { (void)queued.get(); }), "freed");
  is_lost(ErrorOf([&] { (void)freed.to_host<double>(); }), "freed");
  is_lost(ErrorOf([&] { (void)freed.span<double>(); }), "freed");
  jit.close();
  is_lost(map(kept).error(), "kept");
  is_lost(ErrorOf([&] { kept.free(); }), "kept");
}

TEST_P(Buffers, ViewsAreTheSameMemory) {
  const auto jit = Jit();
  const Buffer whole = jit.to_device(std::span<const double>(Counting(12)), {3, 4});
  EXPECT_THAT(whole.transpose().to_host<double>(), ElementsAre(0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11));
  EXPECT_THAT(whole.slice(1, 3, -1, -2).to_host<double>(), ElementsAre(3, 1, 7, 5, 11, 9));
  EXPECT_THAT(whole.slice(0, 2, 3).slice(1, 1, 3).to_host<double>(), ElementsAre(9, 10));
  EXPECT_EQ(whole.slice(0, 1, 1).size(), 0);
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max(), kLeast = std::numeric_limits<int64_t>::min();
  EXPECT_THAT(whole.slice(0, 1, 3, kMost).to_host<double>(), ElementsAre(4, 5, 6, 7));
  EXPECT_THAT(whole.slice(0, 2, -1, kLeast).to_host<double>(), ElementsAre(8, 9, 10, 11));
  EXPECT_EQ(whole.slice(0, 1, 1, kLeast).size(), 0);
  EXPECT_FALSE(whole.transpose().is_contiguous());
  EXPECT_TRUE(whole.reshape({2, 6}).is_contiguous());
  whole.slice(1, 0, 4, 3).copy_from(Numbers{10, 20, 30, 40, 50, 60});
  EXPECT_THAT(whole.to_host<double>(), ElementsAre(10, 1, 2, 20, 30, 5, 6, 40, 50, 9, 10, 60));
  const Buffer columns = jit.empty<double>({2, 3}, {.fortran = true});
  EXPECT_THAT(columns.strides(), ElementsAre(8, 16));
  columns.copy_from(Numbers{1, 2, 3, 4, 5, 6});
  EXPECT_THAT(columns.transpose().reshape({6}).to_host<double>(), ElementsAre(1, 4, 2, 5, 3, 6));

  for (const auto& bad : {whole.try_slice(2, 0, 1), whole.try_slice(0, 0, 4), whole.try_slice(0, 2, 1),
                          whole.try_slice(0, -1, 1), whole.try_slice(0, 0, 1, 0), whole.try_slice(0, 3, 0, -1),
                          whole.try_reshape({5}), whole.try_reshape({-12}), whole.transpose().try_reshape({12})}) {
    ASSERT_FALSE(bad);
    EXPECT_EQ(bad.error().kind, ErrorKind::kInvalidArgument);
  }
}

// A row at a time over a socket, more of them under way than it holds.
TEST_P(Buffers, LargeRowsWithGapsBetween) {
  const auto jit = Jit();
  constexpr int64_t kRows = 40, kColumns = 100'000;
  const Buffer table = jit.to_device(std::span<const double>(Numbers(kRows * kColumns, -1)), {kRows, kColumns});
  const Buffer most = table.slice(1, 0, kColumns - 1);
  const Numbers numbers = Counting(kRows * (kColumns - 1));
  most.copy_from(numbers);
  EXPECT_TRUE(most.to_host<double>() == numbers);
  EXPECT_EQ(table.slice(1, kColumns - 1, kColumns).to_host<double>(), Numbers(kRows, -1));
}

TEST_P(Buffers, MistakesAreToldByKind) {
  const auto jit = Jit();
  const Buffer buffer = jit.to_device(Counting(4));
  EXPECT_EQ(ErrorOf([&] { buffer.copy_from(Numbers(3)); }).kind, ErrorKind::kInvalidArgument);
  EXPECT_EQ(ErrorOf([&] { (void)buffer.to_host<float>(); }).kind, ErrorKind::kInvalidArgument);
  EXPECT_EQ(ErrorOf([&] { (void)ValueOrThrow(jit.try_empty("float64*", {1})); }).kind, ErrorKind::kUnsupported);
  const Buffer copy = buffer;
  buffer.free();
  EXPECT_EQ(ErrorOf([&] { (void)copy.to_host<double>(); }).kind, ErrorKind::kBufferLost);
  EXPECT_EQ(ErrorOf([&] { copy.free(); }).kind, ErrorKind::kBufferLost);

  const Buffer other = jit.to_device(Counting(4));
  jit.close();
  EXPECT_EQ(ErrorOf([&] { (void)other.to_host<double>(); }).kind, ErrorKind::kBufferLost) << "gone with its session";
  EXPECT_EQ(jit.to_device(Counting(4)).to_host<double>(), Counting(4)) << "a new session is as good";
}

TEST_P(Buffers, SurviveAWorker) {
  const auto jit = Jit();
  const Buffer buffer = jit.to_device(Counting(1000));
  const auto crash = jit.function<void()>(Source::C("void crash(void) { *(volatile int *)8 = 1; }"), "crash");
  EXPECT_EQ(ErrorOf([&] { crash(); }).kind, ErrorKind::kRemoteCrash);
  EXPECT_EQ(buffer.to_host<double>(), Counting(1000));
}

TEST_P(Buffers, ManyThreads) {
  const auto jit = Jit();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      std::mt19937 random(static_cast<unsigned>(t));
      for (int i = 0; i < 20; ++i) {
        Numbers numbers(random() % 50'000);
        for (double& number : numbers) number = random();
        EXPECT_TRUE(jit.to_device(numbers).to_host<double>() == numbers);
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_TRUE(jit.buffers().empty());
}

class SmallQuota : public Buffers {
  FarmOptions Options() const override {
    return FarmOptions().Set("data", "session_bytes", "\"64 MiB\"").Set("data", "max_bytes", "\"64 MiB\"");
  }
};
INSTANTIATE_TEST_SUITE_P(Over, SmallQuota, ::testing::Values("unix", "tcp"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(SmallQuota, SaysUsedAskedAndLimit) {
  const auto jit = Jit();
  const Buffer half = jit.empty<char>({32 << 20});
  const Error full = ErrorOf([&] { (void)jit.empty<char>({48 << 20}); });
  EXPECT_EQ(full.kind, ErrorKind::kResourceExhausted);
  EXPECT_THAT(full.message, AllOf(HasSubstr("33554432"), HasSubstr("50331648"), HasSubstr("67108864")));
}

// A client that dies in the middle of its copies leaves nothing: another one soon has the whole farm.
class DyingClient : public FarmTest, public ::testing::WithParamInterface<bool> {
  FarmOptions Options() const override { return FarmOptions().Set("data", "session_bytes", "\"64 MiB\""); }
};
INSTANTIATE_TEST_SUITE_P(By, DyingClient, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "shared_memory" : "raw_channel"; });

TEST_P(DyingClient, LeavesNothing) {
  const size_t descriptors = OpenDescriptors(farm().pid());
  const uint64_t memory = ResidentBytes(farm().pid());
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    RemoteJIT::Options options;
    options.direct = GetParam();
    const RemoteJIT jit(farm().unix_address(), options);
    const Buffer buffer = jit.empty<char>({64 << 20});
    const std::vector<char> bytes(64 << 20, 'x');
    for (bool said = false;; said = true) {
      buffer.copy_from(bytes);
      if (!said) (void)!write(ready[1], "r", 1);
    }
  }
  close(ready[1]);
  char byte;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  close(ready[0]);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_TRUE(WaitUntil(kPatience, [&] {
    return OpenDescriptors(farm().pid()) <= descriptors && farm().StatusJson()["data"]["bytes"] == 0;
  }));
  EXPECT_TRUE(WaitUntil(kPatience, [&] { return HasGrownAtMost(farm(), memory, 8 << 20); }));
}

class LocalBuffers : public FarmTest {};

TEST_F(LocalBuffers, AreFilledInPlace) {
  const RemoteJIT jit(farm().unix_address());
  const Buffer buffer = jit.empty<double>({1000});
  ASSERT_NE(buffer.data(), nullptr);
  for (double& number : buffer.span<double>()) number = 7;
  EXPECT_EQ(buffer.slice(0, 998, 1000).span<double>()[1], 7);
  EXPECT_EQ(buffer.to_host<double>(), Numbers(1000, 7));
  EXPECT_FALSE(buffer.try_span<float>());
  EXPECT_FALSE(buffer.slice(0, 0, 1000, 2).try_span<double>());
  EXPECT_EQ(RemoteJIT(farm().tcp_address()).empty<double>({1}).data(), nullptr);
}

// Who writes where it has no buffer, and whatever it writes, changes nobody's arrays but its own.
TEST_F(LocalBuffers, AScribblerHarmsOnlyItself) {
  const RemoteJIT good(farm().unix_address()), bad(farm().unix_address());
  const Buffer kept = good.to_device(Counting(10'000));
  const Buffer own = bad.to_device(Counting(10'000));
  auto* memory = static_cast<char*>(own.data());
  std::memset(memory, 0xff, 256 << 20);  // its own, and all that lies behind
  EXPECT_TRUE(WaitUntil(kPatience, [&] { return memory[128 << 20] == 0; })) << "what is nobody's is taken back";
  EXPECT_EQ(kept.to_host<double>(), Counting(10'000));
  EXPECT_EQ(bad.buffers().size(), 1u) << "the farm keeps its books elsewhere";
  const Buffer another = bad.to_device(Counting(100));
  EXPECT_EQ(another.to_host<double>(), Counting(100));
}

}  // namespace
}  // namespace rbc::harness
