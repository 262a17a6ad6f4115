// The run side: what loading costs, what it asks of the kernel, and that it gives everything back.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <thread>

#include "targets/host/code_memory.h"
#include "tests/harness/proc.h"
#include "tests/targets/fork.h"
#include "tests/targets/harness.h"

namespace rbc::testing {
namespace {

using ::testing::HasSubstr;

Artifact CompileConstant(int number) {
  return std::move(
             Compile(fmt::format(
                         "declare double @sin(double)\ndefine double @f{}(double %a) {{\n  %b = fadd double %a, {}.0\n"
                         "  %c = call double @sin(double %b)\n  ret double %c\n}}\n",
                         number, number),
                     {{fmt::format("f{}", number), "float64(float64)"}}))
      .value();
}

double CallConstant(LoadedModule& module, const Artifact& artifact, double argument) {
  alignas(16) double frame[2] = {argument};
  alignas(16) double result[2] = {};
  reinterpret_cast<int32_t (*)(void*, void*)>(module.Symbol(artifact.entries[0].symbol))(frame, result);
  return result[0];
}

// What an execution worker may do after lock-down, and no more. Anything else kills the process.
bool LockDown() {
  scmp_filter_ctx filter = ::seccomp_init(SCMP_ACT_KILL_PROCESS);
  bool ok = filter != nullptr;
  for (const int call :
       {SCMP_SYS(futex), SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(madvise), SCMP_SYS(write), SCMP_SYS(exit_group)}) {
    ok = ok && ::seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0) == 0;
  }
  const scmp_arg_cmp not_executable = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
  const scmp_arg_cmp not_writable = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_WRITE, 0);
  const scmp_arg_cmp anonymous = SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS);
  ok = ok && ::seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2, not_executable, anonymous) == 0;
  ok = ok && ::seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, not_executable) == 0;
  ok = ok && ::seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, not_writable) == 0;
  ok = ok && ::seccomp_load(filter) == 0;
  ::seccomp_release(filter);
  return ok;
}

#ifndef RBC_SANITIZED
TEST(Device, LinksUnderAFilterOfSystemCalls) {
  const Artifact artifact = CompileConstant(1);
  const auto outcome = InFork([&]() -> std::string {
    auto device = HostTarget().OpenDevice(0);
    if (!device) return Message(device);
    if (!LockDown()) return "no filter";
    for (int round = 0; round < 50; ++round) {
      auto module = (*device)->Load(artifact.code);
      if (!module) return Message(module);
      if (CallConstant(**module, artifact, 0.5) != std::sin(1.5)) return "wrong";
      if (std::string_view((*module)->FunctionAt((*module)->Symbol(artifact.entries[0].symbol))) != "f1")
        return "no name";
    }
    auto broken = (*device)->Load("no object at all");
    return broken ? "loaded nonsense" : "ok";
  });
  EXPECT_TRUE(outcome.answered) << "signal " << outcome.signal;
  EXPECT_EQ(outcome.answer, "ok");
}

TEST(Device, CompilesUnderAFilterOfSystemCalls) {
  const auto outcome = InFork([&]() -> std::string {
    FindTarget("host")->initialize();
    const auto target = FindTarget("host")->create(Symbols());
    if (!LockDown()) return "no filter";
    for (const uint8_t level : {0, 2, 3}) {
      CompileOptions options;
      options.opt_level = level;
      const Module module{"define i64 @f(i64 %a) {\n  ret i64 %a\n}\n", {{"f", "int64(int64)"}}};
      auto artifact = target->Compile(module, options, nullptr);
      if (!artifact) return Message(artifact);
      if (auto refused = target->Compile({"nonsense", {}}, options, nullptr); refused) return "compiled nonsense";
    }
    return "ok";
  });
  EXPECT_TRUE(outcome.answered) << "signal " << outcome.signal;
  EXPECT_EQ(outcome.answer, "ok");
}

TEST(Device, AThousandTinyFunctionsCostLittle) {
  const auto outcome = InFork([&]() -> std::string {
    std::vector<Artifact> artifacts;
    for (int i = 0; i < 1000; ++i) artifacts.push_back(CompileConstant(i));
    auto device = std::move(HostTarget().OpenDevice(0)).value();
    { auto warm = device->Load(artifacts[0].code); }
    std::vector<std::unique_ptr<LoadedModule>> kept;
    kept.reserve(1000);
    const uint64_t before = harness::WorkingBytes(::getpid());
    for (const auto& artifact : artifacts) kept.push_back(std::move(device->Load(artifact.code)).value());
    const uint64_t after = harness::WorkingBytes(::getpid());
    for (int i = 0; i < 1000; ++i) {
      if (CallConstant(*kept[i], artifacts[i], 0.25) != std::sin(0.25 + i)) return "wrong";
    }
    return std::to_string((after - before) / 1024);
  });
  ASSERT_TRUE(outcome.answered) << "signal " << outcome.signal;
  RecordProperty("kib", outcome.answer);
  EXPECT_LE(std::atoi(outcome.answer.c_str()), 9 * 1024) << "KiB for 1,000 functions";
  EXPECT_GT(std::atoi(outcome.answer.c_str()), 100) << "a measure that sees nothing";
}

// RBC_LOAD_CYCLES sets how many (10,000 by default, 200,000 in the long run).
TEST(Device, LoadingAndUnloadingIsFlat) {
  const char* wanted = std::getenv("RBC_LOAD_CYCLES");
  const int cycles = wanted != nullptr ? std::atoi(wanted) : 10000;
  const auto outcome = InFork(
      [&]() -> std::string {
        std::vector<Artifact> artifacts;
        for (int i = 0; i < 16; ++i) artifacts.push_back(CompileConstant(i));
        auto device = std::move(HostTarget().OpenDevice(0)).value();
        std::vector<std::unique_ptr<LoadedModule>> kept(64);
        uint64_t early = 0;
        for (int i = 0; i < cycles; ++i) {
          auto module = device->Load(artifacts[i % 16].code);
          if (!module) return Message(module);
          if (CallConstant(**module, artifacts[i % 16], 0.5) != std::sin(0.5 + i % 16)) return "wrong";
          kept[(i * 7919) % 64] = std::move(*module);
          if (i == cycles / 10) early = harness::WorkingBytes(::getpid());
        }
        return harness::WorkingBytes(::getpid()) <= early + early / 20
                   ? "flat"
                   : fmt::format("{} then {}", early, harness::WorkingBytes(::getpid()));
      },
      {.cpu_seconds = 100});
  EXPECT_TRUE(outcome.answered) << "signal " << outcome.signal;
  EXPECT_EQ(outcome.answer, "flat");
}
#endif

TEST(Device, LinkFailuresAreTyped) {
  auto nonsense = HostDevice().Load("no object at all");
  ASSERT_FALSE(nonsense);
  EXPECT_EQ(nonsense.error().kind, ErrorKind::kInvalidArgument);
  const Artifact artifact = CompileConstant(3);
  std::string other = artifact.code;
  const auto at = other.find("\0sin\0", 0, 5);
  ASSERT_NE(at, std::string::npos);
  other.replace(at + 1, 3, "nix");
  auto unresolved = HostDevice().Load(other);
  ASSERT_FALSE(unresolved);
  EXPECT_THAT(unresolved.error().message, HasSubstr("'nix'"));
  for (size_t size = 0; size < artifact.code.size(); size += 7) {
    auto cut = HostDevice().Load(std::string_view(artifact.code).substr(0, size));
    EXPECT_FALSE(cut) << "an object cut at " << size << " loads";
  }
  EXPECT_TRUE(HostDevice().Load(artifact.code)) << "the device works after failures";
}

TEST(Device, ThreadsLoadAtOnce) {
  const Artifact artifact = CompileConstant(5);
  Device& device = HostDevice();
  std::vector<std::thread> threads;
  std::atomic<int> right = 0;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 100; ++round) {
        auto module = device.Load(artifact.code);
        if (module && CallConstant(**module, artifact, round) == std::sin(round + 5.0)) ++right;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(right, 400);
}

TEST(Device, ModulesOutliveTheirDevice) {
  const Artifact artifact = CompileConstant(7);
  auto device = std::move(HostTarget().OpenDevice(0)).value();
  auto module = std::move(device->Load(artifact.code)).value();
  device.reset();
  EXPECT_EQ(CallConstant(*module, artifact, 0.5), std::sin(7.5));
}

TEST(Device, HasOneOrdinal) {
  auto device = HostTarget().OpenDevice(1);
  ASSERT_FALSE(device);
  EXPECT_EQ(device.error().kind, ErrorKind::kUnavailable);
}

TEST(CodeMemory, PiecesAreReusedMergedAndBounded) {
  using host::CodeMemory;
  auto memory = std::move(CodeMemory::Reserve(16 * host::kPageSize)).value();
  std::vector<std::byte*> pieces;
  for (int i = 0; i < 16; ++i) {
    pieces.push_back(memory->Allocate(i % 2 == 0 ? CodeMemory::Kind::kCode : CodeMemory::Kind::kData, 1));
    ASSERT_NE(pieces.back(), nullptr);
    pieces.back()[0] = std::byte(1);
  }
  EXPECT_EQ(pieces[2] - pieces[0], static_cast<ptrdiff_t>(host::kPageSize)) << "code from the bottom";
  EXPECT_EQ(pieces[1] - pieces[3], static_cast<ptrdiff_t>(host::kPageSize)) << "data from the top";
  EXPECT_EQ(memory->Allocate(CodeMemory::Kind::kCode, 1), nullptr) << "full";
  for (int i = 0; i < 16; ++i) memory->Free(pieces[(i * 5) % 16], 1);
  std::byte* whole = memory->Allocate(CodeMemory::Kind::kCode, 16 * host::kPageSize);
  ASSERT_NE(whole, nullptr) << "freed pieces merge";
  EXPECT_EQ(whole[0], std::byte(0)) << "fresh pages are zero";
  EXPECT_TRUE(memory->MakeExecutable(whole, 16 * host::kPageSize));
  memory->Free(whole, 16 * host::kPageSize);
}

TEST(Registry, ListsAndFinds) {
  ASSERT_FALSE(Targets().empty());
  EXPECT_STREQ(Targets()[0].name, "host");
  EXPECT_EQ(FindTarget("nosuch"), nullptr);
  const TargetInfo info = HostTarget().Info();
  EXPECT_EQ(info.name, "host");
  EXPECT_EQ(info.triple, "x86_64-unknown-linux-gnu");
  EXPECT_THAT(info.data_layout, HasSubstr("i128:128"));
  EXPECT_EQ(info.pointer_bits, 64u);
  EXPECT_THAT(info.llvm_version, ::testing::StartsWith("22."));
  EXPECT_FALSE(info.simulated);
}

}  // namespace
}  // namespace rbc::testing
