// Hostile bytes to the port of the real daemon: refused, without memory, without a pause for others.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/transport/TBufferTransports.h>
#include <unistd.h>

#include <cstring>
#include <random>
#include <thread>

#include "base/unique_fd.h"
#include "tests/harness/farm_test.h"
#include "tests/harness/ir.h"
#include "tests/harness/neighbour.h"

namespace rbc::harness {
namespace {

using std::chrono::milliseconds;

std::string BigEndian(uint32_t value) {
  const uint32_t swapped = __builtin_bswap32(value);
  return std::string(reinterpret_cast<const char*>(&swapped), 4);
}

// The framed bytes of a call of the service, made by the generated code.
template <typename F>
std::string FramedRequest(F&& send) {
  const auto memory = std::make_shared<apache::thrift::transport::TMemoryBuffer>();
  wire::FarmClient client(std::make_shared<apache::thrift::protocol::TBinaryProtocol>(memory));
  send(client);
  const std::string body = memory->getBufferAsString();
  return BigEndian(static_cast<uint32_t>(body.size())) + body;
}

wire::HelloRequest AnyHello() {
  wire::HelloRequest hello;
  hello.protocol_major = 1;
  hello.client = "fuzz";
  return hello;
}

class Wire : public FarmTest {
 protected:
  FarmOptions Options() const override {
    return FarmOptions().Set("limits", "message_timeout_ms", "1500").Set("limits", "receive_memory", "\"64 MiB\"");
  }
  void SetUp() override {
    FarmTest::SetUp();
    neighbour_ = std::make_unique<Neighbour>(farm());
    std::this_thread::sleep_for(milliseconds(100));
    before_ = ResidentBytes(farm().pid());
    descriptors_ = OpenDescriptors(farm().pid());
  }
  // After each attack: right answers throughout, memory as before, no descriptor left.
  void TearDown() override {
    ExpectUndisturbed(neighbour_->Take());
    EXPECT_TRUE(WaitUntil(kPatience, [&] { return HasGrownAtMost(farm(), before_, 16 << 20); }))
        << "the daemon has grown from " << before_ / 1024 << " KiB to " << ResidentBytes(farm().pid()) / 1024;
    EXPECT_TRUE(WaitUntil(kPatience, [&] { return OpenDescriptors(farm().pid()) <= descriptors_ + 8; }))
        << descriptors_ << " descriptors have become " << OpenDescriptors(farm().pid());
    Client client = farm().ConnectTcp();
    EXPECT_TRUE(Must(client.Call(Must(client.Load(AddModule())), {1.0, 2.0})).value == Value(3.0));
    neighbour_.reset();
    FarmTest::TearDown();
  }

  UniqueFd Dial() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port =
        htons(static_cast<uint16_t>(std::stoi(farm().tcp_address().substr(farm().tcp_address().rfind(':') + 1))));
    UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fd.Reset();
    return fd;
  }
  // Sends what the peer takes; false where it has closed.
  static bool Send(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }
  // All that comes until the peer closes or `limit` passes without a byte. Sets *closed.
  static std::string Receive(int fd, milliseconds limit, bool* closed) {
    std::string all;
    char buffer[4096];
    for (;;) {
      pollfd wait{fd, POLLIN, 0};
      *closed = false;
      if (poll(&wait, 1, static_cast<int>(limit.count())) <= 0) return all;
      const ssize_t size = recv(fd, buffer, sizeof buffer, 0);
      *closed = size <= 0;
      if (size <= 0) return all;
      all.append(buffer, static_cast<size_t>(size));
    }
  }

  std::unique_ptr<Neighbour> neighbour_;
  uint64_t before_ = 0;
  size_t descriptors_ = 0;
};

TEST_F(Wire, RandomBytes) {
  const uint64_t seed = TestSeed(1);
  std::mt19937_64 random(seed);
  for (int i = 0; i < 400; ++i) {
    SCOPED_TRACE("RBC_SEED=" + std::to_string(seed) + " connection " + std::to_string(i));
    const UniqueFd fd = Dial();
    ASSERT_TRUE(fd);
    std::string bytes(random() % 4000, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    if (i % 2 == 0) bytes = BigEndian(static_cast<uint32_t>(bytes.size())) + bytes;  // a frame of nonsense
    Send(fd.get(), bytes);
    shutdown(fd.get(), SHUT_WR);
    bool closed = false;
    Receive(fd.get(), kPatience, &closed);
    EXPECT_TRUE(closed) << "the daemon keeps a connection of nonsense";
  }
}

TEST_F(Wire, DamagedRequests) {
  const uint64_t seed = TestSeed(2);
  std::mt19937_64 random(seed);
  const Module module = AddModule();
  const std::vector<std::string> whole = {
      FramedRequest([](auto& client) { client.send_hello(AnyHello()); }),
      FramedRequest([&](auto& client) { client.send_compile(RequestFor(module)); }),
      FramedRequest([](auto& client) {
        wire::CallRequest call;
        call.function_id = 1;
        call.frame = std::string(64, 'x');
        client.send_call(call);
      }),
      FramedRequest([](auto& client) { client.send_call_batch(std::vector<wire::CallRequest>(20)); }),
      FramedRequest([](auto& client) { client.send_lookup("name"); }),
      FramedRequest([](auto& client) { client.send_status(); }),
  };
  const std::string& hello = whole[0];
  for (int i = 0; i < 600; ++i) {
    SCOPED_TRACE("RBC_SEED=" + std::to_string(seed) + " request " + std::to_string(i));
    std::string bytes = whole[random() % whole.size()];
    const int damages = 1 + static_cast<int>(random() % 4);
    for (int d = 0; d < damages; ++d) {
      const size_t at = 4 + random() % (bytes.size() - 4);
      switch (random() % 4) {
        case 0:
          bytes[at] = static_cast<char>(random());
          break;
        case 1:
          bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8));
          break;
        case 2:
          bytes.replace(at, std::min<size_t>(4, bytes.size() - at), "\x7f\xff\xff\xff");
          break;
        default:
          bytes.resize(std::max<size_t>(at, 5));
          break;
      }
    }
    bytes.replace(0, 4, BigEndian(static_cast<uint32_t>(bytes.size() - 4)));
    const UniqueFd fd = Dial();
    ASSERT_TRUE(fd);
    if (i % 2 == 0) Send(fd.get(), hello);
    Send(fd.get(), bytes);
    shutdown(fd.get(), SHUT_WR);
    bool closed = false;
    Receive(fd.get(), kPatience, &closed);
    EXPECT_TRUE(closed);
  }
}

// Each length that a request holds says two gigabytes or minus one; nothing is allocated for it.
TEST_F(Wire, LyingLengths) {
  for (const uint32_t length : {0x7fffffffu, 0x80000000u, 0xffffffffu, 0x40000000u, 0x04000001u}) {
    const UniqueFd fd = Dial();
    ASSERT_TRUE(fd);
    Send(fd.get(), BigEndian(length));
    Send(fd.get(), std::string(64, 'x'));
    bool closed = false;
    Receive(fd.get(), kPatience, &closed);
    EXPECT_TRUE(closed) << "a frame of " << length << " bytes";
  }
  const std::string hello = FramedRequest([](auto& client) { client.send_hello(AnyHello()); });
  const std::string compile = FramedRequest([](auto& client) { client.send_compile(RequestFor(AddModule())); });
  for (const std::string& whole : {hello, compile}) {
    for (size_t at = 4; at + 4 <= whole.size(); ++at) {
      const UniqueFd fd = Dial();
      ASSERT_TRUE(fd);
      std::string bytes = whole;
      bytes.replace(at, 4, BigEndian(at % 2 == 0 ? 0x7ffffff0u : 0xffffffffu));
      Send(fd.get(), bytes);
      shutdown(fd.get(), SHUT_WR);
      bool closed = false;
      Receive(fd.get(), kPatience, &closed);
      ASSERT_TRUE(closed) << "length at byte " << at;
    }
  }
  EXPECT_TRUE(HasGrownAtMost(farm(), before_, 32 << 20));
}

// Structures in structures, ten thousand deep, in a field that no version knows.
TEST_F(Wire, DeepNesting) {
  for (const int depth : {65, 1000, 10'000, 500'000}) {
    std::string body = std::string("\x80\x01\x00\x01", 4) + BigEndian(5) + "hello" + BigEndian(1);
    for (int i = 0; i < depth; ++i) body += std::string("\x0c\x00\x63", 3);  // field 99, a struct
    body += std::string(static_cast<size_t>(depth), '\0');
    const UniqueFd fd = Dial();
    ASSERT_TRUE(fd);
    Send(fd.get(), BigEndian(static_cast<uint32_t>(body.size())) + body);
    shutdown(fd.get(), SHUT_WR);
    bool closed = false;
    Receive(fd.get(), kPatience, &closed);
    EXPECT_TRUE(closed) << depth;
  }
}

TEST_F(Wire, TruncatedFramesAtEveryByte) {
  const std::string whole = FramedRequest([](auto& client) { client.send_compile(RequestFor(AddModule())); });
  for (size_t size = 0; size < whole.size(); size += 3) {
    const UniqueFd fd = Dial();
    ASSERT_TRUE(fd);
    Send(fd.get(), std::string_view(whole).substr(0, size));
    shutdown(fd.get(), SHUT_WR);
    bool closed = false;
    const std::string reply = Receive(fd.get(), kPatience, &closed);
    EXPECT_TRUE(closed && reply.empty()) << size;
  }
}

// Half a message and then silence, or a byte now and then: closed when the message's time is over.
TEST_F(Wire, SlowClientsAreClosedInTime) {
  const std::string hello = FramedRequest([](auto& client) { client.send_hello(AnyHello()); });
  std::vector<UniqueFd> slow;
  for (int i = 0; i < 1000; ++i) {
    slow.push_back(Dial());
    ASSERT_TRUE(slow.back());
    Send(slow.back().get(), std::string_view(hello).substr(0, 1 + static_cast<size_t>(i) % (hello.size() - 1)));
  }
  std::atomic<bool> dripping{true};
  std::thread drip([&] {
    const UniqueFd fd = Dial();
    const std::string big = BigEndian(100'000);
    for (size_t i = 0; dripping; ++i) {
      if (!Send(fd.get(), i < 4 ? std::string(1, big[i]) : "x")) break;
      std::this_thread::sleep_for(milliseconds(20));
    }
  });
  for (auto& fd : slow) {
    bool closed = false;
    Receive(fd.get(), kPatience, &closed);
    ASSERT_TRUE(closed) << "a client that began a message may keep it for ever";
  }
  dripping = false;
  drip.join();
}

// Large messages that never end, from many at once: the memory for unfinished messages is bounded.
TEST_F(Wire, UnfinishedMegabytesAreBounded) {
  std::vector<UniqueFd> fds;
  const std::string part(1 << 20, 'x');
  for (int i = 0; i < 100; ++i) {
    fds.push_back(Dial());
    ASSERT_TRUE(fds.back());
    timeval limit{2, 0};
    setsockopt(fds.back().get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    Send(fds.back().get(), BigEndian(60u << 20));
    for (int m = 0; m < 3; ++m) {
      if (!Send(fds.back().get(), part)) break;
    }
    ASSERT_TRUE(HasGrownAtMost(farm(), before_, 160 << 20)) << "64 MiB are allowed for what is unfinished";
  }
}

TEST_F(Wire, ManyConnectionsComeAndGo) {
  const std::string hello = FramedRequest([](auto& client) { client.send_hello(AnyHello()); });
  for (int i = 0; i < 3000; ++i) {
    const UniqueFd fd = Dial();
    ASSERT_TRUE(fd) << i;
    if (i % 3 == 0) Send(fd.get(), hello);
    if (i % 5 == 0) {
      bool closed = false;
      Receive(fd.get(), milliseconds(i % 3 == 0 ? 20 : 0), &closed);
    }
  }
}

TEST_F(Wire, RawChannelsAndOtherProtocolsAreAnsweredOrClosed) {
  const std::vector<std::string> greetings = {
      "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
      "SSH-2.0-OpenSSH_9.2\r\n",
      std::string("\x16\x03\x01\x02\x00\x01\x00", 7),
      "RBC1",
      "RBC1" + std::string(20, '\0'),
      "RBC1" + std::string(20, '\xff'),
      "RBC1" + std::string("\1\0\1\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\x7f", 20) + std::string(5000, 'x')};
  for (const std::string& greeting : greetings) {
    const UniqueFd fd = Dial();
    ASSERT_TRUE(fd);
    Send(fd.get(), greeting);
    shutdown(fd.get(), SHUT_WR);
    bool closed = false;
    const std::string reply = Receive(fd.get(), kPatience, &closed);
    EXPECT_TRUE(closed) << greeting.substr(0, 8);
    EXPECT_TRUE(reply.starts_with("RBC1") || !greeting.starts_with("RBC1") || greeting.size() < 24);
  }
}

// Requests faster than anyone can answer, replies never read.
TEST_F(Wire, AFloodWhoseRepliesNobodyReads) {
  const std::string status = FramedRequest([](auto& client) { client.send_status(); });
  const std::string hello = FramedRequest([](auto& client) { client.send_hello(AnyHello()); });
  std::vector<UniqueFd> fds;
  for (int i = 0; i < 8; ++i) {
    fds.push_back(Dial());
    ASSERT_TRUE(fds.back());
    timeval limit{0, 300'000};
    setsockopt(fds.back().get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    Send(fds.back().get(), hello);
  }
  const auto end = std::chrono::steady_clock::now() + milliseconds(2000);
  std::vector<bool> open(fds.size(), true);
  while (std::chrono::steady_clock::now() < end) {
    for (size_t i = 0; i < fds.size(); ++i) {
      for (int n = 0; n < 100 && open[i]; ++n) open[i] = Send(fds[i].get(), status);
    }
  }
  EXPECT_TRUE(HasGrownAtMost(farm(), before_, 96 << 20));
}

}  // namespace
}  // namespace rbc::harness
