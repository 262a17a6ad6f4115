// What goes wrong on a GPU costs one session one call: simulated faults, and errors of a driver that fails on demand.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <functional>

#include "rbc/rbc.h"
#include "tests/harness/farm_test.h"
#include "tests/harness/library.h"
#include "tests/harness/run_program.h"

namespace rbc::harness {
namespace {

using ::testing::HasSubstr;

constexpr char kFaults[] = R"(
@open = external addrspace(3) global [0 x i32], align 4
@what = private constant [6 x i8] c"x > 0\00"
@file = private constant [19 x i8] c"/home/me/kernel.cu\00"
@name = private constant [2 x i8] c"f\00"
declare void @llvm.trap()
declare void @__assertfail(ptr, ptr, i32, ptr, i64)
declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()
declare void @llvm.nvvm.barrier.cta.sync.aligned.all(i32)
declare i32 @llvm.nvvm.shfl.sync.down.i32(i32, i32, i32, i32)
define double @good(double %x) {
  %r = fadd double %x, 1.0
  ret double %r
}
define i64 @store_null(i64 %x) {
  %p = inttoptr i64 8 to ptr
  store volatile i64 %x, ptr %p
  ret i64 %x
}
define i64 @load_null(i64 %x) {
  %p = inttoptr i64 16 to ptr
  %v = load volatile i64, ptr %p
  ret i64 %v
}
define i64 @wild(i64 %x) {
  %p = inttoptr i64 140737488289792 to ptr
  store volatile i64 %x, ptr %p
  ret i64 %x
}
define i64 @not_canonical(i64 %x) {
  %p = inttoptr i64 -9151314442816847872 to ptr
  store volatile i64 %x, ptr %p
  ret i64 %x
}
define i64 @trap(i64 %x) {
  call void @llvm.trap()
  unreachable
}
define i64 @asserts(i64 %x) {
  call void @__assertfail(ptr @what, ptr @file, i32 12, ptr @name, i64 1)
  ret i64 %x
}
define i64 @endless(i64 %x) {
  br label %again
again:
  %one = load volatile i32, ptr @turning
  br label %again
}
@turning = internal global i32 0
define i64 @deep(i64 %x) noinline {
  %room = alloca [4096 x i8]
  store volatile i64 %x, ptr %room
  %next = add i64 %x, 1
  %below = call i64 @deep(i64 %next)
  %seen = load volatile i64, ptr %room
  %sum = add i64 %below, %seen
  ret i64 %sum
}
define ptx_kernel void @alone_at_barrier(ptr %p) {
  %tid = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %first = icmp eq i32 %tid, 0
  br i1 %first, label %one, label %others
one:
  call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 1)
  br label %others
others:
  call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)
  ret void
}
define ptx_kernel void @half_a_shuffle(ptr %p) {
  %tid = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %low = icmp ult i32 %tid, 16
  br i1 %low, label %shuffle, label %wait
shuffle:
  %v = call i32 @llvm.nvvm.shfl.sync.down.i32(i32 -1, i32 %tid, i32 1, i32 31)
  br label %wait
wait:
  call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)
  ret void
}
define ptx_kernel void @not_in_mask(ptr %p) {
  %tid = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %v = call i32 @llvm.nvvm.shfl.sync.down.i32(i32 1, i32 %tid, i32 0, i32 31)
  store i32 %v, ptr %p
  ret void
}
define ptx_kernel void @past_shared(ptr %p) {
  %far = getelementptr i32, ptr addrspace(3) @open, i32 4096
  store volatile i32 1, ptr addrspace(3) %far
  ret void
}
define ptx_kernel void @past_memory(ptr %p) {
  %far = getelementptr i32, ptr %p, i64 1099511627776
  store volatile i32 1, ptr %far
  ret void
}
define ptx_kernel void @trap_in_thread_5(ptr %p) {
  %tid = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %five = icmp eq i32 %tid, 5
  br i1 %five, label %bad, label %good
bad:
  call void @llvm.trap()
  unreachable
good:
  ret void
}
define ptx_kernel void @fine(ptr %p) {
  store i32 1, ptr %p
  ret void
}
)";

class GpuFaults : public FarmTest {
 protected:
  RemoteJIT Jit() {
    RemoteJIT::Options options;
    options.target = "cuda";
    options.timeout = std::chrono::milliseconds(10'000);
    options.on_output = [](std::string_view) {};
    return RemoteJIT(farm().unix_address(), std::move(options));
  }
  static Function<double(double)> Good(const RemoteJIT& jit) {
    return jit.function<double(double)>(Source::Ir(kFaults), "good");
  }
  static Error CallFails(const RemoteJIT& jit, const std::string& name) {
    return ErrorOf([&] { jit.function<int64_t(int64_t)>(Source::Ir(kFaults), name)(1); });
  }
  static Error LaunchFails(const RemoteJIT& jit, const std::string& name, const Grid& grid) {
    FunctionOptions options;
    options.abi = CallAbi::kKernel;
    std::vector<int32_t> memory(64);
    return ErrorOf([&] { jit.function(Source::Ir(kFaults), name, {"void(int32*)"}, options).launch(grid, memory); });
  }
};

// ---- The simulator -----------------------------------------------------------------------------------------------

class SimulatedFaults : public GpuFaults {
 protected:
  FarmOptions Options() const override { return FarmOptions().Set("targets.cuda", "simulate", "true"); }
};

TEST_F(SimulatedFaults, OfCallsEndThatCallOnly) {
  const auto jit = Jit(), neighbour = Jit();
  const auto good = Good(jit), theirs = Good(neighbour);
  ASSERT_EQ(good(1), 2);
  struct {
    const char* name;
    const char* cause;
  } const cases[] = {{"store_null", "invalid memory access"},
                     {"load_null", "invalid memory access"},
                     {"wild", "invalid memory access"},
                     {"not_canonical", "invalid memory access"},
                     {"trap", "trap"},
                     {"asserts", "assertion failed"},
                     {"deep", "stack overflow"}};
  for (const auto& [name, cause] : cases) {
    const Error error = CallFails(jit, name);
    EXPECT_EQ(Name(error.kind), "RemoteCrash") << name << ": " << error.message;
    EXPECT_EQ(error.cause, cause) << error.message;
    EXPECT_EQ(error.function, name);
    EXPECT_THAT(error.message, HasSubstr("thread (0,0,0)")) << name;
    EXPECT_THAT(error.message, ::testing::Not(HasSubstr("/home")));
    EXPECT_EQ(good(2), 3) << "after " << name;
    EXPECT_EQ(theirs(4), 5);
  }
}

TEST_F(SimulatedFaults, OfKernelsEndThatLaunchOnly) {
  const auto jit = Jit(), neighbour = Jit();
  const auto good = Good(jit), theirs = Good(neighbour);
  struct {
    const char* name;
    Grid grid;
    const char* kind;
    const char* text;
  } const cases[] = {{"alone_at_barrier", {{1}, {64}, 0}, "RemoteCrash", "deadlock"},
                     {"half_a_shuffle", {{1}, {32}, 0}, "RemoteCrash", "deadlock"},
                     {"not_in_mask", {{1}, {32}, 0}, "RemoteCrash", "thread (1,0,0)"},
                     {"past_shared", {{1}, {1}, 64}, "RemoteCrash", "invalid memory access"},
                     {"past_memory", {{1}, {1}, 0}, "RemoteCrash", "invalid memory access"},
                     {"trap_in_thread_5", {{3}, {8}, 0}, "RemoteCrash", "block (0,0,0), thread (5,0,0)"},
                     {"fine", {{1}, {1025}, 0}, "InvalidArgument", "1024"},
                     {"fine", {{1}, {64, 64}, 0}, "InvalidArgument", "1024"},
                     {"fine", {{1, 65536}, {1}, 0}, "InvalidArgument", "65535"},
                     {"fine", {{1}, {1}, 1 << 20}, "InvalidArgument", "shared memory"}};
  for (const auto& [name, grid, kind, text] : cases) {
    const Error error = LaunchFails(jit, name, grid);
    EXPECT_EQ(Name(error.kind), kind) << name << ": " << error.message;
    EXPECT_THAT(error.message, HasSubstr(text)) << name;
    EXPECT_EQ(good(2), 3) << "after " << name;
    EXPECT_EQ(theirs(4), 5);
  }
}

TEST_F(SimulatedFaults, AnEndlessKernelMeetsItsDeadline) {
  const auto jit = Jit(), neighbour = Jit();
  const auto theirs = Good(neighbour);
  EXPECT_EQ(theirs(1), 2);
  const auto endless =
      jit.function<int64_t(int64_t)>(Source::Ir(kFaults), "endless").with_timeout(std::chrono::milliseconds(500));
  const Error error = ErrorOf([&] { endless(1); });
  EXPECT_EQ(Name(error.kind), "DeadlineExceeded") << error.message;
  EXPECT_EQ(theirs(1), 2);
  EXPECT_EQ(Good(jit)(5), 6);
}

// ---- A driver that fails -----------------------------------------------------------------------------------------

class DriverFaults : public GpuFaults {
 protected:
  FarmOptions Options() const override {
    std::filesystem::copy_file(RBC_FAKE_CUDA, driver());
    return FarmOptions()
        .Set("targets.cuda", "driver", "\"" + driver() + "\"")
        .Set("targets.cuda", "max_contexts", "2")
        .Set("targets.cuda", "warm", "0")  // errors are told to the worker's start
        .Set("targets.cuda", "session_memory", "\"32 MiB\"");
  }
  std::string driver() const { return folder_.path() + "/libcuda.so.1"; }
  void FailAt(const std::string& line) { WriteWholeFile(driver() + ".conf", line + "\n"); }
  void Heal() { WriteWholeFile(driver() + ".conf", ""); }

 private:
  TemporaryFolder folder_;
};

TEST_F(DriverFaults, StickyOnesEndTheWorkerOthersDoNot) {
  const auto neighbour = Jit();
  const auto theirs = Good(neighbour);
  EXPECT_EQ(theirs(1), 0);  // its kernels do nothing
  struct {
    const char* line;
    const char* kind;
    const char* cause;
  } const cases[] = {{"cuLaunchKernel 700 1", "RemoteCrash", "invalid memory access"},
                     {"cuStreamQuery 716 1", "RemoteCrash", "misaligned memory access"},
                     {"cuStreamQuery 719 1", "RemoteCrash", "trap"},
                     {"cuStreamQuery 710 1", "RemoteCrash", "assertion failed"},
                     {"cuStreamQuery 715 1", "RemoteCrash", "illegal instruction"},
                     {"cuLaunchKernel 701 1", "InvalidArgument", ""},
                     {"cuLaunchKernel 2 1", "ResourceExhausted", ""},
                     {"cuModuleLoadDataEx 218 2", "InvalidModule", ""},
                     {"cuModuleLoadDataEx 209 2", "InvalidModule", ""},
                     {"cuModuleGetFunction 500 1", "InvalidModule", ""}};
  for (const auto& [line, kind, cause] : cases) {
    FailAt(line);
    const auto jit = Jit();
    const auto good = Good(jit);
    const Error error = ErrorOf([&] { good(1); });
    EXPECT_EQ(Name(error.kind), kind) << line << ": " << error.message;
    EXPECT_EQ(error.cause, cause) << line;
    EXPECT_EQ(error.function, "good") << line;
    EXPECT_EQ(theirs(1), 0) << "after " << line;
    Heal();
    if (std::string_view(kind) == "RemoteCrash") {
      EXPECT_EQ(good(1), 0) << "a fresh worker after " << line;
    }
    jit.close();
  }
}

TEST_F(DriverFaults, AnEndlessKernelOnTheDeviceMeetsItsDeadline) {
  const auto neighbour = Jit();
  const auto theirs = Good(neighbour);
  EXPECT_EQ(theirs(1), 0);
  FailAt("hang rbc_call_0 1");
  const auto jit = Jit();
  const Error error = ErrorOf([&] { Good(jit).with_timeout(std::chrono::milliseconds(500))(1); });
  EXPECT_EQ(Name(error.kind), "DeadlineExceeded") << error.message;
  EXPECT_EQ(theirs(1), 0);
  Heal();
  EXPECT_EQ(Good(jit)(1), 0);
}

TEST_F(DriverFaults, AWorkerThatDoesNotStartSaysWhy) {
  FailAt("cuCtxCreate 304 1");
  const Error error = ErrorOf([&] { Good(Jit())(1); });
  EXPECT_EQ(Name(error.kind), "Unavailable") << error.message;
  EXPECT_THAT(error.message, HasSubstr("cuCtxCreate: the fake driver was told to fail"));
  Heal();
  EXPECT_EQ(Good(Jit())(1), 0);
}

// A driver with a context holds dozens of descriptors; the farm's own come behind them.
TEST_F(DriverFaults, DescriptorsOfTheDriverLeaveRoomForTheFarms) {
  FailAt("holds cuCtxCreate 100");
  RemoteJIT::Options options;
  options.target = "cuda";
  options.direct = false;
  const RemoteJIT jit(farm().unix_address(), std::move(options));
  const auto good = Good(jit);
  for (int i = 0; i < 10; ++i) ASSERT_EQ(good(i), 0) << "its connection is lent after some";
  EXPECT_EQ(good.map(std::vector<double>(100'000)).size(), 100'000u) << "its arena comes by a descriptor";
}

TEST_F(DriverFaults, ASystemCallOfTheDriversThatIsForbiddenIsNamed) {
#ifdef RBC_SANITIZED
  GTEST_SKIP() << "sanitizer builds have the wide profile";
#endif
  FailAt("asks cuLaunchKernel " + std::to_string(SYS_ptrace));
  const auto jit = Jit();
  const Error error = ErrorOf([&] { Good(jit)(1); });
  EXPECT_EQ(Name(error.kind), "RemoteCrash") << error.message;
  EXPECT_EQ(error.cause, "forbidden system call " + std::to_string(SYS_ptrace) + " (ptrace)");
  EXPECT_THAT(error.message, HasSubstr("(ptrace(0x"));
  FailAt("asks cuLaunchKernel " + std::to_string(SYS_openat));
  const Error opens = ErrorOf([&] { Good(jit)(1); });
  EXPECT_EQ(Name(opens.kind), "ResourceExhausted") << opens.message;
  Heal();
}

class WatchedDriver : public DriverFaults {
 protected:
  FarmOptions Options() const override { return DriverFaults::Options().Set("targets.cuda", "watch_driver", "true"); }
};

TEST_F(WatchedDriver, MayDoWhatItIsToldToHaveDone) {
#ifdef RBC_SANITIZED
  GTEST_SKIP() << "sanitizer builds have the wide profile";
#endif
  FailAt("asks cuLaunchKernel " + std::to_string(SYS_openat) + "\nasks cuMemAlloc " + std::to_string(SYS_ptrace) +
         "\nasks cuStreamQuery " + std::to_string(SYS_fork));
  const auto jit = Jit();
  EXPECT_EQ(Good(jit)(1), 0);
  EXPECT_EQ(Good(jit).map(std::vector<double>(1 << 20)).size(), size_t{1} << 20);
  const std::string log = farm().log();
  const std::string begin = "gpu worker: after lock-down the driver asks for ";
  EXPECT_THAT(log, HasSubstr(begin + "openat(0xffffff9c, \"" + driver() + "\", "));
  EXPECT_THAT(log, HasSubstr(begin + "ptrace("));
  EXPECT_THAT(log, HasSubstr(begin + "fork("));
  const size_t first = log.find(begin + "openat");
  EXPECT_EQ(log.find(begin + "openat", first + 1), std::string::npos) << "each is told once";
  const auto workers = farm().StatusJson().at("workers");
  EXPECT_TRUE(std::any_of(workers.begin(), workers.end(), [](const auto& worker) {
    return worker.at("role") == "execute" && worker.at("sandbox").dump().find("wide-seccomp") != std::string::npos;
  })) << workers;
}

TEST_F(DriverFaults, WhatKernelsPrintComesWithTheReply) {
  FailAt("print rbc_call_0 1");
  std::string output;
  RemoteJIT::Options options;
  options.target = "cuda";
  options.on_output = [&](std::string_view text) { output += text; };
  const RemoteJIT jit(farm().unix_address(), std::move(options));
  const Source say = Source::Ir(
      "@text = constant [2 x i8] c\"x\\00\"\ndeclare i32 @printf(ptr, ...)\n"
      "define i32 @say(i32 %x) {\n  %n = call i32 (ptr, ...) @printf(ptr @text)\n  ret i32 %x\n}\n");
  EXPECT_EQ(jit.function<int32_t(int32_t)>(say, "say")(1), 0);
  EXPECT_EQ(output, "printed by the device\n");
}

TEST_F(DriverFaults, MemoryOfASessionIsLimited) {
  const auto jit = Jit();
  FunctionOptions options;
  options.abi = CallAbi::kKernel;
  const auto fine = jit.function(Source::Ir(kFaults), "fine", {"void(int32*)"}, options);
  std::vector<int32_t> memory(9 << 20);
  const Error error = ErrorOf([&] { fine.launch({}, memory); });
  EXPECT_EQ(Name(error.kind), "ResourceExhausted") << error.message;
  memory.resize(1 << 20);
  fine.launch({}, memory);
}

// Contexts by device, as the farm tells.
std::vector<int> Contexts(const RemoteJIT& jit) {
  const auto targets = jit.try_targets().value();
  std::vector<int> out;
  for (const auto& target : targets)
    if (target.name == "cuda")
      for (const auto& device : target.device_infos) out.push_back(device.contexts);
  return out;
}

TEST_F(DriverFaults, SessionsGoWhereMemoryIsFree) {
  const RemoteJIT watcher(farm().unix_address());
  EXPECT_EQ(Contexts(watcher), (std::vector<int>{0, 0}));
  std::vector<RemoteJIT> sessions;
  std::vector<Caller> functions;
  const auto more = [&](const std::string& target) {
    sessions.push_back(Jit());
    FunctionOptions options;
    options.target = target;
    functions.push_back(sessions.back().function(Source::Ir(kFaults), "good", {"float64(float64)"}, options));
    return functions.back().try_call({::rbc::Value(1.0)});
  };
  ASSERT_TRUE(more("cuda"));
  EXPECT_EQ(Contexts(watcher), (std::vector<int>{0, 1})) << "the second GPU has more memory";
  ASSERT_TRUE(more("cuda:0"));
  EXPECT_EQ(Contexts(watcher), (std::vector<int>{1, 1}));
  ASSERT_TRUE(more("cuda"));
  EXPECT_EQ(Contexts(watcher), (std::vector<int>{1, 2}));
  ASSERT_TRUE(more("cuda"));
  EXPECT_EQ(Contexts(watcher), (std::vector<int>{2, 2}));
  EXPECT_EQ(Name(more("cuda:2").error().kind), "UnknownTarget");
  // All places are taken: who is idle makes room, and gets another place when it comes back.
  ASSERT_TRUE(more("cuda"));
  EXPECT_EQ(Contexts(watcher), (std::vector<int>{2, 2}));
  EXPECT_TRUE(functions.front().try_call({::rbc::Value(1.0)}));
  EXPECT_EQ(Contexts(watcher), (std::vector<int>{2, 2}));
  functions.clear();
  sessions.clear();
  EXPECT_TRUE(WaitUntil(kPatience, [&] { return Contexts(watcher) == std::vector<int>{0, 0}; }));
}

TEST_F(DriverFaults, NobodyMakesRoomForMoreThanTheDevicesServe) {
  FailAt("hang rbc_call_0 1");
  std::vector<RemoteJIT> sessions;
  std::vector<Pending<double>> running;
  const RemoteJIT watcher(farm().unix_address());
  for (int i = 0; i < 4; ++i) {
    sessions.push_back(Jit());
    running.push_back(Good(sessions.back()).with_timeout(2 * kPatience).call_async(1.0));
    const int expected = i + 1;
    ASSERT_TRUE(WaitUntil(kPatience, [&] {
      const auto contexts = Contexts(watcher);
      return contexts[0] + contexts[1] == expected;
    }));
  }
  const auto last = Jit();
  const auto fifth = Good(last).try_call(1);
  ASSERT_FALSE(fifth);
  EXPECT_EQ(Name(fifth.error().kind), "Busy") << fifth.error().message;
  EXPECT_GT(fifth.error().retry_after_ms, 0);
  for (auto& call : running) {
    EXPECT_TRUE(call.cancel());
    const auto result = call.try_get();
    ASSERT_FALSE(result);
    EXPECT_EQ(Name(result.error().kind), "Cancelled");
  }
  Heal();
  EXPECT_TRUE(Good(last).try_call(1));
}

class WarmWorkers : public DriverFaults {
 protected:
  FarmOptions Options() const override { return DriverFaults::Options().Set("targets.cuda", "warm", "1"); }
  // The one that waits, other than `last`; 0: none came in time.
  pid_t Waiting(pid_t last = 0) {
    pid_t found = 0;
    WaitUntil(kPatience, [&] {
      for (const auto& worker : farm().WorkersOf("warm"))
        if (worker.pid != last) found = worker.pid;
      return found != 0;
    });
    return found;
  }
  std::vector<pid_t> Executing() {
    std::vector<pid_t> out;
    for (const auto& worker : farm().WorkersOf("execute")) out.push_back(worker.pid);
    std::sort(out.begin(), out.end());
    return out;
  }
};

TEST_F(WarmWorkers, TheNextSessionTakesTheOneThatWaits) {
  EXPECT_TRUE(farm().WorkersOf("warm").empty()) << "nobody has asked for a GPU";
  const auto first = Jit();
  EXPECT_EQ(Good(first)(1), 0);
  const pid_t waiting = Waiting();
  ASSERT_NE(waiting, 0);
  EXPECT_EQ(Contexts(first)[0] + Contexts(first)[1], 1) << "it is nobody's yet";
  const auto second = Jit();
  EXPECT_EQ(Good(second)(1), 0);
  EXPECT_THAT(Executing(), ::testing::Contains(waiting));
  EXPECT_EQ(Contexts(first)[0] + Contexts(first)[1], 2);
  EXPECT_NE(Waiting(waiting), 0) << "its place in the pool is filled again";
}

TEST_F(WarmWorkers, OneThatDiesIsReplaced) {
  const auto jit = Jit();
  EXPECT_EQ(Good(jit)(1), 0);
  const pid_t waiting = Waiting();
  ASSERT_NE(waiting, 0);
  kill(waiting, SIGKILL);
  const pid_t next = Waiting(waiting);
  ASSERT_NE(next, 0);
  const auto other = Jit();
  EXPECT_EQ(Good(other)(1), 0);
  EXPECT_THAT(Executing(), ::testing::Contains(next));
}

TEST_F(WarmWorkers, MakeRoomForASessionOfAnotherDomain) {
  std::vector<RemoteJIT> sessions;
  for (int i = 0; i < 3; ++i) {
    sessions.push_back(Jit());
    EXPECT_EQ(Good(sessions.back())(1), 0);
    ASSERT_NE(Waiting(), 0) << "before the next session, of which there are four places in all";
  }
  const auto before = Executing();
  RemoteJIT::Options options;
  options.target = "cuda";
  const RemoteJIT stranger(farm().tcp_address(), std::move(options));
  EXPECT_EQ(Good(stranger)(1), 0);
  EXPECT_THAT(Executing(), ::testing::IsSupersetOf(before)) << "no session lost its worker";
  EXPECT_EQ(Executing().size(), 4u);
}

TEST(Devices, AreChosenByIndexOrUuid) {
  const auto names = [](const std::string& devices) {
    FarmOptions options;
    options.Set("targets.cuda", "driver", "\"" RBC_FAKE_CUDA "\"").Set("targets.cuda", "devices", devices);
    const Farm farm(options);
    const auto targets = RemoteJIT(farm.unix_address()).try_targets().value();
    std::string out;
    for (const auto& target : targets)
      if (target.name == "cuda")
        for (const auto& device : target.devices) out += device + ";";
    return out;
  };
  EXPECT_EQ(names("[]"), "Fake GPU A;Fake GPU B;");
  EXPECT_EQ(names("[\"1\"]"), "Fake GPU B;");
  EXPECT_EQ(names("[\"GPU-a1a1a1a1-a1a1-a1a1-a1a1-a1a1a1a1a1a1\", \"0\"]"), "Fake GPU B;Fake GPU A;");
  EXPECT_EQ(names("[\"MIG-a1a1a1a1-a1a1-a1a1-a1a1-a1a1a1a1a1a1\"]"), "Fake GPU B;");
  EXPECT_THROW(names("[\"7\"]"), std::runtime_error);
  EXPECT_THROW(names("[\"MIG-b1a1a1a1-a1a1-a1a1-a1a1-a1a1a1a1a1a1\"]"), std::runtime_error);
}

TEST(Devices, AFarmWithoutADriverSaysSo) {
  const Farm farm(FarmOptions().Set("targets.cuda", "driver", "\"/nowhere/libcuda.so.1\""));
  RemoteJIT::Options options;
  options.target = "cuda";
  const RemoteJIT jit(farm.unix_address(), std::move(options));
  const auto result = jit.function(Source::Ir(kFaults), "good", {"float64(float64)"}).try_call({::rbc::Value(1.0)});
  ASSERT_FALSE(result);
  EXPECT_EQ(Name(result.error().kind), "Unavailable");
  EXPECT_THAT(result.error().message, HasSubstr("simulate"));
}

}  // namespace
}  // namespace rbc::harness
