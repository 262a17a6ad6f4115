// Client code that faults in every way that we know: the error says what happened, where, and what ran before it; the
// session goes on, other sessions notice nothing.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <thread>

#include "tests/harness/farm_test.h"
#include "tests/harness/ir.h"
#include "tests/harness/neighbour.h"
#include "tests/harness/toolchain.h"

namespace rbc::harness {
namespace {

using ::testing::HasSubstr;

struct Fault {
  const char* name;
  const char* body;                 // IR of `int64 f(int64 %x)` after the marker; %x is 7
  const char* globals;              // declarations
  std::vector<int> signals;         // one of these; empty: none is due
  std::vector<const char*> causes;  // one of these is part of the cause
  ErrorKind kind = ErrorKind::kRemoteCrash;
};

const std::vector<const char*> kInvalidAccess = {"invalid memory access"};

const Fault kFaults[] = {
    {"NullWrite", "  store volatile i64 %x, ptr null\n  ret i64 0\n", "", {SIGSEGV}, kInvalidAccess},
    {"NullRead", "  %v = load volatile i64, ptr null\n  ret i64 %v\n", "", {SIGSEGV}, kInvalidAccess},
    {"WildRead",
     "  %p = inttoptr i64 244837814042624 to ptr\n  %v = load volatile i64, ptr %p\n  ret i64 %v\n",
     "",
     {SIGSEGV},
     kInvalidAccess},
    {"NonCanonicalWrite",
     "  %p = inttoptr i64 -6148914691236517206 to ptr\n  store volatile i64 %x, ptr %p\n  ret i64 0\n",
     "",
     {SIGSEGV, SIGBUS},
     kInvalidAccess},
    {"WildJump", "  %p = inttoptr i64 %x to ptr\n  %v = call i64 %p()\n  ret i64 %v\n", "", {SIGSEGV}, kInvalidAccess},
    {"NullCall",
     "  %nowhere = alloca ptr\n  store volatile ptr null, ptr %nowhere\n  %p = load volatile ptr, ptr %nowhere\n"
     "  %v = call i64 %p()\n  ret i64 %v\n",
     "",
     {SIGSEGV},
     kInvalidAccess},
    {"WriteToConstant",
     "  store volatile i64 %x, ptr @table\n  ret i64 0\n",
     "@table = internal constant i64 5\n",
     {SIGSEGV},
     kInvalidAccess},
    {"WriteToCode", "  store volatile i64 %x, ptr @f\n  ret i64 0\n", "", {SIGSEGV}, kInvalidAccess},
    {"StackOverflow",
     "  %v = call i64 @deep(i64 %x)\n  ret i64 %v\n",
     R"(define internal i64 @deep(i64 %x) noinline {
  %room = alloca [64 x i64]
  store volatile i64 %x, ptr %room
  %y = add i64 %x, 1
  %v = call i64 @deep(i64 %y)
  %w = load volatile i64, ptr %room
  %s = add i64 %v, %w
  ret i64 %s
}
)",
     {SIGSEGV},
     {"stack overflow"}},
    {"Abort", "  call void @abort()\n  unreachable\n", "declare void @abort()\n", {SIGABRT}, {"abort"}},
    {"FailedAssert",
     "  call void @__assert_fail(ptr @text, ptr @file, i32 42, ptr @text)\n  unreachable\n",
     "@text = constant [6 x i8] c\"n > 9\\00\"\n@file = constant [7 x i8] c\"code.c\\00\"\n"
     "declare void @__assert_fail(ptr, ptr, i32, ptr)\n",
     {SIGABRT},
     {"assertion failed"}},
    {"Exit", "  call void @exit(i32 0)\n  unreachable\n", "declare void @exit(i32)\n", {}, {"exit(0)"}},
    {"ExitAtOnce", "  call void @_exit(i32 0)\n  unreachable\n", "declare void @_exit(i32)\n", {}, {"exit(0)"}},
    {"DivisionByZero",
     "  %zero = alloca i64\n  store volatile i64 0, ptr %zero\n  %z = load volatile i64, ptr %zero\n"
     "  %v = sdiv i64 %x, %z\n  ret i64 %v\n",
     "",
     {SIGFPE},
     {"arithmetic"}},
    {"DivisionOverflow",
     "  %one = alloca i64\n  store volatile i64 -1, ptr %one\n  %z = load volatile i64, ptr %one\n"
     "  %v = sdiv i64 -9223372036854775808, %z\n  ret i64 %v\n",
     "",
     {SIGFPE},
     {"arithmetic"}},
    {"IllegalInstruction",
     "  call void @llvm.trap()\n  unreachable\n",
     "declare void @llvm.trap()\n",
     {SIGILL},
     {"illegal"}},
    // The whole function is nothing but undefined behaviour, found by the optimiser.
    {"Unreachable", "  unreachable\n", "", {SIGILL}, {"illegal"}},
    {"NullGlobal",
     "  %p = load ptr, ptr @table\n  %q = getelementptr i64, ptr %p, i64 %x\n  %v = load i64, ptr %q\n  ret i64 %v\n",
     "@table = internal global ptr null\n",
     {SIGILL, SIGSEGV},
     {"illegal", "invalid memory access"}},
    {"DebugTrap",
     "  call void @llvm.debugtrap()\n  ret i64 0\n",
     "declare void @llvm.debugtrap()\n",
     {SIGTRAP},
     {"trap"}},
    {"StackSmash",
     "  call void @__stack_chk_fail()\n  unreachable\n",
     "declare void @__stack_chk_fail()\n",
     {SIGABRT},
     {"stack smashing"}},
    {"DoubleFree",
     "  %keep = alloca ptr\n  %p = call ptr @malloc(i64 2000)\n  store volatile ptr %p, ptr %keep\n"
     "  %q = load volatile ptr, ptr %keep\n  call void @free(ptr %q)\n  %r = load volatile ptr, ptr %keep\n"
     "  call void @free(ptr %r)\n  ret i64 0\n",
     "declare ptr @malloc(i64)\ndeclare void @free(ptr)\n",
     {SIGABRT, SIGSYS, SIGSEGV, 0},
     {"abort", "double free", "SIG", "forbidden", "invalid memory"}},
    {"HeapEater",
     R"(  br label %more
more:
  %p = call ptr @malloc(i64 1048576)
  call void @llvm.memset.p0.i64(ptr %p, i8 1, i64 1048576, i1 true)
  br label %more
)",
     "declare ptr @malloc(i64)\ndeclare void @llvm.memset.p0.i64(ptr, i8, i64, i1)\n",
     {SIGSEGV, 0},
     {"invalid memory access", "out of memory"}},
    {"EndlessLoop",
     "  %sink = alloca i64\n  br label %again\nagain:\n  %v = load volatile i64, ptr %sink\n"
     "  br label %again\n",
     "",
     {},
     {""},
     ErrorKind::kDeadlineExceeded},
};

struct Case {
  Fault fault;
  bool lent;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.fault.name << (c.lent ? " lent" : " relayed"); }

class ClientFaults : public FarmTest, public ::testing::WithParamInterface<Case> {
 protected:
  FarmOptions Options() const override {
    return FarmOptions()
        .Set("sessions", "lend", GetParam().lent ? "true" : "false")
        .Set("workers", "memory_limit", "\"256 MiB\"");
  }
  // Calls until the connection is the worker's, where it is to be. A lend that ends soon is repeated only after many
  // more calls, so this one lasts a while first.
  void WarmUp(Client& client, const wire::FunctionInfo& add, int others_lent) {
    for (int i = 0; i < 8; ++i) ASSERT_TRUE(Must(client.Call(add, {double(i), 1.0})).value == Value(i + 1.0));
    const auto lent = [&] { return farm().StatusJson().at("connections").at("lent").get<int>() - others_lent; };
    EXPECT_TRUE(WaitUntil(kPatience, [&] { return lent() == (GetParam().lent ? 1 : 0); }))
        << lent() << " of our connections are lent";
    if (GetParam().lent) std::this_thread::sleep_for(std::chrono::milliseconds(60));
  }
};

bool IsPartOf(const std::string& text, const std::vector<const char*>& parts) {
  return std::any_of(parts.begin(), parts.end(),
                     [&](const char* part) { return text.find(part) != std::string::npos; });
}

TEST_P(ClientFaults, AreExplainedAndCostOneCall) {
  const Fault& fault = GetParam().fault;
  Client client = farm().Connect();
  const auto add = Must(client.Load(AddModule()));
  const std::string marker = std::string("ran before ") + fault.name;
  const auto f =
      Must(client.Load(MakeModule(MarkedFunction("f", marker, fault.body, fault.globals), "f", "int64(int64)")));
  WarmUp(client, add, 0);
  Neighbour neighbour(farm());
  const int others_lent = GetParam().lent ? 1 : 0;

  for (int round = 0; round < 3; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    const bool endless = fault.kind == ErrorKind::kDeadlineExceeded;
    const auto reply = client.Call(f, {7}, {.deadline_ms = endless ? 1500 : 20'000});
    ASSERT_FALSE(reply) << "the function returned";
    const Error& error = reply.error();
    EXPECT_EQ(error.kind, fault.kind) << Describe(error);
    EXPECT_EQ(error.function, "f") << Describe(error);
    EXPECT_EQ(error.output, marker + "\n") << "the code must have run: " << Describe(error);
    EXPECT_TRUE(error.may_have_run);
    if (fault.signals.empty()) {
      EXPECT_EQ(error.signal, 0) << Describe(error);
    } else {
      EXPECT_THAT(fault.signals, ::testing::Contains(error.signal)) << Describe(error);
    }
    EXPECT_TRUE(IsPartOf(error.cause, fault.causes)) << Describe(error);
    EXPECT_EQ(error.role, "execution worker");
    const auto next = client.Call(add, {2.0, 0.5});
    ASSERT_TRUE(next) << "the next call: " << Describe(next.error());
    EXPECT_TRUE(next->value == Value(2.5));
    WarmUp(client, add, others_lent);
  }
  ExpectUndisturbed(neighbour.Take());
}

std::vector<Case> AllCases() {
  std::vector<Case> cases;
  for (const Fault& fault : kFaults) {
    // A sanitizer's heap answers a double free itself, and takes memory without the limit.
    const std::string name = fault.name;
    if (kSanitized && (name == "DoubleFree" || name == "HeapEater")) continue;
    cases.push_back({fault, false});
    cases.push_back({fault, true});
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(All, ClientFaults, ::testing::ValuesIn(AllCases()), [](const auto& info) {
  return std::string(info.param.fault.name) + (info.param.lent ? "Lent" : "Relayed");
});

class MoreFaults : public FarmTest {};

TEST_F(MoreFaults, TheAssertOfARealSourceNamesExpressionFileAndLine) {
  Client client = farm().Connect();
  const auto f = Must(client.Load(MakeModule(CompileC(R"(#include <assert.h>
      int check(int n) {
        assert(n < 10 && "small numbers only");
        return n;
      })"),
                                             "check", "int32(int32)", wire::Abi::Sysv)));
  EXPECT_TRUE(Must(client.Call(f, {3})).value == Value(3));
  const Error error = MustFail(client.Call(f, {10}));
  EXPECT_EQ(error.kind, ErrorKind::kRemoteCrash) << Describe(error);
  EXPECT_EQ(error.cause, "assertion failed");
  EXPECT_THAT(error.message, ::testing::AllOf(HasSubstr("n < 10"), HasSubstr("3"), HasSubstr("check")));
}

TEST_F(MoreFaults, OneOfManyLanesFaultsAndTheOthersSayWorkerLost) {
  Client client = farm().Connect();
  Client second = Must(client.Attach());
  const auto busy = Must(client.Load(EndlessModule("innocent")));
  const auto crash = Must(client.Load(MakeModule(
      MarkedFunction("crash", "guilty", "  store volatile i64 %x, ptr null\n  ret i64 0\n"), "crash", "int64(int64)")));
  std::optional<Error> lost;
  std::thread waiting([&] { lost = MustFail(client.Call(busy, {1}, {.deadline_ms = 20'000})); });
  const auto session = static_cast<uint64_t>(client.session().session_id);
  EXPECT_TRUE(farm().AwaitBusy("execute", session));
  const Error guilty = MustFail(second.Call(crash, {1}));
  waiting.join();
  EXPECT_EQ(guilty.kind, ErrorKind::kRemoteCrash) << Describe(guilty);
  EXPECT_EQ(guilty.function, "crash");
  EXPECT_EQ(lost->kind, ErrorKind::kWorkerLost) << Describe(*lost);
  EXPECT_TRUE(lost->may_have_run);
  EXPECT_EQ(lost->function, "endless");
}

// The memory of a call lies in what the worker shares with the daemon: all around it is overwritten.
TEST_F(MoreFaults, ScribblingOverSharedMemoryHurtsNobodyElse) {
  const Module scribble = MakeModule(R"(define i64 @scribble(ptr %p, i64 %reach, i64 %seed) {
entry:
  %low = sub i64 0, %reach
  br label %again
again:
  %at = phi i64 [ %low, %entry ], [ %next, %again ]
  %state = phi i64 [ %seed, %entry ], [ %fresh, %again ]
  %q = getelementptr i8, ptr %p, i64 %at
  store volatile i64 %state, ptr %q, align 1
  %product = mul i64 %state, 6364136223846793005
  %fresh = add i64 %product, 1442695040888963407
  %next = add i64 %at, 8
  %more = icmp slt i64 %next, %reach
  br i1 %more, label %again, label %done
done:
  ret i64 %state
}
)",
                                     "scribble", "int64(int64*, int64, int64)");
  const uint64_t seed = TestSeed(20260);
  Neighbour neighbour(farm());
  Client client = farm().Connect();
  for (int round = 0; round < 40; ++round) {
    SCOPED_TRACE("seed " + std::to_string(seed) + " round " + std::to_string(round));
    const auto loaded = client.Load(scribble);
    ASSERT_TRUE(loaded) << Describe(loaded.error());
    std::vector<int64_t> memory(round % 2 == 0 ? 16 : 100'000);
    const types::Buffer buffer{memory.data(), memory.size() * 8, types::Direction::kInOut, types::Type::Int(64),
                               nullptr};
    const int64_t reach = int64_t{64} << (round % 16);
    const auto reply = client.Call(*loaded, {buffer, reach, static_cast<int64_t>(seed + round)}, {.deadline_ms = 3000});
    if (!reply && reply.error().kind == ErrorKind::kConnectionLost) client = farm().Connect();
  }
  ExpectUndisturbed(neighbour.Take());
  client = farm().Connect();
  EXPECT_TRUE(Must(client.Call(Must(client.Load(AddModule())), {1.0, 2.0})).value == Value(3.0));
}

TEST_F(MoreFaults, ManyEndlessLoopsAtOnceLeaveTheNeighbourItsPace) {
  Neighbour neighbour(farm());
  std::vector<std::thread> abusers;
  std::atomic<int> answered{0};
  for (int i = 0; i < 16; ++i) {
    abusers.emplace_back([&] {
      Client client = farm().Connect();
      const auto endless = Must(client.Load(EndlessModule()));
      const Error error = MustFail(client.Call(endless, {1}, {.deadline_ms = 1500}));
      answered += error.kind == ErrorKind::kDeadlineExceeded;
    });
  }
  for (auto& abuser : abusers) abuser.join();
  EXPECT_EQ(answered, 16);
  ExpectUndisturbed(neighbour.Take());
}

}  // namespace
}  // namespace rbc::harness
