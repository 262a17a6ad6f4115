// Sixteen sessions on two GPUs that compute nothing and count everything: what modules and calls took of a device is
// given back.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <random>
#include <thread>

#include "rbc/rbc.h"
#include "tests/harness/farm_test.h"
#include "tests/harness/run_program.h"

namespace rbc::harness {
namespace {

using Clock = std::chrono::steady_clock;
using ::testing::HasSubstr;

// Its module can print: only of such is it read.
constexpr char kLeft[] =
    "@text = constant [2 x i8] c\"x\\00\"\ndeclare i32 @printf(ptr, ...)\n"
    "define ptx_kernel void @what_is_left(ptr %p) {\n  %n = call i32 (ptr, ...) @printf(ptr @text)\n  ret void\n}\n";

class FakeDevice : public FarmTest {
 protected:
  FarmOptions Options() const override {
    const std::string driver = folder_.path() + "/libcuda.so.1";
    std::filesystem::copy_file(RBC_FAKE_CUDA, driver);
    WriteWholeFile(driver + ".conf", "left what_is_left 1\n");
    return FarmOptions()
        .Set("targets.cuda", "driver", "\"" + driver + "\"")
        .Set("targets.cuda", "max_contexts", "16")
        .Set("targets.cuda", "session_memory", "\"64 MiB\"")
        .Set("store", "max_bytes", "\"1 MiB\"");
  }

  // Some modules that compute nothing on a device of host memory: loaded, used by all kinds of requests, unloaded.
  static void Use(const RemoteJIT& jit, std::mt19937_64& random, size_t elements) {
    const std::string number = std::to_string(random() % 1'000'000);
    const Source source = Source::Ir("define i64 @f(i64 %x) {\n  %r = add i64 %x, " + number +
                                     "\n  ret i64 %r\n}\ndefine i64 @g(i64 %x, i64 %y) {\n  %r = add i64 %x, %y\n" +
                                     "  %s = add i64 %r, " + number + "\n  ret i64 %s\n}\n");
    const std::vector<int64_t> x(elements);
    auto f = jit.function(source, "f", {"int64(int64)"});
    f(1);
    f.map_arrays({ArrayArgument::Of(x)});
    const auto g = jit.function(source, "g", {"int64(int64, int64)"});
    g.reduce(ArrayArgument::Of(x));
    g.scan(ArrayArgument::Of(x));
    // The same where they lie, by a kernel too, with one of the farm's memory beside them.
    const Buffer there = jit.to_device(x, {.target = "cuda"}), here = jit.to_device(x);
    f.as<int64_t(int64_t)>().map_into(there, there);
    g.reduce(ArrayArgument::Of(there));
    g.scan(ArrayArgument::Of(there));
    FunctionOptions options;
    options.abi = CallAbi::kKernel;
    jit.function(Source::Ir("define ptx_kernel void @k" + number + "(ptr %x, ptr %y) {\n  ret void\n}\n"), "k" + number,
                 {"void(int64*, int64*)"}, options)
        .launch({}, there, here);
    (void)there.to_target("cuda:0");
  }

  static constexpr size_t kMost = 20'000;  // elements

  // Until `end`; then the device holds what it held when the session had done everything once.
  void Live(Clock::time_point end, uint64_t seed) {
    std::mt19937_64 random(seed);
    std::string printed;
    RemoteJIT::Options options;
    options.target = "cuda";
    options.on_output = [&](std::string_view text) { printed += text; };
    const RemoteJIT jit(farm().unix_address(), std::move(options));
    FunctionOptions kernel;
    kernel.abi = CallAbi::kKernel;
    const auto left = jit.function(Source::Ir(kLeft), "what_is_left", {"void(int64*)"}, kernel);
    const std::vector<int64_t> some(64);
    const auto ask = [&] {
      printed.clear();
      left.launch({}, std::span<const int64_t>(some));
      return printed;
    };
    // All sessions may be at work on the device that one wants: it comes again, as the error says.
    const auto use = [&](size_t elements) {
      for (;;) {
        try {
          return Use(jit, random, elements);
        } catch (const Exception& exception) {
          if (exception.error().kind != ErrorKind::kBusy) throw;
          std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
      }
    };
    ask();
    use(kMost);
    std::string before;
    // What a handle named is unloaded a little later.
    EXPECT_TRUE(WaitUntil(kPatience, [&] { return (before = ask()).find("modules 1 ") != std::string::npos; }))
        << before;
    EXPECT_THAT(before, HasSubstr("contexts 1 "));
    for (; Clock::now() < end; ++lives_) use(random() % kMost + 1);
    std::string after;
    EXPECT_TRUE(WaitUntil(kPatience, [&] { return (after = ask()) == before; }))
        << "before " << before << "after " << after;
  }

  std::atomic<int> lives_{0};

 private:
  TemporaryFolder folder_;
};

TEST_F(FakeDevice, GetsBackWhatSessionsTook) {
  const auto end = Clock::now() + std::chrono::seconds(LongRun() ? 300 : 4);
  const uint64_t seed = TestSeed(1);
  std::vector<std::thread> threads;
  for (uint64_t n = 0; n < 16; ++n) {
    threads.emplace_back([&, n] {
      try {
        Live(end, seed + n);
      } catch (const Exception& exception) {
        ADD_FAILURE() << "session " << n << ": " << exception.what() << ", seed " << seed;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_TRUE(WaitUntil(kPatience, [&] { return farm().WorkersOf("execute").empty(); }));
  // A context counts until its process is gone.
  EXPECT_TRUE(WaitUntil(kPatience, [&] {
    const auto status = farm().StatusJson();
    const auto& devices = status.at("devices");
    return std::all_of(devices.begin(), devices.end(), [](const auto& device) { return device.at("contexts") == 0; }) &&
           status.at("modules") == 0;
  })) << farm().StatusJson();
  std::printf("%d modules, the daemon has %lu KiB\n", 2 * lives_.load(), WorkingBytes(farm().pid()) / 1024);
}

}  // namespace
}  // namespace rbc::harness
