// Lock-down: what is active, and that nothing is left to try.
// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <gmock/gmock.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <set>

#include "tests/worker/harness.h"
#include "worker/syscall_filter.h"

namespace rbc::testing {
namespace {

using worker::FaultCause;

bool Sanitized() {
#ifdef RBC_SANITIZED
  return true;
#else
  return false;
#endif
}

// A function that makes any system call, by the operator's leave for inline asm.
constexpr char kSystemCall[] = R"(
define i64 @call(i64 %n, i64 %a, i64 %b, i64 %c, i64 %d) {
  %r = call i64 asm sideeffect "syscall", "={rax},{rax},{rdi},{rsi},{rdx},{r10},{r8},{r9},~{rcx},~{r11},~{memory}"(i64 %n, i64 %a, i64 %b, i64 %c, i64 %d, i64 0, i64 0)
  ret i64 %r
}
define i64 @call32(i64 %n) {
  %r = call i64 asm sideeffect "int $$0x80", "={rax},{rax},{rbx},~{memory}"(i64 %n, i64 0)
  ret i64 %r
}
)";

class SystemCalls {
 public:
  SystemCalls() {
    CompileOptions options;
    options.allow_inline_asm = true;
    artifact_ = std::make_unique<Expected<Artifact>>(Compile(
        kSystemCall, {{"call", "int64(int64, int64, int64, int64, int64)"}, {"call32", "int64(int64)"}}, options));
    EXPECT_TRUE(artifact_->has_value()) << (artifact_->has_value() ? "" : artifact_->error().message);
  }
  struct Answer {
    bool alive = false;
    int64_t result = 0;
    FaultCause cause{};
    int32_t code = 0;
    int status = 0;
  };
  Answer Try(uint32_t function, int64_t number, int64_t a = 0, int64_t b = 0, int64_t c = 0, int64_t d = 0) {
    Answer answer;
    if (worker_ == nullptr || worker_->ended()) {
      worker_ = SharedNursery().Spawn(worker::Role::kExecute);
      if (worker_ == nullptr || !worker_->Load(1, **artifact_, {"call", "call32"})) return answer;
    }
    const auto reply =
        worker_->Exchange(0, CallMessage(IdOf(1, function), function == 0 ? Frame(number, a, b, c, d) : Frame(number)));
    if (reply) {
      answer.alive = true;
      answer.result = Decode(reply).Result<int64_t>();
      return answer;
    }
    answer.status = worker_->AwaitEnd().value_or(0);
    answer.cause = worker_->ring().fault.cause;
    answer.code = worker_->ring().fault.code;
    return answer;
  }

 private:
  std::unique_ptr<Expected<Artifact>> artifact_;
  std::unique_ptr<Worker> worker_;
};

TEST(Sandbox, EveryPartIsActiveAsRoot) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  for (const auto role : {worker::Role::kExecute, worker::Role::kCompile}) {
    auto spawn = SharedNursery().Defaults(role);
    spawn.strict = Sanitized() ? 0 : 1;
    auto worker = SharedNursery().Spawn(spawn);
    ASSERT_TRUE(worker);
    const uint32_t bits = worker->ready().sandbox;
    EXPECT_TRUE(bits & worker::kNoNewPrivileges);
    EXPECT_TRUE(bits & worker::kSeccomp);
    EXPECT_TRUE(bits & worker::kLandlock);
    EXPECT_GE(worker->ready().landlock_abi, 1u);
    EXPECT_TRUE(bits & worker::kResourceLimits);
    EXPECT_TRUE(bits & worker::kNoCapabilities);
    EXPECT_TRUE(bits & worker::kNetworkNamespace);
    EXPECT_TRUE(bits & worker::kIpcNamespace);
    EXPECT_TRUE(bits & worker::kMountNamespace);
    EXPECT_TRUE(bits & worker::kPidNamespace);
    EXPECT_TRUE(Sanitized() || (bits & worker::kUserNamespace) != 0);
    EXPECT_EQ((bits & worker::kWideSeccomp) != 0, Sanitized());
  }
}

// The kernel's own view, from outside.
TEST(Sandbox, TheKernelAgrees) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  auto worker = SharedNursery().Spawn(worker::Role::kExecute);
  ASSERT_TRUE(worker);
  const std::string proc = "/proc/" + std::to_string(worker->pid());
  std::ifstream status(proc + "/status");
  std::string line;
  int seen = 0;
  while (std::getline(status, line)) {
    if (line.starts_with("NoNewPrivs:")) seen += line.back() == '1';
    if (line.starts_with("Seccomp:")) seen += line.back() == '2';
    if (line.starts_with("CapEff:")) seen += line.find("0000000000000000") != std::string::npos;
    if (line.starts_with("NSpid:")) seen += line.back() == '1';
  }
  EXPECT_EQ(seen, 4);
  for (const char* name : {"user", "net", "ipc", "mnt", "pid"}) {
    char mine[64] = {}, theirs[64] = {};
    ASSERT_GT(readlink(("/proc/self/ns/" + std::string(name)).c_str(), mine, sizeof mine - 1), 0);
    ASSERT_GT(readlink((proc + "/ns/" + name).c_str(), theirs, sizeof theirs - 1), 0) << name;
    EXPECT_TRUE((Sanitized() && std::string(name) == "user") || std::strcmp(mine, theirs) != 0) << name;
  }
  // Every thread is behind the filter, and the only descriptors are null and the control socket.
  EXPECT_EQ(std::system(("for t in " + proc + "/task/*/status; do grep -q 'Seccomp:.2' $t || exit 1; done").c_str()),
            0);
  EXPECT_TRUE(Sanitized() || std::system(("test \"$(ls " + proc + "/fd | tr '\\n' ' ')\" = '0 1 2 3 '").c_str()) == 0);
}

TEST(Sandbox, EverySystemCallIsAllowedOrEndsTheWorkerByName) {
  if (Sanitized()) GTEST_SKIP() << "sanitizer builds have the wide profile";
  const std::set<int64_t> allowed = {SYS_brk,          SYS_munmap, SYS_mremap,   SYS_sched_yield, SYS_clock_gettime,
                                     SYS_gettimeofday, SYS_time,   SYS_getcpu,   SYS_recvfrom,    SYS_sendto,
                                     SYS_poll,         SYS_close,  SYS_mprotect, SYS_futex,       SYS_restart_syscall};
  const std::set<int64_t> ends = {SYS_exit, SYS_exit_group, SYS_rt_sigreturn};
  SystemCalls calls;
  for (int64_t number = 0; number <= 600; ++number) {
    // These would block, or end the thread without a word; each is looked at by itself.
    if (ends.contains(number) && number != SYS_rt_sigreturn) continue;
    if (number == SYS_restart_syscall || number == SYS_poll) continue;
    // uretprobe and uprobe: the kernel's own, past every filter; they fail anywhere but in its trampolines.
    if (number == 335 || number == 336) continue;
    // An address that is no memory, and a descriptor that is none: allowed calls fail harmlessly.
    const auto answer =
        calls.Try(0, number, number == SYS_futex || number == SYS_time || number == SYS_brk ? 0 : -1, 0);
    if (allowed.contains(number) || (number == SYS_futex)) {
      EXPECT_TRUE(answer.alive) << number;
    } else {
      EXPECT_FALSE(answer.alive) << number << " is let through and gives " << answer.result;
      EXPECT_EQ(static_cast<int>(answer.cause), static_cast<int>(FaultCause::kForbiddenCall)) << number;
      EXPECT_EQ(answer.code, number);
    }
  }
}

TEST(Sandbox, OtherArchitecturesAreForbidden) {
  if (Sanitized()) GTEST_SKIP() << "shown by the narrow profile";
  SystemCalls calls;
  EXPECT_FALSE(calls.Try(1, 20).alive);                    // getpid by int 0x80
  EXPECT_FALSE(calls.Try(0, 0x40000000 + SYS_brk).alive);  // x32
  EXPECT_FALSE(calls.Try(0, 0x40000000 + SYS_futex).alive);
}

TEST(Sandbox, ArgumentsAreChecked) {
  if (Sanitized()) GTEST_SKIP() << "sanitizer builds have the wide profile";
  SystemCalls calls;
  constexpr int64_t kAnonymous = 0x22;
  EXPECT_TRUE(calls.Try(0, SYS_mmap, 0, 4096, 3, kAnonymous).alive);
  EXPECT_FALSE(calls.Try(0, SYS_mmap, 0, 4096, 7, kAnonymous).alive);  // executable
  EXPECT_FALSE(calls.Try(0, SYS_mmap, 0, 4096, 4, kAnonymous).alive);
  EXPECT_FALSE(calls.Try(0, SYS_mmap, 0, 4096, 3, 2).alive);   // private, of a descriptor
  EXPECT_TRUE(calls.Try(0, SYS_mmap, 0, 4096, 3, 1).alive);    // shared, of a descriptor: how arrays come here
  EXPECT_FALSE(calls.Try(0, SYS_mmap, 0, 4096, 5, 1).alive);   // and executable
  EXPECT_FALSE(calls.Try(0, SYS_mprotect, 0, 4096, 7).alive);  // writable and executable
  EXPECT_FALSE(calls.Try(0, SYS_madvise, 0, 0, 12).alive);
  EXPECT_FALSE(calls.Try(0, SYS_recvmsg, 5, 0, 0).alive);
  EXPECT_FALSE(calls.Try(0, SYS_sendmsg, 3, 0, 0).alive);
  EXPECT_FALSE(calls.Try(0, SYS_prctl, PR_SET_DUMPABLE, 1).alive);
  EXPECT_TRUE(calls.Try(0, SYS_sched_setaffinity, 0, 0, 0).alive);  // of the calling thread
  EXPECT_FALSE(calls.Try(0, SYS_sched_setaffinity, 1, 0, 0).alive);
  EXPECT_TRUE(calls.Try(0, SYS_prctl, PR_GET_SECCOMP).alive);
}

// LLVM asks whether stderr is a terminal before it says there what it cannot compile. None of it may be the end.
TEST(Sandbox, TheCompilerMaySayWhyItEnds) {
  if (Sanitized()) GTEST_SKIP() << "sanitizer builds have the wide profile";
  std::vector<sock_filter> program = worker::CompileFilter();
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) _exit(1);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) _exit(2);
    if (isatty(STDERR_FILENO) != 0 || errno != ENOTTY) _exit(3);
    _exit(write(STDERR_FILENO, "", 0) == 0 ? 0 : 4);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(Sandbox, OpeningAFileEndsTheWorker) {
  if (Sanitized()) GTEST_SKIP() << "the wide profile lets files be read";
  SystemCalls calls;
  static const char kPath[] = "/etc/passwd";
  const auto answer = calls.Try(0, SYS_openat, AT_FDCWD, reinterpret_cast<int64_t>(kPath), O_RDONLY);
  EXPECT_FALSE(answer.alive);
  EXPECT_EQ(answer.code, SYS_openat);
}

TEST(Lifetime, WorkerEndsWithItsControlSocket) {
  for (const auto role : {worker::Role::kExecute, worker::Role::kCompile}) {
    auto worker = SharedNursery().Spawn(role);
    ASSERT_TRUE(worker);
    worker->CloseControl();
    EXPECT_TRUE(worker->AwaitEnd());
  }
}

TEST(Lifetime, WorkerEndsOnAMalformedMessage) {
  auto worker = SharedNursery().Spawn(worker::Role::kExecute);
  ASSERT_TRUE(worker);
  Send(worker->control(), worker::MessageType::kLoad, "short");
  EXPECT_TRUE(worker->AwaitEnd());
}

TEST(Lifetime, AnotherBuildIsRefused) {
  Nursery nursery("another build");
  ASSERT_TRUE(nursery.first());
  EXPECT_EQ(nursery.first()->type, worker::MessageType::kNurseryFailed);
  EXPECT_THAT(nursery.first()->body, ::testing::HasSubstr("another build"));
}

// A daemon that is killed takes nursery and workers with it, also a worker that runs an endless loop.
TEST(Lifetime, NothingOutlivesTheDaemon) {
  auto artifact = Compile("define void @loop() { br label %a a: br label %a }", {{"loop", "void()"}});
  ASSERT_TRUE(artifact);
  int report[2];
  ASSERT_EQ(pipe(report), 0);
  const pid_t daemon = fork();
  if (daemon == 0) {
    Nursery nursery;
    auto worker = nursery.Spawn(worker::Role::kExecute);
    if (!worker || !worker->Load(1, *artifact, {"loop"})) _exit(1);
    worker->Begin(0, CallMessage(IdOf(1), ""));
    const pid_t pids[2] = {nursery.pid(), worker->pid()};
    if (write(report[1], pids, sizeof pids) != sizeof pids) _exit(1);
    for (;;) pause();
  }
  close(report[1]);
  pid_t pids[2];
  ASSERT_EQ(read(report[0], pids, sizeof pids), static_cast<ssize_t>(sizeof pids));
  close(report[0]);
  EXPECT_EQ(kill(pids[0], 0), 0);
  EXPECT_EQ(kill(pids[1], 0), 0);
  kill(daemon, SIGKILL);
  waitpid(daemon, nullptr, 0);
  const auto gone = [](pid_t pid) {
    std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
    std::string text;
    return !std::getline(stat, text) || text.find(") Z ") != std::string::npos;
  };
  for (int i = 0; i < 30'000 && !(gone(pids[0]) && gone(pids[1])); ++i) usleep(1000);
  EXPECT_TRUE(gone(pids[0]));
  EXPECT_TRUE(gone(pids[1]));
}

long PrivateKiB(pid_t pid) {
  std::ifstream rollup("/proc/" + std::to_string(pid) + "/smaps_rollup");
  std::string name;
  long value, total = 0;
  for (std::string line; std::getline(rollup, line);) {
    char key[64];
    if (std::sscanf(line.c_str(), "%63[^:]: %ld", key, &value) == 2 &&
        (std::strcmp(key, "Private_Clean") == 0 || std::strcmp(key, "Private_Dirty") == 0))
      total += value;
  }
  return total;
}

TEST(Cost, IdleWorkersAreSmall) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to read their memory";
  Nursery nursery;
  auto spawn = nursery.Defaults(worker::Role::kExecute);
  spawn.lanes = 16;
  auto execute = nursery.Spawn(spawn);
  auto compile = nursery.Spawn(worker::Role::kCompile);
  ASSERT_TRUE(execute && compile);
  const long kib = PrivateKiB(execute->pid());
  std::printf(
      "nursery ready after %.1f ms; private KiB: nursery %ld, execution worker with 16 lanes %ld, compile "
      "worker %ld\n",
      nursery.ready_ms(), PrivateKiB(nursery.pid()), kib, PrivateKiB(compile->pid()));
  EXPECT_TRUE(Sanitized() || kib < 4096) << kib;
}

}  // namespace
}  // namespace rbc::testing
