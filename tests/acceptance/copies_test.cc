// How often a byte is copied on its way, by what the kernel says of processor time: a copy in user space is user time,
// one between a socket and memory is the system's. docs/architecture.md, "Data", states what is counted here.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "rbc/rbc.h"
#include "tests/harness/farm_test.h"

namespace rbc::harness {
namespace {

constexpr size_t kBytes = size_t{64} << 20;
constexpr int kTimes = 16;
constexpr double kTick = 0.01;  // what the kernel's figures of another process are rounded to

struct Seconds {
  double user = 0, system = 0;
  double both() const { return user + system; }
  Seconds operator-(const Seconds& before) const { return {user - before.user, system - before.system}; }
};

Seconds OfThisProcess() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return {seconds(usage.ru_utime), seconds(usage.ru_stime)};
}

Seconds OfDaemon(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  std::istringstream fields(text.substr(text.rfind(')') + 2));
  std::string field;
  for (int i = 3; i < 14; ++i) fields >> field;
  double user = 0, system = 0;
  fields >> user >> system;
  const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  return {user / ticks, system / ticks};
}

struct Cost {
  Seconds here, daemon;
  double all() const { return here.both() + daemon.both(); }
};

class Copies : public FarmTest {
 protected:
  void SetUp() override {
    FarmTest::SetUp();
    from_.assign(kBytes, 'x');
    to_.assign(kBytes, 'y');
    const Seconds before = OfThisProcess();
    for (int i = 0; i < kTimes; ++i) {
      from_[static_cast<size_t>(i)] = 'z';
      std::memcpy(to_.data(), from_.data(), kBytes);
      asm volatile("" : : "r"(to_.data()) : "memory");
    }
    copy_ = (OfThisProcess() - before).user;
  }
  // The least of a few times: what else the machine does makes it more, by caches and memory that are shared.
  template <typename Action>
  Cost CostOf(Action&& action) {
    action();  // once before, so that the pages are there
    std::optional<Cost> least;
    for (int attempt = 0; attempt < 4; ++attempt) {
      const Cost before{OfThisProcess(), OfDaemon(farm().pid())};
      for (int i = 0; i < kTimes; ++i) action();
      const Cost cost{OfThisProcess() - before.here, OfDaemon(farm().pid()) - before.daemon};
      if (!least || cost.all() < least->all()) least = cost;
    }
    return *least;
  }
  RemoteJIT Jit(const std::string& address, bool direct) {
    RemoteJIT::Options options;
    options.direct = direct;
    return RemoteJIT(address, options);
  }
  // User time that is no copy of all bytes, and what is at most one.
  double Nothing() const { return 0.4 * copy_ + 2 * kTick; }
  double One() const { return 1.6 * copy_ + 2 * kTick; }

  std::vector<char> from_, to_;
  double copy_ = 0;  // one of all bytes, in seconds
};

TEST_F(Copies, OneByThisProcessWhereTheMemoryIsShared) {
  const auto jit = Jit(farm().unix_address(), true);
  const Buffer buffer = jit.to_device(from_);
  for (const auto& cost : {CostOf([&] { buffer.copy_from(from_); }), CostOf([&] { buffer.copy_to(std::span(to_)); })}) {
    EXPECT_LE(cost.here.both(), One());
    EXPECT_LE(cost.daemon.both(), 3 * kTick) << "the daemon touches no byte";
  }
  EXPECT_TRUE(to_ == from_);
}

TEST_F(Copies, NoneInPlace) {
  const auto jit = Jit(farm().unix_address(), true);
  const Buffer buffer = jit.to_device(from_);
  const Cost cost = CostOf([&] { buffer.span<char>()[7] = 'p'; });
  EXPECT_LE(cost.here.both(), 2 * kTick);
  EXPECT_LE(cost.daemon.both(), 2 * kTick);
}

constexpr char kFirst[] = "char first(const char *x, long n) { return x[n - 1]; }";

// An argument of a function over arrays goes the way of copy_from.
TEST_F(Copies, OneForAnArgumentThatIsOnlyRead) {
  for (const bool direct : {true, false}) {
    const auto jit = Jit(farm().unix_address(), direct);
    const auto first = jit.function<char(ArrayView<const char>)>(Source::C(kFirst), "first");
    const Cost cost = CostOf([&] { EXPECT_EQ(first(from_), 'x'); });
    EXPECT_LE(cost.here.user, direct ? One() : Nothing());
    EXPECT_LE(cost.daemon.user, Nothing()) << direct;
  }
}

// Between socket and array at each end: the kernel's alone.
TEST_F(Copies, NoneInUserSpaceOverSockets) {
  for (const auto& address : {farm().unix_address(), farm().tcp_address()}) {
    const auto jit = Jit(address, false);
    const Buffer buffer = jit.to_device(from_);
    EXPECT_EQ(buffer.data(), nullptr);
    for (const auto& cost :
         {CostOf([&] { buffer.copy_from(from_); }), CostOf([&] { buffer.copy_to(std::span(to_)); })}) {
      EXPECT_LE(cost.here.user, Nothing()) << address;
      EXPECT_LE(cost.daemon.user, Nothing()) << address;
    }
    EXPECT_TRUE(to_ == from_);
  }
}

}  // namespace
}  // namespace rbc::harness
