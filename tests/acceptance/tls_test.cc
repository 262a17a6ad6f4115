// librbc and the command over TLS to a real farm: whom they believe, what they say when they do not, recovery.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <span>
#include <stdexcept>
#include <thread>

#include "base/unique_fd.h"
#include "rbc/rbc.h"
#include "tests/harness/certificates.h"
#include "tests/harness/farm_test.h"
#include "tests/harness/ir.h"
#include "tests/harness/paths.h"
#include "tests/harness/run_program.h"

namespace rbc::harness {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string Quoted(const std::string& text) { return "\"" + text + "\""; }

class Tls : public FarmTest {
 protected:
  Tls() : authority_(folder_.path(), "ca") {
    ::unsetenv("RBC_TOKEN");
    ::unsetenv("RBC_FARM");
    ::setenv("XDG_CONFIG_HOME", folder_.path().c_str(), 1);
    certificate_ = authority_.Sign({});
  }
  FarmOptions Options() const override {
    FarmOptions options;
    options.tls_listen = "tls://127.0.0.1:0";
    options.Set("tls", "certificate", Quoted(certificate_.certificate)).Set("tls", "key", Quoted(certificate_.key));
    return options;
  }
  std::string address() { return farm().tls_address(); }
  RemoteJIT::Options Believing(const std::string& ca) const {
    RemoteJIT::Options options;
    options.ca = ca;
    return options;
  }
  RemoteJIT::Options Trusting() const { return Believing(authority_.path()); }
  static Function<double(double, double)> Add(const RemoteJIT& jit) {
    return jit.function<double(double, double)>(Source::Ir(AddModule().ir), "add");
  }
  // Arrays that stay there, in one piece, in rows with gaps, from many threads, and read back.
  static void CopyThereAndBack(const RemoteJIT& jit) {
    std::vector<double> numbers(3 << 20);
    std::iota(numbers.begin(), numbers.end(), 0.0);
    const Buffer whole = jit.to_device(std::span<const double>(numbers), {3, 1 << 20});
    EXPECT_EQ(whole.data(), nullptr);
    EXPECT_TRUE(whole.to_host<double>() == numbers);
    const Buffer odd = whole.slice(1, 1, 1 << 20);
    std::vector<double> others(static_cast<size_t>(odd.size()), 0.5);
    odd.copy_from(others);
    EXPECT_EQ(whole.slice(1, 0, 1).to_host<double>(), (std::vector<double>{0, 1 << 20, 2 << 20}));
    EXPECT_TRUE(odd.to_host<double>() == others);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&, t] {
        for (size_t count : {0, 1, 5000, 1'000'000}) {
          const std::vector<int32_t> mine(count, t);
          EXPECT_TRUE(jit.to_device(mine).to_host<int32_t>() == mine);
        }
      });
    for (auto& thread : threads) thread.join();
  }
  Error ErrorOver(const std::string& to, RemoteJIT::Options options) {
    options.connect_timeout = std::chrono::milliseconds(30'000);
    const auto targets = RemoteJIT(to, std::move(options)).try_targets();
    return targets ? Error(ErrorKind::kInternal, "no error") : targets.error();
  }

  TemporaryFolder folder_;
  CertificateAuthority authority_;
  CertificateFiles certificate_;
};

// Takes connections, by the kernel alone, and says nothing.
class SilentPeer {
 public:
  SilentPeer() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    if (bind(fd_.get(), generic, size) != 0 || listen(fd_.get(), 8) != 0 || getsockname(fd_.get(), generic, &size) != 0)
      throw std::runtime_error("no socket to be silent on");
    port_ = ntohs(address.sin_port);
  }
  int port() const { return port_; }

 private:
  UniqueFd fd_;
  int port_ = 0;
};

void ExpectWrongCertificate(const Error& error, const std::vector<std::string>& words) {
  EXPECT_EQ(error.kind, ErrorKind::kConnectionLost) << error.message;
  EXPECT_EQ(error.cause, "wrong certificate") << error.message;
  for (const auto& word : words) EXPECT_THAT(error.message, HasSubstr(word));
}

TEST_F(Tls, CallsWorkAndNoConnectionIsLent) {
  const RemoteJIT jit(address(), Trusting());
  const auto add = Add(jit);
  for (int i = 0; i < 200; ++i) EXPECT_EQ(add(i, 0.5), i + 0.5);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) EXPECT_EQ(add(i, 1), i + 1);
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(farm().StatusJson().at("connections").at("lends").get<int>(), 0);
  EXPECT_EQ(jit.address(), address());
}

TEST_F(Tls, LocalhostIsANameOfTheCertificate) {
  EXPECT_EQ(Add(RemoteJIT("tls://localhost" + address().substr(address().rfind(':')), Trusting()))(1, 2), 3);
}

TEST_F(Tls, LargeMessagesBothWays) {
  const RemoteJIT jit(address(), Trusting());
  std::vector<double> data(1 << 20);
  std::iota(data.begin(), data.end(), 0.0);
  const auto scale = jit.function<void(std::span<double>, int64_t)>(
      Source::C("void scale(double *x, long n) { for (long i = 0; i < n; i++) x[i] *= 2; }"), "scale");
  scale(data, static_cast<int64_t>(data.size()));
  for (size_t i = 0; i < data.size(); ++i) ASSERT_EQ(data[i], 2.0 * static_cast<double>(i));
}

TEST_F(Tls, ArraysThatStayThere) { CopyThereAndBack(RemoteJIT(address(), Trusting())); }

TEST_F(Tls, AnUnknownIssuerIsRefusedWithTheFileToName) {
  const CertificateAuthority other(folder_.path(), "other");
  ExpectWrongCertificate(ErrorOver(address(), Believing(other.path())),
                         {"CN=ca", other.path(), "ca = \"FILE\"", "--ca FILE", "RemoteJIT(tls=\"FILE\")"});
  ExpectWrongCertificate(ErrorOver(address(), {}), {"this machine does not trust", "--ca FILE"});
}

TEST_F(Tls, TheUsersFileNamesTheCa) {
  std::filesystem::create_directories(folder_.path() + "/rbc");
  WriteWholeFile(folder_.path() + "/rbc/client.toml",
                 "[farms.box]\naddress = " + Quoted(address()) + "\nca = " + Quoted(authority_.path()) + "\n");
  EXPECT_EQ(Add(RemoteJIT("box"))(1, 2), 3);
}

TEST_F(Tls, FilesThatAreMissingOrNoCertificatesAreNamed) {
  const Error missing = ErrorOver(address(), Believing("/no/such.pem"));
  EXPECT_EQ(missing.kind, ErrorKind::kInvalidArgument);
  EXPECT_THAT(missing.message, HasSubstr("/no/such.pem"));
  const Error key = ErrorOver(address(), Believing(certificate_.key));
  EXPECT_EQ(key.kind, ErrorKind::kInvalidArgument);
  EXPECT_THAT(key.message, HasSubstr(certificate_.key));
}

TEST_F(Tls, TlsToAPlainAddressSaysSo) {
  const Error error = ErrorOver("tls://" + farm().tcp_address(), Trusting());
  EXPECT_EQ(error.kind, ErrorKind::kConnectionLost) << error.message;
  EXPECT_THAT(error.message, AllOf(HasSubstr("no TLS"), HasSubstr("leave out tls://")));
}

TEST_F(Tls, PlainTextToATlsAddressSaysSo) {
  const Error error = ErrorOver(address().substr(6), {});
  EXPECT_EQ(error.kind, ErrorKind::kInvalidArgument) << error.message;
  EXPECT_THAT(error.message, HasSubstr("write tls://"));
}

TEST_F(Tls, ASilentPeerIsGivenUpInTime) {
  const SilentPeer silent;
  RemoteJIT::Options options = Trusting();
  options.connect_timeout = std::chrono::milliseconds(300);
  const auto targets = RemoteJIT("tls://127.0.0.1:" + std::to_string(silent.port()), std::move(options)).try_targets();
  ASSERT_FALSE(targets);
  EXPECT_EQ(targets.error().kind, ErrorKind::kDeadlineExceeded) << targets.error().message;
  EXPECT_THAT(targets.error().message, HasSubstr("handshake"));
}

TEST_F(Tls, TheClientGoesOnAfterTheFarmWasKilled) {
  DaemonMayChange();
  const RemoteJIT jit(address(), Trusting());
  const auto add = Add(jit);
  EXPECT_EQ(add(1, 2), 3);
  const std::string before = address();
  farm().Restart();
  ASSERT_EQ(address(), before);
  EXPECT_EQ(add(3, 4), 7);
}

TEST_F(Tls, TheCommandTakesTheSameFiles) {
  const auto rbc = [&](std::vector<std::string> more) {
    std::vector<std::string> command = {ProgramPath("rbc"), "--farm", address()};
    command.insert(command.end(), more.begin(), more.end());
    return RunProgram(command, {});
  };
  const std::vector<std::string> call = {"call", SourcePath("examples/add.ll"), "add_daddA", "f64(f64,f64)", "1", "2"};
  std::vector<std::string> good = {"--ca", authority_.path()};
  good.insert(good.end(), call.begin(), call.end());
  const auto done = rbc(good);
  EXPECT_EQ(done.out, "3.0\n") << done.ToString();
  const auto refused = rbc(call);
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, AllOf(HasSubstr("ConnectionLost"), HasSubstr("--ca FILE")));
}

// ---- other certificates ----------------------------------------------------------------------------------------

class OtherName : public Tls {
 protected:
  OtherName() { certificate_ = authority_.Sign({.hosts = {"farm.example", "10.1.2.3"}}); }
};

TEST_F(OtherName, IsRefusedWithTheNamesThatItIsFor) {
  ExpectWrongCertificate(ErrorOver(address(), Trusting()), {"farm.example, 10.1.2.3", "127.0.0.1"});
  ExpectWrongCertificate(ErrorOver("tls://localhost" + address().substr(address().rfind(':')), Trusting()),
                         {"farm.example", "not for localhost"});
}

class Expired : public Tls {
 protected:
  Expired() { certificate_ = authority_.Sign({.from_days = -10, .until_days = -1}); }
};

TEST_F(Expired, IsRefusedWithTheDate) {
  ExpectWrongCertificate(ErrorOver(address(), Trusting()), {"expired on", "clock"});
}

class NotYet : public Tls {
 protected:
  NotYet() { certificate_ = authority_.Sign({.from_days = 5, .until_days = 10}); }
};

TEST_F(NotYet, IsRefusedWithTheDate) {
  ExpectWrongCertificate(ErrorOver(address(), Trusting()), {"valid from", "clock"});
}

// ---- both sides show a certificate --------------------------------------------------------------------------------

class Mutual : public Tls {
 protected:
  Mutual() : clients_(folder_.path(), "clients") {}
  FarmOptions Options() const override { return Tls::Options().Set("tls", "client_ca", Quoted(clients_.path())); }
  RemoteJIT::Options With(const CertificateFiles& files) const {
    RemoteJIT::Options options = Trusting();
    options.certificate = files.certificate;
    options.key = files.key;
    return options;
  }
  CertificateAuthority clients_;
};

TEST_F(Mutual, AClientWithACertificateIsServed) {
  EXPECT_EQ(Add(RemoteJIT(address(), With(clients_.Sign({.name = "alice", .hosts = {}}))))(1, 2), 3);
}

TEST_F(Mutual, ArraysThatStayThere) {
  CopyThereAndBack(RemoteJIT(address(), With(clients_.Sign({.name = "alice", .hosts = {}}))));
}

TEST_F(Mutual, WithoutOrWithAWrongOneItIsToldWhatToName) {
  ExpectWrongCertificate(ErrorOver(address(), Trusting()), {"asks for a client certificate", "--certificate FILE"});
  ExpectWrongCertificate(ErrorOver(address(), With(authority_.Sign({.name = "mallory", .hosts = {}}))),
                         {"does not accept the client certificate"});
  ExpectWrongCertificate(ErrorOver(address(), With(clients_.Sign({.name = "old", .hosts = {}, .until_days = 0}))),
                         {"client certificate has expired"});
}

// ---- tokens
// ----------------------------------------------------------------------------------------------------------

class Tokens : public Tls {
 protected:
  FarmOptions Options() const override {
    return Tls::Options().Set("auth", "tokens_file", Quoted(folder_.path() + "/tokens.toml"));
  }
  // By the program, as an operator would. The farm knows it after its next start.
  std::string NewToken(const std::vector<std::string>& how) {
    WriteWholeFile(folder_.path() + "/auth.toml",
                   "[auth]\ntokens_file = " + Quoted(folder_.path() + "/tokens.toml") + "\n");
    std::vector<std::string> command = {ProgramPath("rbc-farm"), "--config", folder_.path() + "/auth.toml",
                                        "--new-token"};
    command.insert(command.end(), how.begin(), how.end());
    const auto run = RunProgram(command, {});
    EXPECT_EQ(run.exit_code, 0) << run.ToString();
    EXPECT_THAT(run.err, HasSubstr("restart the farm"));
    return run.out.substr(0, run.out.find('\n'));
  }
  void SetUp() override {
    alice_ = NewToken({"alice"});
    bob_ = NewToken({"bob", "--group", "lab", "--expires", "30"});
    expired_ = NewToken({"eve", "--expires", "0.0001"});  // about nine seconds: over when it is used
    Tls::SetUp();
  }
  RemoteJIT::Options By(const std::string& token) const {
    RemoteJIT::Options options = Trusting();
    options.token = token;
    return options;
  }
  std::string alice_, bob_, expired_;
};

TEST_F(Tokens, ComeFromOptionEnvironmentOrFile) {
  EXPECT_EQ(Add(RemoteJIT(address(), By(alice_)))(1, 2), 3);
  const Error none = ErrorOver(address(), Trusting());
  EXPECT_EQ(none.kind, ErrorKind::kPermissionDenied) << none.message;
  EXPECT_THAT(none.message, AllOf(HasSubstr("RBC_TOKEN"), HasSubstr("client.toml")));
  std::filesystem::create_directories(folder_.path() + "/rbc");
  WriteWholeFile(folder_.path() + "/rbc/client.toml", "[farms.box]\naddress = " + Quoted(address()) +
                                                          "\nca = " + Quoted(authority_.path()) +
                                                          "\ntoken = " + Quoted(bob_) + "\n");
  EXPECT_EQ(Add(RemoteJIT("box"))(1, 2), 3);
  ::setenv("RBC_TOKEN", "rbc_wrong", 1);
  EXPECT_EQ(ErrorOver("box", {}).kind, ErrorKind::kPermissionDenied) << "the environment goes before the file";
  ::setenv("RBC_TOKEN", alice_.c_str(), 1);
  EXPECT_EQ(Add(RemoteJIT(address(), Trusting()))(1, 2), 3);
  ::unsetenv("RBC_TOKEN");
}

TEST_F(Tokens, ArraysThatStayThereOverTlsAndOverLoopback) {
  CopyThereAndBack(RemoteJIT(address(), By(alice_)));
  CopyThereAndBack(RemoteJIT(farm().tcp_address(), By(bob_)));
}

TEST_F(Tokens, AnExpiredOneIsToldApart) {
  const auto expired = [&] {
    return ErrorOver(address(), By(expired_)).message.find("the token of eve expired on") != std::string::npos;
  };
  EXPECT_TRUE(WaitUntil(std::chrono::milliseconds(30'000), expired));
}

// More connections of a session come with the token too.
TEST_F(Tokens, ThreadsShareTheSession) {
  const RemoteJIT jit(address(), By(alice_));
  const auto add = Add(jit);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) EXPECT_EQ(add(i, 1), i + 1);
    });
  for (auto& thread : threads) thread.join();
  const auto sessions = farm().StatusJson().at("sessions");
  EXPECT_EQ(
      std::count_if(sessions.begin(), sessions.end(), [](const auto& s) { return s.at("domain") == "user:alice"; }), 1);
}

TEST_F(Tokens, PublishedNamesStayWithTheirUser) {
  const RemoteJIT alice(address(), By(alice_)), bob(address(), By(bob_));
  const auto add = alice.function(Source::Ir(AddModule().ir), "add", {"float64(float64, float64)"});
  add.publish("add");
  EXPECT_EQ((alice.connect<double(double, double)>("add")(1, 2)), 3);
  try {
    bob.connect("add");
    ADD_FAILURE() << "another user's name was found";
  } catch (const Exception& exception) {
    EXPECT_EQ(exception.kind(), ErrorKind::kUnknownName);
  }
}

}  // namespace
}  // namespace rbc::harness
