// Queues through a real farm: one round trip for many steps, order, errors at first use, cancel, what stays behind.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "rbc/rbc.h"
#include "tests/harness/farm_test.h"
#include "tests/harness/library.h"

namespace rbc::harness {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kFunctions[] = R"(
define double @add(double %x, double %y) {
  %r = fadd double %x, %y
  ret double %r
}
define i32 @root(ptr %result, double %x) {
  %bad = fcmp olt double %x, 0.0
  br i1 %bad, label %refuse, label %fine
refuse:
  ret i32 7
fine:
  store double %x, ptr %result
  ret i32 0
}
define i32 @both(ptr %result, double %x, i32 %n) {
  %twice = fadd double %x, %x
  store double %twice, ptr %result
  %up = add i32 %n, 1
  %second = getelementptr inbounds i8, ptr %result, i64 8
  store i32 %up, ptr %second
  ret i32 0
}
define void @spin(i64 %n) {
  br label %again
again:
  %seen = load volatile i64, ptr @word
  br label %again
}
define i64 @next(i64 %n) {
  %r = add i64 %n, 1
  ret i64 %r
}
@word = private constant i64 0
)";

struct Where {
  const char* address;
  const char* target;
};

class Queues : public FarmTest, public ::testing::WithParamInterface<Where> {
 protected:
  FarmOptions Options() const override { return FarmOptions().Set("targets.cuda", "simulate", "true"); }
  RemoteJIT Jit() {
    RemoteJIT::Options options;
    options.target = GetParam().target;
    return RemoteJIT(std::string(GetParam().address) == "unix" ? farm().unix_address() : farm().tcp_address(),
                     std::move(options));
  }
  static Caller Add(const RemoteJIT& jit) {
    return jit.function(Source::Ir(kFunctions), "add", {"float64(float64, float64)"});
  }
  static Caller Root(const RemoteJIT& jit) {
    FunctionOptions options;
    options.abi = CallAbi::kStatusRetptr;
    return jit.function(Source::Ir(kFunctions), "root", {"float64(float64)"}, options);
  }
  uint64_t Messages() { return farm().StatusJson()["connections"]["messages"].get<uint64_t>(); }
  size_t BuffersOfAll() { return farm().StatusJson()["data"]["buffers"].get<size_t>(); }
};
INSTANTIATE_TEST_SUITE_P(On, Queues,
                         ::testing::Values(Where{"unix", "host"}, Where{"tcp", "host"}, Where{"unix", "cuda"}),
                         [](const auto& info) { return std::string(info.param.address) + "_" + info.param.target; });

TEST_P(Queues, TwentyStepsTakeOneRoundTrip) {
  const auto jit = Jit();
  const auto add = Add(jit);
  Queue queue = jit.queue();
  const Buffer x = jit.to_device(Numbers{1, 2, 3, 4});
  const auto queued = [&] {
    QueuedArray y = queue.map(add, {x, 1.0});
    for (int i = 0; i < 18; ++i) y = queue.map(add, {y, x});  // with the first and the reduction: 20
    return queue.reduce(add, y);
  };
  const auto run = [&] { return queued().value<double>(); };
  EXPECT_EQ(run(), 4 + 19.0 * 10);      // compiles, maps the arena
  EXPECT_EQ(jit.buffers().size(), 1u);  // answered after the farm counted all that needs no answer
  const uint64_t before = Messages();
  const uint64_t itself = Messages() - before;  // of asking
  EXPECT_EQ(run(), 4 + 19.0 * 10);
  EXPECT_EQ(Messages() - before - 2 * itself, 1u) << "one message: temporaries of it are freed by the farm";
  EXPECT_EQ(jit.buffers().size(), 1u);
}

TEST_P(Queues, ArraysStayAsLongAsTheirHandles) {
  const auto jit = Jit();
  const auto add = Add(jit);
  Queue queue = jit.queue();
  {
    const QueuedArray y = queue.map(add, {Numbers{1, 2, 3}, 10.0});
    EXPECT_EQ(y.dtype(), "float64");
    const QueuedArray z = queue.map(add, {y, y});
    EXPECT_THAT(z.to_host<double>(), ElementsAre(22, 24, 26));
    EXPECT_THAT(y.get().to_host<double>(), ElementsAre(11, 12, 13));
    EXPECT_EQ(jit.buffers().size(), 2u);
    EXPECT_THAT(queue.map(add, {y, z}).to_host<double>(), ElementsAre(33, 36, 39)) << "of an earlier chain";
    const QueuedArray sum = queue.reduce(add, y);
    EXPECT_THAT(queue.map(add, {y, sum}).to_host<double>(), ElementsAre(47, 48, 49)) << "one value that came back";
    EXPECT_EQ(sum.value<double>(), 36);
    EXPECT_EQ(ErrorOf([&] { (void)sum.get(); }).kind, ErrorKind::kInvalidArgument);
    EXPECT_THAT(queue.scan(add, y).to_host<double>(), ElementsAre(11, 23, 36));
    const Buffer into = jit.empty<double>({3});
    EXPECT_EQ(queue.map(add, {y, 1.0}, {.out = {into}, .where = {}}).get().id(), into.id());
    EXPECT_THAT(into.to_host<double>(), ElementsAre(12, 13, 14));
  }
  EXPECT_TRUE(jit.buffers().empty());
}

TEST_P(Queues, ResultsStayWhereTheirArraysAre) {
  const auto jit = Jit();
  const auto add = Add(jit);
  Queue queue = jit.queue();
  const std::string device = std::string(GetParam().target) == "cuda" ? "cuda" : "";
  const Buffer x = jit.to_device(Numbers{1, 2, 3}, {.target = device});
  const QueuedArray y = queue.map(add, {x, 1.0});
  const QueuedArray z = queue.map(add, {y, x});
  const QueuedArray sum = queue.reduce(add, queue.map(add, {z, z}));
  EXPECT_EQ(sum.value<double>(), 30);
  EXPECT_EQ(z.get().target(), x.target());
  EXPECT_THAT(z.to_host<double>(), ElementsAre(3, 5, 7));
}

TEST_P(Queues, SeveralResultsAreMembersOfOneArray) {
  const auto jit = Jit();
  FunctionOptions options;
  options.abi = CallAbi::kStatusRetptr;
  const auto both = jit.function(Source::Ir(kFunctions), "both", {"{float64, int32}(float64, int32)"}, options);
  Queue queue = jit.queue();
  const Buffer made = queue.map(both, {Numbers{1, 2, 3}, int32_t{4}}).get();
  EXPECT_EQ(made.dtype(), "{float64, int32}");
  const Buffer twice = made.member(0), up = made.slice(0, 2, -1, -1).member(1);
  EXPECT_THAT(twice.to_host<double>(), ElementsAre(2, 4, 6));
  EXPECT_THAT(up.to_host<int32_t>(), ElementsAre(5, 5, 5));
  EXPECT_THAT(queue.map(Add(jit), {twice, 1.0}).to_host<double>(), ElementsAre(3, 5, 7));
  twice.copy_from(Numbers{7, 8, 9});
  EXPECT_THAT(made.member(0).slice(0, 1, 3).to_host<double>(), ElementsAre(8, 9));
  EXPECT_THAT(made.member(1).to_host<int32_t>(), ElementsAre(5, 5, 5)) << "what lies between is left alone";
  for (const auto& none : {made.try_member(2), twice.try_member(0)}) {
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().kind, ErrorKind::kInvalidArgument);
    EXPECT_THAT(none.error().message, HasSubstr("have no member"));
  }
}

TEST_P(Queues, ErrorsAreToldByWhatNeedsThem) {
  const auto jit = Jit();
  const auto add = Add(jit);
  const auto root = Root(jit);
  Queue queue = jit.queue();
  const QueuedArray bad = queue.map(root, {Numbers{1, -2, 3}});
  const QueuedArray next = queue.map(add, {bad, 1.0});
  const QueuedArray last = queue.reduce(add, next);
  const QueuedArray other = queue.map(add, {Numbers{1}, 1.0});
  EXPECT_THAT(other.to_host<double>(), ElementsAre(2)) << "needs none of them";
  EXPECT_THAT(ErrorOf([&] { (void)bad.get(); }).message, AllOf(HasSubstr("'root'"), HasSubstr("status 7")));
  EXPECT_THAT(ErrorOf([&] { (void)last.value<double>(); }).message, HasSubstr("status 7"));
  const QueuedArray later = queue.map(add, {next, 1.0});
  EXPECT_THAT(ErrorOf([&] { (void)later.get(); }).message, HasSubstr("status 7")) << "of another chain";
  EXPECT_EQ(ErrorOf([&] { gather(other, later); }).kind, ErrorKind::kInvalidArgument);
  // Shapes that do not fit are found by the farm, wrong types here.
  const QueuedArray misfit = queue.map(add, {Numbers{1, 2}, Numbers{1, 2, 3}});
  EXPECT_EQ(ErrorOf([&] { (void)misfit.get(); }).kind, ErrorKind::kInvalidArgument);
  EXPECT_THROW((void)queue.map(add, {Numbers{1}}), Exception);
  const auto missing =
      jit.function(Source::Ir("define double @f(double %x) { ret double %y }"), "f", {"float64(float64)"});
  const QueuedArray broken = queue.map(missing, {Numbers{1}});
  const QueuedArray needs = queue.map(add, {broken, 1.0});
  EXPECT_EQ(ErrorOf([&] { (void)needs.get(); }).kind, ErrorKind::kInvalidModule);
}

TEST_P(Queues, CallsRunInTheirOrder) {
  const auto jit = Jit();
  const auto next = jit.function(Source::Ir(kFunctions), "next", {"int64(int64)"});
  Queue queue = jit.queue({.eager = true});
  std::vector<QueuedCall> calls;
  std::atomic<int> told{0};
  for (int64_t i = 0; i < 200; ++i) {
    calls.push_back(queue.call(next, i));
    calls.back().then([&told] { ++told; });
  }
  queue.wait();
  for (int64_t i = 0; i < 200; ++i) {
    EXPECT_TRUE(calls[i].ready());
    ASSERT_EQ(calls[i].get().as<int64_t>(), i + 1);
  }
  const auto last = queue.call(next, int64_t{1});
  last.wait();
  EXPECT_EQ(told, 200) << "each one once, those of earlier chains before the next";
}

TEST_P(Queues, CancelStopsWhatRunsAndWhatWaits) {
  if (std::string(GetParam().target) != "host") return;  // where a call without end is stopped by its deadline too
  const auto jit = Jit();
  const auto add = Add(jit);
  const auto spin = jit.function(Source::Ir(kFunctions), "spin", {"void(int64)"});
  spin.compile();
  Queue queue = jit.queue();
  const QueuedArray before = queue.map(add, {Numbers{1, 2}, 1.0});
  before.wait();
  const QueuedCall endless = queue.call(spin, int64_t{1});
  const QueuedArray after = queue.map(add, {before, 1.0});
  queue.flush();
  const QueuedArray waits = queue.map(add, {before, 2.0});
  EXPECT_TRUE(waits.cancel());
  EXPECT_TRUE(farm().AwaitBusy());
  EXPECT_TRUE(queue.cancel());
  EXPECT_EQ(ErrorOf([&] { (void)endless.get(); }).kind, ErrorKind::kCancelled);
  EXPECT_EQ(ErrorOf([&] { (void)after.get(); }).kind, ErrorKind::kCancelled);
  EXPECT_EQ(ErrorOf([&] { (void)waits.get(); }).kind, ErrorKind::kCancelled);
  EXPECT_THAT(before.to_host<double>(), ElementsAre(2, 3)) << "it was over";
  EXPECT_THAT(queue.map(add, {before, 3.0}).to_host<double>(), ElementsAre(5, 6)) << "the queue goes on";
}

TEST_P(Queues, AClientThatDiesInAChainLeavesNothing) {
  if (std::string(GetParam().target) != "host") return;
  const pid_t child = fork();
  if (child == 0) {
    const auto jit = Jit();
    const auto add = Add(jit);
    const auto spin = jit.function(Source::Ir(kFunctions), "spin", {"void(int64)"});
    Queue queue = jit.queue();
    const QueuedArray y = queue.map(add, {Numbers(100'000, 1.0), 1.0});
    const QueuedArray z = queue.map(add, {y, y});
    const QueuedCall endless = queue.call(spin.with_timeout(std::chrono::seconds(60)), int64_t{1});
    queue.flush();
    for (;;) pause();
  }
  EXPECT_TRUE(WaitUntil(kPatience, [&] { return BuffersOfAll() == 2; }));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  // Over TCP a call goes on, for a client that may come back; here nobody will.
  if (std::string(GetParam().address) == "unix") {
    EXPECT_TRUE(WaitUntil(kPatience, [&] { return BuffersOfAll() == 0; }));
  }
}

TEST_P(Queues, AQueueThatGoesSendsWhatItHas) {
  const auto jit = Jit();
  const auto add = Add(jit);
  const Buffer into = jit.to_device(Numbers{0, 0});
  std::optional<QueuedArray> kept;
  {
    Queue queue = jit.queue();
    kept = queue.map(add, {Numbers{1, 2}, 1.0}, {.out = {into}, .where = {}});
    EXPECT_THROW((void)Jit().queue().map(add, {Numbers{1}, 1.0}), Exception) << "another RemoteJIT's function";
  }
  EXPECT_THAT(kept->to_host<double>(), ElementsAre(2, 3));
}

}  // namespace
}  // namespace rbc::harness
