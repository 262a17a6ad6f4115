// What arrives from people who do not mean well, or from nobody: refused, bounded, forgotten.
// SPDX-License-Identifier: Apache-2.0
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <random>

#include "base/unique_fd.h"
#include "tests/server/farm_fixture.h"

namespace rbc::server::testing {
namespace {

constexpr uint64_t kMiB = 1 << 20;

std::string BigEndian(uint32_t value) {
  const uint32_t swapped = __builtin_bswap32(value);
  return std::string(reinterpret_cast<const char*>(&swapped), sizeof swapped);
}

// The head of a strict message that calls `method`, and the begin of its argument: field 1, a struct.
std::string CallHead(const std::string& method) {
  return BigEndian(0x80010001) + BigEndian(static_cast<uint32_t>(method.size())) + method + BigEndian(1) +
         std::string("\x0c\x00\x01", 3);
}

class HostileTest : public FarmTest {
 protected:
  void SendAll(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;  // it was closed: that is an answer
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
  }
  // Sends `bytes` on a fresh connection, half-closes, and returns what comes back.
  std::string Exchange(std::string_view bytes) {
    const UniqueFd fd(RawConnect(unix_address_));
    EXPECT_TRUE(fd);
    SendAll(fd.get(), bytes);
    shutdown(fd.get(), SHUT_WR);
    return ReadAll(fd.get());
  }
  void ExpectAlive() {
    auto client = Connect();
    client.Hello();
    EXPECT_EQ(client.Call(client.Compile("alive").functions[0].function_id, "x").result, "x");
  }
};

TEST_F(HostileTest, LyingFrameLengthsCostNothing) {
  StartFarm();
  const uint64_t before = ResidentBytes();
  std::vector<UniqueFd> open;
  for (int i = 0; i < 64; ++i) {
    open.emplace_back(RawConnect(unix_address_));
    // Announces all that is allowed, sends a little.
    SendAll(open.back().get(), BigEndian(static_cast<uint32_t>(config_.max_message)) + std::string(100, 'x'));
  }
  EXPECT_TRUE(Eventually([&] { return farm_->loop_counters().receive_bytes > 0; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_LT(farm_->loop_counters().receive_bytes, 64 * 100 * 1024u);
  EXPECT_LT(ResidentBytes(), before + 8 * kMiB + kNoise);
  for (const uint32_t length : {0x7fffffffu, 0x80000000u, 0xffffffffu}) EXPECT_EQ(Exchange(BigEndian(length)), "");
  ExpectAlive();
  open.clear();
  EXPECT_TRUE(Eventually([&] { return farm_->loop_counters().receive_bytes == 0; }));
}

TEST_F(HostileTest, TooLargeAMessageIsToldTheLimit) {
  config_.max_message = 1 << 20;
  StartFarm();
  const auto reply = Exchange(BigEndian(3 << 20) + CallHead("compile") + std::string(3 << 20, 'x'));
  EXPECT_NE(reply.find("1048576"), std::string::npos);
  EXPECT_EQ(SequenceOf(reply), 1);
  ExpectAlive();
}

TEST_F(HostileTest, ReceiveMemoryIsBoundedForAllTogether) {
  config_.receive_memory = 4 << 20;
  StartFarm();
  std::vector<UniqueFd> open;
  const std::string half = BigEndian(8 << 20) + CallHead("compile") + std::string(1 << 20, 'x');
  for (int i = 0; i < 20; ++i) {
    open.emplace_back(RawConnect(unix_address_));
    SendAll(open.back().get(), half);
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_LE(farm_->loop_counters().receive_bytes, config_.receive_memory);
  ExpectAlive();
  int refused = 0;
  for (auto& fd : open) {
    shutdown(fd.get(), SHUT_WR);
    refused += ReadAll(fd.get()).find("try again later") != std::string::npos;
  }
  EXPECT_GE(refused, 10);
}

TEST_F(HostileTest, RandomBytesAreRefused) {
  StartFarm();
  std::mt19937 random(7);
  uint64_t after_warm_up = 0;
  for (int i = 0; i < 2000; ++i) {
    std::string bytes(random() % 600, '\0');
    for (auto& c : bytes) c = static_cast<char>(random());
    Exchange(i % 2 == 0 ? bytes : Framed(bytes));
    if (i == 500) after_warm_up = ResidentBytes();
  }
  EXPECT_LT(ResidentBytes(), after_warm_up + kNoise);
  EXPECT_GT(farm_->loop_counters().malformed, 900u);
  ExpectAlive();
}

TEST_F(HostileTest, DamagedRequestsAreRefusedOrAnswered) {
  StartFarm();
  std::mt19937 random(11);
  wire::Farm_compile_args compile;
  compile.request = MakeRequest("some module");
  wire::Farm_call_args call;
  call.request.frame = "frame";
  wire::Farm_hello_args hello;
  hello.request.protocol_major = 1;
  const std::string whole[] = {FrameRequest("compile", 1, compile), FrameRequest("call", 1, call),
                               FrameRequest("hello", 1, hello)};
  uint64_t after_warm_up = 0;
  for (int i = 0; i < 6000; ++i) {
    auto bytes = whole[i % 3];
    for (unsigned flips = 1 + random() % 4; flips != 0; --flips)
      bytes[4 + random() % (bytes.size() - 4)] = static_cast<char>(random());
    Exchange(bytes);
    if (i == 1000) after_warm_up = ResidentBytes();
  }
  EXPECT_LT(ResidentBytes(), after_warm_up + kNoise);
  ExpectAlive();
}

TEST_F(HostileTest, LyingStringAndListLengthsCostNothing) {
  StartFarm();
  const uint64_t before = ResidentBytes();
  for (const uint32_t lie : {0x7fffffffu, 0x40000000u, 0xffffffffu, 0x80000000u, 16'000u}) {
    // compile: field 2 (handle) a string, field 4 (functions) a list of structs, field 9 an unknown map.
    EXPECT_EQ(Exchange(Framed(CallHead("compile") + std::string("\x0b\x00\x02", 3) + BigEndian(lie) + "xx")), "");
    EXPECT_EQ(Exchange(Framed(CallHead("compile") + std::string("\x0f\x00\x04\x0c", 4) + BigEndian(lie) + "xx")), "");
    EXPECT_EQ(Exchange(Framed(CallHead("compile") + std::string("\x0d\x00\x09\x0b\x0c", 5) + BigEndian(lie) + "xx")),
              "");
    EXPECT_EQ(Exchange(Framed(CallHead("call") + std::string("\x0b\x00\x03", 3) + BigEndian(lie) + "xx")), "");
    EXPECT_EQ(Exchange(Framed(BigEndian(0x80010001) + BigEndian(lie) + "hello")), "");
    // call_batch: field 1 is the list itself.
    auto head = CallHead("call_batch");
    head.resize(head.size() - 3);
    EXPECT_EQ(Exchange(Framed(head + std::string("\x0f\x00\x01\x0c", 4) + BigEndian(lie) + "xx")), "");
  }
  EXPECT_LT(ResidentBytes(), before + 8 * kMiB + kNoise);
  ExpectAlive();
}

TEST_F(HostileTest, DeepNestingIsRefused) {
  StartFarm();
  std::string deep;
  for (int i = 0; i < 10'000; ++i) deep += std::string("\x0c\x00\x63", 3);  // field 99, a struct, in a struct
  EXPECT_EQ(Exchange(Framed(CallHead("compile") + deep)), "");
  std::string lists = std::string("\x0f\x00\x63", 3);
  for (int i = 0; i < 10'000; ++i) lists += "\x0f" + BigEndian(1);  // a list of one list of one list ...
  EXPECT_EQ(Exchange(Framed(CallHead("hello") + lists)), "");
  EXPECT_EQ(Exchange(Framed(CallHead("call") + deep)), "");
  ExpectAlive();
}

TEST_F(HostileTest, NumbersThatNameNothingAreTyped) {
  StartFarm();
  wire::Farm_hello_args hello;
  hello.request.protocol_major = 1;
  wire::Farm_compile_args compile;
  compile.request = MakeRequest("module");
  compile.request.functions[0].abi = wire::Abi::Kernel;
  wire::Farm_emit_args emit;
  emit.request.target = "host";
  emit.request.functions = MakeRequest("module").functions;
  emit.request.emit = wire::Emit::Ptx;
  const auto head = FrameRequest("hello", 1, hello);
  for (const uint32_t number : {5u, 1000u, 0xffffffffu}) {
    // The signature's last bytes, then the field of the abi: type 8, number 3, and its value.
    auto bytes = FrameRequest("compile", 2, compile);
    auto at = bytes.find(std::string("\x08\x00\x03", 3) + BigEndian(3));
    ASSERT_NE(at, std::string::npos);
    bytes.replace(at + 3, 4, BigEndian(number));
    EXPECT_NE(Exchange(head + bytes).find("abi " + std::to_string(static_cast<int32_t>(number))), std::string::npos);
    bytes = FrameRequest("emit", 2, emit);
    at = bytes.find(std::string("\x08\x00\x06", 3) + BigEndian(3));
    ASSERT_NE(at, std::string::npos);
    bytes.replace(at + 3, 4, BigEndian(number));
    EXPECT_NE(Exchange(head + bytes).find("emit " + std::to_string(static_cast<int32_t>(number))), std::string::npos);
  }
}

TEST_F(HostileTest, UnknownMethodsGetThriftsOwnAnswer) {
  StartFarm();
  const auto reply = Exchange(Framed(CallHead("launch") + std::string(2, '\0')));
  EXPECT_NE(reply.find("launch"), std::string::npos);
  // The old, not strict form of a message is none of ours.
  EXPECT_EQ(Exchange(Framed(BigEndian(4) + "call" + std::string("\x01\0\0\0\1\0", 6))), "");
}

TEST_F(HostileTest, SlowClientsAreClosedAndHinderNobody) {
  config_.message_timeout_ms = 300;
  config_.max_threads = 4;
  config_.hot_threads = 1;
  StartFarm();
  std::vector<UniqueFd> slow;
  for (int i = 0; i < 200; ++i) {
    slow.emplace_back(RawConnect(unix_address_));
    SendAll(slow.back().get(), i % 2 == 0 ? BigEndian(1000) + "half" : std::string("\0\0", 2));
  }
  ExpectAlive();
  const auto idle = RawConnect(unix_address_);
  // A trickle does not keep it open.
  for (int i = 0; i < 20; ++i) {
    SendAll(slow[0].get(), "x");
    std::this_thread::sleep_for(std::chrono::milliseconds(40));
  }
  EXPECT_TRUE(Eventually([&] { return farm_->loop_counters().open == 1; })) << "idle ones may stay";
  EXPECT_EQ(farm_->loop_counters().timed_out, 200u);
  EXPECT_EQ(farm_->loop_counters().receive_bytes, 0u);
  close(idle);
}

TEST_F(HostileTest, ClientsThatDoNotReadHoldNoThread) {
  config_.message_timeout_ms = 500;
  config_.max_threads = 3;
  config_.hot_threads = 1;
  StartFarm();
  auto setup = Connect();
  const auto hello = setup.Hello();
  const auto f = setup.Compile("m").functions[0].function_id;
  wire::Farm_call_args call;
  call.request.function_id = f;
  call.request.frame = std::string(1 << 20, 'x');
  const auto bytes = FrameAttach(1, hello) + FrameRequest("call", 2, call) + FrameRequest("call", 3, call);
  std::vector<UniqueFd> deaf;
  for (int i = 0; i < 8; ++i) {
    deaf.emplace_back(RawConnect(unix_address_));
    const timeval timeout{.tv_sec = 0, .tv_usec = 200'000};
    setsockopt(deaf.back().get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    SendAll(deaf.back().get(), bytes);
  }
  EXPECT_EQ(setup.Call(f, "still").result, "still");
  EXPECT_TRUE(Eventually([&] { return farm_->loop_counters().open == 1; }));
  EXPECT_GE(farm_->loop_counters().timed_out, 8u);
}

TEST_F(HostileTest, LargeRepliesReachSlowReaders) {
  StartFarm();
  auto client = ConnectTcp();
  client.Hello();
  const auto f = client.Compile("m").functions[0].function_id;
  const std::string frame(20 << 20, 'y');
  EXPECT_EQ(client.Call(f, frame).result, frame);
  EXPECT_EQ(client.Call(f, "small").result, "small");
  EXPECT_TRUE(Eventually([&] { return farm_->loop_counters().receive_bytes == 0; }));
}

TEST_F(HostileTest, RawChannelsAreAnsweredInTheirOwnWords) {
  StartFarm();
  const auto reply = Exchange("RBC1" + std::string(20, '\0'));
  ASSERT_GE(reply.size(), 24u + 8u);
  EXPECT_EQ(reply.substr(0, 4), "RBC1");
  uint16_t version, type;
  uint64_t length;
  uint32_t kind;
  std::memcpy(&version, reply.data() + 4, 2);
  std::memcpy(&type, reply.data() + 6, 2);
  std::memcpy(&length, reply.data() + 16, 8);
  std::memcpy(&kind, reply.data() + 24, 4);
  EXPECT_EQ(version, 1);
  EXPECT_EQ(type, 1);
  EXPECT_EQ(length, reply.size() - 24);
  EXPECT_EQ(kind, static_cast<uint32_t>(ErrorKind::kProtocolMismatch));
}

TEST_F(HostileTest, ConnectionsThatComeAndGoLeaveNothing) {
  StartFarm();
  uint64_t after_warm_up = 0;
  for (int i = 0; i < 5000; ++i) {
    close(RawConnect(i % 2 == 0 ? unix_address_ : tcp_address_));
    if (i == 1000) after_warm_up = ResidentBytes();
  }
  EXPECT_TRUE(Eventually([&] { return farm_->loop_counters().open == 0; }));
  EXPECT_LT(ResidentBytes(), after_warm_up + kNoise);
}

TEST_F(HostileTest, IdleConnectionsAreSmall) {
#ifdef RBC_SANITIZED
  GTEST_SKIP() << "a sanitizer's allocator is not measured";
#endif
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  StartFarm();
  auto first = Connect();
  const auto hello = first.Hello();
  const auto f = first.Compile("m").functions[0].function_id;
  wire::Farm_call_args call;
  call.request.function_id = f;
  call.request.frame = std::string(100'000, 'x');  // one large request each: its buffers must not stay
  const auto bytes = FrameAttach(1, hello) + FrameRequest("call", 2, call);
  std::vector<UniqueFd> idle;
  const auto add = [&] {
    idle.emplace_back(RawConnect(unix_address_));
    SendAll(idle.back().get(), bytes);
    EXPECT_FALSE(ReadFrame(idle.back().get()).empty());
    EXPECT_EQ(ReadFrame(idle.back().get()).size() / 1000, 100u);
  };
  for (int i = 0; i < 20; ++i) add();
  ASSERT_TRUE(Eventually([&] { return farm_->loop_counters().receive_bytes == 0; }));
  const uint64_t before = AllocatedBytes();
  constexpr int kIdle = 1000;
  for (int i = 0; i < kIdle; ++i) add();
  ASSERT_TRUE(Eventually([&] { return farm_->loop_counters().receive_bytes == 0; }));
  const uint64_t after = AllocatedBytes();
  const double each = static_cast<double>(after > before ? after - before : 0) / kIdle;
  RecordProperty("bytes_each", static_cast<int>(each));
  std::printf("idle connection: %.0f bytes\n", each);
  EXPECT_LT(each, 8 * 1024);
}

}  // namespace
}  // namespace rbc::server::testing
