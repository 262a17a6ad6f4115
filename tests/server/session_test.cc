// Sessions over real sockets: hello, attach, lease, limits, trust domains, calls.
// SPDX-License-Identifier: Apache-2.0
#include <thrift/transport/TTransportException.h>

#include "tests/server/farm_fixture.h"

namespace rbc::server::testing {
namespace {

using apache::thrift::transport::TTransportException;

class SessionTest : public FarmTest {};

TEST_F(SessionTest, HelloDescribesTheFarm) {
  StartFarm();
  auto client = Connect();
  const auto reply = client.Hello();
  EXPECT_EQ(reply.protocol_major, 1);
  EXPECT_EQ(reply.secret.size(), 16u);
  EXPECT_EQ(reply.lease_ms, 0) << "a local session ends with its last connection";
  EXPECT_EQ(reply.targets.front().name, "host");
  EXPECT_EQ(reply.llvm_version, "22.1.8");
  EXPECT_EQ(reply.max_message, static_cast<int64_t>(config_.max_message));
  auto remote = ConnectTcp();
  EXPECT_EQ(remote.Hello().lease_ms, 15 * 60'000);
}

TEST_F(SessionTest, AnotherMajorVersionIsRefusedWithBothVersions) {
  StartFarm();
  auto client = Connect();
  wire::HelloRequest request;
  request.protocol_major = 2;
  request.protocol_minor = 5;
  wire::HelloReply reply;
  const auto error = ErrorOf([&] { client->hello(reply, request); });
  EXPECT_EQ(error.kind, wire::ErrorKind::ProtocolMismatch);
  EXPECT_NE(error.message.find("2.5"), std::string::npos);
  EXPECT_NE(error.message.find("1.4"), std::string::npos);
}

TEST_F(SessionTest, RequestsBeforeHelloAreRefused) {
  StartFarm();
  auto client = Connect();
  std::vector<wire::TargetInfo> targets;
  EXPECT_EQ(ErrorOf([&] { client->targets(targets); }).kind, wire::ErrorKind::UnknownSession);
  EXPECT_EQ(ErrorOf([&] { client.Call(1, "x"); }).kind, wire::ErrorKind::UnknownSession);
  EXPECT_EQ(ErrorOf([&] { client.Compile("ir"); }).kind, wire::ErrorKind::UnknownSession);
}

TEST_F(SessionTest, CallsReachTheirFunction) {
  StartFarm();
  auto client = Connect();
  client.Hello();
  const auto f = client.Compile("module one");
  EXPECT_FALSE(f.cached);
  EXPECT_EQ(f.functions.size(), 1u);
  EXPECT_EQ(f.functions[0].frame_size, 16);
  EXPECT_EQ(client.Call(f.functions[0].function_id, "0123456789abcdef").result, "0123456789abcdef");
  EXPECT_EQ(ErrorOf([&] { client.Call(f.functions[0].function_id + 1, "x"); }).kind, wire::ErrorKind::UnknownModule);
}

TEST_F(SessionTest, AttachedConnectionsShareTheSession) {
  StartFarm();
  auto first = Connect();
  const auto hello = first.Hello();
  const auto f = first.Compile("shared");
  auto second = Connect();
  EXPECT_EQ(second.Attach(hello).session_id, hello.session_id);
  EXPECT_EQ(second.Call(f.functions[0].function_id, "abc").result, "abc");
  first.Close();
  EXPECT_EQ(second.Call(f.functions[0].function_id, "abc").result, "abc");
}

TEST_F(SessionTest, AttachNeedsTheSecretTheFarmAndTheDomain) {
  config_.advertise = "farm.example:11530";
  StartFarm();
  auto first = Connect();
  const auto hello = first.Hello();
  auto second = Connect();
  auto wrong = hello;
  wrong.secret[3] = static_cast<char>(wrong.secret[3] ^ 1);
  EXPECT_EQ(ErrorOf([&] { second.Attach(wrong); }).kind, wire::ErrorKind::UnknownSession);
  wrong = hello;
  wrong.secret.clear();
  EXPECT_EQ(ErrorOf([&] { second.Attach(wrong); }).kind, wire::ErrorKind::UnknownSession);
  wrong = hello;
  wrong.session_id ^= 2;
  EXPECT_EQ(ErrorOf([&] { second.Attach(wrong); }).kind, wire::ErrorKind::UnknownSession);
  wrong = hello;
  wrong.farm_id = std::string(32, '0') + "@elsewhere:1";
  const auto error = ErrorOf([&] { second.Attach(wrong); });
  EXPECT_EQ(error.kind, wire::ErrorKind::WrongFarm);
  EXPECT_EQ(error.address, "elsewhere:1");
  auto tcp = ConnectTcp();
  EXPECT_EQ(ErrorOf([&] { tcp.Attach(hello); }).kind, wire::ErrorKind::PermissionDenied);
  EXPECT_EQ(second.Attach(hello).session_id, hello.session_id);
}

TEST_F(SessionTest, LocalSessionEndsWithItsLastConnection) {
  StartFarm();
  auto first = Connect();
  const auto hello = first.Hello();
  first.Close();
  EXPECT_TRUE(Eventually([&] { return farm_->sessions().All().empty(); }));
  auto second = Connect();
  EXPECT_EQ(ErrorOf([&] { second.Attach(hello); }).kind, wire::ErrorKind::UnknownSession);
}

TEST_F(SessionTest, RemoteSessionOutlivesItsConnections) {
  config_.lease_ms = 120'000;
  StartFarm();
  auto first = ConnectTcp();
  const auto hello = first.Hello();
  const auto f = first.Compile("kept");
  first.Close();
  ASSERT_TRUE(Eventually([&] { return farm_->loop_counters().open == 0; }));
  auto second = ConnectTcp();
  second.Attach(hello);
  EXPECT_EQ(second.Call(f.functions[0].function_id, "abc").result, "abc");
}

TEST_F(SessionTest, RemoteSessionEndsWithItsLease) {
  config_.lease_ms = 300;
  StartFarm();
  auto first = ConnectTcp();
  const auto hello = first.Hello();
  first.Close();
  EXPECT_TRUE(Eventually([&] { return farm_->sessions().All().empty(); }));
  auto second = ConnectTcp();
  EXPECT_EQ(ErrorOf([&] { second.Attach(hello); }).kind, wire::ErrorKind::UnknownSession);
}

TEST_F(SessionTest, ByeEndsTheSessionForAllItsConnections) {
  StartFarm();
  auto first = Connect();
  const auto hello = first.Hello();
  auto second = Connect();
  second.Attach(hello);
  const auto f = second.Compile("m");
  first->bye();
  EXPECT_EQ(ErrorOf([&] { second.Call(f.functions[0].function_id, "x"); }).kind, wire::ErrorKind::UnknownSession);
  EXPECT_EQ(second.Hello().protocol_major, 1);
}

TEST_F(SessionTest, SessionsDoNotSeeEachOthersFunctions) {
  StartFarm();
  auto a = Connect(), b = Connect();
  a.Hello();
  b.Hello();
  const auto fa = a.Compile("one name, first meaning");
  const auto fb = b.Compile("one name, second meaning");
  EXPECT_NE(fa.handle, fb.handle);
  EXPECT_EQ(ErrorOf([&] { b.Call(fa.functions[0].function_id, "x"); }).kind, wire::ErrorKind::UnknownModule);
  EXPECT_EQ(ErrorOf([&] { b->unload(fa.module_id); }).kind, wire::ErrorKind::UnknownModule);
}

TEST_F(SessionTest, LimitsNameWhatIsUsedAndAllowed) {
  config_.max_sessions_per_domain = 2;
  config_.max_modules_per_session = 3;
  config_.max_connections_per_session = 2;
  StartFarm();
  auto a = Connect(), b = Connect(), c = Connect();
  const auto hello = a.Hello();
  b.Hello();
  auto error = ErrorOf([&] { c.Hello(); });
  EXPECT_EQ(error.kind, wire::ErrorKind::ResourceExhausted);
  EXPECT_NE(error.message.find("2 in use, 1 asked for, 2 allowed"), std::string::npos) << error.message;
  for (int i = 0; i < 3; ++i) a.Compile("m" + std::to_string(i));
  a.Compile("m0");
  error = ErrorOf([&] { a.Compile("m3"); });
  EXPECT_EQ(error.kind, wire::ErrorKind::ResourceExhausted);
  EXPECT_NE(error.message.find("3 in use, 1 asked for, 3 allowed"), std::string::npos) << error.message;
  c.Attach(hello);
  auto d = Connect();
  EXPECT_EQ(ErrorOf([&] { d.Attach(hello); }).kind, wire::ErrorKind::ResourceExhausted);
}

TEST_F(SessionTest, ConnectionsAboveTheLimitAreToldSo) {
  config_.max_connections = 3;
  StartFarm();
  auto a = Connect(), b = Connect(), c = Connect();
  a.Hello();
  b.Hello();
  c.Hello();
  auto d = Connect();
  EXPECT_EQ(ErrorOf([&] { d.Hello(); }).kind, wire::ErrorKind::ResourceExhausted);
}

TEST_F(SessionTest, CancelStopsCompilesAndCallsOverAnyConnection) {
  StartFarm();
  auto a = Connect(), b = Connect();
  const auto hello = a.Hello();
  b.Attach(hello);
  const auto slow = a.Compile("m", "slow");
  EXPECT_FALSE(b->cancel(7));
  std::thread calls([&] {
    EXPECT_EQ(ErrorOf([&] { a.Call(slow.functions[0].function_id, "x", 7); }).kind, wire::ErrorKind::Cancelled);
  });
  EXPECT_TRUE(Eventually([&] { return b->cancel(7); }));
  calls.join();
  backend_->pool.Hold(true);
  std::thread compiles(
      [&] { EXPECT_EQ(ErrorOf([&] { a.Compile("held", "f", 8); }).kind, wire::ErrorKind::Cancelled); });
  EXPECT_TRUE(Eventually([&] { return backend_->pool.running() == 1; }));
  EXPECT_TRUE(b->cancel(8));
  compiles.join();
  EXPECT_EQ(backend_->pool.cancelled, 1u);
  backend_->pool.Hold(false);
  EXPECT_EQ(a.Compile("held").functions.size(), 1u);
}

TEST_F(SessionTest, StatefulModuleSaysOnceThatItsStateIsLost) {
  StartFarm();
  auto client = Connect();
  client.Hello();
  const auto stateful = client.Compile("stateful counter");
  const auto stateless = client.Compile("plain");
  const auto crash = client.Compile("bad", "crash");
  EXPECT_TRUE(stateful.stateful);
  client.Call(stateful.functions[0].function_id, "a");
  client.Call(stateless.functions[0].function_id, "a");
  const auto error = ErrorOf([&] { client.Call(crash.functions[0].function_id, "a"); });
  EXPECT_EQ(error.kind, wire::ErrorKind::RemoteCrash);
  EXPECT_EQ(error.function_name, "crash");
  EXPECT_EQ(client.Call(stateless.functions[0].function_id, "b").result, "b");
  EXPECT_EQ(ErrorOf([&] { client.Call(stateful.functions[0].function_id, "b"); }).kind, wire::ErrorKind::StateLost);
  EXPECT_EQ(client.Call(stateful.functions[0].function_id, "b").result, "b");
  EXPECT_EQ(backend_->workers().size(), 2u);
}

TEST_F(SessionTest, OutcomeTellsWhatBecameOfACall) {
  StartFarm();
  auto client = Connect();
  client.Hello();
  const auto f = client.Compile("m");
  const auto crash = client.Compile("bad", "crash");
  wire::CallOutcome outcome;
  EXPECT_EQ(ErrorOf([&] { client->outcome(outcome, 5); }).kind, wire::ErrorKind::UnknownName);
  client.Call(f.functions[0].function_id, "abc", 5);
  client->outcome(outcome, 5);
  EXPECT_EQ(outcome.reply.result, "abc");
  EXPECT_EQ(ErrorOf([&] { client.Call(crash.functions[0].function_id, "a", 6); }).kind, wire::ErrorKind::RemoteCrash);
  client->outcome(outcome, 6);
  EXPECT_EQ(outcome.error.kind, wire::ErrorKind::RemoteCrash);
  // Long ago: it may have been forgotten, so it is never called unstarted.
  for (int i = 0; i < 300; ++i) client.Call(f.functions[0].function_id, "abc", 100 + i);
  outcome = {};
  client->outcome(outcome, 5);
  EXPECT_EQ(outcome.error.kind, wire::ErrorKind::WorkerLost);
  EXPECT_TRUE(outcome.error.may_have_run);
}

TEST_F(SessionTest, BatchRunsInOrderAndErrorsStopNothing) {
  StartFarm();
  auto client = Connect();
  client.Hello();
  const auto f = client.Compile("m");
  std::vector<wire::CallRequest> calls(3);
  for (int i = 0; i < 3; ++i) {
    calls[i].function_id = f.functions[0].function_id + (i == 1 ? 1 : 0);
    calls[i].frame = std::to_string(i);
  }
  std::vector<wire::CallOutcome> outcomes;
  client->call_batch(outcomes, calls);
  ASSERT_EQ(outcomes.size(), 3u);
  EXPECT_EQ(outcomes[0].reply.result, "0");
  EXPECT_EQ(outcomes[1].error.kind, wire::ErrorKind::UnknownModule);
  EXPECT_EQ(outcomes[2].reply.result, "2");
}

TEST_F(SessionTest, BusyWhenEveryThreadWaits) {
  config_.max_threads = 4;
  config_.hot_threads = 0;
  StartFarm();
  auto control = Connect();
  const auto hello = control.Hello();
  const auto slow = control.Compile("m", "slow");
  std::vector<std::thread> callers;
  std::atomic<int> busy{0}, good{0};
  for (int i = 0; i < 8; ++i)
    callers.emplace_back([&] {
      auto client = Connect();
      client.Attach(hello);
      // Another's attach has a thread for a moment, so that a call is refused while fewer than three wait: it comes
      // again.
      for (bool again = true; again;) {
        try {
          client.Call(slow.functions[0].function_id, "x");
          ++good;
          return;
        } catch (const wire::FarmError& error) {
          EXPECT_EQ(error.kind, wire::ErrorKind::Busy);
          EXPECT_GT(error.retry_after_ms, 0);
          const auto workers = backend_->workers();
          again = workers.empty() || workers[0]->running_ < 3;
        }
      }
      ++busy;
    });
  EXPECT_TRUE(Eventually([&] { return busy == 5; })) << busy;
  // What needs no waiting is still answered.
  wire::FarmStatus status;
  control->status(status);
  EXPECT_EQ(status.pid, getpid());
  backend_->workers()[0]->Release();
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(good, 3);
}

TEST_F(SessionTest, FullCycleIsFlatInMemory) {
  StartFarm();
  auto client = Connect();
  client.Hello();
  const auto cycle = [&](int i) {
    const auto f = client.Compile("module " + std::to_string(i));
    EXPECT_EQ(client.Call(f.functions[0].function_id, "x").result, "x");
    client->unload(f.module_id);
  };
  config_.store_bytes = 1 << 20;
  for (int i = 0; i < 3000; ++i) cycle(i);
  const auto session = farm_->sessions().All().front();
  EXPECT_EQ(session->modules(), 0u);
  EXPECT_EQ(backend_->workers()[0]->functions(), 0u);
}

TEST_F(SessionTest, DrainLetsCallsInFlightEnd) {
  StartFarm();
  auto client = Connect();
  client.Hello();
  const auto slow = client.Compile("m", "slow");
  std::thread caller([&] { EXPECT_EQ(client.Call(slow.functions[0].function_id, "late").result, "late"); });
  ASSERT_TRUE(Eventually([&] { return !backend_->workers().empty() && backend_->workers()[0]->running_ == 1; }));
  std::thread release([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    backend_->workers()[0]->Release();
  });
  const std::atomic<bool> hurry{false};
  EXPECT_TRUE(farm_->Drain(std::chrono::seconds(30), hurry));
  caller.join();
  release.join();
  EXPECT_EQ(RawConnect(unix_address_), -1);
}

TEST_F(SessionTest, StopEndsCallsThatOutlastTheGrace) {
  StartFarm();
  auto client = Connect();
  client.Hello();
  const auto slow = client.Compile("m", "slow");
  std::thread caller([&] { EXPECT_ANY_THROW(client.Call(slow.functions[0].function_id, "late")); });
  ASSERT_TRUE(Eventually([&] { return !backend_->workers().empty() && backend_->workers()[0]->running_ == 1; }));
  const std::atomic<bool> hurry{false};
  EXPECT_FALSE(farm_->Drain(std::chrono::milliseconds(50), hurry));
  farm_->Stop();
  caller.join();
  EXPECT_NE(access(unix_path().c_str(), F_OK), 0) << "the socket file goes with the farm";
}

}  // namespace
}  // namespace rbc::server::testing
