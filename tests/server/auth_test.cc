// Tokens: whose they are, until when, and what their owners share; addresses that need them.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "server/auth/authenticator.h"
#include "server/names/name_registry.h"
#include "server/net/exposure.h"
#include "tests/server/farm_fixture.h"

namespace rbc::server::testing {
namespace {

using ::testing::HasSubstr;
constexpr int64_t kDayMs = 24ll * 3'600'000;

class TokenTest : public FarmTest {
 protected:
  void SetUp() override {
    FarmTest::SetUp();
    config_.tokens_file = folder_.path() + "/tokens.toml";
  }
  std::string Make(const std::string& user, const std::string& group = "", int64_t expires_ms = 0) {
    const auto token = AddToken(config_.tokens_file, {user, group, {}, expires_ms});
    EXPECT_TRUE(token) << token.error().message;
    return *token;
  }
  std::string FileText() const {
    std::ostringstream out;
    out << std::ifstream(config_.tokens_file).rdbuf();
    return out.str();
  }
  void WriteFileText(const std::string& text) { std::ofstream(config_.tokens_file) << text; }

  // The reply to hello with this token over loopback TCP, or its error.
  wire::HelloReply HelloWith(Client& client, const std::string& token, const std::string& name_space = "") {
    wire::HelloRequest request;
    request.protocol_major = 1;
    if (!token.empty()) request.__set_token(token);
    if (!name_space.empty()) request.__set_name_space(name_space);
    wire::HelloReply reply;
    client->hello(reply, request);
    return reply;
  }
  wire::FarmError Refusal(const std::string& token, const std::string& name_space = "") {
    Client client = ConnectTcp();
    return ErrorOf([&] { HelloWith(client, token, name_space); });
  }
  std::vector<std::string> Domains() const {
    std::vector<std::string> out;
    for (const auto& session : farm_->sessions().All()) out.push_back(session->domain());
    return out;
  }
};

TEST_F(TokenTest, IsKeptAsADigestInAFileOfItsOwner) {
  const std::string first = Make("alice"), second = Make("bob", "lab", WallClockMs() + kDayMs);
  EXPECT_NE(first, second);
  EXPECT_THAT(first, ::testing::StartsWith("rbc_"));
  EXPECT_EQ(first.size(), 68u);
  EXPECT_THAT(FileText(), ::testing::Not(HasSubstr(first.substr(4))));
  struct stat info;
  ASSERT_EQ(stat(config_.tokens_file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  const auto read = ReadTokenFile(config_.tokens_file);
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(read->size(), 2u);
  EXPECT_EQ(DomainOf((*read)[0]), "user:alice");
  EXPECT_EQ((*read)[0].expires_ms, 0);
  EXPECT_EQ(DomainOf((*read)[1]), "group:lab");
  EXPECT_NEAR(static_cast<double>((*read)[1].expires_ms), static_cast<double>(WallClockMs() + kDayMs), 60'000);
  EXPECT_EQ((*read)[1].digest, TokenDigest(second));
}

TEST_F(TokenTest, MistakesInTheFileAreNamedWithTheirPlace) {
  const auto complaint = [&] {
    const auto read = ReadTokenFile(config_.tokens_file);
    return read ? std::string() : read.error().message;
  };
  EXPECT_THAT(complaint(), HasSubstr("--new-token"));  // there is none yet
  const std::string digest = "blake3 = \"" + std::string(64, 'a') + "\"\n";
  WriteFileText("[[token]]\nuser = \"alice\"\n");
  EXPECT_THAT(complaint(), HasSubstr("needs user and blake3"));
  WriteFileText("[[token]]\nuser = \"alice\"\nexpires = \"soon\"\n" + digest);
  EXPECT_THAT(complaint(), HasSubstr("tokens.toml:3:"));
  WriteFileText("[[token]]\nuser = \"al ice\"\n" + digest);
  EXPECT_THAT(complaint(), HasSubstr("tokens.toml:2:"));
  WriteFileText("[[token]]\nuser = \"alice\"\nblake3 = \"abc\"\n");
  EXPECT_THAT(complaint(), HasSubstr("64"));
  WriteFileText("[tokens]\n");
  EXPECT_THAT(complaint(), HasSubstr("[[token]]"));
  EXPECT_FALSE(AddToken(config_.tokens_file, {"alice", "", {}, 0})) << "appended to a file that cannot be read back";
  WriteFileText("[[token]]\nuser = \"alice\"\n" + digest);
  EXPECT_EQ(complaint(), "");
  chmod(config_.tokens_file.c_str(), 0620);
  EXPECT_THAT(complaint(), HasSubstr("chmod 600"));
}

TEST_F(TokenTest, NamesThatAreNoneAreRefused) {
  for (const char* bad : {"", "a b", "a\"b", "a\nb", "user:x", "\xc3\xa4"})
    EXPECT_FALSE(AddToken(config_.tokens_file, {bad, "", {}, 0})) << bad;
  EXPECT_FALSE(AddToken(config_.tokens_file, {"alice", "a b", {}, 0}));
  EXPECT_FALSE(std::filesystem::exists(config_.tokens_file));
}

TEST_F(TokenTest, AFarmWithADamagedFileDoesNotStart) {
  WriteFileText("not toml");
  ASSERT_TRUE(Complete(&config_));
  FakeBackend backend;
  Farm farm(config_, backend);
  EXPECT_FALSE(farm.Start({}));
}

TEST_F(TokenTest, MissingWrongAndExpiredOnesAreRefusedWithWhatToDo) {
  const std::string good = Make("alice"), old = Make("bob", "", WallClockMs() - kDayMs);
  StartFarm();
  const auto missing = Refusal("");
  EXPECT_EQ(missing.kind, wire::ErrorKind::PermissionDenied);
  EXPECT_THAT(missing.message, ::testing::AllOf(HasSubstr("RBC_TOKEN"), HasSubstr("client.toml"),
                                                HasSubstr("RemoteJIT(token="), HasSubstr("--new-token")));
  std::string wrong = good;
  wrong.back() = wrong.back() == '0' ? '1' : '0';
  for (const std::string& token :
       {wrong, good.substr(0, 20), good + "0", std::string(100'000, 'x'), std::string("\0", 1)}) {
    const auto refused = Refusal(token);
    EXPECT_EQ(refused.kind, wire::ErrorKind::PermissionDenied);
    EXPECT_THAT(refused.message, HasSubstr("does not know the token"));
    EXPECT_THAT(refused.message, ::testing::Not(HasSubstr(token.substr(0, 20)))) << "a token in a message";
  }
  const auto expired = Refusal(old);
  EXPECT_EQ(expired.kind, wire::ErrorKind::PermissionDenied);
  EXPECT_THAT(expired.message, ::testing::AllOf(HasSubstr("bob expired on 20"), HasSubstr("--new-token bob")));
  EXPECT_TRUE(farm_->sessions().All().empty());
  Client client = ConnectTcp();
  HelloWith(client, good);
  EXPECT_EQ(client.Call(client.Compile("m").functions[0].function_id, "x").result, "x");
  EXPECT_EQ(Domains(), std::vector<std::string>{"user:alice"});
}

TEST_F(TokenTest, ARefusedConnectionCanTryAgain) {
  const std::string good = Make("alice");
  StartFarm();
  Client client = ConnectTcp();
  ErrorOf([&] { HelloWith(client, "no"); });
  EXPECT_EQ(ErrorOf([&] { client.Compile("m"); }).kind, wire::ErrorKind::UnknownSession);
  HelloWith(client, good);
  client.Compile("m");
}

TEST_F(TokenTest, PeersOnTheSocketAreWhoTheKernelSays) {
  const std::string token = Make("alice");
  StartFarm();
  Client client = Connect();
  client.Hello();
  Client other = Connect();
  HelloWith(other, token);
  EXPECT_THAT(Domains(), ::testing::Each("uid:" + std::to_string(getuid())));
}

TEST_F(TokenTest, AttachAcrossDomainsIsRefused) {
  const std::string alice = Make("alice"), bob = Make("bob");
  StartFarm();
  Client owner = ConnectTcp();
  const auto session = HelloWith(owner, alice);
  wire::AttachRequest request = AttachTo(session);
  wire::HelloReply reply;
  Client thief = ConnectTcp();
  EXPECT_EQ(ErrorOf([&] { thief->attach(reply, request); }).kind, wire::ErrorKind::PermissionDenied) << "no token";
  request.__set_token(bob);
  EXPECT_EQ(ErrorOf([&] { thief->attach(reply, request); }).kind, wire::ErrorKind::PermissionDenied) << "bob's";
  request.__set_token(alice);
  Client second = ConnectTcp();
  second->attach(reply, request);
  EXPECT_EQ(farm_->sessions().All().size(), 1u);
}

TEST_F(TokenTest, UsersShareNothingAndGroupsAllOfTheirs) {
  const std::string alice = Make("alice"), bob = Make("bob"), carol = Make("carol", "lab"), dave = Make("dave", "lab");
  StartFarm();
  Client a = ConnectTcp(), b = ConnectTcp(), c = ConnectTcp(), d = ConnectTcp();
  HelloWith(a, alice), HelloWith(b, bob), HelloWith(c, carol), HelloWith(d, dave);
  EXPECT_FALSE(a.Compile("m").cached);
  EXPECT_FALSE(b.Compile("m").cached) << "another user's code";
  EXPECT_FALSE(c.Compile("m").cached);
  EXPECT_TRUE(d.Compile("m").cached) << "the group's code";

  const auto mine = a.Compile("m");
  wire::PublishRequest publish;
  publish.module_id = mine.module_id;
  publish.function_id = mine.functions[0].function_id;
  publish.name = "tool";
  a->publish(publish);
  wire::PublishedFunction found;
  EXPECT_EQ(ErrorOf([&] { b->lookup(found, "tool"); }).kind, wire::ErrorKind::UnknownName);
  EXPECT_EQ(ErrorOf([&] { b.Call(mine.functions[0].function_id, "x"); }).kind, wire::ErrorKind::UnknownModule);
  EXPECT_EQ(Refusal(bob, "user:alice").kind, wire::ErrorKind::PermissionDenied);
  Client again = ConnectTcp();
  HelloWith(again, alice, "user:alice");
  again->lookup(found, "tool");
  EXPECT_EQ(found.owner, "user:alice");
}

TEST_F(TokenTest, StatusShowsAUserHisOwnSessionsAlone) {
  const std::string alice = Make("alice"), bob = Make("bob");
  StartFarm();
  Client a = ConnectTcp(), b = ConnectTcp(), operator_ = Connect();
  HelloWith(a, alice), HelloWith(b, bob), operator_.Hello();
  wire::FarmStatus status;
  b->status(status);
  EXPECT_THAT(status.json, ::testing::AllOf(HasSubstr("user:bob"), ::testing::Not(HasSubstr("user:alice"))));
  operator_->status(status);
  EXPECT_THAT(status.json, ::testing::AllOf(HasSubstr("user:bob"), HasSubstr("user:alice")));
}

TEST_F(TokenTest, OverAPlainNetworkATokenIsRefusedWhateverItIs) {
  const std::string token = Make("alice");
  const auto tokens = Authenticator::Read(config_.tokens_file);
  ASSERT_TRUE(tokens);
  const Peer far{.local = false, .loopback = false, .encrypted = false, .domain = "net:10.0.0.7"};
  Peer by_tls = far;
  by_tls.encrypted = true;
  for (const auto& farm : {*tokens, Authenticator()}) {
    const auto refused = farm.DomainFor(far, &token, 0);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::kPermissionDenied);
    EXPECT_THAT(refused.error().message, ::testing::AllOf(HasSubstr("plain text"), HasSubstr("tls://")));
  }
  EXPECT_EQ(*tokens->DomainFor(by_tls, &token, 0), "user:alice");
  EXPECT_EQ(*Authenticator().DomainFor(far, nullptr, 0), "net:10.0.0.7");
  EXPECT_FALSE(tokens->DomainFor(by_tls, nullptr, 0));
}

TEST(Exposure, PublicAddressesWantTlsAndTokens) {
  const auto complaint = [](const std::string& address, bool certificate, bool tokens, bool insecure) {
    FarmConfig config;
    config.listen = {address};
    if (certificate) config.tls_certificate = config.tls_key = "/x";
    if (tokens) config.tokens_file = "/x";
    config.insecure = insecure;
    const auto status = CheckAddresses(config);
    return status ? std::string() : status.error().message;
  };
  EXPECT_EQ(complaint("tls://0.0.0.0:1", true, true, false), "");
  EXPECT_EQ(complaint("127.0.0.1:1", false, false, false), "");
  EXPECT_EQ(complaint("127.0.0.1:1", false, true, false), "");
  EXPECT_EQ(complaint("tls://[::1]:1", true, false, false), "");
  EXPECT_EQ(complaint("unix:/x", false, true, false), "");
  EXPECT_EQ(complaint("0.0.0.0:1", false, false, true), "");
  EXPECT_EQ(complaint("tls://0.0.0.0:1", true, false, true), "");
  EXPECT_THAT(complaint("0.0.0.0:1", true, false, false), HasSubstr("tls://0.0.0.0:1"));
  EXPECT_THAT(complaint("tls://0.0.0.0:1", true, false, false), HasSubstr("--new-token"));
  EXPECT_THAT(complaint("0.0.0.0:1", true, true, false), HasSubstr("plain text"));
  EXPECT_THAT(complaint("0.0.0.0:1", true, true, true), HasSubstr("plain text")) << "not even with insecure";
  EXPECT_THAT(complaint("tls://127.0.0.1:1", false, false, false), HasSubstr("tls.certificate"));
}

}  // namespace
}  // namespace rbc::server::testing
