// Sixteen sessions on host and simulated GPU at once: calls, maps, kernels, now and then a crash. Every result is
// checked; afterwards no worker is left and the daemon's memory is what it was.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>

#include "rbc/rbc.h"
#include "tests/harness/farm_test.h"

namespace rbc::harness {
namespace {

using Clock = std::chrono::steady_clock;

constexpr char kFunctions[] = R"(
declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()
declare void @llvm.nvvm.barrier.cta.sync.aligned.all(i32)
@slots = internal addrspace(3) global [64 x i64] poison, align 8
define i64 @scale(i64 %x) {
  %r = mul i64 %x, FACTOR
  ret i64 %r
}
define i64 @boom(i64 %x) {
  store volatile i64 %x, ptr null
  ret i64 %x
}
KERNEL
)";
constexpr char kKernel[] = R"(
define ptx_kernel void @reverse(ptr %data) {
  %tid = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %mine = getelementptr inbounds i64, ptr %data, i32 %tid
  %value = load i64, ptr %mine
  %slot = getelementptr inbounds i64, ptr addrspace(3) @slots, i32 %tid
  store i64 %value, ptr addrspace(3) %slot
  call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)
  %other = sub i32 63, %tid
  %from = getelementptr inbounds i64, ptr addrspace(3) @slots, i32 %other
  %reversed = load i64, ptr addrspace(3) %from
  store i64 %reversed, ptr %mine
  ret void
}
)";

std::string SourceFor(bool gpu, int64_t factor) {
  std::string text = kFunctions;
  const auto replace = [&](const std::string& what, const std::string& with) {
    const size_t at = text.find(what);
    text.replace(at, what.size(), with);
  };
  replace("FACTOR", std::to_string(factor));
  replace("KERNEL", gpu ? kKernel : "");
  // A host module has no such intrinsics.
  return gpu ? text : text.substr(text.find("define i64 @scale"));
}

class MixedTargets : public FarmTest {
 protected:
  FarmOptions Options() const override {
    return FarmOptions().Set("targets.cuda", "simulate", "true").Set("store", "max_bytes", "\"1 MiB\"");
  }

  // One life of a session; the number of results that were wrong.
  int Live(uint64_t seed) {
    std::mt19937_64 random(seed);
    const bool gpu = seed % 2 == 0;
    RemoteJIT::Options options;
    options.target = gpu ? "cuda" : "host";
    const RemoteJIT jit(farm().unix_address(), std::move(options));
    const auto factor = static_cast<int64_t>(random() % 1000 + 2);
    const Source source = Source::Ir(SourceFor(gpu, factor));
    int wrong = 0;
    const auto scale = jit.function<int64_t(int64_t)>(source, "scale");
    for (int i = 0; i < 10; ++i) wrong += scale(i) != i * factor;
    std::vector<int64_t> rows(random() % 5000 + 1);
    for (auto& row : rows) row = static_cast<int64_t>(random() % 1'000'000);
    const auto mapped = scale.map(rows);
    for (size_t i = 0; i < rows.size(); ++i) wrong += mapped[i] != rows[i] * factor;
    if (gpu) {
      FunctionOptions kernel;
      kernel.abi = CallAbi::kKernel;
      std::vector<int64_t> data(64);
      for (int64_t i = 0; i < 64; ++i) data[i] = i * factor;
      jit.function(source, "reverse", {"void(int64*)"}, kernel).launch({{1}, {64}, 0}, data);
      for (int64_t i = 0; i < 64; ++i) wrong += data[i] != (63 - i) * factor;
    }
    if (random() % 4 == 0) {
      const auto crash = jit.function(source, "boom", {"int64(int64)"}).try_call({::rbc::Value(1)});
      wrong += crash || crash.error().kind != ErrorKind::kRemoteCrash;
      wrong += scale(3) != 3 * factor;
    }
    return wrong;
  }

  // Sixteen at once, again and again.
  void LiveUntil(Clock::time_point end, uint64_t seed) {
    std::atomic<int> wrong{0}, lives{0};
    std::vector<std::thread> threads;
    for (uint64_t n = 0; n < 16; ++n) {
      threads.emplace_back([&, n] {
        for (uint64_t round = 0; Clock::now() < end; ++round) {
          try {
            wrong += Live(seed + n + round * 16);
          } catch (const Exception& exception) {
            ADD_FAILURE() << "session " << n << " round " << round << ": " << exception.what();
            ++wrong;
          }
          ++lives;
        }
      });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(wrong, 0) << "seed " << seed;
    std::printf("%d sessions\n", lives.load());
  }
};

TEST_F(MixedTargets, SixteenSessionsLeaveNothingBehind) {
  const uint64_t seed = TestSeed(1);
  LiveUntil(Clock::now() + std::chrono::seconds(LongRun() ? 60 : 3), seed);
  const uint64_t before = WorkingBytes(farm().pid());
  LiveUntil(Clock::now() + std::chrono::seconds(LongRun() ? 540 : 4), seed + 1'000'000);
  EXPECT_TRUE(WaitUntil(std::chrono::seconds(5), [&] { return farm().WorkersOf("execute").empty(); }));
  EXPECT_TRUE(HasGrownAtMost(farm(), before, 16 << 20));
  const auto status = farm().StatusJson();
  EXPECT_EQ(status.at("modules"), 0);
  EXPECT_EQ(status.at("devices").at(0).at("contexts"), 0);
}

}  // namespace
}  // namespace rbc::harness
