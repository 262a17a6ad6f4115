// Sessions: attach, lease, secrets, names of one's own, published names, other farms, protocol versions.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/harness/farm_test.h"
#include "tests/harness/ir.h"

namespace rbc::harness {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

class Sessions : public FarmTest {};

TEST_F(Sessions, HelloTellsWhatAClientNeeds) {
  const wire::HelloReply hello = farm().Connect().session();
  EXPECT_EQ(hello.protocol_major, 1);
  EXPECT_NE(hello.session_id, 0);
  EXPECT_EQ(hello.secret.size(), 16u);
  EXPECT_FALSE(hello.farm_id.empty());
  EXPECT_THAT(hello.llvm_version, HasSubstr("22."));
  EXPECT_GT(hello.max_message, 1 << 20);
  ASSERT_EQ(hello.targets.size(), 3u);
  EXPECT_EQ(hello.targets[1].name, "cuda");
  EXPECT_EQ(hello.targets[2].name, "cuda32");
  EXPECT_EQ(hello.targets[2].pointer_bits, 32);
  EXPECT_EQ(hello.targets[0].name, "host");
  EXPECT_EQ(hello.targets[0].pointer_bits, 64);
  EXPECT_FALSE(hello.targets[0].simulated);
  EXPECT_THAT(hello.targets[0].triple, HasSubstr("x86_64"));
  EXPECT_FALSE(hello.targets[0].cpu.empty());
  EXPECT_NE(farm().Connect().session().secret, hello.secret);
}

TEST_F(Sessions, AnotherProtocolIsRefusedWithBothVersions) {
  for (const int major : {0, 2, 77}) {
    const auto client = Client::Connect(farm().unix_address(), {.protocol_major = major});
    ASSERT_FALSE(client) << major;
    EXPECT_EQ(client.error().kind, ErrorKind::kProtocolMismatch) << Describe(client.error());
    EXPECT_THAT(client.error().message, ::testing::AllOf(HasSubstr(std::to_string(major) + "."), HasSubstr("1.4")));
  }
}

TEST_F(Sessions, NothingWorksBeforeHello) {
  Client client = Must(Client::Open(farm().unix_address()));
  const Error error = MustFail(client.Load(AddModule()));
  EXPECT_EQ(error.kind, ErrorKind::kUnknownSession) << Describe(error);
}

TEST_F(Sessions, AttachSharesTheSession) {
  Client first = farm().Connect();
  const auto count = Must(first.Load(CounterModule()));
  EXPECT_TRUE(Must(first.Call(count, {1})).value == Value(101));
  Client second = Must(first.Attach());
  EXPECT_TRUE(Must(second.Call(count, {1})).value == Value(102));
  EXPECT_EQ(farm().WorkersOf("execute").size(), 1u);
}

TEST_F(Sessions, AttachNeedsTheSecretAndTheFarm) {
  const Client owner = farm().Connect();
  wire::AttachRequest right;
  right.session_id = owner.session().session_id;
  right.secret = owner.session().secret;
  right.farm_id = owner.session().farm_id;
  const auto attach = [&](const wire::AttachRequest& request) {
    return Must(Client::Open(farm().unix_address())).AttachTo(request);
  };
  EXPECT_TRUE(attach(right));

  wire::AttachRequest wrong = right;
  wrong.secret[3] = static_cast<char>(wrong.secret[3] ^ 1);
  const ErrorKind refused = MustFail(attach(wrong)).kind;
  EXPECT_TRUE(refused == ErrorKind::kUnknownSession || refused == ErrorKind::kPermissionDenied) << Name(refused);
  wrong.secret.clear();
  EXPECT_EQ(MustFail(attach(wrong)).kind, refused);
  wrong = right;
  wrong.session_id ^= 0x5555;
  EXPECT_EQ(MustFail(attach(wrong)).kind, refused) << "a stranger must not learn which sessions there are";
  wrong = right;
  wrong.farm_id = "another-farm";
  EXPECT_EQ(MustFail(attach(wrong)).kind, ErrorKind::kWrongFarm);
}

TEST_F(Sessions, ALocalSessionEndsWithItsLastConnection) {
  Client client = farm().Connect();
  Must(client.Load(AddModule()));
  const auto info = Must(client.Load(AddModule()));
  Must(client.Call(info, {1.0, 2.0}));
  const auto workers = farm().WorkersOf("execute");
  ASSERT_EQ(workers.size(), 1u);
  client.Drop();
  EXPECT_TRUE(WaitUntil(kPatience, [&] { return farm().WorkersOf("execute").empty(); }));
  const auto again = client.Attach();
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind, ErrorKind::kUnknownSession);
}

class Leases : public FarmTest {
 protected:
  FarmOptions Options() const override { return FarmOptions().Set("sessions", "lease_ms", "120000"); }
};

TEST_F(Leases, ARemoteSessionOutlivesItsConnection) {
  Client client = farm().ConnectTcp();
  EXPECT_EQ(client.session().lease_ms, 120'000);
  const auto count = Must(client.Load(CounterModule()));
  EXPECT_TRUE(Must(client.Call(count, {1})).value == Value(101));
  client.Drop();
  std::this_thread::sleep_for(milliseconds(300));
  Client back = Must(client.Attach(), "attach within the lease");
  EXPECT_TRUE(Must(back.Call(count, {1})).value == Value(102)) << "the session's globals were lost";
}

TEST_F(Leases, ByeEndsTheSessionAtOnce) {
  Client client = farm().ConnectTcp();
  Must(client.Call(Must(client.Load(AddModule())), {1.0, 2.0}));
  Must(client.Bye());
  EXPECT_EQ(MustFail(client.Attach()).kind, ErrorKind::kUnknownSession);
  EXPECT_TRUE(WaitUntil(kPatience, [&] { return farm().WorkersOf("execute").empty(); }));
}

class ShortLeases : public FarmTest {
 protected:
  FarmOptions Options() const override { return FarmOptions().Set("sessions", "lease_ms", "500"); }
};

TEST_F(ShortLeases, ARemoteSessionEndsWithItsLease) {
  Client client = farm().ConnectTcp();
  EXPECT_EQ(client.session().lease_ms, 500);
  Must(client.Call(Must(client.Load(AddModule())), {1.0, 2.0}));
  client.Drop();
  EXPECT_TRUE(WaitUntil(kPatience, [&] { return farm().WorkersOf("execute").empty(); }));
  EXPECT_EQ(MustFail(client.Attach()).kind, ErrorKind::kUnknownSession);
}

class FunctionNames : public FarmTest {};

TEST_F(FunctionNames, TwoClientsWithOneNameGetTheirOwn) {
  Client first = farm().Connect(), second = farm().Connect();
  const auto doubled = Must(first.Load(ScaleModule("scale", 2)));
  const auto tripled = Must(second.Load(ScaleModule("scale", 3)));
  for (int i = 1; i <= 20; ++i) {
    EXPECT_TRUE(Must(first.Call(doubled, {i})).value == Value(2 * i));
    EXPECT_TRUE(Must(second.Call(tripled, {i})).value == Value(3 * i));
  }
}

TEST_F(FunctionNames, ARedefinitionIsTheNewOneAndTheOldStaysItself) {
  Client client = farm().Connect();
  const auto old_one = Must(client.Load(ScaleModule("scale", 2)));
  EXPECT_TRUE(Must(client.Call(old_one, {5})).value == Value(10));
  const auto new_one = Must(client.Load(ScaleModule("scale", 7)));
  EXPECT_TRUE(Must(client.Call(new_one, {5})).value == Value(35));
  EXPECT_TRUE(Must(client.Call(old_one, {5})).value == Value(10));
}

TEST_F(FunctionNames, StateOfTheSameModuleIsPerSession) {
  Client first = farm().Connect(), second = farm().Connect();
  const auto a = Must(first.Load(CounterModule()));
  const auto b = Must(second.Load(CounterModule()));
  EXPECT_TRUE(Must(first.Call(a, {5})).value == Value(105));
  EXPECT_TRUE(Must(second.Call(b, {1})).value == Value(101));
  EXPECT_TRUE(Must(first.Call(a, {5})).value == Value(110));
}

class PublishedNames : public FarmTest {
 protected:
  // Publishes a function that multiplies by `factor`.
  Client PublishScale(const std::string& name, int64_t factor, const ConnectOptions& options = {}) {
    Client client = farm().Connect(options);
    const auto reply = Must(client.Compile(ScaleModule("scale", factor)));
    wire::PublishRequest request;
    request.module_id = reply.module_id;
    request.function_id = reply.functions[0].function_id;
    request.name = name;
    Must(client.Publish(request), "publish");
    return client;
  }
  int64_t CallByName(const std::string& name, int64_t argument, const ConnectOptions& options = {}) {
    Client client = farm().Connect(options);
    const auto found = Must(client.Lookup(name), "lookup");
    EXPECT_EQ(found.name, name);
    EXPECT_EQ(found.info.signature, "int64(int64)");
    EXPECT_EQ(found.target, "host");
    return *Must(client.Call(found.info, {argument})).value.As<int64_t>();
  }
  ErrorKind LookupError(const std::string& name, const ConnectOptions& options = {}) {
    return MustFail(farm().Connect(options).Lookup(name)).kind;
  }
};

TEST_F(PublishedNames, AreFoundByASecondClientWhileAndAfterTheFirstLives) {
  {
    const Client owner = PublishScale("tools.scale", 4);
    EXPECT_EQ(CallByName("tools.scale", 10), 40);
  }
  EXPECT_EQ(CallByName("tools.scale", 11), 44);
}

TEST_F(PublishedNames, AreFoundAfterARestartOfTheFarm) {
  DaemonMayChange();
  PublishScale("kept", 6);
  farm().Restart();  // by SIGKILL
  EXPECT_EQ(CallByName("kept", 7), 42);
  ASSERT_EQ(farm().Stop(), 0);
  farm().Start();
  EXPECT_EQ(CallByName("kept", 8), 48);
}

TEST_F(PublishedNames, ARedefinitionByTheOwnerIsTheNewOne) {
  const Client owner = PublishScale("scale", 2);
  EXPECT_EQ(CallByName("scale", 10), 20);
  const Client same_user = PublishScale("scale", 5);
  EXPECT_EQ(CallByName("scale", 10), 50);
}

TEST_F(PublishedNames, WithdrawnOrExpiredTheyAreUnknown) {
  Client owner = PublishScale("scale", 2);
  Must(owner.Withdraw("scale"));
  EXPECT_EQ(LookupError("scale"), ErrorKind::kUnknownName);
  EXPECT_EQ(MustFail(owner.Withdraw("scale")).kind, ErrorKind::kUnknownName);

  const auto reply = Must(owner.Compile(ScaleModule("scale", 9)));
  wire::PublishRequest request;
  request.module_id = reply.module_id;
  request.function_id = reply.functions[0].function_id;
  request.name = "brief";
  request.__set_expires_ms(600'000);
  Must(owner.Publish(request));
  EXPECT_EQ(CallByName("brief", 1), 9);
  request.__set_expires_ms(400);
  Must(owner.Publish(request));
  Client other = farm().Connect();
  EXPECT_TRUE(WaitUntil(kPatience, [&] { return !other.Lookup("brief"); }));
  EXPECT_EQ(LookupError("brief"), ErrorKind::kUnknownName);
}

TEST_F(PublishedNames, BelongToTheirNamespace) {
  const ConnectOptions blue{.name_space = "blue"}, red{.name_space = "red"};
  PublishScale("scale", 2, blue);
  PublishScale("scale", 3, red);
  EXPECT_EQ(CallByName("scale", 10, blue), 20);
  EXPECT_EQ(CallByName("scale", 10, red), 30);
  EXPECT_EQ(LookupError("scale"), ErrorKind::kUnknownName);
}

// A socket user owns the name; a client over loopback TCP is of another trust domain.
TEST_F(PublishedNames, AStrangerCanNeitherReplaceNorWithdrawThem) {
  PublishScale("scale", 2);
  Client stranger = farm().ConnectTcp();
  const auto reply = Must(stranger.Compile(ScaleModule("scale", 1000)));
  wire::PublishRequest request;
  request.module_id = reply.module_id;
  request.function_id = reply.functions[0].function_id;
  request.name = "scale";
  const auto replaced = stranger.Publish(request);
  ASSERT_FALSE(replaced) << "a stranger replaced the function behind a name";
  EXPECT_EQ(replaced.error().kind, ErrorKind::kPermissionDenied) << Describe(replaced.error());
  const auto withdrawn = stranger.Withdraw("scale");
  ASSERT_FALSE(withdrawn) << "a stranger withdrew the name";
  EXPECT_EQ(withdrawn.error().kind, ErrorKind::kPermissionDenied) << Describe(withdrawn.error());
  EXPECT_EQ(CallByName("scale", 10), 20);
}

TEST_F(PublishedNames, WhatIsNotTheSessionsOwnCannotBePublished) {
  Client owner = farm().Connect(), other = farm().Connect();
  const auto reply = Must(owner.Compile(ScaleModule("scale", 2)));
  wire::PublishRequest request;
  request.module_id = reply.module_id + 1000;
  request.function_id = reply.functions[0].function_id;
  request.name = "scale";
  EXPECT_FALSE(owner.Publish(request));
  request.module_id = reply.module_id;
  request.name = "";
  EXPECT_EQ(MustFail(owner.Publish(request)).kind, ErrorKind::kInvalidArgument);
  request.name = std::string(100'000, 'n');
  EXPECT_FALSE(owner.Publish(request));
  EXPECT_EQ(LookupError("scale"), ErrorKind::kUnknownName);
}

class OtherSessions : public FarmTest {};

TEST_F(OtherSessions, IdsOfOneSessionMeanNothingInAnother) {
  Client owner = farm().Connect(), thief = farm().Connect();
  const auto reply = Must(owner.Compile(ScaleModule("scale", 2)));
  const auto call = thief.Call(reply.functions[0], {1});
  ASSERT_FALSE(call);
  EXPECT_EQ(call.error().kind, ErrorKind::kUnknownModule) << Describe(call.error());
  EXPECT_FALSE(thief.Unload(reply.module_id));
  EXPECT_FALSE(thief.GetIr(reply.module_id));
  EXPECT_TRUE(Must(owner.Call(reply.functions[0], {4})).value == Value(8));
}

TEST_F(OtherSessions, TheIrComesBackAsItWasSent) {
  Client client = farm().Connect();
  const Module module = ScaleModule("scale", 2);
  const auto reply = Must(client.Compile(module));
  EXPECT_EQ(Must(client.GetIr(reply.module_id)), module.ir);
}

}  // namespace
}  // namespace rbc::harness
