// A warm target makes the same bytes as a fresh process: the standing proof that passes and machines may be kept.
// RBC_WARM_MODULES sets how many modules are tried (300 by default, 5000 in the long run).
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "base/hash.h"
#include "base/serial.h"
#include "base/unique_fd.h"
#include "tests/harness/proc.h"
#include "tests/targets/fork.h"
#include "tests/targets/harness.h"
#include "tests/targets/random_module.h"

namespace rbc::testing {
namespace {

// What one compile gave: all of it that a client can see, times apart. Diagnostics lie in the digest.
struct Outcome {
  Digest digest{};
  uint32_t kind = 0;  // 0: an artifact
  uint32_t code_size = 0;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome CompileSeed(uint64_t seed) {
  const RandomModule module = MakeRandomModule(seed);
  auto artifact = HostTarget().Compile({module.ir, module.functions}, module.options, nullptr);
  Hasher hasher;
  Outcome outcome;
  if (!artifact) {
    hasher.Add(artifact.error().message);
    for (const auto& diagnostic : artifact.error().diagnostics) hasher.Add(diagnostic.message).Add(diagnostic.line);
    outcome.kind = static_cast<uint32_t>(artifact.error().kind);
  } else {
    hasher.Add(artifact->code).Add(artifact->constructors).Add(artifact->stateful).Add(artifact->repeatable);
    for (const auto& entry : artifact->entries) hasher.Add(entry.symbol).Add(entry.frame_size).Add(entry.result_size);
    outcome.code_size = artifact->code.size();
  }
  outcome.digest = hasher.Finish();
  return outcome;
}

bool Receive(int fd, void* into, size_t size) {
  return ::recv(fd, into, size, MSG_WAITALL) == static_cast<ssize_t>(size);
}

// A child that answers seeds with outcomes until its socket closes. This process itself never compiles.
class Compiler {
 public:
  Compiler() {
    int pair[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::close(pair[0]);
      ::alarm(300);
      uint64_t seed;
      while (Receive(pair[1], &seed, sizeof seed)) {
        const Outcome outcome = CompileSeed(seed);
        if (::send(pair[1], &outcome, sizeof outcome, MSG_NOSIGNAL) < 0) break;
      }
      ::_exit(0);
    }
    ::close(pair[1]);
    socket_.Reset(pair[0]);
  }
  ~Compiler() {
    socket_.Reset();
    ::waitpid(pid_, nullptr, 0);
  }

  // False: the child died.
  bool Compile(uint64_t seed, Outcome* outcome) {
    return ::send(socket_.get(), &seed, sizeof seed, MSG_NOSIGNAL) == sizeof seed &&
           Receive(socket_.get(), outcome, sizeof *outcome);
  }

 private:
  pid_t pid_ = -1;
  UniqueFd socket_;
};

TEST(Warm, ObjectsAreByteEqualToAFreshProcess) {
  const char* wanted = std::getenv("RBC_WARM_MODULES");
  const uint64_t count = wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : 300;
  FindTarget("host")->initialize();
  Compiler warm;
  uint64_t refused = 0;
  for (uint64_t seed = 1; seed <= count; ++seed) {
    Outcome kept, fresh;
    ASSERT_TRUE(warm.Compile(seed, &kept)) << "the warm compiler died on seed " << seed;
    ASSERT_TRUE(Compiler().Compile(seed, &fresh)) << "a fresh compiler died on seed " << seed;
    ASSERT_EQ(kept, fresh) << "seed " << seed << ": kind " << kept.kind << " and " << fresh.kind << ", bytes "
                           << kept.code_size << " and " << fresh.code_size << "\n"
                           << MakeRandomModule(seed).ir;
    refused += kept.kind != 0;
  }
  RecordProperty("refused", static_cast<int>(refused));
  EXPECT_GT(refused, count / 50) << "errors must be among the modules";
  EXPECT_LT(refused, count / 4) << "most modules must compile";
}

// RBC_WARM_FUNCTIONS sets how many (3,000 by default, 200,000 in the long run).
TEST(Warm, MemoryIsFlat) {
  const char* wanted = std::getenv("RBC_WARM_FUNCTIONS");
  const int count = wanted != nullptr ? std::atoi(wanted) : 3000;
  const auto outcome = InFork(
      [&]() -> std::string {
        uint64_t early = 0;
        for (int i = 0; i < count; ++i) {
          const auto name = fmt::format("function{}", i);
          const auto ir = fmt::format("define i64 @{}(i64 %a) {{\n  %b = mul i64 %a, {}\n  ret i64 %b\n}}\n", name, i);
          if (auto artifact = Compile(ir, {{name, "int64(int64)"}}); !artifact) return Message(artifact);
          if (i == std::min(count / 3, 10000)) early = harness::WorkingBytes(::getpid());
        }
        const uint64_t late = harness::WorkingBytes(::getpid());
        return late <= early + early / 20 ? "flat" : fmt::format("{} then {} bytes", early, late);
      },
      {.cpu_seconds = 500});
  EXPECT_TRUE(outcome.answered) << "signal " << outcome.signal;
  EXPECT_EQ(outcome.answer, "flat");
}

}  // namespace
}  // namespace rbc::testing
