// Queues whose network goes: what is sent again by itself, and what says that it may have run. Event loops that wait.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <thread>

#include "rbc/rbc.h"
#include "tests/harness/farm_test.h"
#include "tests/harness/library.h"
#include "tests/harness/relay.h"

namespace rbc::harness {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;

// Long enough to be cut off in the middle: about a second and a half an element.
constexpr char kCode[] = R"(
double add(double x, double y) { return x + y; }
double slow(double x) { for (volatile long i = 0; i < 1000000000; i++) {} return x + 1; }
static long calls;
long count(long n) { for (volatile long i = 0; i < n; i++) {} return ++calls; }
void fill(double *x, long n) { for (volatile long i = 0; i < 1000000000; i++) {} for (long i = 0; i < n; i++) x[i] = 5; }
)";

class QueueNetwork : public FarmTest {
 protected:
  void SetUp() override {
    FarmTest::SetUp();
    relay_ = std::make_unique<Relay>(farm().tcp_address());
    jit_.emplace(relay_->address());
  }
  void TearDown() override {
    jit_.reset();
    relay_ = nullptr;
    FarmTest::TearDown();
  }
  Caller Named(const std::string& name, const std::string& signature) {
    const Caller caller = jit_->function(Source::C(kCode), name, {signature});
    caller.compile();
    return caller;
  }
  // Breaks all connections once a worker is at work.
  void BreakWhileItRuns() {
    EXPECT_TRUE(farm().AwaitBusy());
    relay_->Break();
  }
  static void ExpectMayHaveRun(const Queued& step) {
    const auto result = step.try_check();
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind, ErrorKind::kConnectionLost) << result.error().message;
    EXPECT_TRUE(result.error().may_have_run);
    EXPECT_FALSE(result.error().retry_safe);
  }

  std::unique_ptr<Relay> relay_;
  std::optional<RemoteJIT> jit_;
};

TEST_F(QueueNetwork, WhatWasNotSentIsSentOverANewConnection) {
  const Caller add = Named("add", "float64(float64, float64)");
  const Caller count = Named("count", "int64(int64)");
  const Buffer into = jit_->to_device(Numbers{0, 0});
  Queue queue = jit_->queue();
  const QueuedArray sum = queue.map(add, {Numbers{1, 2}, 1.0}, {.out = {into}, .where = {}});
  const QueuedCall counted = queue.call(count, int64_t{0});
  relay_->Break();
  EXPECT_THAT(sum.to_host<double>(), ElementsAre(2, 3));
  EXPECT_EQ(counted.get().as<int64_t>(), 1) << "whatever it writes or counts: nothing of it had left";
}

// Not a queue's: a map of its own has the same rule.
TEST_F(QueueNetwork, AMapInPlaceIsNotSentAgain) {
  const Caller slow = Named("slow", "float64(float64)");
  const Buffer x = jit_->to_device(Numbers{1, 2}), y = jit_->to_device(Numbers{0, 0});
  const auto run = [&](const Buffer& into) {
    ArrayMapOptions options;
    options.out = ArrayArgument::Of(into);
    const ArrayArgument inputs[] = {ArrayArgument::Of(x)};
    std::optional<Result<ArrayResult>> result;
    std::thread thread([&] { result.emplace(slow.try_map_arrays(inputs, options)); });
    BreakWhileItRuns();
    thread.join();
    return *std::move(result);
  };
  const auto elsewhere = run(y);
  ASSERT_TRUE(elsewhere) << elsewhere.error().message;
  EXPECT_THAT(y.to_host<double>(), ElementsAre(2, 3)) << "sent again: it reads what it has read before";
  const auto in_place = run(x);
  ASSERT_FALSE(in_place);
  EXPECT_EQ(in_place.error().kind, ErrorKind::kConnectionLost) << in_place.error().message;
  EXPECT_TRUE(in_place.error().may_have_run);
  EXPECT_FALSE(in_place.error().retry_safe);
}

TEST_F(QueueNetwork, WhatNobodyCanTellIsSentAgain) {
  const Caller slow = Named("slow", "float64(float64)"), add = Named("add", "float64(float64, float64)");
  Queue queue = jit_->queue();
  const QueuedArray first = queue.map(slow, {Numbers{1}});
  const QueuedArray next = queue.map(add, {first, 10.0});
  const QueuedCall called = queue.call(add, 1.0, 2.0);
  queue.flush();
  BreakWhileItRuns();
  EXPECT_THAT(next.to_host<double>(), ElementsAre(12));
  EXPECT_THAT(first.to_host<double>(), ElementsAre(2));
  EXPECT_EQ(called.get().as<double>(), 3);
  EXPECT_TRUE(WaitUntil(kPatience, [&] { return jit_->buffers().size() == 2; }))
      << "what the lost reply told of is freed";
}

TEST_F(QueueNetwork, WhatWritesIntoAnArrayIsNot) {
  const Caller slow = Named("slow", "float64(float64)"), add = Named("add", "float64(float64, float64)");
  const Buffer into = jit_->to_device(Numbers{0});
  Queue queue = jit_->queue();
  const QueuedArray pure = queue.map(add, {Numbers{1}, 1.0});
  const QueuedArray written = queue.map(slow, {Numbers{1}}, {.out = {into}, .where = {}});
  const QueuedArray needs = queue.map(add, {written, 1.0});
  queue.flush();
  BreakWhileItRuns();
  for (const Queued& step : {Queued(pure), Queued(written), Queued(needs)}) ExpectMayHaveRun(step);
  EXPECT_THAT(queue.map(add, {Numbers{1}, 1.0}).to_host<double>(), ElementsAre(2)) << "the queue goes on";
}

TEST_F(QueueNetwork, WhatKeepsStateIsNot) {
  const Caller count = Named("count", "int64(int64)");
  Queue queue = jit_->queue();
  const QueuedCall counted = queue.call(count, int64_t{1'000'000'000});
  queue.flush();
  BreakWhileItRuns();
  ExpectMayHaveRun(counted);
  EXPECT_TRUE(WaitUntil(kPatience, [&] {
    const auto workers = farm().WorkersOf("execute");
    return std::all_of(workers.begin(), workers.end(), [](const auto& worker) { return worker.state == "idle"; });
  })) << "its client has gone, it runs on";
  EXPECT_EQ(queue.call(count, int64_t{0}).get().as<int64_t>(), 2) << "it ran, once";
}

TEST_F(QueueNetwork, WhatWritesIntoItsArgumentsIsNot) {
  const Caller fill = Named("fill", "void(float64[::1])");
  const Buffer x = jit_->to_device(Numbers{1, 2});
  Queue queue = jit_->queue();
  const QueuedCall filled = queue.call(fill, x);
  queue.flush();
  BreakWhileItRuns();
  ExpectMayHaveRun(filled);
  EXPECT_TRUE(WaitUntil(kPatience, [&] { return x.to_host<double>() == Numbers{5, 5}; }));
}

// A step under way cannot be taken out, one that waits can: what needs it ends, all else runs.
TEST_F(QueueNetwork, OneStepIsTakenOut) {
  const Caller slow = Named("slow", "float64(float64)"), add = Named("add", "float64(float64, float64)");
  Queue queue = jit_->queue({.eager = true});
  const QueuedArray first = queue.map(slow, {Numbers{1, 1, 1}});
  EXPECT_TRUE(farm().AwaitBusy());
  const QueuedArray out = queue.map(add, {first, 1.0}), needs = queue.map(add, {out, 1.0});
  const QueuedArray other = queue.map(add, {first, 5.0});
  EXPECT_FALSE(first.cancel()) << "it runs";
  EXPECT_TRUE(out.cancel());
  EXPECT_THAT(other.to_host<double>(), ElementsAre(7, 7, 7));
  EXPECT_THAT(first.to_host<double>(), ElementsAre(2, 2, 2));
  for (const Queued& step : {Queued(out), Queued(needs)})
    EXPECT_EQ(step.try_check().error().kind, ErrorKind::kCancelled);
  EXPECT_FALSE(out.cancel()) << "it is over";
}

TEST_F(QueueNetwork, EventLoopsPollSteps) {
  const Caller slow = Named("slow", "float64(float64)"), add = Named("add", "float64(float64, float64)");
  Queue queue = jit_->queue();
  const QueuedArray first = queue.map(slow, {Numbers{1}}), next = queue.map(add, {first, 1.0});
  const QueuedArray failed = queue.map(add, {Numbers{1, 2}, Numbers{1, 2, 3}});
  pollfd waits[] = {{next.fd(), POLLIN, 0}, {failed.fd(), POLLIN, 0}};  // asking sends
  ASSERT_GE(waits[0].fd, 0);
  EXPECT_EQ(next.fd(), waits[0].fd);
  for (pollfd& wait : waits) {
    ASSERT_EQ(poll(&wait, 1, 60'000), 1);
    EXPECT_EQ(poll(&wait, 1, 0), 1) << "stays readable";
  }
  EXPECT_TRUE(next.ready());
  EXPECT_THAT(next.to_host<double>(), ElementsAre(3));
  EXPECT_EQ(ErrorOf([&] { (void)failed.get(); }).kind, ErrorKind::kInvalidArgument);
  pollfd late{first.fd(), POLLIN, 0};
  EXPECT_EQ(poll(&late, 1, 0), 1) << "asked for when it was over";
}

}  // namespace
}  // namespace rbc::harness
