// Published names: owners, namespaces, expiry, restarts, damaged files.
// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <fstream>

#include "server/names/name_registry.h"
#include "tests/server/farm_fixture.h"

namespace rbc::server::testing {
namespace {

class NamesTest : public FarmTest {
 protected:
  static void Publish(Client& client, const wire::CompileReply& module, const std::string& name,
                      int64_t expires_ms = 0) {
    wire::PublishRequest request;
    request.module_id = module.module_id;
    request.function_id = module.functions[0].function_id;
    request.name = name;
    if (expires_ms != 0) request.__set_expires_ms(expires_ms);
    client->publish(request);
  }
  static wire::PublishedFunction Lookup(Client& client, const std::string& name) {
    wire::PublishedFunction found;
    client->lookup(found, name);
    return found;
  }
  std::vector<std::string> Files() const {
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(config_.state_dir + "/names"))
      files.push_back(entry.path().string());
    return files;
  }
};

TEST_F(NamesTest, PublishedFunctionIsFoundByAnotherClient) {
  StartFarm();
  auto a = Connect(), b = Connect();
  a.Hello();
  b.Hello();
  Publish(a, a.Compile("published"), "add");
  const auto found = Lookup(b, "add");
  EXPECT_EQ(found.owner, "uid:" + std::to_string(getuid()));
  EXPECT_EQ(found.target, "host");
  EXPECT_EQ(b.Call(found.info.function_id, "abc").result, "abc");
  EXPECT_EQ(backend_->pool.compiles, 1u);
}

TEST_F(NamesTest, FoundAfterARestart) {
  StartFarm();
  std::string id;
  {
    auto a = Connect();
    id = a.Hello().farm_id;
    Publish(a, a.Compile("survives"), "add");
  }
  StartFarm();
  auto b = Connect();
  EXPECT_EQ(b.Hello().farm_id, id);
  const auto found = Lookup(b, "add");
  EXPECT_EQ(backend_->pool.compiles, 1u);
  EXPECT_EQ(b.Call(found.info.function_id, "abc").result, "abc");
  std::string ir;
  b->get_ir(ir, found.module_id);
  EXPECT_EQ(ir, "survives");
}

TEST_F(NamesTest, OtherDomainsMayLookUpButNotChange) {
  StartFarm();
  auto local = Connect(), remote = ConnectTcp();
  local.Hello();
  remote.Hello();
  Publish(local, local.Compile("mine"), "add");
  const auto found = Lookup(remote, "add");
  EXPECT_EQ(remote.Call(found.info.function_id, "abc").result, "abc");
  EXPECT_EQ(backend_->pool.compiles, 2u) << "compiled in the looker's own domain";
  const auto theirs = remote.Compile("theirs");
  EXPECT_EQ(ErrorOf([&] { Publish(remote, theirs, "add"); }).kind, wire::ErrorKind::PermissionDenied);
  EXPECT_EQ(ErrorOf([&] { remote->withdraw("add"); }).kind, wire::ErrorKind::PermissionDenied);
  local->withdraw("add");
  EXPECT_EQ(ErrorOf([&] { Lookup(local, "add"); }).kind, wire::ErrorKind::UnknownName);
  Publish(remote, theirs, "add");
}

TEST_F(NamesTest, NamespacesAreApart) {
  StartFarm();
  auto a = Connect(), b = Connect();
  a.Hello("one");
  b.Hello("two");
  Publish(a, a.Compile("m"), "add");
  EXPECT_EQ(ErrorOf([&] { Lookup(b, "add"); }).kind, wire::ErrorKind::UnknownName);
  EXPECT_EQ(ErrorOf([&] { Connect().Hello(std::string(300, 'x')); }).kind, wire::ErrorKind::InvalidArgument);
}

TEST_F(NamesTest, OwnerReplacesItsName) {
  StartFarm();
  auto a = Connect();
  a.Hello();
  Publish(a, a.Compile("old"), "add");
  const auto fresh = a.Compile("new");
  Publish(a, fresh, "add");
  EXPECT_EQ(Lookup(a, "add").handle, fresh.handle);
  EXPECT_EQ(Files().size(), 1u);
}

TEST_F(NamesTest, NamesExpire) {
  StartFarm();
  auto a = Connect();
  a.Hello();
  Publish(a, a.Compile("short"), "add", 30);
  EXPECT_TRUE(Eventually([&] {
    try {
      Lookup(a, "add");
      return false;
    } catch (const wire::FarmError& error) {
      return error.kind == wire::ErrorKind::UnknownName;
    }
  }));
  farm_->names().Expire();
  EXPECT_TRUE(Files().empty());
}

TEST_F(NamesTest, DamagedFilesAreSetAside) {
  StartFarm();
  {
    auto a = Connect();
    a.Hello();
    Publish(a, a.Compile("one"), "one");
    Publish(a, a.Compile("two"), "two");
  }
  const auto files = Files();
  ASSERT_EQ(files.size(), 2u);
  {
    std::fstream file(files[0], std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(100);
    file.put('!');
  }
  StartFarm();
  EXPECT_EQ(farm_->names().size(), 1u);
  EXPECT_TRUE(std::filesystem::exists(files[0] + ".corrupt"));
  // Damaged while the farm runs: noticed when it is read.
  std::filesystem::resize_file(files[1], 60);
  auto b = Connect();
  b.Hello();
  EXPECT_EQ(ErrorOf([&] { Lookup(b, "one"); }).kind, wire::ErrorKind::UnknownName);
  EXPECT_EQ(ErrorOf([&] { Lookup(b, "two"); }).kind, wire::ErrorKind::UnknownName);
  EXPECT_EQ(farm_->names().size(), 0u);
}

TEST_F(NamesTest, LimitsAreTyped) {
  config_.max_names_per_owner = 2;
  StartFarm();
  auto a = Connect();
  a.Hello();
  const auto f = a.Compile("m");
  Publish(a, f, "one");
  Publish(a, f, "two");
  Publish(a, f, "two");
  EXPECT_EQ(ErrorOf([&] { Publish(a, f, "three"); }).kind, wire::ErrorKind::ResourceExhausted);
  EXPECT_EQ(ErrorOf([&] { Publish(a, f, ""); }).kind, wire::ErrorKind::InvalidArgument);
  EXPECT_EQ(ErrorOf([&] { Publish(a, f, "a\nb"); }).kind, wire::ErrorKind::InvalidArgument);
}

TEST(NameFile, EveryFlippedBitIsNoticed) {
  PublishedName name;
  name.name_space = "default";
  name.name = "add";
  name.owner = "uid:1";
  name.target = "host";
  name.functions = {{"f", "int32(int32)", Abi::kDirect}};
  name.ir = PackedText::Pack("define i32 @f");
  const auto bytes = Serialize(name);
  ASSERT_TRUE(ParsePublishedName(bytes));
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    auto damaged = bytes;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    EXPECT_FALSE(ParsePublishedName(damaged)) << bit;
  }
  for (size_t size = 0; size < bytes.size(); ++size) EXPECT_FALSE(ParsePublishedName(bytes.substr(0, size))) << size;
}

}  // namespace
}  // namespace rbc::server::testing
