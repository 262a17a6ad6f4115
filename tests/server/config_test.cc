// The configuration: defaults, errors with their place, the example, addresses.
// SPDX-License-Identifier: Apache-2.0
#include "server/config/config.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "server/net/address.h"
#include "tests/harness/paths.h"

namespace rbc::server {
namespace {

std::string ReadText(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

std::string ErrorText(std::string_view toml) {
  const auto config = ParseConfig(toml, "f.toml");
  return config ? "" : config.error().message;
}

TEST(Config, EmptyMeansDefaults) {
  const auto config = ParseConfig("", "f.toml");
  ASSERT_TRUE(config);
  EXPECT_EQ(PrintConfig(*config), PrintConfig(FarmConfig()));
}

TEST(Config, ExampleHoldsEveryKeyWithItsDefault) {
  const std::string path = harness::SourcePath("deploy/rbc-farm.toml");
  if (std::getenv("RBC_RECORD") != nullptr) std::ofstream(path) << PrintConfig(FarmConfig());
  const auto text = ReadText(path);
  EXPECT_EQ(text, PrintConfig(FarmConfig())) << "RBC_RECORD=1 makes this test write the file";
  const auto config = ParseConfig(text, "rbc-farm.toml");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(PrintConfig(*config), text);
}

TEST(Config, EveryKeyIsDocumented) {
  const auto text = ReadText(harness::SourcePath("docs/configuration.md"));
  for (const auto& key : ConfigKeys())
    EXPECT_NE(text.find("`" + std::string(key.section) + "." + std::string(key.name) + "`"), std::string::npos)
        << key.section << "." << key.name;
}

TEST(Config, PrintedIsReadBack) {
  FarmConfig config;
  config.listen = {"unix:/tmp/a \"b\"", "127.0.0.1:0"};
  config.insecure = true;
  config.store_bytes = 12345678;
  config.lanes = 3;
  const auto back = ParseConfig(PrintConfig(config), "f.toml");
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->listen, config.listen);
  EXPECT_EQ(PrintConfig(*back), PrintConfig(config));
}

TEST(Config, UnknownKeysAreErrorsWithTheirPlace) {
  EXPECT_EQ(ErrorText("[server]\nlisten = []\n  lisen = []\n"), "f.toml:3:3: unknown key \"lisen\" in [server]");
  EXPECT_EQ(ErrorText("\n[sever]\n").substr(0, 9), "f.toml:2:");
  EXPECT_EQ(ErrorText("x = 1").substr(0, 11), "f.toml:1:1:");
  EXPECT_EQ(ErrorText("[server\n").substr(0, 9), "f.toml:1:");
}

TEST(Config, WrongTypesAndRangesAreErrorsWithTheirPlace) {
  EXPECT_EQ(ErrorText("[workers]\nlanes = 65\n"), "f.toml:2:9: workers.lanes: 65 is out of range, 1 to 64");
  EXPECT_NE(ErrorText("[workers]\nlanes = -1\n"), "");
  EXPECT_NE(ErrorText("[workers]\nlanes = \"4\"\n"), "");
  EXPECT_NE(ErrorText("[workers]\nlanes = 4.0\n"), "");
  EXPECT_NE(ErrorText("[sessions]\nlend = 1\n"), "");
  EXPECT_NE(ErrorText("[workers]\nsandbox = \"none\"\n"), "");
  EXPECT_NE(ErrorText("[server]\nlisten = \"unix:/x\"\n"), "");
  EXPECT_NE(ErrorText("[server]\nlisten = [1]\n"), "");
  EXPECT_NE(ErrorText("server = 1\n"), "");
}

TEST(Config, SizesTakeUnits) {
  const auto size = [](const std::string& text) {
    const auto config = ParseConfig("[store]\nmax_bytes = " + text, "f.toml");
    return config ? config->store_bytes : 0;
  };
  EXPECT_EQ(size("\"64 MiB\""), 64ull << 20);
  EXPECT_EQ(size("\"2GiB\""), 2ull << 30);
  EXPECT_EQ(size("1048576"), 1ull << 20);
  EXPECT_EQ(size("\"64 MB\""), 0u);
  EXPECT_EQ(size("\"99999999999 TiB\""), 0u);
}

TEST(Config, ContradictionsAreRefused) {
  FarmConfig config;
  config.state_dir = "/nowhere";
  EXPECT_TRUE(Complete(&config));
  config.lent_lanes = config.lanes;
  EXPECT_FALSE(Complete(&config));
  config.lent_lanes = 1;
  config.hot_threads = config.max_threads;
  EXPECT_FALSE(Complete(&config));
}

TEST(Address, LoopbackIsToldFromPublic) {
  for (const char* text : {"127.0.0.1:1", "127.9.9.9:0", "[::1]:5", "localhost:1", "unix:/tmp/x"}) {
    const auto address = ParseAddress(text);
    ASSERT_TRUE(address) << text;
    EXPECT_TRUE(address->is_loopback()) << text;
  }
  for (const char* text : {"0.0.0.0:1", "10.0.0.1:1", "[::]:5"}) {
    const auto address = ParseAddress(text);
    ASSERT_TRUE(address) << text;
    EXPECT_FALSE(address->is_loopback()) << text;
  }
  for (const char* text : {"", "localhost", ":1", "127.0.0.1:", "127.0.0.1:http", "127.0.0.1:65536", "127.0.0.1:-1",
                           "unix:", "nohost.invalid:1"})
    EXPECT_FALSE(ParseAddress(text)) << text;
  EXPECT_FALSE(ParseAddress("unix:" + std::string(200, 'x')));
}

}  // namespace
}  // namespace rbc::server
