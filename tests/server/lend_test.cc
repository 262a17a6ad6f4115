// Lent connections: when they go, what brings them back, and that no reply is doubled or lost on the way.
// SPDX-License-Identifier: Apache-2.0
#include <sys/socket.h>
#include <thrift/transport/TTransportException.h>
#include <unistd.h>

#include "tests/server/farm_fixture.h"

namespace rbc::server::testing {
namespace {

class LendTest : public FarmTest {
 protected:
  void SetUp() override {
    FarmTest::SetUp();
    config_.lend = true;
  }
  FakeWorker& worker() { return *backend_->workers().at(0); }
  uint32_t lent() { return farm_->loop_counters().lent; }
};

TEST_F(LendTest, ConnectionIsLentAfterTwoCalls) {
  StartFarm();
  auto client = Connect();
  client.Hello();
  const auto f = client.Compile("m").functions[0].function_id;
  client.Call(f, "1");
  EXPECT_EQ(worker().lends, 0u);
  client.Call(f, "2");
  EXPECT_TRUE(Eventually([&] { return worker().lends == 1; }));
  for (int i = 0; i < 100; ++i) EXPECT_EQ(client.Call(f, std::to_string(i)).result, std::to_string(i));
  EXPECT_EQ(worker().lent_calls, 100u);
  EXPECT_TRUE(Eventually([&] { return lent() == 1; }));
}

TEST_F(LendTest, TcpConnectionsAreLentToo) {
  StartFarm();
  auto client = ConnectTcp();
  client.Hello();
  const auto f = client.Compile("m").functions[0].function_id;
  for (int i = 0; i < 20; ++i) EXPECT_EQ(client.Call(f, std::to_string(i)).result, std::to_string(i));
  EXPECT_GE(worker().lent_calls, 17u);
}

TEST_F(LendTest, OtherMessagesBringItBackAndAreAnswered) {
  StartFarm();
  auto client = Connect();
  client.Hello();
  const auto f = client.Compile("m").functions[0].function_id;
  for (int i = 0; i < 5; ++i) client.Call(f, "x");
  ASSERT_TRUE(Eventually([&] { return worker().lends == 1; }));
  const auto g = client.Compile("another").functions[0].function_id;
  EXPECT_EQ(lent(), 0u);
  EXPECT_EQ(client.Call(g, "y").result, "y");
  EXPECT_EQ(client.Call(f, "z").result, "z");
}

TEST_F(LendTest, FunctionsThatAreNotLoadedBringItBack) {
  StartFarm();
  auto client = Connect();
  client.Hello();
  const auto f = client.Compile("m").functions[0].function_id;
  const auto g = client.Compile("n").functions[0].function_id;
  for (int i = 0; i < 5; ++i) client.Call(f, "x");
  ASSERT_TRUE(Eventually([&] { return worker().lends == 1; }));
  EXPECT_EQ(client.Call(g, "y").result, "y");
}

TEST_F(LendTest, LendsThatComeBackTooSoonBecomeRare) {
  StartFarm();
  auto client = Connect();
  client.Hello();
  const auto f = client.Compile("m").functions[0].function_id;
  std::vector<wire::TargetInfo> targets;
  for (int i = 0; i < 200; ++i) {
    client.Call(f, "x");
    client.Call(f, "x");
    client.Call(f, "x");
    client->targets(targets);
  }
  EXPECT_LE(worker().lends, 20u) << "four, and some where the machine stood still: a lend of 50 ms is worth its while";
}

TEST_F(LendTest, PipelinedRequestsStayInOrder) {
  StartFarm();
  auto client = Connect();
  const auto hello = client.Hello();
  const auto f = client.Compile("m").functions[0].function_id;
  // Attach, calls with a foreign method every 25th time, all at once: whoever holds the connection answers in turn.
  std::string bytes = FrameAttach(0, hello);
  constexpr int kRequests = 400;
  for (int i = 1; i < kRequests; ++i) {
    wire::Farm_call_args call;
    call.request.function_id = f;
    call.request.frame = std::to_string(i);
    bytes += i % 25 == 0 ? FrameRequest("targets", i, wire::Farm_targets_args()) : FrameRequest("call", i, call);
  }
  const int fd = RawConnect(unix_address_);
  ASSERT_GT(fd, 0);
  size_t sent = 0;
  while (sent < bytes.size()) {  // in uneven pieces, slowly enough for lends in between
    const size_t piece = std::min<size_t>(bytes.size() - sent, 700 + sent % 311);
    ASSERT_EQ(send(fd, bytes.data() + sent, piece, 0), static_cast<ssize_t>(piece));
    sent += piece;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  for (int i = 0; i < kRequests; ++i) {
    const auto reply = ReadFrame(fd);
    ASSERT_FALSE(reply.empty()) << i;
    EXPECT_EQ(SequenceOf(reply), i);
    if (i % 25 != 0) {
      EXPECT_NE(reply.find(std::to_string(i)), std::string::npos);
    }
  }
  close(fd);
}

TEST_F(LendTest, NoFreeLaneMeansRelay) {
  StartFarm();
  auto client = Connect();
  client.Hello();
  const auto f = client.Compile("m").functions[0].function_id;
  client.Call(f, "x");
  worker().max_lends = 0;
  for (int i = 0; i < 50; ++i) EXPECT_EQ(client.Call(f, std::to_string(i)).result, std::to_string(i));
  EXPECT_EQ(lent(), 0u);
}

TEST_F(LendTest, DeathInALentCallIsAnsweredAndKept) {
  StartFarm();
  auto client = Connect();
  client.Hello();
  const auto f = client.Compile("m").functions[0].function_id;
  for (int i = 0; i < 5; ++i) client.Call(f, "x");
  ASSERT_TRUE(Eventually([&] { return worker().lends == 1; }));
  worker().die_in_lent_call = true;
  const auto error = ErrorOf([&] { client.Call(f, "x", 77); });
  EXPECT_EQ(error.kind, wire::ErrorKind::RemoteCrash);
  EXPECT_TRUE(error.may_have_run);
  wire::CallOutcome outcome;
  client->outcome(outcome, 77);
  EXPECT_EQ(outcome.error.kind, wire::ErrorKind::RemoteCrash);
  EXPECT_EQ(client.Call(f, "again").result, "again");
}

TEST_F(LendTest, DoubtfulReplyClosesTheConnectionAndKeepsTheOutcome) {
  StartFarm();
  auto client = Connect();
  const auto hello = client.Hello();
  const auto f = client.Compile("m").functions[0].function_id;
  for (int i = 0; i < 5; ++i) client.Call(f, "x");
  ASSERT_TRUE(Eventually([&] { return worker().lends == 1; }));
  worker().die_in_doubt = true;
  worker().die_in_lent_call = true;
  EXPECT_THROW(client.Call(f, "x", 78), apache::thrift::transport::TTransportException);
  // It was the last connection of a local session, and still the client can come back and ask.
  auto second = Connect();
  second.Attach(hello);
  wire::CallOutcome outcome;
  second->outcome(outcome, 78);
  EXPECT_EQ(outcome.error.kind, wire::ErrorKind::RemoteCrash);
}

TEST_F(LendTest, ClosedWhileLentEndsTheSession) {
  StartFarm();
  auto client = Connect();
  client.Hello();
  const auto f = client.Compile("m").functions[0].function_id;
  for (int i = 0; i < 5; ++i) client.Call(f, "x");
  ASSERT_TRUE(Eventually([&] { return worker().lends == 1; }));
  client.Close();
  EXPECT_TRUE(Eventually([&] { return farm_->sessions().All().empty() && farm_->loop_counters().open == 0; }));
}

TEST_F(LendTest, StopTakesLentConnectionsBack) {
  StartFarm();
  auto client = Connect();
  client.Hello();
  const auto f = client.Compile("m").functions[0].function_id;
  for (int i = 0; i < 5; ++i) client.Call(f, "x");
  ASSERT_TRUE(Eventually([&] { return worker().lends == 1; }));
  farm_->Stop();
  EXPECT_THROW(client.Call(f, "x"), apache::thrift::transport::TTransportException);
}

}  // namespace
}  // namespace rbc::server::testing
