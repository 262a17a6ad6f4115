// Chains over real sockets and fake workers: lies, errors, ends, and what stays behind.
// SPDX-License-Identifier: Apache-2.0
#include "server/chain.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <optional>
#include <thread>

#include "tests/server/farm_fixture.h"
#include "thrift/handle.h"

namespace rbc::server::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Outcomes = std::vector<wire::ChainOutcome>;

wire::ArrayRef Numbers(int64_t count) {
  wire::ArrayRef array;
  array.dtype = "float64";
  array.shape = {count};
  array.strides = {8};
  array.__set_data(std::string(static_cast<size_t>(count) * 8, '\0'));
  return array;
}
wire::ArrayRef Made(int32_t step) {
  wire::ArrayRef array;
  array.__set_step(step);
  return array;
}
wire::ChainStep Map(int64_t function, wire::ArrayRef input) {
  wire::ChainStep step;
  step.map_arrays.function_id = function;
  step.map_arrays.inputs = {std::move(input)};
  step.__isset.map_arrays = true;
  return step;
}
wire::ChainStep Kept(wire::ChainStep step, const std::string& name = "") {
  step.map_arrays.__set_keep(name);
  return step;
}
wire::ChainStep Dropped(wire::ChainStep step) {
  step.__set_drop(true);
  return step;
}
wire::ChainStep CallOf(int64_t function) {
  wire::ChainStep step;
  step.call.function_id = function;
  step.call.frame = std::string(16, 'x');
  step.__isset.call = true;
  return step;
}
// A call whose array is the one that a step makes.
wire::ChainStep CallOver(int64_t function, int32_t step) {
  wire::ChainStep out = CallOf(function);
  wire::FrameBuffer buffer;
  buffer.__set_step(step);
  out.call.__set_buffers({buffer});
  return out;
}
wire::ChainRequest Chain(std::vector<wire::ChainStep> steps, int64_t id = 5) {
  wire::ChainRequest request;
  request.request_id = id;
  request.steps = std::move(steps);
  return request;
}
Outcomes RunChain(Client& client, const wire::ChainRequest& request) {
  Outcomes out;
  client->chain(out, request);
  return out;
}
size_t BuffersOf(Client& client) {
  std::vector<wire::BufferInfo> all;
  client->buffers(all);
  return all.size();
}

class ChainTest : public FarmTest {
 protected:
  int64_t Function(Client& client, const std::string& symbol = "f") {
    return client.Compile("module " + symbol, symbol).functions[0].function_id;
  }
};

// Each is refused before anything runs.
class ChainLies : public ChainTest {
 protected:
  void SetUp() override {
    ChainTest::SetUp();
    StartFarm();
    client_.emplace(Connect());
    client_->Hello();
    function_ = Function(*client_);
  }
  // What the farm says of a chain of these steps.
  std::string Refused(std::vector<wire::ChainStep> steps) {
    const auto error = ErrorOf([&] { RunChain(*client_, Chain(std::move(steps))); });
    EXPECT_EQ(error.kind, wire::ErrorKind::InvalidArgument);
    EXPECT_EQ(backend_->workers().size(), 0u) << "nothing ran";
    return error.message;
  }
  wire::ChainStep MapOf(wire::ArrayRef input) const { return Map(function_, std::move(input)); }
  wire::ChainStep OneNumber() const { return MapOf(Numbers(1)); }
  wire::ChainStep Call() const { return CallOf(function_); }
  wire::ChainStep Over(int32_t step) const { return CallOver(function_, step); }

  std::optional<Client> client_;
  int64_t function_ = 0;
};

TEST_F(ChainLies, StepsThatAreNotBefore) {
  EXPECT_THAT(Refused({MapOf(Made(0))}), HasSubstr("needs step 0, which is not before it"));
  EXPECT_THAT(Refused({Call(), MapOf(Made(7))}), HasSubstr("step 1 of the chain needs step 7"));
  EXPECT_THAT(Refused({MapOf(Made(-1))}), HasSubstr("needs step -1"));
  EXPECT_THAT(Refused({Over(0)}), HasSubstr("needs step 0, which is not before it"));
}

TEST_F(ChainLies, TwoPlacesForOneArray) {
  auto both = Made(0);
  both.__set_buffer(3);
  EXPECT_THAT(Refused({OneNumber(), MapOf(both)}), HasSubstr("name one of them"));
  both = Made(0);
  both.__set_data("12345678");
  EXPECT_THAT(Refused({OneNumber(), MapOf(both)}), HasSubstr("name one of them"));
  auto named = Over(0);
  named.call.buffers[0].buffer = 3;
  EXPECT_THAT(Refused({Kept(OneNumber()), named}), HasSubstr("name one of them"));
  named.call.buffers[0].buffer = 0;
  named.call.buffers[0].offset = 8;
  EXPECT_THAT(Refused({Kept(OneNumber()), named}), HasSubstr("name one of them"));
}

TEST_F(ChainLies, NotOneRequestAStep) {
  EXPECT_THAT(Refused({wire::ChainStep()}), HasSubstr("0 requests"));
  auto two = Call();
  two.__isset.launch = true;
  EXPECT_THAT(Refused({two}), HasSubstr("2 requests"));
}

TEST_F(ChainLies, ArraysThatNobodyMakesOrTwoWant) {
  EXPECT_THAT(Refused({Call(), MapOf(Made(0))}), HasSubstr("the array of step 0, which makes none"));
  EXPECT_THAT(Refused({Call(), Over(0)}), HasSubstr("which makes none"));
  auto launch = Call();
  launch.__isset.call = false;
  launch.__isset.launch = true;
  EXPECT_THAT(Refused({Dropped(launch)}), HasSubstr("makes no array"));
  auto kept = Call();
  kept.call.__set_keep("kept");
  EXPECT_THAT(Refused({Dropped(kept)}), HasSubstr("do one of these"));
  EXPECT_THAT(Refused({Dropped(Kept(OneNumber()))}), HasSubstr("do one of these"));
}

TEST_F(ChainLies, CallsOverArraysThatComeBack) {
  EXPECT_THAT(Refused({OneNumber(), Over(0)}), AllOf(HasSubstr("comes back"), HasSubstr("keep that one")));
  auto into = OneNumber();
  into.map_arrays.__set_into(Numbers(1));
  EXPECT_THAT(Refused({into, Over(0)}), HasSubstr("comes back"));
  auto into_step = OneNumber();
  into_step.map_arrays.__set_into(Made(0));
  EXPECT_THAT(Refused({OneNumber(), into_step, Over(1)}), HasSubstr("needs the array of step 1, which comes"));
}

TEST_F(ChainLies, ADeadlineBeforeNow) {
  auto late = Call();
  late.call.__set_deadline_ms(-3);
  EXPECT_THAT(Refused({late}), HasSubstr("-3 ms"));
}

TEST_F(ChainLies, StepsOutsideOfAChain) {
  wire::ArrayReply reply;
  EXPECT_THAT(ErrorOf([&] { (*client_)->map_arrays(reply, MapOf(Made(0)).map_arrays); }).message,
              HasSubstr("no step of a chain"));
  wire::CompileRequest over_arrays = MakeRequest("module a", "a");
  over_arrays.functions[0].signature = "float64(float64[:])";
  over_arrays.handle = Bytes(HandleOf(over_arrays.target, over_arrays.functions, over_arrays.options, over_arrays.ir));
  wire::CompileReply compiled;
  (*client_)->compile(compiled, over_arrays);
  auto call = CallOver(compiled.functions[0].function_id, 0).call;
  call.frame = std::string(24, '\0');
  wire::CallReply called;
  EXPECT_THAT(ErrorOf([&] { (*client_)->call(called, call); }).message, HasSubstr("no step of a chain"));
}

TEST_F(ChainTest, NoStepsAreNoWork) {
  StartFarm();
  auto client = Connect();
  client.Hello();
  EXPECT_TRUE(RunChain(client, Chain({})).empty());
}

TEST_F(ChainTest, TooManyStepsAreNoMessage) {
  config_.max_list = 16;
  StartFarm();
  auto client = Connect();
  client.Hello();
  const int64_t f = Function(client);
  EXPECT_EQ(RunChain(client, Chain(std::vector(16, CallOf(f)))).size(), 16u);
  EXPECT_ANY_THROW(RunChain(client, Chain(std::vector(17, CallOf(f)))));
}

TEST_F(ChainTest, AFailedStepIsTheErrorOfWhatNeedsItAlone) {
  StartFarm();
  auto client = Connect();
  client.Hello();
  const int64_t f = Function(client);
  auto wrong = Map(f, Numbers(3));
  wrong.map_arrays.inputs[0].dtype = "int8";
  const auto out = RunChain(client, Chain({Kept(wrong), Kept(Map(f, Made(0))), Kept(Map(f, Made(1))), CallOf(f)}));
  ASSERT_EQ(out.size(), 4u);
  EXPECT_THAT(out[0].error.message, HasSubstr("holds `int8`"));
  for (const size_t i : {1u, 2u}) {
    EXPECT_EQ(out[i].error.kind, wire::ErrorKind::InvalidArgument);
    EXPECT_THAT(out[i].error.message, AllOf(HasSubstr("step 0 of the chain"), HasSubstr("holds `int8`")));
    EXPECT_FALSE(out[i].error.may_have_run);
  }
  EXPECT_TRUE(out[3].__isset.call) << "what does not need it runs";
  EXPECT_EQ(BuffersOf(client), 0u) << "no array of a step that failed stays";
}

TEST_F(ChainTest, KeptArraysStayAndDroppedOnesGo) {
  StartFarm();
  auto client = Connect();
  client.Hello();
  const int64_t f = Function(client);
  const auto out = RunChain(client, Chain({Dropped(Map(f, Numbers(3))), Kept(Map(f, Made(0)), "y"), Map(f, Made(1))}));
  for (const auto& outcome : out) ASSERT_TRUE(outcome.__isset.array) << outcome.error.message;
  EXPECT_FALSE(out[0].array.__isset.kept);
  EXPECT_FALSE(out[0].array.result.__isset.buffer);
  ASSERT_TRUE(out[1].array.__isset.kept);
  EXPECT_EQ(out[1].array.kept.name, "y");
  EXPECT_EQ(out[1].array.kept.shape, std::vector<int64_t>{3});
  EXPECT_EQ(out[1].array.kept.bytes, 24);
  EXPECT_EQ(out[1].array.result.buffer, out[1].array.kept.id);
  EXPECT_TRUE(out[2].array.result.__isset.data) << "neither kept nor dropped: it comes back";
  std::vector<wire::BufferInfo> all;
  client->buffers(all);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0], out[1].array.kept);
}

TEST_F(ChainTest, KeptArraysCountAgainstTheQuota) {
  config_.data_max_buffers = 2;
  StartFarm();
  auto client = Connect();
  client.Hello();
  const int64_t f = Function(client);
  wire::ArrayReply reply;
  for (int i = 0; i < 2; ++i) client->map_arrays(reply, Kept(Map(f, Numbers(3))).map_arrays);
  EXPECT_EQ(ErrorOf([&] { client->map_arrays(reply, Kept(Map(f, Numbers(3))).map_arrays); }).kind,
            wire::ErrorKind::ResourceExhausted);
  const auto out = RunChain(client, Chain({Kept(Map(f, Numbers(3))), Map(f, Made(0)), Map(f, Numbers(2))}));
  EXPECT_EQ(out[0].error.kind, wire::ErrorKind::ResourceExhausted);
  EXPECT_EQ(out[1].error.kind, wire::ErrorKind::ResourceExhausted);
  EXPECT_TRUE(out[2].__isset.array);
  client->buffer_free(reply.kept.id);
  EXPECT_TRUE(RunChain(client, Chain({Kept(Map(f, Numbers(3)))}))[0].__isset.array);
  auto both = Kept(Map(f, Numbers(3)));
  both.map_arrays.__set_into(Numbers(3));
  EXPECT_THAT(ErrorOf([&] { client->map_arrays(reply, both.map_arrays); }).message, HasSubstr("do one of these"));
}

TEST_F(ChainTest, CancelStopsTheRunningStepAndAllAfterIt) {
  StartFarm();
  auto client = Connect();
  const auto session = client.Hello();
  const int64_t f = Function(client), slow = Function(client, "slow");
  Outcomes out;
  std::thread runs([&] {
    out = RunChain(client, Chain({Kept(Map(f, Numbers(3)), "before"), CallOf(slow), CallOf(f)}, 77));
  });
  auto other = Connect();
  other.Attach(session);
  EXPECT_TRUE(Eventually([&] {
    const auto workers = backend_->workers();
    return !workers.empty() && workers[0]->running_ == 1;
  }));
  wire::CallOutcome asked;
  EXPECT_EQ(ErrorOf([&] { other->outcome(asked, 77); }).kind, wire::ErrorKind::Busy) << "it runs";
  EXPECT_TRUE(other->cancel(77));
  runs.join();
  ASSERT_EQ(out.size(), 3u);
  EXPECT_TRUE(out[0].__isset.array);
  EXPECT_EQ(out[1].error.kind, wire::ErrorKind::Cancelled);
  EXPECT_EQ(out[2].error.kind, wire::ErrorKind::Cancelled);
  EXPECT_THAT(out[2].error.message, HasSubstr("step 2"));
  EXPECT_FALSE(other->cancel(77));
  EXPECT_EQ(BuffersOf(other), 1u) << "what ran before is named in the reply";
  other->outcome(asked, 77);
  EXPECT_TRUE(asked.error.may_have_run) << "its reply is not kept";
}

TEST_F(ChainTest, ADeadlineIsThatOfAllSteps) {
  StartFarm();
  auto client = Connect();
  const auto session = client.Hello();
  const int64_t f = Function(client), slow = Function(client, "slow");
  auto request = Chain({CallOf(slow), CallOf(f)});
  constexpr std::chrono::milliseconds kDeadline(1500);  // that the first step begins in
  request.__set_deadline_ms(kDeadline.count());
  std::thread releases([&] {
    Eventually([&] {
      const auto workers = backend_->workers();
      return !workers.empty() && workers[0]->running_ == 1;
    });
    std::this_thread::sleep_for(kDeadline);
    backend_->workers()[0]->Release();
  });
  const auto out = RunChain(client, request);
  releases.join();
  EXPECT_TRUE(out[0].__isset.call);
  EXPECT_EQ(out[1].error.kind, wire::ErrorKind::DeadlineExceeded);
  EXPECT_THAT(out[1].error.message, HasSubstr("1500 ms"));
}

// A client that goes in the middle: over TCP the session stays for its lease, but not what the client never heard of.
TEST_F(ChainTest, AClientThatGoesLeavesNothing) {
  StartFarm();
  for (const bool local : {true, false}) {
    auto watcher = local ? Connect() : ConnectTcp();
    const auto session = watcher.Hello();
    const int64_t f = Function(watcher), slow = Function(watcher, "slow");
    const int fd = RawConnect(local ? unix_address_ : tcp_address_);
    const auto hello = FrameAttach(1, session);
    ASSERT_EQ(send(fd, hello.data(), hello.size(), 0), static_cast<ssize_t>(hello.size()));
    ASSERT_FALSE(ReadFrame(fd).empty());
    wire::Farm_chain_args chain;
    chain.request = Chain({Kept(Map(f, Numbers(1000))), Kept(Map(f, Made(0))), CallOf(slow), Kept(Map(f, Numbers(9)))});
    const auto ask = FrameRequest("chain", 2, chain);
    ASSERT_EQ(send(fd, ask.data(), ask.size(), 0), static_cast<ssize_t>(ask.size()));
    EXPECT_TRUE(Eventually([&] { return BuffersOf(watcher) == 2; }));
    close(fd);
    if (!local) {  // a call goes on, for a client that may come back
      std::this_thread::sleep_for(std::chrono::milliseconds(500));
      EXPECT_EQ(BuffersOf(watcher), 2u);
      backend_->workers().back()->Release();
    }
    EXPECT_TRUE(Eventually([&] { return BuffersOf(watcher) == 0; })) << (local ? "unix" : "tcp");
  }
}

TEST_F(ChainTest, TimesAreToldWhereTheyAreAskedFor) {
  StartFarm();
  auto client = Connect();
  client.Hello();
  const int64_t f = Function(client);
  wire::ArrayReply reply;
  client->map_arrays(reply, Map(f, Numbers(3)).map_arrays);
  EXPECT_FALSE(reply.__isset.compile_ns || reply.__isset.kernel_ns);
  auto request = Map(f, Numbers(4)).map_arrays;
  request.__set_profile(true);
  client->map_arrays(reply, request);
  EXPECT_TRUE(reply.__isset.compile_ns && reply.__isset.queue_ns && reply.__isset.kernel_ns);
  EXPECT_GT(reply.compile_ns + reply.queue_ns, 0);
}

// Of a step whose array is in a buffer.
wire::ChainOutcome ThreeNumbersIn(int64_t buffer) {
  wire::ChainOutcome made;
  made.array.result.dtype = "float64";
  made.array.result.shape = {3};
  made.array.result.strides = {8};
  made.array.result.__set_buffer(buffer);
  made.__isset.array = true;
  return made;
}

TEST(ChainProgress, CallsGetWhatStepsMade) {
  auto launch = CallOver(1, 0);
  launch.launch.buffers = launch.call.buffers;
  launch.__isset.launch = true;
  launch.__isset.call = false;
  wire::FrameBuffer there;
  there.buffer = 9;
  launch.launch.buffers.insert(launch.launch.buffers.begin(), there);
  wire::ChainRequest chain = Chain({Kept(Map(1, Numbers(3))), CallOver(1, 0), launch});
  ASSERT_TRUE(CheckChain(chain));
  ChainProgress progress(chain);
  wire::ChainOutcome made = ThreeNumbersIn(4);
  progress.Add(made);
  const auto call = progress.Next(0);
  ASSERT_TRUE(call);
  EXPECT_EQ(call->made, std::vector{made.array.result});
  progress.Add({});
  const auto launched = progress.Next(0);
  ASSERT_TRUE(launched);
  EXPECT_EQ(launched->made, std::vector{made.array.result}) << "the other one is named by its id";
  ChainProgress failing(chain);
  wire::ChainOutcome failed;
  failed.error.message = "it is lost";
  failed.__isset.error = true;
  failing.Add(failed);
  ASSERT_FALSE(failing.Next(0));
  EXPECT_THAT(failing.Next(0).error().message, AllOf(HasSubstr("step 0"), HasSubstr("it is lost")));
}

TEST(ChainProgress, ViewsOfStepsAreTakenWhereTheyLie) {
  auto view = Made(0);
  view.dtype = "float64";
  view.shape = {2};
  view.strides = {-8};
  view.offset = 16;
  wire::ChainRequest chain = Chain({Map(1, Numbers(3)), Map(1, view), Map(1, Made(0))});
  ASSERT_TRUE(CheckChain(chain));
  ChainProgress progress(chain);
  wire::ChainOutcome made = ThreeNumbersIn(4);
  progress.Add(made);
  const auto part = progress.Next(0);
  ASSERT_TRUE(part);
  const auto& taken = part->request.map_arrays.inputs[0];
  EXPECT_EQ(taken.buffer, 4);
  EXPECT_EQ(taken.offset, 16);
  EXPECT_EQ(taken.strides, std::vector<int64_t>{-8});
  EXPECT_FALSE(taken.__isset.step);
  progress.Add(made);
  EXPECT_EQ(progress.Next(0)->request.map_arrays.inputs[0], made.array.result) << "nothing said: all of it";
  // A status is a failure for those that need the array.
  ChainProgress failing(chain);
  made.array.__set_status(3);
  made.array.__set_row(2);
  failing.Add(made);
  const auto none = failing.Next(0);
  ASSERT_FALSE(none);
  EXPECT_THAT(none.error().message, AllOf(HasSubstr("step 0"), HasSubstr("status 3 for element 2")));
}

}  // namespace
}  // namespace rbc::server::testing
