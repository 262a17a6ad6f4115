// Client code that ends its worker: the record says why and where, and what it printed before is there.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <sys/wait.h>

#include <csignal>

#include "tests/worker/harness.h"

namespace rbc::testing {
namespace {

using ::testing::HasSubstr;
using worker::FaultCause;

constexpr char kFaults[] = R"(
@marker = private constant [8 x i8] c"running\00"
@message = private constant [6 x i8] c"x > 1\00"
@file = private constant [16 x i8] c"/home/me/file.c\00"
declare i32 @puts(ptr)
declare void @abort()
declare void @exit(i32)
declare void @__assert_fail(ptr, ptr, i32, ptr)
declare void @__stack_chk_fail()
declare void @free(ptr)
declare ptr @malloc(i64)
declare void @llvm.trap()
declare void @llvm.debugtrap()
declare i64 @strlen(ptr)
define void @null_read() { call i32 @puts(ptr @marker) %v = load volatile i32, ptr null ret void }
define void @wild_write() { call i32 @puts(ptr @marker) %p = inttoptr i64 1311768467463790320 to ptr store volatile i32 1, ptr %p ret void }
define void @wild_jump() { call i32 @puts(ptr @marker) %p = inttoptr i64 4096 to ptr call void %p() ret void }
define i64 @overflow(i64 %n) noinline optnone {
  call i32 @puts(ptr @marker)
  %a = alloca [128 x i64]
  %p = getelementptr i64, ptr %a, i64 %n
  store volatile i64 %n, ptr %a
  %m = add i64 %n, 1
  %r = call i64 @overflow(i64 %m)
  %v = load volatile i64, ptr %a
  %s = add i64 %r, %v
  ret i64 %s
}
@zero = global i32 0
define i32 @divide(i32 %a) { call i32 @puts(ptr @marker) %b = load volatile i32, ptr @zero %q = sdiv i32 %a, %b ret i32 %q }
define void @trap() { call i32 @puts(ptr @marker) call void @llvm.trap() unreachable }
define void @debugtrap() { call i32 @puts(ptr @marker) call void @llvm.debugtrap() ret void }
define void @aborts() { call i32 @puts(ptr @marker) call void @abort() unreachable }
define void @exits(i32 %n) { call i32 @puts(ptr @marker) call void @exit(i32 %n) unreachable }
define void @asserts() { call i32 @puts(ptr @marker) call void @__assert_fail(ptr @message, ptr @file, i32 42, ptr @message) unreachable }
define void @smash() { call i32 @puts(ptr @marker) call void @__stack_chk_fail() unreachable }
@kept = global ptr null
define void @double_free() {
  call i32 @puts(ptr @marker)
  %p = call ptr @malloc(i64 10000)
  %guard = call ptr @malloc(i64 10000)
  store volatile ptr %p, ptr @kept
  call void @free(ptr %p)
  store volatile ptr %guard, ptr @kept
  call void @free(ptr %p)
  ret void
}
define i64 @in_library() { call i32 @puts(ptr @marker) %p = inttoptr i64 8 to ptr %n = call i64 @strlen(ptr %p) ret i64 %n }
define void @loop() { call i32 @puts(ptr @marker) br label %again again: br label %again }
)";

struct Death {
  int status = 0;
  FaultCause cause{};
  int32_t signal = 0;
  int32_t code = 0;
  uint32_t lane = 0;
  uint64_t address = 0;
  uint64_t function_id = 0;
  std::string function, phase, message, output;
};

// Calls over lane 2 of a worker of its own until it is dead.
Death DeathOf(const std::string& symbol, const std::string& signature, std::string frame = {}) {
  Death death;
  Session session(kFaults, {{symbol, signature}});
  if (!session.ok()) return death;
  EXPECT_FALSE(session->Exchange(2, CallMessage(IdOf(1), std::move(frame))));
  const auto status = session->AwaitEnd();
  EXPECT_TRUE(status.has_value());
  death.status = status.value_or(0);
  const auto& record = session->ring().fault;
  EXPECT_EQ(record.claimed.load(), 2u);
  death.cause = record.cause;
  death.signal = record.signal;
  death.code = record.code;
  death.lane = record.lane;
  death.address = record.address;
  death.function_id = record.function_id;
  death.function = record.function;
  death.phase = record.phase;
  death.message = record.message;
  death.output = session->capture(2);
  EXPECT_EQ(session->lane(2).calls.load() % 2, 1u);
  return death;
}

void ExpectDeath(const Death& death, FaultCause cause, int signal, const std::string& function) {
  EXPECT_TRUE(WIFEXITED(death.status) && WEXITSTATUS(death.status) == worker::kFaultExitStatus) << death.status;
  EXPECT_EQ(static_cast<int>(death.cause), static_cast<int>(cause));
  EXPECT_EQ(death.signal, signal);
  EXPECT_EQ(death.function, function);
  EXPECT_EQ(death.function_id, IdOf(1));
  EXPECT_EQ(death.lane, 2u);
  EXPECT_EQ(death.phase, "call");
  EXPECT_THAT(death.output, HasSubstr("running\n"));
}

TEST(Faults, NullRead) {
  const auto death = DeathOf("null_read", "void()");
  ExpectDeath(death, FaultCause::kSignal, SIGSEGV, "null_read");
  EXPECT_EQ(death.address, 0u);
}
TEST(Faults, WildWrite) { ExpectDeath(DeathOf("wild_write", "void()"), FaultCause::kSignal, SIGSEGV, "wild_write"); }
TEST(Faults, WildJump) { ExpectDeath(DeathOf("wild_jump", "void()"), FaultCause::kSignal, SIGSEGV, "wild_jump"); }
TEST(Faults, StackOverflow) {
  ExpectDeath(DeathOf("overflow", "int64(int64)", Frame(int64_t{0})), FaultCause::kStackOverflow, SIGSEGV, "overflow");
}
TEST(Faults, Division) {
  ExpectDeath(DeathOf("divide", "int32(int32)", Frame(1)), FaultCause::kSignal, SIGFPE, "divide");
}
TEST(Faults, IllegalInstruction) { ExpectDeath(DeathOf("trap", "void()"), FaultCause::kSignal, SIGILL, "trap"); }
TEST(Faults, DebugTrap) { ExpectDeath(DeathOf("debugtrap", "void()"), FaultCause::kSignal, SIGTRAP, "debugtrap"); }
TEST(Faults, Abort) { ExpectDeath(DeathOf("aborts", "void()"), FaultCause::kAbort, SIGABRT, "aborts"); }
TEST(Faults, ExitZeroIsNoSuccess) {
  const auto death = DeathOf("exits", "void(int32)", Frame(0));
  ExpectDeath(death, FaultCause::kExit, 0, "exits");
  EXPECT_EQ(death.code, 0);
}
TEST(Faults, FailedAssertion) {
  const auto death = DeathOf("asserts", "void()");
  ExpectDeath(death, FaultCause::kAssert, SIGABRT, "asserts");
  EXPECT_EQ(death.message, "x > 1, file.c:42");
}
TEST(Faults, StackProtector) { ExpectDeath(DeathOf("smash", "void()"), FaultCause::kStackSmash, SIGABRT, "smash"); }
TEST(Faults, DamagedHeapSaysWhatGlibcSays) {
#ifdef RBC_SANITIZED
  GTEST_SKIP() << "AddressSanitizer's heap speaks first";
#endif
  const auto death = DeathOf("double_free", "void()");
  ExpectDeath(death, FaultCause::kAbort, SIGABRT, "double_free");
  EXPECT_THAT(death.message, HasSubstr("double free"));
}
TEST(Faults, FaultInsideALibraryFunctionNamesTheCaller) {
  ExpectDeath(DeathOf("in_library", "int64()"), FaultCause::kSignal, SIGSEGV, "in_library");
}

TEST(Faults, EndlessLoopIsSeenRunningAndCanBeKilled) {
  Session session(kFaults, {{"loop", "void()"}});
  ASSERT_TRUE(session.ok());
  session->Begin(1, CallMessage(IdOf(1), ""));
  for (int i = 0; i < 30'000 && session->capture(1) != "running\n"; ++i) usleep(1000);
  EXPECT_EQ(session->capture(1), "running\n");
  EXPECT_EQ(session->lane(1).calls.load() % 2, 1u);
  EXPECT_EQ(session->lane(1).function_id, IdOf(1));
  EXPECT_FALSE(session->ended());
  kill(session->pid(), SIGKILL);
  const auto status = session->AwaitEnd();
  ASSERT_TRUE(status);
  EXPECT_TRUE(WIFSIGNALED(*status));
  EXPECT_EQ(session->ring().fault.claimed.load(), 0u);
}

TEST(Faults, FaultInAConstructorIsOneOfThePhaseConstructors) {
  constexpr char kBad[] = R"(
@llvm.global_ctors = appending global [1 x { i32, ptr, ptr }] [{ i32, ptr, ptr } { i32 65535, ptr @start, ptr null }]
define internal void @start() { %v = load volatile i32, ptr null ret void }
define void @f() { ret void }
)";
  auto artifact = Compile(kBad, {{"f", "void()"}});
  ASSERT_TRUE(artifact);
  auto worker = SharedNursery().Spawn(worker::Role::kExecute);
  ASSERT_TRUE(worker);
  EXPECT_FALSE(worker->Load(1, *artifact, {"f"}));
  ASSERT_TRUE(worker->AwaitEnd());
  EXPECT_EQ(std::string(worker->ring().fault.phase), "constructors");
  EXPECT_EQ(worker->ring().fault.lane, worker::kNoLane);
  EXPECT_EQ(worker->ring().fault.signal, SIGSEGV);
}

// Destructors and exit handlers run at unload: shown by what they do wrong.
void ExpectDeathAtUnload(const char* ir) {
  auto artifact = Compile(ir, {{"f", "void()"}});
  ASSERT_TRUE(artifact) << artifact.error().message;
  auto worker = SharedNursery().Spawn(worker::Role::kExecute);
  ASSERT_TRUE(worker);
  ASSERT_TRUE(worker->Load(1, *artifact, {"f"}));
  EXPECT_TRUE(Decode(worker->Exchange(0, CallMessage(IdOf(1), ""))).reply);
  EXPECT_FALSE(worker->Unload(1));
  ASSERT_TRUE(worker->AwaitEnd());
  EXPECT_EQ(std::string(worker->ring().fault.phase), "destructors");
  EXPECT_EQ(worker->ring().fault.signal, SIGSEGV);
}

TEST(Faults, DestructorsRunAtUnload) {
  ExpectDeathAtUnload(R"(
@llvm.global_dtors = appending global [1 x { i32, ptr, ptr }] [{ i32, ptr, ptr } { i32 65535, ptr @end, ptr null }]
define internal void @end() { store volatile i32 1, ptr null ret void }
define void @f() { ret void }
)");
}

TEST(Faults, ExitHandlersRunAtUnload) {
  ExpectDeathAtUnload(R"(
declare i32 @atexit(ptr)
define internal void @end() { store volatile i32 1, ptr null ret void }
define void @f() { %r = call i32 @atexit(ptr @end) ret void }
)");
}

TEST(Limits, MemoryOfAWorkerIsBounded) {
  Session session(
      "declare ptr @malloc(i64)\ndefine i64 @f(i64 %n) { %p = call ptr @malloc(i64 %n) "
      "%i = ptrtoint ptr %p to i64 ret i64 %i }",
      {{"f", "int64(int64)"}});
  ASSERT_TRUE(session.ok());
  EXPECT_NE(Decode(session.Call(0, int64_t{256} << 20)).Result<int64_t>(), 0);
#ifndef RBC_SANITIZED
  EXPECT_EQ(Decode(session.Call(0, int64_t{2} << 30)).Result<int64_t>(), 0);
#endif
}

}  // namespace
}  // namespace rbc::testing
