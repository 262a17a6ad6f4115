// The module store through the farm: hits, single flight, deadlines, eviction; get_ir, emit.
// SPDX-License-Identifier: Apache-2.0
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "tests/server/farm_fixture.h"

namespace rbc::server::testing {
namespace {

class StoreTest : public FarmTest {};

TEST_F(StoreTest, KnownModuleIsAnsweredWithoutACompile) {
  StartFarm();
  auto a = Connect(), b = Connect();
  a.Hello();
  b.Hello();
  const auto first = a.Compile("module");
  const auto second = b.Compile("module");
  EXPECT_FALSE(first.cached);
  EXPECT_TRUE(second.cached);
  EXPECT_EQ(first.handle, second.handle);
  EXPECT_EQ(backend_->pool.compiles, 1u);
  EXPECT_FALSE(first.timings.empty());
  EXPECT_TRUE(second.timings.empty());
}

TEST_F(StoreTest, HandleAloneIsEnoughWhereItIsKnown) {
  StartFarm();
  auto client = Connect();
  client.Hello();
  auto request = MakeRequest("module");
  auto asked = request;
  asked.__isset.ir = false;
  asked.ir.clear();
  wire::CompileReply reply;
  EXPECT_EQ(ErrorOf([&] { client->compile(reply, asked); }).kind, wire::ErrorKind::UnknownModule);
  client->compile(reply, request);
  client->compile(reply, asked);
  EXPECT_TRUE(reply.cached);
  EXPECT_EQ(reply.functions[0].symbol, "f");
}

TEST_F(StoreTest, TrustDomainsDoNotShareCode) {
  StartFarm();
  auto local = Connect(), remote = ConnectTcp();
  local.Hello();
  remote.Hello();
  EXPECT_FALSE(local.Compile("module").cached);
  auto asked = MakeRequest("module");
  asked.__isset.ir = false;
  wire::CompileReply reply;
  EXPECT_EQ(ErrorOf([&] { remote->compile(reply, asked); }).kind, wire::ErrorKind::UnknownModule);
  EXPECT_FALSE(remote.Compile("module").cached);
  EXPECT_EQ(backend_->pool.compiles, 2u);
}

TEST_F(StoreTest, DamagedModuleIsRefusedBeforeItIsCompiled) {
  StartFarm();
  auto client = Connect();
  client.Hello();
  auto request = MakeRequest("module");
  request.ir[0] = 'M';
  wire::CompileReply reply;
  EXPECT_EQ(ErrorOf([&] { client->compile(reply, request); }).kind, wire::ErrorKind::InvalidArgument);
  request = MakeRequest("module");
  request.functions[0].signature = "int32()";
  EXPECT_EQ(ErrorOf([&] { client->compile(reply, request); }).kind, wire::ErrorKind::InvalidArgument);
  request = MakeRequest("module");
  request.handle.resize(31);
  EXPECT_EQ(ErrorOf([&] { client->compile(reply, request); }).kind, wire::ErrorKind::InvalidArgument);
  EXPECT_EQ(backend_->pool.compiles, 0u);
}

TEST_F(StoreTest, UnknownTargetsAndOptionsAreTyped) {
  StartFarm();
  auto client = Connect();
  client.Hello();
  wire::CompileReply reply;
  auto request = MakeRequest("module");
  request.target = "vax";
  const auto error = ErrorOf([&] { client->compile(reply, request); });
  EXPECT_EQ(error.kind, wire::ErrorKind::UnknownTarget);
  EXPECT_NE(error.message.find("it has host"), std::string::npos);
  request = MakeRequest("module");
  request.options.opt_level = 4;
  EXPECT_EQ(ErrorOf([&] { client->compile(reply, request); }).kind, wire::ErrorKind::InvalidArgument);
  request = MakeRequest("module");
  request.functions.clear();
  EXPECT_EQ(ErrorOf([&] { client->compile(reply, request); }).kind, wire::ErrorKind::InvalidArgument);
}

TEST_F(StoreTest, ManyClientsOfOneNewModuleCostOneCompile) {
  StartFarm();
  backend_->pool.Hold(true);
  std::vector<std::thread> clients;
  std::atomic<int> fresh{0};
  for (int i = 0; i < 32; ++i)
    clients.emplace_back([&, i] {
      auto client = Connect();
      client.Hello();
      const auto reply = client.Compile("new to all", "f", 0, i % 2 == 0 ? 0 : 20'000);
      fresh += !reply.cached;
    });
  EXPECT_TRUE(Eventually([&] { return farm_->store().counters().joined == 31; }));
  backend_->pool.Hold(false);
  for (auto& client : clients) client.join();
  EXPECT_EQ(backend_->pool.compiles, 1u);
  EXPECT_EQ(fresh, 1);
}

TEST_F(StoreTest, ErrorsGoToAllWhoWaitAndAreNotKept) {
  StartFarm();
  auto client = Connect();
  client.Hello();
  EXPECT_EQ(ErrorOf([&] { client.Compile("error here"); }).kind, wire::ErrorKind::InvalidModule);
  EXPECT_EQ(ErrorOf([&] { client.Compile("error here"); }).kind, wire::ErrorKind::InvalidModule);
  EXPECT_EQ(backend_->pool.compiles, 2u);
}

TEST_F(StoreTest, EachWaiterHasItsOwnDeadline) {
  StartFarm();
  backend_->pool.Hold(true);
  std::thread patient([&] {
    auto client = Connect();
    client.Hello();
    EXPECT_EQ(client.Compile("slow one").functions.size(), 1u);
  });
  EXPECT_TRUE(Eventually([&] { return backend_->pool.running() == 1; }));
  auto hasty = Connect();
  hasty.Hello();
  EXPECT_EQ(ErrorOf([&] { hasty.Compile("slow one", "f", 0, 50); }).kind, wire::ErrorKind::DeadlineExceeded);
  EXPECT_EQ(backend_->pool.cancelled, 0u) << "somebody still waits for it";
  backend_->pool.Hold(false);
  patient.join();
}

TEST_F(StoreTest, CompileEndsWhenTheLastWaiterLeaves) {
  StartFarm();
  backend_->pool.Hold(true);
  auto a = Connect(), b = Connect(), control = Connect();
  const auto hello = a.Hello();
  b.Attach(hello);
  control.Attach(hello);
  // The first one runs it on its own thread, the second one joins.
  std::thread first([&] { EXPECT_EQ(ErrorOf([&] { a.Compile("x", "f", 1); }).kind, wire::ErrorKind::Cancelled); });
  EXPECT_TRUE(Eventually([&] { return backend_->pool.running() == 1; }));
  std::thread second([&] { EXPECT_EQ(ErrorOf([&] { b.Compile("x", "f", 2); }).kind, wire::ErrorKind::Cancelled); });
  EXPECT_TRUE(Eventually([&] { return farm_->store().counters().joined == 1; }));
  EXPECT_TRUE(control->cancel(1));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(backend_->pool.cancelled, 0u);
  EXPECT_TRUE(control->cancel(2));
  second.join();
  first.join();
  EXPECT_EQ(backend_->pool.cancelled, 1u);
}

TEST_F(StoreTest, GoneClientLeavesTheCompile) {
  StartFarm();
  backend_->pool.Hold(true);
  auto watcher = Connect();
  watcher.Hello();
  wire::Farm_hello_args hello;
  hello.request.protocol_major = 1;
  wire::Farm_compile_args compile;
  compile.request = MakeRequest("abandoned");
  const auto bytes = FrameRequest("hello", 1, hello) + FrameRequest("compile", 2, compile);
  const int fd = RawConnect(unix_address_);
  ASSERT_EQ(send(fd, bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  EXPECT_TRUE(Eventually([&] { return backend_->pool.running() == 1; }));
  close(fd);
  EXPECT_TRUE(Eventually([&] { return backend_->pool.cancelled == 1; }));
}

TEST_F(StoreTest, LeastRecentlyUsedGoesFirstAndIsAskedForAgain) {
  config_.store_bytes = 1 << 20;
  StartFarm();
  auto client = Connect();
  client.Hello();
  std::string noise(100'000, '\0');
  unsigned seed = 1;
  for (auto& c : noise) c = static_cast<char>((seed = seed * 1103515245 + 12345) >> 16);
  const auto first = client.Compile("0" + noise);
  for (int i = 1; i < 20; ++i) client.Compile(std::to_string(i) + noise);
  const auto counters = farm_->store().counters();
  EXPECT_GT(counters.evictions, 0u);
  EXPECT_LE(counters.bytes, config_.store_bytes);
  // It was never loaded, so its code is needed now, and is not there.
  EXPECT_EQ(ErrorOf([&] { client.Call(first.functions[0].function_id, "x"); }).kind, wire::ErrorKind::UnknownModule);
  std::string ir;
  EXPECT_EQ(ErrorOf([&] { client->get_ir(ir, first.module_id); }).kind, wire::ErrorKind::UnknownModule);
  const auto again = client.Compile("0" + noise);
  EXPECT_FALSE(again.cached);
  EXPECT_EQ(again.module_id, first.module_id);
  EXPECT_EQ(client.Call(first.functions[0].function_id, "x").result, "x");
}

TEST_F(StoreTest, RecacheCompilesAgain) {
  StartFarm();
  auto client = Connect();
  client.Hello();
  client.Compile("module");
  auto request = MakeRequest("module");
  request.recache = true;
  wire::CompileReply reply;
  client->compile(reply, request);
  EXPECT_FALSE(reply.cached);
  EXPECT_EQ(backend_->pool.compiles, 2u);
}

TEST_F(StoreTest, IrComesBackAsItWasSent) {
  StartFarm();
  auto client = Connect();
  client.Hello();
  std::string text = "large ";
  for (int i = 0; i < 5000; ++i) text += "define double @f" + std::to_string(i);
  text += std::string("\0\xff", 2);
  for (const auto& ir : {std::string("small"), text}) {
    std::string back;
    client->get_ir(back, client.Compile(ir).module_id);
    EXPECT_EQ(back, ir);
  }
}

TEST_F(StoreTest, EmitKeepsNothing) {
  StartFarm();
  auto client = Connect();
  client.Hello();
  const auto compile = MakeRequest("module");
  wire::EmitRequest request;
  request.target = compile.target;
  request.functions = compile.functions;
  request.ir = compile.ir;
  request.emit = wire::Emit::Assembly;
  wire::EmitReply reply;
  client->emit(reply, request);
  EXPECT_EQ(reply.code, "object of module");
  EXPECT_EQ(farm_->store().counters().modules, 0u);
}

TEST_F(StoreTest, ModuleSharedByTwoCompilesNeedsTwoUnloads) {
  StartFarm();
  auto client = Connect();
  client.Hello();
  const auto a = client.Compile("module");
  const auto b = client.Compile("module");
  EXPECT_EQ(a.module_id, b.module_id);
  client->unload(a.module_id);
  EXPECT_EQ(client.Call(b.functions[0].function_id, "x").result, "x");
  client->unload(a.module_id);
  EXPECT_EQ(ErrorOf([&] { client.Call(b.functions[0].function_id, "x"); }).kind, wire::ErrorKind::UnknownModule);
  // The slot is used again, with another generation.
  const auto c = client.Compile("module");
  EXPECT_NE(c.functions[0].function_id, a.functions[0].function_id);
  EXPECT_EQ(c.functions[0].function_id & 0xffffffff, a.functions[0].function_id & 0xffffffff);
}

TEST_F(StoreTest, TwoHundredThousandCyclesAreFlat) {
  config_.store_bytes = 8 << 20;
  config_.lend = true;
  StartFarm();
  auto client = Connect();
  client.Hello();
  const int cycles = getenv("RBC_LONG") != nullptr ? 200'000 : 20'000;
  uint64_t after_warm_up = 0;
  for (int i = 0; i < cycles; ++i) {
    const auto f = client.Compile("module number " + std::to_string(i));
    client.Call(f.functions[0].function_id, "x");
    client->unload(f.module_id);
    if (i == 10'000) after_warm_up = ResidentBytes();
  }
  EXPECT_LT(ResidentBytes(), after_warm_up + after_warm_up / 20 + kNoise);
}

}  // namespace
}  // namespace rbc::server::testing
