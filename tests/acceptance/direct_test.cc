// Direct rings: calls of librbc through a lane that it shares with its worker.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/transport/TBufferTransports.h>
#include <unistd.h>

#include <complex>
#include <random>
#include <thread>

#include "gen/rbc_constants.h"
#include "rbc/rbc.h"
#include "tests/harness/farm_test.h"
#include "tests/harness/ir.h"
#include "tests/harness/neighbour.h"
#include "tests/harness/proc.h"
#include "worker/protocol.h"

namespace rbc::harness {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

// Enough calls of one function for the library to ask for a ring and use it.
constexpr int kWarm = 20;

// Without lending every call over a socket is a message to the daemon, so the daemon's count tells the paths apart.
class Direct : public FarmTest {
 protected:
  FarmOptions Options() const override { return FarmOptions().Set("sessions", "lend", "false"); }
  RemoteJIT Jit(bool direct = true) {
    RemoteJIT::Options options;
    options.direct = direct;
    options.on_output = [this](std::string_view text) { printed_.append(text); };
    return RemoteJIT(farm().unix_address(), options);
  }
  static Source Add() { return Source::Ir(AddModule().ir); }
  int Messages() { return farm().StatusJson().at("connections").at("messages").get<int>(); }
  int ClientLanes() {
    int lanes = 0;
    const auto status = farm().StatusJson();
    for (const auto& worker : status.at("workers")) lanes += worker.at("client_lanes").get<int>();
    return lanes;
  }
  std::string printed_;
};

TEST_F(Direct, CallsDoWithoutTheDaemonOnceWarm) {
  const auto jit = Jit();
  const auto add = jit.function<double(double, double)>(Add(), "add");
  for (int i = 0; i < kWarm; ++i) ASSERT_EQ(add(i, 0.5), i + 0.5);
  EXPECT_EQ(ClientLanes(), 1);
  const int before = Messages();
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(add(i, 0.25), i + 0.25);
  EXPECT_LT(Messages() - before, 20);
}

TEST_F(Direct, IsLeftAloneWhereAskedTo) {
  const auto jit = Jit(false);
  const auto add = jit.function<double(double, double)>(Add(), "add");
  const int before = Messages();
  for (int i = 0; i < 100; ++i) ASSERT_EQ(add(i, 0.5), i + 0.5);
  EXPECT_GE(Messages() - before, 100);
  EXPECT_EQ(ClientLanes(), 0);
}

// Frames of every size around that of a short call, and none.
TEST_F(Direct, AnyNumberOfArgumentsArrives) {
  const auto jit = Jit();
  for (int count = 0; count <= 14; ++count) {
    SCOPED_TRACE(count);
    std::string parameters, sum = "0.5", types;
    std::vector<::rbc::Value> values;
    double expected = 0.5;
    for (int i = 0; i < count; ++i) {
      const char* const comma = i == 0 ? "" : ", ";
      parameters += fmt::format("{}double x{}", comma, i);
      types += fmt::format("{}float64", comma);
      sum += fmt::format(" + {} * x{}", i + 1, i);
      values.emplace_back(i + 0.25);
      expected += (i + 1) * (i + 0.25);
    }
    const std::string code = fmt::format("double sum{}({}) {{ return {}; }}", count, parameters, sum);
    const auto f = jit.function(Source::C(code), fmt::format("sum{}", count), {fmt::format("float64({})", types)});
    for (int i = 0; i < kWarm; ++i) ASSERT_EQ(f.call(values).as<double>(), expected);
    const int before = Messages();
    for (int i = 0; i < 50; ++i) ASSERT_EQ(f.call(values).as<double>(), expected);
    EXPECT_LT(Messages() - before, 20);
  }
}

TEST_F(Direct, EveryKindOfResultArrives) {
  const auto jit = Jit();
  const auto source = Source::C(R"(
      int puts(const char *);
      signed char small(signed char x) { return -x; }
      float _Complex turn(float _Complex z) { return z * 1i; }
      void nothing(double x) {}
      double said(double x) { if (x > 3) puts("more than three"); return x; }
      const char *text(long n) { return n == 1 ? "one" : n == 2 ? "two" : 0; })");
  const auto small = jit.function<int8_t(int8_t)>(source, "small");
  const auto turn = jit.function<std::complex<float>(std::complex<float>)>(source, "turn");
  const auto nothing = jit.function<void(double)>(source, "nothing");
  const auto said = jit.function<double(double)>(source, "said");
  const auto text = jit.function<std::string(int64_t)>(source, "text");
  const auto careful = jit.function(Source::Ir(R"(define i32 @careful(ptr %r, ptr %e, double %x) {
  %bad = fcmp olt double %x, 0.0
  store double %x, ptr %r
  %status = select i1 %bad, i32 7, i32 0
  ret i32 %status
})"),
                                    "careful", {"float64(float64)"}, {.abi = CallAbi::kStatusRetptr});
  for (int i = 0; i < 2 * kWarm; ++i) {
    ASSERT_EQ(small(i), -i);
    ASSERT_EQ(turn({1.0f * i, 2}), std::complex<float>(-2, i));
    nothing(i);
    printed_.clear();
    ASSERT_EQ(said(i), i);
    ASSERT_EQ(printed_, i > 3 ? "more than three\n" : "");
    ASSERT_EQ(text(i % 2 + 1), i % 2 == 0 ? "one" : "two");
    const auto fine = careful.try_call({1.0 * i});
    ASSERT_TRUE(fine) << fine.error().message;
    ASSERT_EQ(fine->value.as<double>(), i);
    const auto bad = careful.try_call({-1.0});
    ASSERT_TRUE(bad) << bad.error().message;
    ASSERT_EQ(bad->status, 7);
  }
  EXPECT_EQ(ClientLanes(), 1);
}

TEST_F(Direct, ACallThatAStoppedWorkerNeverTookIsMadeElsewhere) {
  const auto jit = Jit();
  const auto say = jit.function<double(double)>(
      Source::C("int puts(const char *); double say(double x) { puts(\"once\"); return x; }"), "say");
  for (int i = 0; i < kWarm; ++i) ASSERT_EQ(say(i), i);
  pid_t pid = 0;
  for (const auto& each : farm().WorkersOf("execute"))
    if (each.session != 0) pid = each.pid;
  ASSERT_NE(pid, 0);
  const ProcessId worker = ReadStat(pid)->id;
  kill(pid, SIGSTOP);
  ASSERT_TRUE(WaitUntil(kPatience, [&] { return ReadStat(pid)->state == 'T'; }));
  printed_.clear();
  EXPECT_EQ(say(7), 7);
  EXPECT_EQ(printed_, "once\n");
  EXPECT_TRUE(WaitUntil(kPatience, [&] { return !IsAlive(worker); })) << "the stopped worker is left behind";
}

TEST_F(Direct, LargeArgumentsAndRepliesTakeTheLongWay) {
  const auto jit = Jit();
  const auto repeat = jit.function<std::string(std::string_view, int64_t)>(Source::C(R"(
      static char text[100001];
      const char *repeat(const char *s, long n) {
        long k = 0;
        for (long i = 0; i < n; i++) for (const char *p = s; *p; p++) text[k++] = *p;
        text[k] = 0;
        return text;
      })"),
                                                                           "repeat");
  for (int i = 0; i < kWarm; ++i) ASSERT_EQ(repeat("ab", 3), "ababab");
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(repeat("x", 50'000), std::string(50'000, 'x'));                // does not fit the lane on its way back
    EXPECT_EQ(repeat(std::string(5000, 'y'), 2), std::string(10'000, 'y'));  // nor on its way there
    EXPECT_EQ(repeat("ab", 2), "abab");
  }
  EXPECT_EQ(ClientLanes(), 1);
}

TEST_F(Direct, CrashesAreExplainedAndCostThatCall) {
  Neighbour neighbour(farm());
  const auto jit = Jit();
  const auto boom = jit.function<int64_t(int64_t)>(Source::Ir(R"(@text = constant [9 x i8] c"was here\00"
declare i32 @puts(ptr)
define i64 @boom(i64 %x) {
  %bad = icmp eq i64 %x, 13
  br i1 %bad, label %crash, label %fine
crash:
  call i32 @puts(ptr @text)
  store volatile i64 %x, ptr null
  ret i64 0
fine:
  ret i64 %x
}
)"),
                                                   "boom");
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < kWarm + 5; ++i) ASSERT_EQ(boom(i % 10), i % 10);
    EXPECT_EQ(ClientLanes(), 1);
    const auto result = boom.try_call(13);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind, ErrorKind::kRemoteCrash) << result.error().message;
    EXPECT_EQ(result.error().signal, SIGSEGV);
    EXPECT_EQ(result.error().function, "boom");
    EXPECT_THAT(result.error().output, HasSubstr("was here"));
    EXPECT_TRUE(result.error().may_have_run);
  }
  ExpectUndisturbed(neighbour.Take());
}

TEST_F(Direct, DeadlinesAndCancelStopTheCall) {
  const auto jit = Jit();
  const auto spin = jit.function<int64_t(int64_t)>(Source::Ir(R"(define i64 @spin(i64 %x) {
entry:
  %forever = icmp eq i64 %x, 13
  br label %loop
loop:
  %y = load volatile i64, ptr @word
  br i1 %forever, label %loop, label %done
done:
  ret i64 %x
}
@word = global i64 0
)"),
                                                   "spin");
  for (int i = 0; i < kWarm; ++i) ASSERT_EQ(spin(1), 1);
  const auto begin = std::chrono::steady_clock::now();
  const auto late = spin.with_timeout(milliseconds(500)).try_call(13);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().kind, ErrorKind::kDeadlineExceeded) << late.error().message;
  EXPECT_LT(std::chrono::steady_clock::now() - begin, milliseconds(1500) + kStall);
  (void)spin.try_call(1);  // says once that the state is lost
  for (int i = 0; i < kWarm; ++i) ASSERT_EQ(spin(2), 2);
  const auto pending = spin.call_async(13);
  EXPECT_TRUE(farm().AwaitBusy());
  EXPECT_TRUE(WaitUntil(kPatience, [&] { return pending.cancel() || pending.ready(); }));
  const auto cancelled = pending.try_get();
  ASSERT_FALSE(cancelled);
  EXPECT_EQ(cancelled.error().kind, ErrorKind::kCancelled) << cancelled.error().message;
}

TEST_F(Direct, MoreThreadsThanLanesGetTheirAnswers) {
  const auto jit = Jit();
  const auto add = jit.function<double(double, double)>(Add(), "add");
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 12; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 300; ++i) wrong += add(i, t) != i + t;
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_LE(ClientLanes(), 8);
}

TEST_F(Direct, LanesComeBackFromClientsThatVanish) {
  std::vector<pid_t> children;
  for (int i = 0; i < 6; ++i) {
    const pid_t child = children.emplace_back(fork());
    if (child == 0) {
      const auto jit = Jit();
      const auto slow = jit.function<int64_t(int64_t)>(Source::Ir(R"(define i64 @slow(i64 %n) {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %j, %loop ]
  %j = add i64 %i, 1
  store volatile i64 %j, ptr @word
  %more = icmp slt i64 %j, %n
  br i1 %more, label %loop, label %done
done:
  ret i64 %j
}
@word = global i64 0
)"),
                                                       "slow");
      for (int k = 0; k < kWarm; ++k) slow(1);
      alarm(1);  // kills this process in the middle of the call
      slow(100'000'000'000);
      _exit(0);
    }
  }
  for (const pid_t child : children) waitpid(child, nullptr, 0);
  EXPECT_TRUE(WaitUntil(kPatience, [&] { return farm().WorkersOf("execute").empty(); }))
      << "sessions over Unix sockets end with their client";
  const auto jit = Jit();
  const auto add = jit.function<double(double, double)>(Add(), "add");
  for (int i = 0; i < kWarm; ++i) ASSERT_EQ(add(i, 0.5), i + 0.5);
  EXPECT_EQ(ClientLanes(), 1);
}

TEST_F(Direct, AForkedChildHasARingOfItsOwn) {
  const auto jit = Jit();
  const auto add = jit.function<double(double, double)>(Add(), "add");
  for (int i = 0; i < kWarm; ++i) ASSERT_EQ(add(i, 0.5), i + 0.5);
  const pid_t child = fork();
  if (child == 0) {
    for (int i = 0; i < 2 * kWarm; ++i)
      if (add(i, 0.25) != i + 0.25) _exit(1);
    _exit(0);
  }
  for (int i = 0; i < kWarm; ++i) EXPECT_EQ(add(i, 0.75), i + 0.75);
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

// A client that maps its ring and fills all of it with random bytes, again and again: the daemon and other sessions go
// on.
class Scribbler {
 public:
  explicit Scribbler(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    const timeval limit{10, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  ~Scribbler() {
    if (ring_ != MAP_FAILED) munmap(ring_, size_);
    close(fd_);
  }
  // Sends what `write` writes and gives the framed reply; a descriptor that comes with it is kept.
  template <typename Write>
  std::shared_ptr<wire::FarmClient> Exchange(Write&& write) {
    auto out = std::make_shared<TMemoryBuffer>(), in = std::make_shared<TMemoryBuffer>();
    wire::FarmClient writer(std::make_shared<TBinaryProtocol>(std::make_shared<TFramedTransport>(out)));
    write(writer);
    const std::string bytes = out->getBufferAsString();
    EXPECT_EQ(send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
    std::string reply(1 << 20, '\0');
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    iovec piece{reply.data(), reply.size()};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t got = recvmsg(fd_, &message, 0);
    EXPECT_GT(got, 4);
    if (const cmsghdr* header = CMSG_FIRSTHDR(&message)) memcpy(&descriptor_, CMSG_DATA(header), sizeof descriptor_);
    in->write(reinterpret_cast<const uint8_t*>(reply.data()), static_cast<uint32_t>(std::max<ssize_t>(got, 0)));
    return std::make_shared<wire::FarmClient>(
        std::make_shared<TBinaryProtocol>(std::make_shared<TFramedTransport>(in)));
  }
  void OpenRing() {
    wire::HelloRequest hello;
    hello.protocol_major = wire::g_rbc_constants.PROTOCOL_MAJOR;
    wire::HelloReply welcome;
    Exchange([&](auto& c) { c.send_hello(hello); })->recv_hello(welcome);
    const wire::CompileRequest request = RequestFor(AddModule());
    wire::CompileReply compiled;
    Exchange([&](auto& c) { c.send_compile(request); })->recv_compile(compiled);
    wire::RingReply shared;
    Exchange([&](auto& c) { c.send_ring(compiled.functions.at(0).function_id); })->recv_ring(shared);
    ASSERT_GE(descriptor_, 0);
    size_ = static_cast<size_t>(shared.size);
    ring_ = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_, 0);
    ASSERT_NE(ring_, MAP_FAILED);
    EXPECT_NE(ftruncate(descriptor_, 0), 0) << "the ring is sealed";
    lanes_ = static_cast<uint32_t>(shared.lanes);
    lane_ = static_cast<uint32_t>(shared.lane);
    close(descriptor_);
  }
  void Scribble(std::mt19937_64& random) {
    for (uint32_t i = 0; i < lanes_; ++i) {
      auto* lane = reinterpret_cast<uint8_t*>(worker::LaneAt(ring_, i));
      for (size_t k = 0; k < 256; k += 8) *reinterpret_cast<uint64_t*>(lane + k) = random();
      if (random() % 2 == 0) worker::LaneAt(ring_, i)->state = random() % 11;
    }
    for (size_t k = 0; k < sizeof(worker::RingHeader); k += 8)
      *reinterpret_cast<uint64_t*>(static_cast<uint8_t*>(ring_) + k) = random();
  }
  // Asks for the reply that its lane claims to hold; any answer or a closed connection is fine.
  void AskReply() {
    try {
      std::string framed;
      worker::LaneAt(ring_, lane_)->state = worker::kReplyBig;
      worker::LaneAt(ring_, lane_)->reply_size = 0xfffffff0;
      Exchange([&](auto& c) { c.send_ring_reply(); })->recv_ring_reply(framed);
    } catch (const std::exception&) {
    }
  }

 private:
  using TBinaryProtocol = apache::thrift::protocol::TBinaryProtocol;
  using TFramedTransport = apache::thrift::transport::TFramedTransport;
  using TMemoryBuffer = apache::thrift::transport::TMemoryBuffer;
  int fd_ = -1, descriptor_ = -1;
  void* ring_ = MAP_FAILED;
  size_t size_ = 0;
  uint32_t lanes_ = 0, lane_ = 0;
};

TEST_F(Direct, AClientThatScribblesHarmsItselfAlone) {
  Neighbour neighbour(farm());
  std::mt19937_64 random(TestSeed(7));
  for (int round = 0; round < 10; ++round) {
    SCOPED_TRACE(round);
    Scribbler scribbler(farm().unix_address().substr(5));
    scribbler.OpenRing();
    for (int i = 0; i < 20; ++i) {
      scribbler.Scribble(random);
      std::this_thread::sleep_for(milliseconds(1));
    }
    if (round % 2 == 0) scribbler.AskReply();
  }
  ExpectUndisturbed(neighbour.Take());
  EXPECT_TRUE(WaitUntil(kPatience, [&] { return farm().WorkersOf("execute").size() <= 1; }));
}

class NoDirect : public Direct {
 protected:
  FarmOptions Options() const override { return Direct::Options().Set("sessions", "direct", "false"); }
};

TEST_F(NoDirect, FarmsMayRefuse) {
  const auto jit = Jit();
  const auto add = jit.function<double(double, double)>(Add(), "add");
  for (int i = 0; i < 3 * kWarm; ++i) ASSERT_EQ(add(i, 0.5), i + 0.5);
  EXPECT_EQ(ClientLanes(), 0);
}

}  // namespace
}  // namespace rbc::harness
