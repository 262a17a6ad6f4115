// librbc against a real farm: typed callables, overloads, asynchronous calls, recovery of the same client object.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <complex>
#include <cstring>
#include <future>
#include <numeric>
#include <thread>

#include "rbc/rbc.h"
#include "tests/harness/farm_test.h"
#include "tests/harness/ir.h"
#include "tests/harness/neighbour.h"
#include "tests/harness/paths.h"

struct Point {
  double x;
  int32_t n;
};
template <>
struct rbc::TypeText<Point> : rbc::Struct<&Point::x, &Point::n> {};

namespace rbc::harness {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

// The library's value, where the harness has one of its own by the same name.
using UserValue = ::rbc::Value;

class Library : public FarmTest {
 protected:
  RemoteJIT Jit(RemoteJIT::Options options = {}) { return RemoteJIT(farm().unix_address(), std::move(options)); }
  static Source Add() { return Source::Ir(AddModule().ir); }
  static Source Notebook() { return Source::File(SourcePath("examples/add.ll")); }
};

template <typename F>
ErrorKind KindOf(F&& action) {
  try {
    action();
  } catch (const Exception& exception) {
    return exception.kind();
  }
  ADD_FAILURE() << "nothing was thrown";
  return ErrorKind::kInternal;
}

TEST_F(Library, TypedCallables) {
  const auto jit = Jit();
  const auto add = jit.function<double(double, double)>(Add(), "add");
  EXPECT_EQ(add(1.5, 2.0), 3.5);
  const auto source = Source::C(R"(
      #include <stddef.h>
      size_t strlen(const char *);
      typedef struct { double x; int n; } Point;
      Point grow(Point p, float by) { p.x *= by; p.n++; return p; }
      void fill(const int *in, int *out, size_t n) { for (size_t i = 0; i < n; i++) out[i] = in[i] * in[i]; }
      long length(const char *s) { return strlen(s); }
      const char *name(_Bool formal) { return formal ? "Mrs Miller" : "Ann"; }
      _Complex double turn(_Complex double z) { return z * 1.0i; })");
  const Point grown = jit.function<Point(Point, float)>(source, "grow")({1.5, 41}, 2.0f);
  EXPECT_EQ(grown.x, 3.0);
  EXPECT_EQ(grown.n, 42);
  const std::vector<int32_t> in = {1, 2, 3};
  std::vector<int32_t> out(3);
  jit.function<void(std::span<const int32_t>, Out<int32_t>, size_t)>(source, "fill")(in, Out<int32_t>(out), 3);
  EXPECT_THAT(out, ::testing::ElementsAre(1, 4, 9));
  EXPECT_EQ(jit.function<int64_t(std::string_view)>(source, "length")("seven.."), 7);
  EXPECT_EQ(jit.function<std::string(bool)>(source, "name")(true), "Mrs Miller");
  EXPECT_EQ(jit.function<std::complex<double>(std::complex<double>)>(source, "turn")({1, 2}),
            std::complex<double>(-2, 1));
}

TEST_F(Library, OverloadsByPenaltyWithTheNotebooksMessages) {
  const auto jit = Jit();
  auto add = jit.function(Notebook(), "add", {"f64(f64,f64)", "i64(i64,i64)"});
  EXPECT_EQ(add(1, 2).repr(), "3");
  EXPECT_EQ(add(1.5, 2.0).repr(), "3.5");
  try {
    add(std::complex<double>(0, 1), 2);
    ADD_FAILURE() << "no signature takes a complex";
  } catch (const Exception& exception) {
    EXPECT_EQ(exception.kind(), ErrorKind::kNoMatch);
    EXPECT_EQ(exception.message(), "could not find matching function to given argument types: `complex128, int64`");
  }
  EXPECT_TRUE(add.add_signature("complex128(complex128, complex128)"));
  EXPECT_EQ(add(std::complex<double>(0, 1), 2).repr(), "(2+1j)");
  EXPECT_THAT(add.get_IR(), HasSubstr("add_daddA"));
  EXPECT_EQ(add.target(), "host");
  EXPECT_EQ(KindOf([&] { add.target("abacus"); }), ErrorKind::kUnknownTarget);
}

TEST_F(Library, ErrorsAreThoseOfTheFarm) {
  const auto jit = Jit();
  const auto boom = jit.function<int64_t(int64_t)>(
      Source::Ir(MarkedFunction("boom", "was here", "  store volatile i64 %x, ptr null\n  ret i64 0\n")), "boom");
  const auto result = boom.try_call(1);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::kRemoteCrash);
  EXPECT_EQ(result.error().function, "boom");
  EXPECT_EQ(result.error().signal, SIGSEGV);
  EXPECT_THAT(result.error().output, HasSubstr("was here"));
  EXPECT_EQ(KindOf([&] {
              jit.function<double(double)>(Source::Ir("define double @f(double %x) {\n  nonsense\n}\n"), "f")(1.0);
            }),
            ErrorKind::kInvalidModule);
}

TEST_F(Library, AsynchronousCallsByFutureCallbackAndDescriptor) {
  const auto jit = Jit();
  const auto add = jit.function<double(double, double)>(Add(), "add");
  EXPECT_EQ(add.call_async(1.0, 2.0).future().get(), 3.0);
  std::promise<double> told;
  add.call_async(2.0, 2.0).then([&](const Result<double>& result) { told.set_value(result.value()); });
  EXPECT_EQ(told.get_future().get(), 4.0);
  const auto pending = add.call_async(3.0, 2.0);
  pollfd wait{pending.fd(), POLLIN, 0};
  ASSERT_EQ(poll(&wait, 1, 10'000), 1);
  EXPECT_TRUE(pending.ready());
  EXPECT_EQ(pending.get(), 5.0);
}

TEST_F(Library, EightAsynchronousCallsOverlap) {
  const auto jit = Jit();
  const auto meet = jit.function<int64_t(int64_t)>(Source::Ir(kMeetIr), "meet");
  std::vector<Pending<int64_t>> calls;
  for (int i = 0; i < 8; ++i) calls.push_back(meet.with_timeout(milliseconds(30'000)).call_async(8));
  int64_t sum = 0;
  for (const auto& call : calls) sum += call.get();
  EXPECT_EQ(sum, 28);
}

TEST_F(Library, CancelsAndTimesOut) {
  const auto jit = Jit();
  const auto endless = jit.function<int64_t(int64_t)>(Source::Ir(EndlessModule().ir), "endless");
  const auto pending = endless.call_async(1);
  EXPECT_TRUE(farm().AwaitBusy());
  EXPECT_TRUE(WaitUntil(kPatience, [&] { return pending.cancel() || pending.ready(); }));
  EXPECT_EQ(pending.try_get().error().kind, ErrorKind::kCancelled) << pending.try_get().error().message;
  const auto late = endless.with_timeout(milliseconds(300)).try_call(1);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().kind, ErrorKind::kDeadlineExceeded) << late.error().message;
}

TEST_F(Library, PublishesAndConnects) {
  const auto owner = Jit();
  owner.function(Add(), "add", {"f64(f64,f64)"}).publish("shared.add");
  const auto other = RemoteJIT(farm().unix_address());
  EXPECT_EQ(other.connect<double(double, double)>("shared.add")(2.0, 3.0), 5.0);
  EXPECT_EQ(KindOf([&] { other.connect("nobody.has.this"); }), ErrorKind::kUnknownName);
}

TEST_F(Library, ManyThreadsShareOneObject) {
  const auto jit = Jit();
  const auto add = jit.function<double(double, double)>(Add(), "add");
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) wrong += add(t, i) != t + i;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(Library, AForkedChildStartsAnew) {
  const auto jit = Jit();
  const auto add = jit.function<double(double, double)>(Add(), "add");
  EXPECT_EQ(add(1.0, 1.0), 2.0);
  const pid_t child = fork();
  if (child == 0) {
    const auto sum = add.try_call(20.0, 22.0);
    _exit(sum && *sum == 42.0 ? 0 : 1);
  }
  for (int i = 0; i < 50; ++i) EXPECT_EQ(add(i, 1.0), i + 1.0);
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

TEST_F(Library, TheSameObjectWorksAfterTheDaemonWasKilled) {
  DaemonMayChange();
  const auto jit = Jit();
  const auto add = jit.function<double(double, double)>(Add(), "add");
  const auto tcp = RemoteJIT(farm().tcp_address());
  const auto add_tcp = tcp.function<double(double, double)>(Add(), "add");
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(add(round, 2.0), round + 2.0);
    EXPECT_EQ(add_tcp(round, 2.0), round + 2.0);
    farm().Restart();
  }
  EXPECT_EQ(add(1.5, 2.0), 3.5);
  EXPECT_EQ(add_tcp(1.5, 2.0), 3.5);
}

TEST_F(Library, ACallInFlightWhenTheDaemonDiesIsNotRepeated) {
  DaemonMayChange();
  const auto jit = Jit();
  const auto count = jit.function<int64_t(int64_t)>(Source::Ir(MarkedFunction("slow", "counted", R"(  %cell = alloca i64
  %old = atomicrmw add ptr @total, i64 %x seq_cst
  br label %again
again:
  %v = load volatile i64, ptr %cell
  br label %again
)",
                                                                              "@total = global i64 0\n")),
                                                    "slow");
  const auto pending = count.call_async(1);
  EXPECT_TRUE(farm().AwaitBusy());
  farm().Restart();
  const auto result = pending.try_get();
  ASSERT_FALSE(result);
  EXPECT_TRUE(result.error().kind == ErrorKind::kWorkerLost || result.error().kind == ErrorKind::kConnectionLost)
      << result.error().message;
  EXPECT_TRUE(result.error().may_have_run);
}

TEST_F(Library, AKilledWorkerIsNotNoticedByRepeatableCalls) {
  const auto jit = Jit();
  const auto add = jit.function<double(double, double)>(Add(), "add");
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 5; ++i) {
      const auto sum = add.try_call(i, 1.0);
      ASSERT_TRUE(sum) << "round " << round << " call " << i << ": " << Describe(sum.error());
      EXPECT_EQ(*sum, i + 1.0);
    }
    for (const auto& worker : farm().WorkersOf("execute")) kill(worker.pid, SIGKILL);
  }
}

TEST_F(Library, DeadlinesHoldWhileTheFarmIsStopped) {
  const auto jit = Jit();
  const auto add = jit.function<double(double, double)>(Add(), "add");
  EXPECT_EQ(add(1.0, 1.0), 2.0);
  // The worker answers a lent connection without the daemon: both are stopped.
  const auto processes = farm().Processes();
  farm().Signal(SIGSTOP);
  for (const ProcessId& id : processes) kill(id.pid, SIGSTOP);
  for (const ProcessId& id : processes)
    ASSERT_TRUE(WaitUntil(kPatience, [&] {
      const auto threads = ThreadsOf(id.pid);
      return std::all_of(threads.begin(), threads.end(), [](const auto& thread) { return thread.state == 'T'; });
    }));
  const auto begin = std::chrono::steady_clock::now();
  const auto late = add.with_timeout(milliseconds(500)).try_call(1.0, 1.0);
  const auto took = std::chrono::steady_clock::now() - begin;
  for (const ProcessId& id : processes) kill(id.pid, SIGCONT);
  farm().Signal(SIGCONT);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().kind, ErrorKind::kDeadlineExceeded) << late.error().message;
  EXPECT_LT(took, milliseconds(1500) + kStall);
  EXPECT_EQ(add(1.0, 1.0), 2.0);
}

TEST_F(Library, PrintedTextReachesTheCallersHandler) {
  std::string printed;
  RemoteJIT::Options options;
  options.on_output = [&](std::string_view text) { printed.append(text); };
  const auto jit = Jit(options);
  const auto hello =
      jit.function<int64_t(int64_t)>(Source::Ir(MarkedFunction("hello", "from afar", "  ret i64 %x\n")), "hello");
  EXPECT_EQ(hello(3), 3);
  EXPECT_EQ(printed, "from afar\n");
}

TEST_F(Library, ModulesAreUnloadedWithTheirLastHandle) {
  const auto jit = Jit();
  const auto modules = [&] { return farm().StatusJson().at("modules").get<int>(); };
  {
    const auto add = jit.function<double(double, double)>(Add(), "add");
    EXPECT_EQ(add(1.0, 1.0), 2.0);
    EXPECT_EQ(modules(), 1);
  }
  EXPECT_TRUE(WaitUntil(kPatience, [&] { return modules() == 0; }));
}

}  // namespace
}  // namespace rbc::harness
