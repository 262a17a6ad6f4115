// Every system call from client code, by machine instructions hidden in constants: only a short list gets through.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>

#include <set>

#include "tests/harness/farm_test.h"
#include "tests/harness/ir.h"
#include "tests/harness/neighbour.h"

namespace rbc::harness {
namespace {

enum class Gate { kSyscall, kInt80 };

// `mov $number, %eax; syscall; ret` is eight bytes: they stand as the constant that a function returns, two bytes
// behind its beginning (movabs $constant, %rax).
int64_t Instructions(uint32_t number, Gate gate) {
  const uint64_t tail = gate == Gate::kSyscall ? 0xc3050full : 0xc380cdull;
  return static_cast<int64_t>(0xb8ull | uint64_t{number} << 8 | tail << 40);
}

// int64 run(int64 index, int64 a, int64 b, int64 c): makes the system call numbers[index] with three arguments.
Module GadgetModule(const std::vector<uint32_t>& numbers, Gate gate) {
  std::string ir, table;
  for (size_t i = 0; i < numbers.size(); ++i) {
    const std::string name = "@gadget" + std::to_string(i);
    ir += "define internal i64 " + name + "() noinline {\n  ret i64 " + std::to_string(Instructions(numbers[i], gate)) +
          "\n}\n";
    table += (i == 0 ? "ptr " : ", ptr ") + name;
  }
  ir += "@table = internal constant [" + std::to_string(numbers.size()) + " x ptr] [" + table + "]\n";
  ir += R"(define i64 @run(i64 %index, i64 %a, i64 %b, i64 %c) {
  %slot = getelementptr ptr, ptr @table, i64 %index
  %gadget = load volatile ptr, ptr %slot
  %hidden = getelementptr i8, ptr %gadget, i64 2
  %r = call i64 %hidden(i64 %a, i64 %b, i64 %c)
  ret i64 %r
}
)";
  return MakeModule(ir, "run", "int64(int64, int64, int64, int64)");
}

// What a worker needs: memory that is never executable, waiting, ending, clocks, its own sockets. The last two are the
// kernel's own return paths of probes (uretprobe, uprobe), which no filter sees and which do nothing elsewhere.
constexpr uint32_t kUretprobe = 335, kUprobe = 336;
const std::set<uint32_t> kAllowed = {SYS_brk,
                                     SYS_mmap,
                                     SYS_munmap,
                                     SYS_mremap,
                                     SYS_mprotect,
                                     SYS_madvise,
                                     SYS_futex,
                                     SYS_exit,
                                     SYS_exit_group,
                                     SYS_sched_yield,
                                     SYS_sched_getaffinity,  // of the calling thread
                                     SYS_sched_setaffinity,
                                     SYS_time,
                                     SYS_gettimeofday,
                                     SYS_getcpu,
                                     SYS_sendto,
                                     SYS_recvfrom,
                                     SYS_recvmsg,
                                     SYS_clock_gettime,
                                     SYS_restart_syscall,
                                     SYS_prctl,
                                     SYS_close,
                                     SYS_poll,
                                     kUretprobe,
                                     kUprobe};

class SystemCalls : public FarmTest {
 protected:
  void TryAll(const std::vector<uint32_t>& numbers, Gate gate, const std::set<uint32_t>& allowed) {
    Neighbour neighbour(farm());
    Client client = farm().Connect();
    const auto run = Must(client.Load(GadgetModule(numbers, gate)), "the gadgets");
    size_t refused = 0;
    for (size_t i = 0; i < numbers.size(); ++i) {
      SCOPED_TRACE("system call " + std::to_string(numbers[i]));
      // What is allowed may end the lane's thread, which is seen at the deadline alone.
      const int32_t deadline_ms = allowed.contains(numbers[i]) ? 2000 : 30'000;
      const auto reply = client.Call(run, {static_cast<int64_t>(i), 0, 0, 0}, {.deadline_ms = deadline_ms});
      if (reply) {
        EXPECT_TRUE(allowed.contains(numbers[i])) << "got through";
        continue;
      }
      const Error& error = reply.error();
      if (allowed.contains(numbers[i])) continue;  // exit and the like: any typed error
      ++refused;
      EXPECT_EQ(error.kind, ErrorKind::kRemoteCrash) << Describe(error);
      EXPECT_THAT(error.cause, ::testing::HasSubstr("forbidden system call")) << Describe(error);
      EXPECT_EQ(error.function, "run");
    }
    EXPECT_GE(refused, numbers.size() - allowed.size());
    ExpectUndisturbed(neighbour.Take());
  }
};

TEST_F(SystemCalls, OfAllNumbersOnlyAFewGetThrough) {
  std::vector<uint32_t> numbers;
  for (uint32_t number = 0; number <= 600; ++number) numbers.push_back(number);
  TryAll(numbers, Gate::kSyscall, kAllowed);
}

TEST_F(SystemCalls, ByTheOldGateAndTheX32TableNoneGetsThrough) {
  TryAll({1, 2, 4, 5, 11, 20, 102, 120, 192}, Gate::kInt80, {});
  TryAll({0x40000000u, 0x40000001u, 0x40000002u, 0x40000009u, 0x400000cau, 0x40000208u, 0x7fffffffu, 0xffffffffu},
         Gate::kSyscall, {});
}

// Executable memory cannot be had: neither mapped, nor changed to.
TEST_F(SystemCalls, MemoryIsNeverWritableAndExecutable) {
  Client client = farm().Connect();
  const auto run = Must(client.Load(GadgetModule({SYS_mmap, SYS_mprotect}, Gate::kSyscall)));
  constexpr int64_t kReadWriteExecute = 7, kReadExecute = 5;
  for (const int64_t protection : {kReadWriteExecute, kReadExecute}) {
    const Error error = MustFail(client.Call(run, {0, 0, 4096, protection}), "mmap");
    EXPECT_EQ(error.kind, ErrorKind::kRemoteCrash) << Describe(error);
  }
  const Error error = MustFail(client.Call(run, {1, 0x10000, 4096, kReadWriteExecute}), "mprotect");
  EXPECT_EQ(error.kind, ErrorKind::kRemoteCrash) << Describe(error);
}

// What the worker may send on its control socket is checked by the daemon: nonsense ends the worker, nothing else.
TEST_F(SystemCalls, NonsenseOnTheControlSocketEndsTheWorkerOnly) {
  Neighbour neighbour(farm());
  Client client = farm().Connect();
  const Module gadget = MakeModule("define internal i64 @g() noinline {\n  ret i64 " +
                                       std::to_string(Instructions(SYS_sendto, Gate::kSyscall)) +
                                       R"(
}
@slot = internal constant ptr @g
define i64 @send(i64 %fd, ptr %bytes, i64 %size) {
  %gadget = load volatile ptr, ptr @slot
  %hidden = getelementptr i8, ptr %gadget, i64 2
  %r = call i64 %hidden(i64 %fd, ptr %bytes, i64 %size)
  ret i64 %r
}
)",
                                   "send", "int64(int64, string, int64)");
  for (int round = 0; round < 20; ++round) {
    const auto send = client.Load(gadget);
    ASSERT_TRUE(send) << Describe(send.error());
    std::string bytes(size_t{1} << (round % 10), static_cast<char>('a' + round));
    // The fourth argument (flags) is whatever the register holds: a refusal is as good.
    (void)client.Call(*send, {3, bytes, static_cast<int64_t>(bytes.size())}, {.deadline_ms = 1000});
  }
  ExpectUndisturbed(neighbour.Take());
  Client fresh = farm().Connect();
  EXPECT_TRUE(Must(fresh.Call(Must(fresh.Load(AddModule())), {1.0, 2.0})).value == Value(3.0));
}

}  // namespace
}  // namespace rbc::harness
