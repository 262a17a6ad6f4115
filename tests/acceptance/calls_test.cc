// Calls: overlap, printed output, batches, cancel, deadlines, unload, lost state, static constructors, cached modules.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <future>
#include <thread>

#include "tests/harness/farm_test.h"
#include "tests/harness/ir.h"
#include "tests/harness/toolchain.h"

namespace rbc::harness {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using ::testing::HasSubstr;

milliseconds Since(Clock::time_point begin) { return std::chrono::duration_cast<milliseconds>(Clock::now() - begin); }

class Calls : public FarmTest {};

// Eight calls that each wait for the other seven inside the function: they end only if all are inside at once.
TEST_F(Calls, EightOfOneSessionOverlap) {
  const Module barrier = MakeModule(kMeetIr, "meet", "int64(int64)");
  Client first = farm().Connect();
  const auto meet = Must(first.Load(barrier));
  std::vector<std::future<int64_t>> calls;
  for (int i = 0; i < 8; ++i) {
    calls.push_back(std::async(std::launch::async, [&, client = Must(first.Attach())]() mutable {
      return *Must(client.Call(meet, {8}, {.deadline_ms = 30'000}), "meet").value.As<int64_t>();
    }));
  }
  std::vector<int64_t> order;
  for (auto& call : calls) order.push_back(call.get());
  EXPECT_THAT(order, ::testing::UnorderedElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
}

TEST_F(Calls, OfASerialModuleNeverOverlap) {
  Module module = MakeModule(R"(@inside = global i64 0
@most = global i64 0
define i64 @alone(i64 %steps) {
entry:
  %before = atomicrmw add ptr @inside, i64 1 seq_cst
  %old = atomicrmw max ptr @most, i64 %before seq_cst
  br label %again
again:
  %i = phi i64 [ 0, %entry ], [ %next, %again ]
  %seen = load volatile i64, ptr @most
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %steps
  br i1 %more, label %again, label %done
done:
  %after = atomicrmw sub ptr @inside, i64 1 seq_cst
  %worst = load atomic volatile i64, ptr @most seq_cst, align 8
  ret i64 %worst
}
)",
                             "alone", "int64(int64)");
  module.options.serial = true;
  Client first = farm().Connect();
  const auto alone = Must(first.Load(module));
  std::vector<std::future<int64_t>> calls;
  for (int i = 0; i < 6; ++i) {
    calls.push_back(std::async(std::launch::async, [&, client = Must(first.Attach())]() mutable {
      return *Must(client.Call(alone, {20'000'000})).value.As<int64_t>();
    }));
  }
  for (auto& call : calls) EXPECT_EQ(call.get(), 0) << "another call was inside";
}

TEST_F(Calls, BringBackWhatTheFunctionPrinted) {
  Client client = farm().Connect();
  const std::string source = R"(
      int printf(const char *, ...); int puts(const char *); int putchar(int);
      int report(int n, double x, const char *who) {
        puts("first");
        putchar('['); putchar(']');
        return printf(" %d %-5s| %.3f %x %lld%%\n", n, who, x, 255u, 1ll << 40);
      })";
  const auto f =
      Must(client.Load(MakeModule(CompileC(source), "report", "int32(int32, float64, string)", wire::Abi::Sysv)));
  const auto result = Must(client.Call(f, {-3, 2.5, "you"}));
  EXPECT_EQ(result.output, "first\n[] -3 you  | 2.500 ff 1099511627776%\n");
  EXPECT_TRUE(result.value == Value(35));
  EXPECT_EQ(Must(client.Call(f, {4, 0.0, "me"})).output, "first\n[] 4 me   | 0.000 ff 1099511627776%\n");
}

TEST_F(Calls, KeepABoundedPartOfEndlessOutput) {
  Client client = farm().Connect();
  const auto f = Must(client.Load(MakeModule(
      CompileC(
          "int puts(const char *); int f(int n) { for (int i = 0; i < n; i++) puts(\"0123456789abcde\"); return n; }"),
      "f", "int32(int32)", wire::Abi::Sysv)));
  const auto result = Must(client.Call(f, {100'000}));
  EXPECT_LE(result.output.size(), 66'000u);
  EXPECT_GE(result.output.size(), 60'000u);
  EXPECT_THAT(result.output, ::testing::StartsWith("0123456789abcde\n0123"));
  EXPECT_EQ(Must(client.Call(f, {1})).output, "0123456789abcde\n");
}

TEST_F(Calls, OfABatchRunInOrderAndFailAlone) {
  Client client = farm().Connect();
  const auto count = Must(client.Load(CounterModule()));
  wire::CallRequest broken = PackRequest(count, {1});
  broken.frame.clear();
  wire::CallRequest unknown = PackRequest(count, {1});
  unknown.function_id = 0x7ffffffffffffff0;
  const auto outcomes = Must(client.CallBatch(
      {PackRequest(count, {1}), broken, PackRequest(count, {10}), unknown, PackRequest(count, {100})}));
  ASSERT_EQ(outcomes.size(), 5u);
  const auto value = [&](size_t i) {
    return Must(types::UnpackResult(types::Type::Int(64), outcomes[i].reply.result, outcomes[i].reply.data));
  };
  EXPECT_TRUE(value(0) == Value(101));
  ASSERT_TRUE(outcomes[1].__isset.error);
  EXPECT_EQ(outcomes[1].error.kind, wire::ErrorKind::InvalidArgument);
  EXPECT_TRUE(value(2) == Value(111));
  ASSERT_TRUE(outcomes[3].__isset.error);
  EXPECT_EQ(outcomes[3].error.kind, wire::ErrorKind::UnknownModule);
  EXPECT_TRUE(value(4) == Value(211));
}

TEST_F(Calls, PastTheirDeadlineAreAnsweredAndTheNextWorks) {
  Client client = farm().Connect();
  const auto endless = Must(client.Load(EndlessModule()));
  Must(client.Call(Must(client.Load(AddModule())), {1.0, 2.0}), "starts the worker");
  const auto begin = Clock::now();
  const Error error = MustFail(client.Call(endless, {1}, {.deadline_ms = 2000}));
  EXPECT_EQ(error.kind, ErrorKind::kDeadlineExceeded) << Describe(error);
  EXPECT_EQ(error.function, "endless");
  EXPECT_TRUE(error.may_have_run);
  EXPECT_THAT(error.output, HasSubstr("loop began"));
  EXPECT_GE(Since(begin).count(), 1990);
  EXPECT_LT(Since(begin), milliseconds(3000) + kStall) << "an answer comes within the deadline plus one second";
  EXPECT_TRUE(Must(client.Call(Must(client.Load(AddModule())), {1.0, 2.0})).value == Value(3.0));
}

TEST_F(Calls, AreCancelledOverAnyConnectionOfTheSession) {
  Client client = farm().Connect();
  Client second = Must(client.Attach());
  const auto endless = Must(client.Load(EndlessModule()));
  EXPECT_FALSE(Must(second.Cancel(4711))) << "no such request";
  auto call = std::async(std::launch::async, [&] { return client.Call(endless, {1}, {.request_id = 4711}); });
  EXPECT_TRUE(WaitUntil(kPatience, [&] { return Must(second.Cancel(4711)); }));
  ASSERT_EQ(call.wait_for(kPatience), std::future_status::ready);
  const Error error = MustFail(call.get());
  EXPECT_EQ(error.kind, ErrorKind::kCancelled) << Describe(error);
  EXPECT_TRUE(Must(second.Call(Must(second.Load(AddModule())), {1.0, 2.0})).value == Value(3.0));
}

TEST_F(Calls, OfAnotherSessionCannotBeCancelled) {
  Client client = farm().Connect(), stranger = farm().Connect();
  const auto busy = Must(client.Load(BusyModule()));
  auto call = std::async(std::launch::async, [&] { return client.Call(busy, {400'000'000}, {.request_id = 5}); });
  std::this_thread::sleep_for(milliseconds(50));
  EXPECT_FALSE(Must(stranger.Cancel(5)));
  EXPECT_TRUE(Must(call.get()).value == Value(400'000'000));
}

TEST_F(Calls, OfAnUnloadedModuleAreUnknown) {
  Client client = farm().Connect();
  const auto reply = Must(client.Compile(ScaleModule("scale", 2)));
  EXPECT_TRUE(Must(client.Call(reply.functions[0], {4})).value == Value(8));
  Must(client.Unload(reply.module_id));
  EXPECT_EQ(MustFail(client.Call(reply.functions[0], {4})).kind, ErrorKind::kUnknownModule);
  EXPECT_FALSE(client.Unload(reply.module_id));
  const auto again = Must(client.Compile(ScaleModule("scale", 2)));
  EXPECT_TRUE(again.cached);
  EXPECT_NE(again.functions[0].function_id, reply.functions[0].function_id);
  EXPECT_TRUE(Must(client.Call(again.functions[0], {4})).value == Value(8));
}

TEST_F(Calls, SayOnceThatTheirStateWasLost) {
  Client client = farm().Connect();
  const auto count = Must(client.Load(CounterModule()));
  const auto add = Must(client.Load(AddModule()));
  EXPECT_TRUE(Must(client.Call(count, {5})).value == Value(105));
  const auto workers = farm().WorkersOf("execute");
  ASSERT_EQ(workers.size(), 1u);
  kill(workers[0].pid, SIGKILL);
  EXPECT_TRUE(WaitUntil(kPatience, [&] { return !ReadStat(workers[0].pid); }));
  EXPECT_TRUE(Must(client.Call(add, {1.0, 2.0}), "a stateless function").value == Value(3.0));
  const Error lost = MustFail(client.Call(count, {5}));
  EXPECT_EQ(lost.kind, ErrorKind::kStateLost) << Describe(lost);
  EXPECT_TRUE(Must(client.Call(count, {5})).value == Value(105)) << "the second call starts afresh";
  EXPECT_TRUE(Must(client.Call(count, {5})).value == Value(110));
}

TEST_F(Calls, FindStaticConstructorsRunInOrder) {
  Client client = farm().Connect();
  const Module module = MakeModule(R"(@llvm.global_ctors = appending global [2 x { i32, ptr, ptr }] [
  { i32, ptr, ptr } { i32 200, ptr @second, ptr null }, { i32, ptr, ptr } { i32 100, ptr @first, ptr null }]
@value = global i64 1
define internal void @first() {
  store i64 20, ptr @value
  ret void
}
define internal void @second() {
  %v = load i64, ptr @value
  %w = add i64 %v, 22
  store i64 %w, ptr @value
  ret void
}
define i64 @get() {
  %v = load i64, ptr @value
  ret i64 %v
}
)",
                                   "get", "int64()");
  EXPECT_TRUE(Must(client.Call(Must(client.Load(module)), {})).value == Value(42));
}

TEST_F(Calls, ShowOnceWhatConstructorsPrinted) {
  Client client = farm().Connect();
  const Module module = MakeModule(R"(@llvm.global_ctors = appending global [1 x { i32, ptr, ptr }] [
  { i32, ptr, ptr } { i32 65535, ptr @greet, ptr null }]
@early = constant [8 x i8] c"made of\00"
@late = constant [5 x i8] c"call\00"
declare i32 @puts(ptr)
define internal void @greet() {
  call i32 @puts(ptr @early)
  ret void
}
define i64 @get() {
  call i32 @puts(ptr @late)
  ret i64 1
}
)",
                                   "get", "int64()");
  const auto get = Must(client.Load(module));
  EXPECT_EQ(Must(client.Call(get, {})).output, "made of\ncall\n");
  EXPECT_EQ(Must(client.Call(get, {})).output, "call\n");
}

TEST_F(Calls, AfterACrashingConstructorAreTypedErrors) {
  Client client = farm().Connect();
  const Module module = MakeModule(R"(@llvm.global_ctors = appending global [1 x { i32, ptr, ptr }] [
  { i32, ptr, ptr } { i32 65535, ptr @boom, ptr null }]
declare void @abort()
define internal void @boom() {
  call void @abort()
  ret void
}
define i64 @get() {
  ret i64 1
}
)",
                                   "get", "int64()");
  const auto load = client.Load(module);
  const Error error = load ? MustFail(client.Call(*load, {})) : load.error();
  EXPECT_EQ(error.kind, ErrorKind::kRemoteCrash) << Describe(error);
  EXPECT_TRUE(Must(client.Call(Must(client.Load(AddModule())), {1.0, 2.0})).value == Value(3.0));
}

// Rounding mode and exception masks that one call leaves behind do not reach the next.
TEST_F(Calls, StartWithFreshFloatingPointControl) {
  Client client = farm().Connect();
  const auto spoil = Must(client.Load(MakeModule(R"(declare void @llvm.x86.sse.ldmxcsr(ptr)
define i64 @spoil(i64 %bits) {
  %cell = alloca i32
  %word = trunc i64 %bits to i32
  store i32 %word, ptr %cell
  call void @llvm.x86.sse.ldmxcsr(ptr %cell)
  ret i64 %bits
}
)",
                                                 "spoil", "int64(int64)")));
  const auto divide = Must(client.Load(
      MakeModule("define double @divide(double %a, double %b) {\n  %r = fdiv double %a, %b\n  ret double %r\n}\n",
                 "divide", "float64(float64, float64)")));
  for (int i = 0; i < 20; ++i) {
    Must(client.Call(spoil, {0x1f80 | 0x6000}), "round towards zero");
    EXPECT_TRUE(Must(client.Call(divide, {2.0, 3.0})).value == Value(2.0 / 3.0));
    Must(client.Call(spoil, {0x1d80}), "unmask division by zero");
    EXPECT_TRUE(Must(client.Call(divide, {1.0, 0.0})).value == Value(std::numeric_limits<double>::infinity()));
  }
}

class LostConnections : public FarmTest {
 protected:
  FarmOptions Options() const override { return FarmOptions().Set("sessions", "lend", "false"); }
};

// The connection breaks while the call runs: the session can ask what became of it.
TEST_F(LostConnections, TheOutcomeOfACallIsKept) {
  Client keeper = farm().Connect();
  const auto count = Must(keeper.Load(CounterModule()));
  const auto busy = Must(keeper.Load(BusyModule()));
  const auto crash = Must(keeper.Load(
      MakeModule(MarkedFunction("crash", "then it failed", "  store volatile i64 %x, ptr null\n  ret i64 0\n"), "crash",
                 "int64(int64)")));
  const auto abandon = [&](const wire::FunctionInfo& function, int64_t argument, int64_t id) {
    Client client = Must(keeper.Attach());
    Must(client.SendCall(PackRequest(function, {argument}, {.request_id = id})));
    // Until the farm has begun it; it says that it is busy with it, or what became of it.
    EXPECT_TRUE(WaitUntil(kPatience, [&] {
      const auto asked = keeper.Outcome(id);
      return asked || asked.error().kind != ErrorKind::kUnknownName;
    }));
    client.Drop();
  };
  abandon(busy, 300'000'000, 7);
  wire::CallOutcome outcome;
  EXPECT_TRUE(WaitUntil(kPatience, [&] {
    const auto asked = keeper.Outcome(7);
    if (asked) outcome = *asked;
    return asked && outcome.__isset.reply;
  })) << outcome.error.message;
  EXPECT_TRUE(Must(types::UnpackResult(types::Type::Int(64), outcome.reply.result, outcome.reply.data)) ==
              Value(300'000'000));
  EXPECT_EQ(MustFail(keeper.Outcome(8)).kind, ErrorKind::kUnknownName) << "a call that never started";
  EXPECT_TRUE(Must(keeper.Call(count, {1})).value == Value(101));
  abandon(crash, 1, 9);
  EXPECT_TRUE(WaitUntil(kPatience, [&] {
    const auto asked = keeper.Outcome(9);
    if (asked) outcome = *asked;
    return asked && outcome.__isset.error && outcome.error.kind == wire::ErrorKind::RemoteCrash;
  })) << outcome.error.message;
  EXPECT_EQ(outcome.error.function_name, "crash");
  EXPECT_EQ(outcome.error.output, "then it failed\n");
}

class Compiles : public FarmTest {};

TEST_F(Compiles, OfAKnownModuleAreAnsweredWithoutIr) {
  Client first = farm().Connect(), second = farm().Connect();
  const Module module = ScaleModule("scale", 3);
  EXPECT_EQ(MustFail(first.Compile(RequestFor(module, false))).kind, ErrorKind::kUnknownModule);
  EXPECT_FALSE(Must(first.Compile(module)).cached);
  const auto known = Must(second.Compile(RequestFor(module, false)), "of the same trust domain");
  EXPECT_TRUE(known.cached);
  EXPECT_TRUE(Must(second.Call(known.functions[0], {5})).value == Value(15));
  EXPECT_EQ(MustFail(farm().ConnectTcp().Compile(RequestFor(module, false))).kind, ErrorKind::kUnknownModule)
      << "another trust domain must not learn what is compiled here";
}

TEST_F(Compiles, OfOneModuleAtOnceAreOneFlight) {
  const Module module = ScaleModule("scale", 11);
  std::vector<std::future<bool>> replies;
  for (int i = 0; i < 8; ++i) {
    replies.push_back(std::async(std::launch::async, [&, client = farm().Connect()]() mutable {
      const auto reply = Must(client.Compile(module));
      EXPECT_TRUE(Must(client.Call(reply.functions[0], {2})).value == Value(22));
      return reply.cached;
    }));
  }
  int compiled = 0;
  for (auto& reply : replies) compiled += reply.get() ? 0 : 1;
  EXPECT_EQ(compiled, 1);
}

TEST_F(Compiles, PastTheirDeadlineAreAnsweredAndTheNextWorks) {
  Client client = farm().Connect();
  wire::CompileRequest request = RequestFor(SlowModule(3000));
  request.deadline_ms = 200;
  const auto begin = Clock::now();
  const Error error = MustFail(client.Compile(request), "a slow module");
  EXPECT_EQ(error.kind, ErrorKind::kDeadlineExceeded) << Describe(error);
  EXPECT_LT(Since(begin), milliseconds(1200) + kStall);
  EXPECT_TRUE(Must(client.Call(Must(client.Load(AddModule())), {1.0, 2.0})).value == Value(3.0));
}

TEST_F(Compiles, AreCancelledOverAnyConnectionOfTheSession) {
  Client client = farm().Connect();
  Client second = Must(client.Attach());
  wire::CompileRequest request = RequestFor(SlowModule(6000));
  request.request_id = 99;
  auto compile = std::async(std::launch::async, [&] { return client.Compile(request); });
  EXPECT_TRUE(WaitUntil(kPatience, [&] { return Must(second.Cancel(99)); }));
  ASSERT_EQ(compile.wait_for(kPatience), std::future_status::ready);
  EXPECT_EQ(MustFail(compile.get()).kind, ErrorKind::kCancelled);
  EXPECT_TRUE(Must(second.Call(Must(second.Load(AddModule())), {1.0, 2.0})).value == Value(3.0));
}

class ShortQueue : public FarmTest {
 protected:
  FarmOptions Options() const override {
    return FarmOptions()
        .Set("compile", "workers", "1")
        .Set("compile", "queue_deadline_ms", "300")
        .Set("compile", "queue_limit_per_client", "3")
        .Set("compile", "deadline_ms", "60000");
  }
};

TEST_F(ShortQueue, WaitingForACompilerEndsAtItsDeadlineOrIsRefusedAtOnce) {
  Client first = farm().Connect(), second = Must(first.Attach());
  wire::CompileRequest request = RequestFor(SlowModule(12'000));
  request.request_id = 5;
  auto slow = std::async(std::launch::async, [&] { return first.Compile(request); });
  ASSERT_TRUE(farm().AwaitBusy("compile"));
  std::vector<std::future<Expected<wire::CompileReply>>> waiting;
  for (int i = 0; i < 8; ++i) {
    waiting.push_back(std::async(std::launch::async, [&, i, client = farm().Connect()]() mutable {
      return client.Compile(ScaleModule("queued", 1000 + i));
    }));
  }
  for (auto& one : waiting) {
    const auto reply = one.get();
    ASSERT_FALSE(reply) << "compiled although the only compiler is busy";
    EXPECT_TRUE(reply.error().kind == ErrorKind::kBusy || reply.error().kind == ErrorKind::kDeadlineExceeded)
        << Describe(reply.error());
    EXPECT_EQ(reply.error().kind == ErrorKind::kBusy, reply.error().retry_after_ms > 0);
  }
  EXPECT_TRUE(Must(second.Cancel(5))) << "all the while it was at it";
  const Error error = MustFail(slow.get(), "the slow module");
  EXPECT_EQ(error.kind, ErrorKind::kCancelled) << Describe(error);
  EXPECT_TRUE(Must(first.Call(Must(first.Load(ScaleModule("later", 3))), {2})).value == Value(6));
}

}  // namespace
}  // namespace rbc::harness
