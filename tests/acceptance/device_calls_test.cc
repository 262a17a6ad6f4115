// Arrays in the memory of a device, and of the farm, as arguments of kernels and of functions over arrays on a device.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <numeric>
#include <thread>

#include "tests/acceptance/device_kernels.h"
#include "tests/acceptance/on_device.h"

namespace rbc::harness {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const std::string kKernels = std::string(kScaleAndShift) + R"(
declare void @llvm.trap()
define void @crash(ptr %x) {
  call void @llvm.trap()
  unreachable
}
define void @endless(ptr %x) {
  br label %again
again:
  store volatile double 1.0, ptr %x
  br label %again
}
define void @endless_array(ptr %x, i64 %n, i64 %stride) {
  br label %again
again:
  store volatile double 1.0, ptr %x
  br label %again
}
)";

constexpr const char* kFunctions = R"(
define void @negate(ptr %x, i64 %n) {
entry:
  br label %test
test:
  %i = phi i64 [0, %entry], [%j, %each]
  %in = icmp slt i64 %i, %n
  br i1 %in, label %each, label %end
each:
  %at = getelementptr inbounds double, ptr %x, i64 %i
  %a = load double, ptr %at
  %b = fneg double %a
  store double %b, ptr %at
  %j = add i64 %i, 1
  br label %test
end:
  ret void
}
define double @dot(ptr %x, i64 %n, i64 %sx, ptr %y, i64 %m, i64 %sy) {
entry:
  br label %test
test:
  %i = phi i64 [0, %entry], [%j, %each]
  %sum = phi double [0.0, %entry], [%next, %each]
  %in = icmp slt i64 %i, %n
  br i1 %in, label %each, label %end
each:
  %ox = mul i64 %i, %sx
  %oy = mul i64 %i, %sy
  %px = getelementptr inbounds i8, ptr %x, i64 %ox
  %py = getelementptr inbounds i8, ptr %y, i64 %oy
  %a = load double, ptr %px
  %b = load double, ptr %py
  %p = fmul double %a, %b
  %next = fadd double %sum, %p
  %j = add i64 %i, 1
  br label %test
end:
  ret double %sum
}
define double @first(ptr %x) {
  %a = load double, ptr %x
  ret double %a
}
declare void @llvm.trap()
define void @traps(ptr %x, i64 %n) {
  store double 7.0, ptr %x
  call void @llvm.trap()
  unreachable
}
)";

// 0, by, 2 by, ...
Numbers Multiples(size_t count, double by) {
  Numbers out = Counting(count);
  for (double& x : out) x *= by;
  return out;
}

class DeviceCalls : public OnDevice {
 protected:
  std::string SessionMemory() const override { return "64 MiB"; }
  static Caller Kernel(const RemoteJIT& jit, const std::string& name, const std::string& signature,
                       const std::string& target = "cuda") {
    return jit.function(Source::Ir(kKernels), name, {signature}, {.target = target, .abi = CallAbi::kKernel});
  }
  static Caller Scale(const RemoteJIT& jit, const std::string& target = "cuda") {
    return Kernel(jit, "scale", "void(float64*, float64*, int64, float64)", target);
  }
  static Caller Shift(const RemoteJIT& jit) { return Kernel(jit, "shift", "void(float64[:], float64)"); }
  static Caller Negate(const RemoteJIT& jit, const std::string& target = "cuda") {
    return jit.function(Source::Ir(kFunctions), "negate", {"void(float64[::1])"}, {.target = target});
  }
  static Caller Dot(const RemoteJIT& jit) {
    return jit.function(Source::Ir(kFunctions), "dot", {"float64(float64[:], float64[:])"}, {.target = "cuda"});
  }
};
INSTANTIATE_TEST_SUITE_P(Over, DeviceCalls, ::testing::Values("unix", "tcp"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(DeviceCalls, KernelsTakeThemWhereTheyLie) {
  const auto jit = Jit();
  const auto scale = Scale(jit), shift = Shift(jit);
  constexpr int64_t kCount = 10'000;
  const Grid grid{{(kCount + 255) / 256}, {256}, 0};
  const Buffer x = OnCuda(jit, Counting(kCount)), y = jit.empty<double>({kCount}, {.target = "cuda"});
  scale.launch(grid, x, y, kCount, 2.0);
  EXPECT_EQ(y.to_host<double>(), Multiples(kCount, 2));
  scale.launch(grid, y, y, kCount, 0.5);  // in place
  EXPECT_EQ(y.to_host<double>(), Counting(kCount));
  scale.launch(grid, x.slice(0, 100, 200), y.slice(0, 0, 100), 100, 1.0);  // views
  EXPECT_EQ(y.to_host<double>()[0], 100);
  EXPECT_EQ(y.to_host<double>()[99], 199);
  EXPECT_EQ(y.to_host<double>()[100], 100);
  shift.launch(grid, x.slice(0, kCount - 1, -1, -2), 0.5);  // every second, from the last on
  EXPECT_EQ(x.to_host<double>()[kCount - 1], kCount - 0.5);
  EXPECT_EQ(x.to_host<double>()[kCount - 2], kCount - 2);
  EXPECT_EQ(x.to_host<double>()[1], 1.5);
  // Beside memory of this process, both ways.
  Numbers here(100);
  scale.launch(grid, x, here, 100, 2.0);
  EXPECT_EQ(here[1], 3);
  scale.launch(grid, std::span<const double>(here), x, 100, 1.0);
  EXPECT_EQ(x.to_host<double>()[1], 3);
  EXPECT_EQ(jit.buffers().size(), 2u);
}

TEST_P(DeviceCalls, ArraysOfTheFarmsMemoryGoThereAndBack) {
  const auto jit = Jit();
  const auto scale = Scale(jit);
  const Grid grid{{4}, {256}, 0};
  const Buffer here = jit.to_device(Counting(1000)), there = jit.empty<double>({1000}, {.target = "cuda"});
  scale.launch(grid, here, there, 1000, 3.0);
  EXPECT_EQ(there.to_host<double>(), Multiples(1000, 3));
  EXPECT_EQ(here.to_host<double>(), Counting(1000));
  scale.launch(grid, there, here, 1000, 2.0);
  EXPECT_EQ(here.to_host<double>(), Multiples(1000, 6));
  // Two that share bytes share them on the device.
  scale.launch(grid, here, here.slice(0, 500, 1000), 500, -1.0);
  Numbers expected = Multiples(1000, 6);
  for (size_t i = 0; i < 500; ++i) expected[500 + i] = -expected[i];
  EXPECT_EQ(here.to_host<double>(), expected);
  Shift(jit).launch(grid, here.slice(0, 7, 10), 0.25);  // of the array itself nothing else moves
  EXPECT_EQ(here.to_host<double>()[7], 42.25);
  EXPECT_EQ(here.to_host<double>()[6], 36);
  EXPECT_EQ(here.to_host<double>()[10], 60);
  // What they take on the device counts, and is given back.
  const Buffer large = jit.empty<double>({9 << 20});  // 72 MiB of 64
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(ErrorOf([&] { scale.launch(grid, large, there, 1, 1.0); }).kind, ErrorKind::kResourceExhausted);
  const Buffer most = jit.empty<double>({6 << 20});  // 48 MiB
  for (int i = 0; i < 5; ++i) scale.launch(grid, there, most, 1000, 1.0);
  EXPECT_EQ(most.slice(0, 0, 1000).to_host<double>(), Multiples(1000, 3));
}

TEST_P(DeviceCalls, FunctionsOverArraysTakeThem) {
  const auto jit = Jit();
  const auto negate = Negate(jit), dot = Dot(jit);
  const Buffer x = OnCuda(jit, Counting(100)), y = OnCuda(jit, Numbers(100, 1.0)), here = jit.to_device(Counting(100));
  negate(x);
  EXPECT_EQ(x.to_host<double>(), Multiples(100, -1));
  const auto typed = jit.function<void(ArrayView<double>)>(Source::Ir(kFunctions), "negate", {.target = "cuda"});
  typed(x);
  EXPECT_EQ(x.to_host<double>(), Counting(100));
  EXPECT_EQ(dot(x, y).as<double>(), 4950);
  EXPECT_EQ(dot(x.slice(0, 99, -1, -3), y).as<double>(), 1683);
  EXPECT_EQ(dot(x, here).as<double>(), 328350) << "an array of the farm's memory is brought there";
  negate(here);
  typed(here.slice(0, 50, 100));
  EXPECT_EQ(here.to_host<double>()[3], -3);
  EXPECT_EQ(here.to_host<double>()[60], 60);
  Numbers mine = Counting(100);
  EXPECT_EQ(dot(x, mine).as<double>(), 328350) << "and one of this process is sent";
  EXPECT_EQ(dot.call_async(x, y).get().as<double>(), 4950);
}

TEST_P(DeviceCalls, QueuesLaunchOverThem) {
  const auto jit = Jit();
  const auto scale = Scale(jit), dot = Dot(jit);
  const Buffer x = OnCuda(jit, Counting(1000)), y = jit.empty<double>({1000}, {.target = "cuda"});
  Queue queue = jit.queue();
  const Grid grid{{4}, {256}, 0};
  for (int i = 0; i < 10; ++i) {
    queue.launch(scale, grid, x, y, 1000, 2.0);
    queue.launch(scale, grid, y, x, 1000, 0.5);
  }
  queue.launch(scale, grid, x, y, 1000, 1.0);
  auto sum = queue.call(dot, x, y);
  EXPECT_EQ(sum.get().as<double>(), 332833500);
  EXPECT_EQ(x.to_host<double>(), Counting(1000));
}

TEST_P(DeviceCalls, QueuesHandThemOn) {
  const auto jit = Jit();
  const auto scale = Scale(jit), shift = Shift(jit), negate = Negate(jit), dot = Dot(jit);
  const auto half =
      jit.function(Source::Ir("define double @half(double %x) {\n  %h = fmul double %x, 0.5\n  ret double %h\n}"),
                   "half", {"float64(float64)"}, {.target = "cuda"});
  const Buffer x = OnCuda(jit, Counting(1000));
  const Grid grid{{4}, {256}, 0};
  Queue queue = jit.queue();
  std::optional<QueuedArray> y = queue.map(half, {x});
  const QueuedArray z = queue.map(half, {*y});
  queue.launch(scale, grid, *y, z, 1000, 4.0);  // as pointers
  queue.launch(shift, grid, z, 1.0);            // as an array
  queue.call(negate, z);                        // of a function
  y.reset();                                    // for later steps alone
  QueuedCall sum = queue.call(dot, z, x);
  double expected = 0;
  for (int i = 0; i < 1000; ++i) expected -= (2.0 * i + 1) * i;
  EXPECT_EQ(sum.get().as<double>(), expected);
  EXPECT_EQ(z.get().target(), "cuda");
  EXPECT_EQ(z.to_host<double>()[10], -21);
  EXPECT_EQ(jit.buffers().size(), 2u) << "what was dropped is gone";
  sum = queue.call(dot, z, z.get().slice(0, 0, 1000));
  EXPECT_GT(sum.get().as<double>(), 0) << "of an earlier chain";
  // Of the farm's memory: brought there and back.
  const Buffer here = jit.to_device(Counting(1000));
  const QueuedArray mine = queue.map(half, {here});
  queue.launch(shift, grid, mine, 0.25);
  EXPECT_EQ(mine.to_host<double>()[7], 3.75);
}

TEST_P(DeviceCalls, WhatDoesNotFitIsRefusedByName) {
  const auto jit = Jit();
  const auto scale = Scale(jit);
  const Grid grid{{1}, {32}, 0};
  const Buffer x = OnCuda(jit, Counting(10), "prices");
  const auto expect = [](const Error& error, ErrorKind kind, const auto& message) {
    EXPECT_EQ(error.kind, kind) << error.message;
    EXPECT_THAT(error.message, message);
  };
  expect(ErrorOf([&] { Scale(jit, "cuda:0").launch(grid, x, x, 10, 1.0); }), ErrorKind::kInvalidArgument,
         AllOf(HasSubstr("\"prices\""), HasSubstr("lies on target \"cuda\""), HasSubstr("runs on \"cuda:0\"")));
  expect(ErrorOf([&] { Negate(jit, "host")(x); }), ErrorKind::kInvalidArgument,
         AllOf(HasSubstr("\"prices\""), HasSubstr("runs on \"host\""), HasSubstr("to_target")));
  const Buffer floats = jit.empty<float>({10}, {.target = "cuda"});
  expect(ErrorOf([&] { scale.launch(grid, x, floats, 10, 1.0); }), ErrorKind::kNoMatch, HasSubstr("float32"));
  expect(ErrorOf([&] { scale.launch(grid, x.slice(0, 0, 10, 2), x, 5, 1.0); }), ErrorKind::kInvalidArgument,
         HasSubstr("gaps"));
  const auto first = jit.function(Source::Ir(kFunctions), "first", {"float64(float64*)"}, {.target = "cuda"});
  expect(ErrorOf([&] { first(x); }), ErrorKind::kUnsupported, HasSubstr("declare the parameter as an array"));
  const auto other = Jit();
  expect(ErrorOf([&] { Scale(other).launch(grid, x, x, 10, 1.0); }), ErrorKind::kInvalidArgument,
         HasSubstr("another connection"));
  const Buffer freed = OnCuda(jit, Counting(3));
  freed.free();
  EXPECT_EQ(ErrorOf([&] { scale.launch(grid, freed, x, 3, 1.0); }).kind, ErrorKind::kBufferLost);
  scale.launch(grid, x, x, 10, 2.0);
  EXPECT_EQ(x.to_host<double>(), Multiples(10, 2)) << "nothing of this touched it";
}

TEST_P(DeviceCalls, AreLostByNameWithTheKernelsFault) {
  const auto jit = Jit();
  const Buffer x = OnCuda(jit, Counting(10), "prices"), here = jit.to_device(Counting(10), {.name = "here"});
  const auto crash = Kernel(jit, "crash", "void(float64*)"), scale = Scale(jit);
  const Grid grid{{1}, {32}, 0};
  EXPECT_EQ(ErrorOf([&] { crash.launch(grid, here); }).kind, ErrorKind::kRemoteCrash);
  EXPECT_EQ(here.to_host<double>(), Counting(10)) << "what was copied there is what it was";
  const Error lost = ErrorOf([&] { scale.launch(grid, x, x, 10, 1.0); });
  EXPECT_EQ(lost.kind, ErrorKind::kBufferLost) << lost.message;
  EXPECT_THAT(lost.message, AllOf(HasSubstr("\"prices\""), HasSubstr("trap")));
  EXPECT_EQ(ErrorOf([&] { Dot(jit)(x, x); }).kind, ErrorKind::kBufferLost);
  const Buffer fresh = OnCuda(jit, Counting(10));
  scale.launch(grid, fresh, here, 10, 2.0);
  EXPECT_EQ(here.to_host<double>(), Multiples(10, 2));
}

// What a kernel or a function has done comes back into the farm's memory at its end: a worker that ends before leaves
// what was there, one that may be at it leaves nobody knows what.
TEST_P(DeviceCalls, ArraysOfTheFarmsMemoryAreLostByNameWhereAnEndMayHaveCutThem) {
  const auto jit = Jit();
  const Grid grid{{1}, {32}, 0};
  const auto endless = Kernel(jit, "endless", "void(float64*)").with_timeout(std::chrono::milliseconds(3000));
  const auto turns = Kernel(jit, "endless_array", "void(float64[:])").with_timeout(std::chrono::milliseconds(3000));
  endless.compile();
  turns.compile();
  const auto traps = jit.function(Source::Ir(kFunctions), "traps", {"void(float64[::1])"}, {.target = "cuda"});
  const Buffer spare = jit.to_device(Counting(10));
  const auto expect_lost = [&](const Buffer& buffer, const std::string& name, const std::string& why) {
    const Error lost = ErrorOf([&] { (void)buffer.to_host<double>(); });
    EXPECT_EQ(lost.kind, ErrorKind::kBufferLost) << lost.message;
    EXPECT_THAT(lost.message, AllOf(HasSubstr("\"" + name + "\""), HasSubstr("'endless"), HasSubstr(why)));
  };
  const Buffer a = jit.to_device(Counting(10), {.name = "pointed"});
  EXPECT_EQ(ErrorOf([&] { endless.launch(grid, a.slice(0, 2, 5)); }).kind, ErrorKind::kDeadlineExceeded);
  expect_lost(a, "pointed", "DeadlineExceeded");
  const Buffer b = jit.to_device(Counting(10), {.name = "array"});
  EXPECT_EQ(ErrorOf([&] { turns.launch(grid, b.slice(0, 8, 1, -1)); }).kind, ErrorKind::kDeadlineExceeded);
  expect_lost(b, "array", "DeadlineExceeded");
  const Buffer c = jit.to_device(Counting(10), {.name = "held"});
  EXPECT_EQ(ErrorOf([&] { traps(c); }).kind, ErrorKind::kRemoteCrash);
  EXPECT_EQ(c.to_host<double>(), Counting(10)) << "a fault of the function itself came before";
  EXPECT_EQ(spare.to_host<double>(), Counting(10)) << "others had nothing to do with it";
}

// A worker that is killed while an array comes back.
TEST_P(DeviceCalls, AnArrayThatWasHalfBackIsLostByName) {
  if (!IsLocal()) return;  // this process looks at the farm's memory
  const auto jit = Jit();
  const auto shift = Shift(jit);
  const Grid grid{{1}, {32}, 0};
  constexpr int64_t kStep = 800'000, kCount = 8 * kStep + 1;  // 49 MiB: long enough to be seen on its way
  bool half = false;
  for (int attempt = 0; attempt < 50 && !half; ++attempt) {
    const Buffer here = jit.to_device(Numbers(kCount, 5.0), {.name = "here"});
    // Of the elements that the kernel writes; the very first bytes may be copied last.
    const volatile double* const early = here.span<double>().data() + kStep;
    const volatile double* const last = here.span<double>().data() + kCount - 1;
    std::optional<Error> ended;
    std::atomic<bool> over{false};
    std::thread launches([&] {
      const auto done = shift.try_launch(grid, std::vector<::rbc::Value>{here.slice(0, 0, kCount, kStep), 1.0});
      if (!done) ended = done.error();
      over = true;
    });
    pid_t worker = 0;
    ASSERT_TRUE(WaitUntil(kPatience, [&] {
      for (const auto& each : farm().WorkersOf("execute"))
        if (each.session != 0) worker = each.pid;  // others wait for a session
      return worker != 0;
    }));
    // It goes in small steps until the copy is seen to have begun.
    const auto wait = [](int us) { std::this_thread::sleep_for(std::chrono::microseconds(us)); };
    while (*early == 5.0 && !over) {
      kill(worker, SIGCONT);
      wait(200);
      kill(worker, SIGSTOP);
      wait(1000);  // until it stands
    }
    half = *early == 6.0 && *last == 5.0;
    kill(worker, half ? SIGKILL : SIGCONT);
    launches.join();
    if (!half) continue;
    ASSERT_TRUE(ended);
    EXPECT_EQ(ended->kind, ErrorKind::kWorkerLost) << ended->message;
    const Error lost = ErrorOf([&] { (void)here.to_host<double>(); });
    EXPECT_EQ(lost.kind, ErrorKind::kBufferLost) << lost.message;
    EXPECT_THAT(lost.message, AllOf(HasSubstr("\"here\""), HasSubstr("'shift'"), HasSubstr("WorkerLost")));
  }
  EXPECT_TRUE(half) << "no worker was caught in the copy";
}

}  // namespace
}  // namespace rbc::harness
