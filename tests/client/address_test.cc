// Addresses, their precedence, and the tunnel through ssh.
// SPDX-License-Identifier: Apache-2.0
#include "client/src/address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "rbc/rbc.h"
#include "tests/client/fake_farm.h"

namespace rbc::client {
namespace {

// An environment without the user's own farms.
class AddressTest : public testing::Test {
 protected:
  AddressTest() {
    ::unsetenv("RBC_FARM");
    ::unsetenv("RBC_TOKEN");
    ::setenv("XDG_CONFIG_HOME", directory_.path().c_str(), 1);
  }
  void WriteConfig(const std::string& text) {
    std::filesystem::create_directories(directory_.path() + "/rbc");
    std::ofstream(directory_.path() + "/rbc/client.toml") << text;
  }
  test::TempDir directory_;
};

TEST_F(AddressTest, TheFourForms) {
  const auto tcp = ParseAddress("box.example:1234");
  ASSERT_TRUE(tcp);
  EXPECT_EQ(tcp->host, "box.example");
  EXPECT_EQ(tcp->port, 1234);
  EXPECT_EQ(ParseAddress("box")->port, 11530);
  EXPECT_EQ(ParseAddress("[::1]:5")->host, "::1");
  EXPECT_EQ(ParseAddress("[::1]")->text, "[::1]:11530");
  EXPECT_EQ(ParseAddress("unix:/run/x")->path, "/run/x");
  const auto tls = ParseAddress("tls://box.example:1234");
  ASSERT_TRUE(tls);
  EXPECT_EQ(tls->kind, Address::Kind::kTls);
  EXPECT_EQ(tls->host, "box.example");
  EXPECT_EQ(tls->port, 1234);
  EXPECT_EQ(ParseAddress("tls://[::1]")->text, "tls://[::1]:11530");
  const auto ssh = ParseAddress("ssh://me@box:2222/run/other");
  ASSERT_TRUE(ssh);
  EXPECT_EQ(ssh->kind, Address::Kind::kSsh);
  EXPECT_EQ(ssh->user, "me");
  EXPECT_EQ(ssh->host, "box");
  EXPECT_EQ(ssh->port, 2222);
  EXPECT_EQ(ssh->path, "/run/other");
  EXPECT_EQ(ParseAddress("ssh://box")->path, kRemoteSocket);
}

TEST_F(AddressTest, OddOnesAreRefused) {
  for (const char* bad : {"",
                          ":1",
                          "box:",
                          "box:0",
                          "box:65536",
                          "box:x",
                          "::1",
                          "[::1",
                          "[::1]x",
                          "unix:",
                          "http://box",
                          "tls://",
                          "tls://box:x",
                          "tls://unix:/x",
                          "ssh://",
                          "ssh://-oProxyCommand=x",
                          "ssh://a b",
                          "ssh://-l@box",
                          "ssh://$(x)",
                          "-x:1",
                          "box:1/"}) {
    const auto address = ParseAddress(bad);
    ASSERT_FALSE(address) << bad;
    EXPECT_EQ(address.error().kind, ErrorKind::kInvalidArgument);
  }
  EXPECT_FALSE(ParseAddress("unix:/" + std::string(200, 'x')));
  EXPECT_THROW(RemoteJIT("box:x"), Exception);
}

TEST_F(AddressTest, ArgumentThenEnvironmentThenFileThenLoopback) {
  EXPECT_EQ(ChooseFarm("")->address.text, "127.0.0.1:11530");
  WriteConfig(
      "default = \"box\"\n[farms.box]\naddress = \"box:7\"\ntoken = \"secret\"\nnamespace = "
      "\"team\"\n[farms.lab]\naddress = \"ssh://lab\"\n");
  const auto by_default = ChooseFarm("");
  ASSERT_TRUE(by_default);
  EXPECT_EQ(by_default->address.text, "box:7");
  EXPECT_EQ(by_default->token, "secret");
  EXPECT_EQ(by_default->name_space, "team");
  EXPECT_EQ(ChooseFarm("lab")->address.kind, Address::Kind::kSsh);
  EXPECT_EQ(ChooseFarm("other")->address.text, "other:11530");
  ::setenv("RBC_FARM", "unix:/e", 1);
  EXPECT_EQ(ChooseFarm("")->address.text, "unix:/e");
  EXPECT_EQ(ChooseFarm("")->token, "");
  EXPECT_EQ(ChooseFarm("unix:/a")->address.text, "unix:/a");
  ::setenv("RBC_FARM", "lab", 1);
  EXPECT_EQ(ChooseFarm("")->address.host, "lab");
}

TEST_F(AddressTest, FilesAndTokenOfAFarm) {
  WriteConfig(
      "[farms.box]\naddress = \"tls://box\"\ntoken = \"of the file\"\nca = \"/ca\"\ncertificate = \"/me\"\n"
      "key = \"/mine\"\n");
  const auto box = ChooseFarm("box");
  ASSERT_TRUE(box) << box.error().message;
  EXPECT_EQ(box->address.kind, Address::Kind::kTls);
  EXPECT_EQ(box->tls.ca, "/ca");
  EXPECT_EQ(box->tls.certificate, "/me");
  EXPECT_EQ(box->tls.key, "/mine");
  EXPECT_EQ(box->token, "of the file");
  ::setenv("RBC_TOKEN", "of the environment", 1);
  EXPECT_EQ(ChooseFarm("box")->token, "of the environment");
  EXPECT_EQ(ChooseFarm("unix:/a")->token, "of the environment");
  ::unsetenv("RBC_TOKEN");
}

TEST_F(AddressTest, MistakesInTheFileAreNamedWithTheirPlace) {
  WriteConfig("default = \"box\"\nfarmz = 1\n");
  const auto unknown = ChooseFarm("");
  ASSERT_FALSE(unknown);
  EXPECT_THAT(unknown.error().message,
              testing::AllOf(testing::HasSubstr("client.toml:2:"), testing::HasSubstr("farmz")));
  WriteConfig("[farms.box]\naddress = 1\n");
  EXPECT_THAT(ChooseFarm("box").error().message, testing::HasSubstr("must be a string"));
  WriteConfig("[farms.box]\ntoken = \"x\"\n");
  EXPECT_THAT(ChooseFarm("box").error().message, testing::HasSubstr("no address"));
  WriteConfig("not toml");
  EXPECT_FALSE(ChooseFarm(""));
  EXPECT_TRUE(ChooseFarm("unix:/a")) << "an address never waits for the file";
}

// ---- ssh -------------------------------------------------------------------------------------------------------

// A program called ssh that understands what the library asks of it: forwards the socket of -L and runs `cat`.
constexpr char kFakeSsh[] = R"(#!/usr/bin/env python3
import os, socket, sys, threading
open(os.environ["FAKE_SSH_LOG"], "a").write(" ".join(sys.argv[1:]) + "\n")
if os.environ.get("FAKE_SSH_FAILS"):
    sys.stderr.write("Permission denied (publickey).\n")
    sys.exit(255)
local, remote = sys.argv[sys.argv.index("-L") + 1].split(":")
assert sys.argv[-1] == "cat" and sys.argv[-2] == "me@box"
listener = socket.socket(socket.AF_UNIX)
listener.bind(local)
listener.listen()
def pump(a, b):
    while True:
        data = a.recv(65536)
        if not data: break
        b.sendall(data)
    try: b.shutdown(socket.SHUT_WR)
    except OSError: pass
def serve():
    while True:
        near, _ = listener.accept()
        far = socket.socket(socket.AF_UNIX)
        try: far.connect(remote)
        except OSError:
            near.close()
            continue
        threading.Thread(target=pump, args=(near, far), daemon=True).start()
        threading.Thread(target=pump, args=(far, near), daemon=True).start()
threading.Thread(target=serve, daemon=True).start()
while True:
    line = os.read(0, 4096)
    if not line: break
    os.write(1, line)
)";

class SshTest : public AddressTest {
 protected:
  SshTest() {
    const std::string ssh = directory_.path() + "/ssh";
    std::ofstream(ssh) << kFakeSsh;
    ::chmod(ssh.c_str(), 0755);
    ::setenv("PATH", (directory_.path() + ":" + old_path_).c_str(), 1);
    ::setenv("TMPDIR", directory_.path().c_str(), 1);
    ::setenv("FAKE_SSH_LOG", (directory_.path() + "/log").c_str(), 1);
    ::unsetenv("FAKE_SSH_FAILS");
  }
  ~SshTest() override {
    ::setenv("PATH", old_path_.c_str(), 1);
    ::unsetenv("TMPDIR");
  }
  int Starts() const {
    std::ifstream log(directory_.path() + "/log");
    int lines = 0;
    for (std::string line; std::getline(log, line);) ++lines;
    return lines;
  }
  const std::string old_path_ = ::getenv("PATH");
};

constexpr char kAdd[] = "define double @add(double %a, double %b) {\n}\n";

TEST_F(SshTest, CallsGoThroughOneTunnel) {
  test::FakeFarm farm(directory_.path() + "/farm");
  {
    const RemoteJIT rjit("ssh://me@box" + directory_.path() + "/farm");
    const auto add = rjit.function<double(double, double)>(Source::Ir(kAdd), "add");
    EXPECT_EQ(add(1, 2), 3);
    EXPECT_EQ(add(2, 2), 4);
    std::vector<Pending<double>> pending;
    for (int i = 0; i < 4; ++i) pending.push_back(add.call_async(i, 1));
    for (int i = 0; i < 4; ++i) EXPECT_EQ(pending[static_cast<size_t>(i)].get(), i + 1);
  }
  EXPECT_EQ(Starts(), 1);
  std::ifstream log(directory_.path() + "/log");
  std::string line;
  std::getline(log, line);
  EXPECT_THAT(line, testing::AllOf(testing::HasSubstr("BatchMode=yes"), testing::HasSubstr("-- me@box cat")));
  for (const auto& entry : std::filesystem::directory_iterator(directory_.path()))
    EXPECT_FALSE(entry.path().filename().string().starts_with("rbc-ssh-")) << entry.path();
}

TEST_F(SshTest, ARefusalIsGivenInSshsOwnWords) {
  ::setenv("FAKE_SSH_FAILS", "1", 1);
  const auto targets = RemoteJIT("ssh://me@box/farm").try_targets();
  ASSERT_FALSE(targets);
  EXPECT_EQ(targets.error().kind, ErrorKind::kConnectionLost);
  EXPECT_THAT(targets.error().message, testing::HasSubstr("Permission denied (publickey)."));
}

TEST_F(SshTest, AMissingSshNamesThePackage) {
  ::setenv("PATH", "/nonexistent", 1);
  const auto targets = RemoteJIT("ssh://me@box/farm").try_targets();
  ASSERT_FALSE(targets);
  EXPECT_THAT(targets.error().message, testing::HasSubstr("openssh-client"));
}

TEST_F(SshTest, NoFarmBehindTheTunnelIsAnError) {
  const auto targets = RemoteJIT("ssh://me@box/nothing/here").try_targets();
  ASSERT_FALSE(targets);
  EXPECT_EQ(targets.error().kind, ErrorKind::kConnectionLost);
}

}  // namespace
}  // namespace rbc::client
