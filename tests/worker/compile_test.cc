// A compile worker: results, errors, deaths.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <sys/wait.h>

#include <csignal>
#include <fstream>
#include <iterator>

#include "tests/worker/harness.h"

namespace rbc::testing {
namespace {

using ::testing::HasSubstr;

TEST(CompileWorker, ErrorsAreValuesAndTheWorkerLives) {
  auto worker = SharedNursery().Spawn(worker::Role::kCompile);
  ASSERT_TRUE(worker);
  const auto broken = worker->Compile("define i32 @f( { ret", {{"f", "int32()"}});
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.has_value() ? ErrorKind::kInternal : Expected<Artifact>(broken).error().kind,
            ErrorKind::kInvalidModule);
  auto artifact = worker->Compile("define i32 @f() { ret i32 3 }", {{"f", "int32()"}});
  ASSERT_TRUE(artifact) << artifact.error().message;
  EXPECT_EQ(artifact->entries.size(), 1u);
  // A shorter text behind a longer one: what the longer one left in the arena is no part of it.
  auto shorter = worker->Compile("define i32 @g() { ret i32 3 }\n", {{"g", "int32()"}});
  EXPECT_TRUE(shorter);
}

TEST(CompileWorker, NothingOfTheMachinesFilesCanBeRead) {
  auto worker = SharedNursery().Spawn(worker::Role::kCompile);
  ASSERT_TRUE(worker);
  CompileOptions options;
  options.allow_inline_asm = true;
  constexpr char kInclude[] =
      "define void @f() { call void asm sideeffect \".incbin \\22/etc/passwd\\22\", \"\"() ret void }";
  const auto included = worker->Compile(kInclude, {{"f", "void()"}}, options);
  EXPECT_FALSE(included);
  EXPECT_TRUE(!included || included->code.find("root:") == std::string::npos);
}

TEST(CompileWorker, MemoryLimitEndsAnAllocatingCompileAndNotTheMachine) {
  auto spawn = SharedNursery().Defaults(worker::Role::kCompile);
  spawn.memory_limit = 64 << 20;
  auto worker = SharedNursery().Spawn(spawn);
  ASSERT_TRUE(worker);
  // A gigabyte of data that is not zero, in two lines.
  const auto bomb = worker->Compile(
      "@a = global { i32, [268435456 x i32] } { i32 1, [268435456 x i32] zeroinitializer }\n"
      "define i32 @f() { %v = load volatile i32, ptr @a ret i32 %v }",
      {{"f", "int32()"}});
  ASSERT_FALSE(bomb);
  if (Expected<Artifact>(bomb).error().kind != ErrorKind::kCompileCrash) return;  // refused by its size
  ASSERT_TRUE(worker->AwaitEnd());
  EXPECT_EQ(static_cast<int>(worker->ring().fault.cause), static_cast<int>(worker::FaultCause::kOutOfMemory));
}

// Mutated bitcode that LLVM's reader dies of.
void ExpectDeath(const char* file, worker::FaultCause cause, int signal, const char* message) {
  std::ifstream in(std::string(RBC_DATA "/") + file, std::ios::binary);
  const std::string bitcode((std::istreambuf_iterator<char>(in)), {});
  ASSERT_FALSE(bitcode.empty());
  auto worker = SharedNursery().Spawn(worker::Role::kCompile);
  ASSERT_TRUE(worker);
  auto result = worker->Compile(bitcode, {{"f", "int32()"}});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::kCompileCrash) << result.error().message;
  const auto status = worker->AwaitEnd();
  ASSERT_TRUE(status);
  EXPECT_TRUE(WIFEXITED(*status) && WEXITSTATUS(*status) == worker::kFaultExitStatus) << *status;
  const auto& fault = worker->ring().fault;
  EXPECT_EQ(static_cast<int>(fault.cause), static_cast<int>(cause));
  EXPECT_EQ(fault.signal, signal);
  EXPECT_THAT(std::string(fault.message), HasSubstr(message));
  EXPECT_EQ(std::string(fault.phase), "parse");
  EXPECT_EQ(fault.lane, worker::kNoLane);
}

TEST(CompileWorker, FatalErrorTellsItsReasonAndPhase) {
  ExpectDeath("fatal_error.bc", worker::FaultCause::kFatalError, 0, "Broken module");
}

TEST(CompileWorker, SignalTellsItsPhase) { ExpectDeath("trap.bc", worker::FaultCause::kSignal, SIGTRAP, ""); }

}  // namespace
}  // namespace rbc::testing
