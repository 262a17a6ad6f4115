// TLS at the daemon: stock clients, plain text where TLS is due, handshakes that never end.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/socket.h>

#include <filesystem>
#include <fstream>

#include "base/unique_fd.h"
#include "server/auth/token_file.h"
#include "server/net/channel.h"
#include "server/net/tls_context.h"
#include "tests/harness/certificates.h"
#include "tests/server/farm_fixture.h"

namespace rbc::server::testing {
namespace {

using apache::thrift::transport::TTransportException;
using ::testing::HasSubstr;

// The begin of a ClientHello: a record that announces 512 bytes and holds a few.
const std::string kHalfHello("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11);

class TlsTest : public FarmTest {
 protected:
  TlsTest() : authority_(folder_.path(), "ca") { signal(SIGPIPE, SIG_IGN); }  // Thrift's TLS raises it
  void SetUp() override {
    FarmTest::SetUp();
    const auto files = authority_.Sign({});
    config_.tls_certificate = files.certificate;
    config_.tls_key = files.key;
    config_.listen = {"unix:" + unix_path(), "tls://127.0.0.1:0"};
  }
  void StartTlsFarm() {
    auto context = ReadTlsContext(config_);
    ASSERT_TRUE(context) << context.error().message;
    tls_ = *std::move(context);
    StartFarm();
    tls_address_ = farm_->addresses().back();
  }
  Client ConnectTls() { return Client(tls_address_, authority_.path()); }
  UniqueFd RawTls() { return UniqueFd(RawConnect(tls_address_)); }
  void ExpectServed() {
    Client client = ConnectTls();
    client.Hello();
    EXPECT_EQ(client.Call(client.Compile("alive").functions[0].function_id, "x").result, "x");
  }

  harness::CertificateAuthority authority_;
  std::string tls_address_;
};

TEST_F(TlsTest, AStockClientIsServed) {
  StartTlsFarm();
  EXPECT_THAT(tls_address_, ::testing::StartsWith("tls://127.0.0.1:"));
  Client client = ConnectTls();
  client.Hello();
  const auto function = client.Compile("m").functions[0].function_id;
  for (int i = 0; i < 100; ++i) EXPECT_EQ(client.Call(function, std::to_string(i)).result, std::to_string(i));
  EXPECT_EQ(farm_->sessions().All()[0]->domain(), "loopback");
}

TEST_F(TlsTest, LargeMessagesArriveWhole) {
  StartTlsFarm();
  Client client = ConnectTls();
  client.Hello();
  std::string ir(20 << 20, '\0');
  for (size_t i = 0; i < ir.size(); ++i) ir[i] = static_cast<char>(i * 2654435761u >> 24);
  const auto module = client.Compile(ir);
  std::string back;
  client->get_ir(back, module.module_id);
  EXPECT_TRUE(back == ir);
}

// Requests sent before their answers are read: the farm must not wait for bytes that TLS holds already.
TEST_F(TlsTest, ManySmallRequestsInOneRecordAreAllAnswered) {
  StartTlsFarm();
  Client client = ConnectTls();
  client.Hello();
  const auto function = client.Compile("m").functions[0].function_id;
  wire::CallRequest request;
  request.function_id = function;
  constexpr int kRequests = 300;
  for (int i = 0; i < kRequests; ++i) {
    request.frame = std::to_string(i);
    client->send_call(request);
  }
  for (int i = 0; i < kRequests; ++i) {
    wire::CallReply reply;
    client->recv_call(reply);
    EXPECT_EQ(reply.result, std::to_string(i));
  }
}

TEST_F(TlsTest, ConnectionsAreNeverLent) {
  config_.lend = true;
  config_.lend_after = 1;
  StartTlsFarm();
  Client client = ConnectTls();
  client.Hello();
  const auto function = client.Compile("m").functions[0].function_id;
  for (int i = 0; i < 50; ++i) EXPECT_EQ(client.Call(function, "x").result, "x");
  EXPECT_EQ(farm_->loop_counters().lends, 0u);
  wire::RingReply ring;
  EXPECT_EQ(ErrorOf([&] { client->ring(ring, function); }).kind, wire::ErrorKind::Unsupported);
}

TEST_F(TlsTest, APlainClientIsToldToSpeakTls) {
  StartTlsFarm();
  Client client(tls_address_.substr(kTlsScheme.size()));
  const auto refused = ErrorOf([&] { client.Hello(); });
  EXPECT_EQ(refused.kind, wire::ErrorKind::InvalidArgument);
  EXPECT_THAT(refused.message, HasSubstr("tls://"));
  EXPECT_THROW(client.Hello(), TTransportException) << "the connection goes on";

  const UniqueFd channel = RawTls();
  ASSERT_EQ(send(channel.get(), "RBC1", 4, 0), 4);
  EXPECT_THAT(ReadAll(channel.get()), ::testing::AllOf(::testing::StartsWith("RBC1"), HasSubstr("tls://")));
  for (const std::string& junk : {std::string("GET / HTTP/1.1\r\n\r\n"), std::string(1000, '\xff')}) {
    const UniqueFd fd = RawTls();
    ASSERT_GT(send(fd.get(), junk.data(), junk.size(), MSG_NOSIGNAL), 0);
    EXPECT_EQ(ReadAll(fd.get()), "");
  }
  ExpectServed();
}

TEST_F(TlsTest, ATlsClientOnAPlainAddressIsClosed) {
  config_.listen = {"unix:" + unix_path(), "127.0.0.1:0"};
  StartFarm();
  const UniqueFd fd(RawConnect(tcp_address_));
  ASSERT_GT(send(fd.get(), kHalfHello.data(), kHalfHello.size(), 0), 0);
  EXPECT_EQ(ReadAll(fd.get()), "");
}

TEST_F(TlsTest, AHostileHandshakeHarmsOnlyItself) {
  StartTlsFarm();
  Client polite = ConnectTls();
  polite.Hello();
  const auto function = polite.Compile("m").functions[0].function_id;
  for (int i = 0; i < 300; ++i) {
    std::string bytes = kHalfHello + std::string(static_cast<size_t>(i * 7), static_cast<char>(i));
    const UniqueFd fd = RawTls();
    ASSERT_TRUE(fd);
    send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (i % 3 == 0) shutdown(fd.get(), SHUT_WR);
    if (i % 10 == 0) {
      EXPECT_EQ(polite.Call(function, "x").result, "x");
    }
  }
  EXPECT_TRUE(Eventually([&] { return farm_->loop_counters().open == 1; }));
  EXPECT_EQ(farm_->loop_counters().strangers, 0u);
  ExpectServed();
}

TEST_F(TlsTest, AThousandHalfOpenHandshakesBesidePoliteClients) {
  config_.tls_max_handshakes = 100;
  StartTlsFarm();
  Client polite = ConnectTls();
  polite.Hello();
  const auto function = polite.Compile("m").functions[0].function_id;
  std::vector<UniqueFd> open;
  for (int i = 0; i < 1000; ++i) {
    open.push_back(RawTls());
    ASSERT_TRUE(open.back());
    if (i % 2 == 0) send(open.back().get(), kHalfHello.data(), kHalfHello.size(), MSG_NOSIGNAL);
    if (i % 50 == 0) {
      EXPECT_EQ(polite.Call(function, "x").result, "x");
      ExpectServed();
    }
  }
  EXPECT_TRUE(Eventually([&] { return farm_->loop_counters().tls_evicted >= 900; }));
  EXPECT_LE(farm_->loop_counters().strangers, 100u);
  EXPECT_TRUE(Eventually([&] { return farm_->loop_counters().open <= 101; }));
  EXPECT_EQ(polite.Call(function, "x").result, "x");
}

TEST_F(TlsTest, WhoSaysNoHelloInTimeGoesAndWhoDidStays) {
  config_.tls_handshake_timeout_ms = 3000;  // enough for the polite
  StartTlsFarm();
  Client polite = ConnectTls();
  polite.Hello();
  const auto function = polite.Compile("m").functions[0].function_id;
  const UniqueFd silent = RawTls();
  const UniqueFd half = RawTls();
  send(half.get(), kHalfHello.data(), kHalfHello.size(), 0);
  Client stranger = ConnectTls();  // through its handshake, then silent
  EXPECT_EQ(ErrorOf([&] { stranger.Compile("m"); }).kind, wire::ErrorKind::UnknownSession);
  EXPECT_EQ(ReadAll(silent.get()), "");
  EXPECT_EQ(ReadAll(half.get()), "");
  EXPECT_TRUE(Eventually([&] { return farm_->loop_counters().open == 1; }));
  EXPECT_THROW(stranger.Hello(), TTransportException);
  EXPECT_EQ(polite.Call(function, "x").result, "x");
}

TEST_F(TlsTest, TokensComeWithIt) {
  config_.tokens_file = folder_.path() + "/tokens.toml";
  const auto token = AddToken(config_.tokens_file, {"alice", "", {}, 0});
  ASSERT_TRUE(token);
  StartTlsFarm();
  Client client = ConnectTls();
  EXPECT_EQ(ErrorOf([&] { client.Hello(); }).kind, wire::ErrorKind::PermissionDenied);
  wire::HelloRequest request;
  request.protocol_major = 1;
  request.__set_token(*token);
  wire::HelloReply reply;
  client->hello(reply, request);
  EXPECT_EQ(farm_->sessions().All()[0]->domain(), "user:alice");
}

TEST_F(TlsTest, FilesThatDoNotFitAreNamed) {
  const auto complaint = [&] {
    const auto context = ReadTlsContext(config_);
    return context ? std::string() : context.error().message;
  };
  const auto good = config_;
  EXPECT_EQ(complaint(), "");
  config_.tls_key = authority_.Sign({}).key;
  EXPECT_THAT(complaint(), ::testing::AllOf(HasSubstr("tls.key"), HasSubstr(config_.tls_key)));
  config_ = good;
  config_.tls_certificate = folder_.path() + "/none.pem";
  EXPECT_THAT(complaint(), ::testing::AllOf(HasSubstr("tls.certificate"), HasSubstr("No such file")));
  std::ofstream(config_.tls_certificate) << "no certificate";
  EXPECT_THAT(complaint(), HasSubstr("tls.certificate"));
  config_ = good;
  config_.tls_client_ca = config_.tls_key;
  EXPECT_THAT(complaint(), HasSubstr("tls.client_ca"));
  EXPECT_FALSE(Listener::Open("tls://127.0.0.1:0"));
}

}  // namespace
}  // namespace rbc::server::testing
