// Peers that are no farm, or a bad one: silence, rubbish, lying lengths.
// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "rbc/rbc.h"
#include "tests/client/fake_farm.h"

namespace rbc::test {
namespace {

constexpr char kAdd[] = "define double @add(double %a, double %b) {\n}\n";

class RudeTest : public testing::Test {
 protected:
  std::string path() const { return directory_.path() + "/rude"; }
  TempDir directory_;
};

// By how much a busy machine, or one that stands still for a while, may be late.
constexpr std::chrono::milliseconds kStall(10'000);
constexpr int kSoon = 200, kPatient = 30'000;  // ms: an end that is waited for, and one that must come first

RemoteJIT WithTimeout(const std::string& address, int ms) {
  RemoteJIT::Options options;
  options.timeout = std::chrono::milliseconds(ms);
  return RemoteJIT(address, options);
}

wire::Farm_hello_result Hello() {
  wire::Farm_hello_result out;
  out.success.protocol_major = 1;
  out.success.farm_id = "rude";
  out.success.session_id = 1;
  out.success.secret = std::string(16, 'x');
  out.success.max_message = 1 << 20;
  out.__isset.success = true;
  return out;
}

// Kilobytes that this process has taken at its height.
long PeakMemory() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

// Answers hello and compile properly and gives `call` the bytes that a test wants on the wire.
class AlmostAFarm {
 public:
  AlmostAFarm(const std::string& path, std::function<std::string(const std::string& request)> call)
      : server_(path, [call = std::move(call)](int fd) {
          for (std::string request = ReadFrame(fd); !request.empty(); request = ReadFrame(fd)) {
            const std::string method = MethodOf(request);
            const int32_t sequence = SequenceOf(request);
            if (method == "hello") {
              WriteFrame(fd, EncodeReply("hello", sequence, Hello()));
            } else if (method == "compile") {
              wire::Farm_compile_result out;
              out.success.module_id = 1;
              out.success.functions.resize(1);
              out.success.functions[0].function_id = 5;
              out.__isset.success = true;
              WriteFrame(fd, EncodeReply("compile", sequence, out));
            } else if (method == "call") {
              const std::string bytes = call(request);
              (void)::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            } else {
              return;  // attach, outcome: closed
            }
          }
        }) {}
  std::string address() const { return server_.address(); }

 private:
  RudeServer server_;
};

std::string Framed(const std::string& message, int32_t length_off_by = 0) {
  const uint32_t size = __builtin_bswap32(static_cast<uint32_t>(message.size()) + static_cast<uint32_t>(length_off_by));
  return std::string(reinterpret_cast<const char*>(&size), 4) + message;
}

std::string ReplyTo(const std::string& request, const std::string& result) {
  wire::Farm_call_result out;
  out.success.result = result;
  out.__isset.success = true;
  return EncodeReply("call", SequenceOf(request), out);
}

Error CallError(const std::string& address, int timeout_ms = kPatient) {
  const auto add = WithTimeout(address, timeout_ms).function<double(double, double)>(Source::Ir(kAdd), "add");
  const auto result = add.try_call(1, 2);
  EXPECT_FALSE(result);
  return result ? Error() : result.error();
}

TEST_F(RudeTest, SilenceEndsAtTheDeadline) {
  const RudeServer server(path(), [](int fd) {
    char bytes[4096];
    while (::recv(fd, bytes, sizeof bytes, 0) > 0) {
    }
  });
  const auto start = std::chrono::steady_clock::now();
  const auto targets = WithTimeout(server.address(), kSoon).try_targets();
  const auto took = std::chrono::steady_clock::now() - start;
  ASSERT_FALSE(targets);
  EXPECT_EQ(targets.error().kind, ErrorKind::kDeadlineExceeded);
  EXPECT_THAT(targets.error().message, testing::HasSubstr("200 ms"));
  EXPECT_GE(took, std::chrono::milliseconds(200));
  EXPECT_LT(took, std::chrono::milliseconds(1200) + kStall);
}

TEST_F(RudeTest, AStoppedFarmIsNoticedWithinTheConnectTimeout) {
  const RudeServer server(path(), [](int fd) {
    char bytes[4096];
    while (::recv(fd, bytes, sizeof bytes, 0) > 0) {
    }
  });
  RemoteJIT::Options options;
  options.connect_timeout = std::chrono::milliseconds(150);
  const auto start = std::chrono::steady_clock::now();
  const auto targets = RemoteJIT(server.address(), options).try_targets();
  ASSERT_FALSE(targets);
  EXPECT_EQ(targets.error().kind, ErrorKind::kDeadlineExceeded);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(1150) + kStall);
}

// The backlog is full and nobody accepts: connecting itself must end.
TEST_F(RudeTest, AFullBacklogEndsAtTheDeadline) {
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  socklen_t size = sizeof address;
  ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  ::listen(listener, 0);
  const std::string farm = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 3; ++i) {
    const auto targets = WithTimeout(farm, 100).try_targets();
    ASSERT_FALSE(targets);
    EXPECT_EQ(targets.error().kind, ErrorKind::kDeadlineExceeded);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(1300) + kStall);
  ::close(listener);
}

TEST_F(RudeTest, NobodyListensIsSaidAtOnce) {
  RemoteJIT::Options options;
  options.connect_timeout = 3 * kStall;
  const auto start = std::chrono::steady_clock::now();
  const auto targets = RemoteJIT("unix:" + path(), options).try_targets();
  ASSERT_FALSE(targets);
  EXPECT_EQ(targets.error().kind, ErrorKind::kConnectionLost);
  EXPECT_THAT(targets.error().message, testing::HasSubstr("start it with rbc-farm"));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(200) + kStall);
}

TEST_F(RudeTest, AWebServerIsNoFarm) {
  const RudeServer server(path(), [](int fd) {
    ReadFrame(fd);
    const char answer[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    (void)::send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL);
  });
  const auto targets = WithTimeout(server.address(), kPatient).try_targets();
  ASSERT_FALSE(targets);
  EXPECT_EQ(targets.error().kind, ErrorKind::kProtocolMismatch) << targets.error().message;
}

TEST_F(RudeTest, AClosedConnectionIsAnError) {
  const RudeServer server(path(), [](int) {});
  const auto targets = WithTimeout(server.address(), kPatient).try_targets();
  ASSERT_FALSE(targets);
  EXPECT_EQ(targets.error().kind, ErrorKind::kConnectionLost);
}

TEST_F(RudeTest, LyingFrameLengthsTakeNoMemory) {
  const AlmostAFarm farm(path(),
                         [](const std::string&) { return std::string("\x7f\xff\xff\xff", 4) + std::string(100, 'x'); });
  const long before = PeakMemory();
  EXPECT_EQ(CallError(farm.address()).kind, ErrorKind::kProtocolMismatch);
  EXPECT_LT(PeakMemory() - before, 8 * 1024);
}

TEST_F(RudeTest, AFrameThatStopsInTheMiddleEndsAtTheDeadline) {
  const AlmostAFarm farm(path(), [](const std::string& request) { return Framed(ReplyTo(request, "12345678"), 10); });
  const Error error = CallError(farm.address(), 2000);  // it is to be sent by then
  EXPECT_EQ(error.kind, ErrorKind::kDeadlineExceeded);
  EXPECT_TRUE(error.may_have_run);
}

TEST_F(RudeTest, ATruncatedReplyIsRefused) {
  const AlmostAFarm farm(path(), [](const std::string& request) {
    const std::string reply = ReplyTo(request, "12345678");
    return Framed(reply.substr(0, reply.size() - 5));
  });
  const Error error = CallError(farm.address());
  EXPECT_EQ(error.kind, ErrorKind::kProtocolMismatch);
  EXPECT_TRUE(error.may_have_run);
}

TEST_F(RudeTest, AStringLongerThanItsMessageIsRefused) {
  const AlmostAFarm farm(path(), [](const std::string& request) {
    std::string reply = ReplyTo(request, "12345678");
    const size_t at = reply.find("12345678");
    std::memcpy(reply.data() + at - 4, "\x7f\xff\xff\xff", 4);
    return Framed(reply);
  });
  EXPECT_EQ(CallError(farm.address()).kind, ErrorKind::kProtocolMismatch);
}

TEST_F(RudeTest, MoreBytesThanAskedForAreRefused) {
  const AlmostAFarm farm(path(),
                         [](const std::string& request) { return Framed(ReplyTo(request, "12345678")) + "surplus"; });
  EXPECT_EQ(CallError(farm.address()).kind, ErrorKind::kProtocolMismatch);
}

TEST_F(RudeTest, AResultOfTheWrongSizeIsRefused) {
  const AlmostAFarm farm(path(), [](const std::string& request) { return Framed(ReplyTo(request, "1234")); });
  EXPECT_EQ(CallError(farm.address()).kind, ErrorKind::kProtocolMismatch);
}

TEST_F(RudeTest, AnotherRequestsReplyIsRefused) {
  const AlmostAFarm farm(path(), [](const std::string&) {
    wire::Farm_call_result out;
    out.__isset.success = true;
    return Framed(EncodeReply("call", 12345, out));
  });
  EXPECT_EQ(CallError(farm.address()).kind, ErrorKind::kProtocolMismatch);
}

TEST_F(RudeTest, ListsAndStringsThatLieInOtherRepliesAreRefused) {
  for (const bool string : {false, true}) {
    const std::string at = path() + (string ? "s" : "l");
    const RudeServer server(at, [string](int fd) {
      for (std::string request = ReadFrame(fd); !request.empty(); request = ReadFrame(fd)) {
        if (MethodOf(request) == "hello") {
          WriteFrame(fd, EncodeReply("hello", SequenceOf(request), Hello()));
          continue;
        }
        wire::Farm_targets_result out;
        out.success.resize(1);
        out.success[0].name = "NAME";
        out.__isset.success = true;
        std::string reply = EncodeReply("targets", SequenceOf(request), out);
        const size_t name = reply.find("NAME");
        // Before the name: its length (4), its field's head (3), the list's length (4).
        std::memcpy(reply.data() + name - (string ? 4 : 11), "\x7f\xff\xff\xf0", 4);
        WriteFrame(fd, reply);
      }
    });
    const long before = PeakMemory();
    const auto targets = WithTimeout(server.address(), kPatient).try_targets();
    ASSERT_FALSE(targets);
    EXPECT_EQ(targets.error().kind, ErrorKind::kProtocolMismatch) << targets.error().message;
    EXPECT_LT(PeakMemory() - before, 8 * 1024);
  }
}

TEST_F(RudeTest, AnotherMajorVersionIsNamed) {
  FakeFarm farm(path());
  farm.protocol_major = 2;
  const auto targets = RemoteJIT(farm.address()).try_targets();
  ASSERT_FALSE(targets);
  EXPECT_EQ(targets.error().kind, ErrorKind::kProtocolMismatch);
  EXPECT_THAT(targets.error().message, testing::AllOf(testing::HasSubstr("2.0"), testing::HasSubstr("this client 1.")));
}

TEST_F(RudeTest, ARequestLargerThanTheFarmTakesIsRefusedHere) {
  FakeFarm farm(path());
  farm.max_message = 1 << 17;
  const RemoteJIT rjit(farm.address());
  const auto f = rjit.function<void(std::span<const char>)>(Source::Ir("define void @f(ptr %p) {\n}\n"), "f");
  const std::string large(1 << 18, 'x');
  const auto refused = f.try_call(std::span<const char>(large.data(), large.size()));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kResourceExhausted);
  EXPECT_FALSE(refused.error().may_have_run);
  const auto module = rjit.try_emit(Source::Ir(large), EmitKind::kAssembly);
  ASSERT_FALSE(module);
  EXPECT_EQ(module.error().kind, ErrorKind::kResourceExhausted);
  EXPECT_TRUE(rjit.try_targets()) << "the connection is still good";
  EXPECT_EQ(farm.hellos, 1);
}

TEST_F(RudeTest, LargeRepliesArriveWhole) {
  FakeFarm farm(path());
  farm.SetCall([](const auto&, const wire::CallRequest& request) {
    wire::CallReply reply;
    std::string memory = request.frame + std::string(static_cast<size_t>(request.out_bytes), '\0');
    for (size_t i = static_cast<size_t>(request.return_from); i < memory.size(); ++i)
      memory[i] = static_cast<char>(i * 7);
    reply.__set_data(memory.substr(static_cast<size_t>(request.return_from)));
    return reply;
  });
  const RemoteJIT rjit(farm.address());
  const auto f = rjit.function<void(Out<char>)>(Source::Ir("define void @f(ptr %p) {\n}\n"), "f");
  std::vector<char> bytes(3 << 20);
  for (int round = 0; round < 3; ++round) {
    std::fill(bytes.begin(), bytes.end(), 0);
    f(Out<char>(std::span(bytes)));
    for (size_t i = 0; i < bytes.size(); ++i) ASSERT_EQ(bytes[i], static_cast<char>((i + 16) * 7)) << i;
  }
}

}  // namespace
}  // namespace rbc::test
