// Kernels over arrays that stay, launched again and again: librbc repeats them as calls, and nobody can tell.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/acceptance/asked_again.h"
#include "tests/acceptance/device_kernels.h"
#include "tests/harness/library.h"

namespace rbc::harness {
namespace {

using std::chrono::milliseconds;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr int64_t kCount = 1000;

const std::string kKernels = std::string(kScaleAndShift) + R"(
@text = private constant [9 x i8] c"n is %ld\00"
declare void @llvm.trap()
declare i32 @printf(ptr, ...)
define void @tell(ptr %x, i64 %n) {
  %some = icmp ne i64 %n, 0
  br i1 %some, label %say, label %end
say:
  %c = call i32 (ptr, ...) @printf(ptr @text, i64 %n)
  br label %end
end:
  ret void
}
define void @crash(ptr %x, i64 %now) {
  %bad = icmp ne i64 %now, 0
  br i1 %bad, label %die, label %end
die:
  call void @llvm.trap()
  unreachable
end:
  ret void
}
define void @endless(ptr %x, i64 %on) {
  %word = alloca i64
  store volatile i64 %on, ptr %word
  br label %again
again:
  %v = load volatile i64, ptr %word
  %more = icmp ne i64 %v, 0
  br i1 %more, label %again, label %end
end:
  ret void
}
define double @add(double %a, double %b) {
  %c = fadd double %a, %b
  ret double %c
}
)";

Numbers Multiples(double by) {
  Numbers out = Counting(kCount);
  for (double& x : out) x *= by;
  return out;
}

class LaunchAgain : public AskedAgain {
 protected:
  FarmOptions Options() const override { return WithCuda(); }
  // One that has not launched anything: it asks the farm with the whole request.
  Caller Kernel(const std::string& name, const std::string& signature) const {
    return jit_->function(Source::Ir(kKernels), name, {signature}, {.target = "cuda", .abi = CallAbi::kKernel});
  }
  Caller Scale() const { return Kernel("scale", "void(float64*, float64*, int64, float64)"); }
  Buffer OnCuda(const Numbers& numbers, std::string name = {}) const {
    return jit_->to_device(numbers, {.name = std::move(name), .target = "cuda"});
  }
  // Runs `launch` until it has taken the short way for long.
  template <typename F>
  void Warm(F&& launch) {
    for (int i = 0; i < kTimes; ++i) launch();
  }
  // What a launch that is cancelled, at once or when it runs, ends with.
  Error CancelALaunch(const Caller& endless, const Buffer& buffer) const {
    Error ended;
    Cancelled([&] { ended = ErrorOf([&] { endless.launch({}, buffer, 1); }); });
    EXPECT_EQ(Name(ended.kind), "Cancelled") << ended.message;
    return ended;
  }
  static void ExpectSame(const Error& warm, const Error& cold) {
    EXPECT_EQ(Name(warm.kind), Name(cold.kind)) << warm.message;
    EXPECT_EQ(warm.message, cold.message);
    EXPECT_EQ(warm.function, cold.function);
    EXPECT_EQ(warm.cause, cold.cause);
    EXPECT_EQ(warm.may_have_run, cold.may_have_run);
  }

  const Grid grid_{{4}, {256}, 0};
};

TEST_P(LaunchAgain, TheDaemonIsNotAskedEachTime) {
  const Caller scale = Scale();
  const Buffer x = OnCuda(Counting(kCount)), y = OnCuda(Counting(kCount));
  Warm([&] { scale.launch(grid_, x, y, kCount, 2.0); });
  const int before = Messages();
  for (int i = 0; i < 300; ++i) scale.launch(grid_, x, y, kCount, i * 1.0);
  EXPECT_LT(Messages() - before, 30);
  EXPECT_EQ(y.to_host<double>(), Multiples(299));
}

TEST_P(LaunchAgain, GridValuesAndArraysAreThoseOfEachLaunch) {
  const Caller scale = Scale(), shift = Kernel("shift", "void(float64[:], float64)");
  const Buffer x = OnCuda(Counting(kCount)), y = OnCuda(Counting(kCount)), here = jit_->to_device(Counting(kCount));
  const Buffer odd = y.slice(0, 1, kCount, 2), tail = y.slice(0, 900, kCount);
  for (int i = 1; i <= kTimes; ++i) {
    scale.launch(grid_, x, y, kCount, i * 1.0);
    ASSERT_EQ(y.to_host<double>(), Multiples(i)) << i;
    scale.launch({{1}, {static_cast<int32_t>(i)}, 0}, x, y, kCount, -1.0);
    ASSERT_EQ(y.to_host<double>()[static_cast<size_t>(i) - 1], 1.0 - i);
    ASSERT_EQ(y.to_host<double>()[static_cast<size_t>(i)], 1.0 * i * i) << "as many threads as asked for";
    shift.launch(grid_, odd, 0.5);
    ASSERT_EQ(y.to_host<double>()[901], 901.0 * i + 0.5);
    ASSERT_EQ(y.to_host<double>()[902], 902.0 * i);
    shift.launch(grid_, tail, 1000.0);
    ASSERT_EQ(y.to_host<double>()[901], 901.0 * i + 1000.5);
    ASSERT_EQ(y.to_host<double>()[899], 899.0 * i + 0.5);
    // One of the farm's memory, and memory of this process, beside one that stays.
    scale.launch(grid_, x, here, kCount, i * 3.0);
    ASSERT_EQ(here.to_host<double>()[7], i * 21.0);
    Numbers mine(5);
    scale.launch(grid_, x, mine, 5, i * 1.0);
    ASSERT_EQ(mine, (Numbers{0, 1.0 * i, 2.0 * i, 3.0 * i, 4.0 * i}));
  }
  EXPECT_EQ(x.to_host<double>(), Counting(kCount));
}

TEST_P(LaunchAgain, MapsOfArraysOnTheDeviceToo) {
  const Caller add = jit_->function(Source::Ir(kKernels), "add", {"float64(float64, float64)"}, {.target = "cuda"});
  const Buffer x = OnCuda(Counting(kCount)), y = OnCuda(Counting(kCount));
  ArrayMapOptions options;
  options.out = ArrayArgument::Of(y);
  const auto map = [&] {
    const auto done = add.try_map_arrays(std::vector{ArrayArgument::Of(x), ArrayArgument::Of(x)}, options);
    ASSERT_TRUE(done) << done.error().message;
  };
  Warm(map);
  const int before = Messages();
  x.copy_from(Multiples(3));
  for (int i = 0; i < 100; ++i) map();
  EXPECT_LT(Messages() - before, 30);
  EXPECT_EQ(y.to_host<double>(), Multiples(6));
}

TEST_P(LaunchAgain, PrintsToTheUser) {
  const Caller tell = Kernel("tell", "void(float64*, int64)");
  const Buffer x = OnCuda(Counting(3));
  Warm([&] { tell.launch({}, x, 0); });
  EXPECT_EQ(printed_, "");
  tell.launch({}, x, 7);
  EXPECT_EQ(printed_, "n is 7");
}

TEST_P(LaunchAgain, ErrorsAreThoseOfTheFirst) {
  const Caller scale = Scale(), crash = Kernel("crash", "void(float64*, int64)");
  const Buffer x = OnCuda(Counting(kCount), "x");
  Warm([&] { scale.launch(grid_, x, x, kCount, 1.0); });
  Warm([&] { crash.launch({}, x, 0); });
  const auto both = [&](const Caller& warm, const Caller& cold, auto&& launch) {
    ExpectSame(ErrorOf([&] { launch(warm); }), ErrorOf([&] { launch(cold); }));
  };
  for (const Grid& grid : {Grid{{1}, {5000}, 0}, Grid{{0}, {1}, 0}, Grid{{1, 1, 1, 1}, {1}, 0}, Grid{{1}, {1}, -1}})
    both(scale, Scale(), [&](const Caller& caller) { caller.launch(grid, x, x, kCount, 1.0); });
  scale.launch(grid_, x, x, kCount, 2.0);
  EXPECT_EQ(x.to_host<double>(), Multiples(2)) << "nothing of this touched it";
  const Error died = ErrorOf([&] { crash.launch({}, x, 1); });
  EXPECT_EQ(Name(died.kind), "RemoteCrash") << died.message;
  EXPECT_EQ(died.function, "crash");
  both(scale, Scale(), [&](const Caller& caller) { caller.launch(grid_, x, x, kCount, 1.0); });
  const Error lost = ErrorOf([&] { scale.launch(grid_, x, x, kCount, 1.0); });
  EXPECT_EQ(Name(lost.kind), "BufferLost");
  EXPECT_THAT(lost.message, AllOf(HasSubstr("\"x\""), HasSubstr("trap")));
  // A new one takes no place of the old.
  const Buffer fresh = OnCuda(Counting(kCount));
  EXPECT_EQ(Name(ErrorOf([&] { scale.launch(grid_, x, fresh, kCount, 5.0); }).kind), "BufferLost");
  EXPECT_EQ(fresh.to_host<double>(), Counting(kCount));
  const Error again = ErrorOf([&] { Kernel("crash", "void(float64*, int64)").launch({}, fresh, 1); });
  ExpectSame(died, again);
}

TEST_P(LaunchAgain, EndsAtItsDeadlineOrWhenCancelled) {
  const Caller endless = Kernel("endless", "void(float64*, int64)");
  const Buffer x = OnCuda(Counting(3), "x");
  Warm([&] { endless.launch({}, x, 0); });
  const Error late = ErrorOf([&] { endless.with_timeout(milliseconds(2000)).launch({}, x, 1); });
  EXPECT_EQ(Name(late.kind), "DeadlineExceeded") << late.message;
  EXPECT_EQ(Name(ErrorOf([&] { endless.launch({}, x, 0); }).kind), "BufferLost");
  std::optional<Buffer> y;
  Error cancelled;
  for (int i = 0; i < 20 && !cancelled.may_have_run; ++i) {  // else it was too early: nothing ran
    y = OnCuda(Counting(3));
    Warm([&] { endless.launch({}, *y, 0); });
    cancelled = CancelALaunch(endless, *y);
  }
  ASSERT_TRUE(cancelled.may_have_run);
  EXPECT_EQ(Name(ErrorOf([&] { endless.launch({}, *y, 0); }).kind), "BufferLost");
}

TEST_P(LaunchAgain, FreedBuffersAreNotUsed) {
  const Caller scale = Scale();
  const Buffer x = OnCuda(Counting(kCount));
  std::optional<Buffer> y = OnCuda(Counting(kCount));
  Warm([&] { scale.launch(grid_, x, *y, kCount, 2.0); });
  y->free();
  const Buffer other = OnCuda(Counting(kCount));
  EXPECT_EQ(Name(ErrorOf([&] { scale.launch(grid_, x, *y, kCount, 5.0); }).kind), "BufferLost");
  EXPECT_EQ(other.to_host<double>(), Counting(kCount));
}

TEST_P(LaunchAgain, ManyThreadsAtOnce) {
  const Caller scale = Scale();
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 1; t <= 6; ++t)
    threads.emplace_back([&, t] {
      const Buffer x = OnCuda(Counting(kCount)), y = OnCuda(Numbers(kCount));
      for (int i = 0; i < 50; ++i) {
        scale.launch(grid_, x, y, kCount, t * 1.0 + i);
        wrong += y.to_host<double>() != Multiples(t * 1.0 + i);
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

INSTANTIATE_TEST_SUITE_P(Ways, LaunchAgain, ::testing::Values(Way::kRing, Way::kUnix, Way::kTcp), NameOf);

}  // namespace
}  // namespace rbc::harness
