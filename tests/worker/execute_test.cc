// An execution worker over its lanes and over lent connections.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <poll.h>
#include <sys/socket.h>

#include <thread>

#include "tests/worker/harness.h"

namespace rbc::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kArithmetic[] = R"(
define double @add(double %a, double %b) { %s = fadd double %a, %b ret double %s }
define i64 @sum(ptr %p, i64 %n) {
entry: br label %loop
loop:
  %i = phi i64 [0, %entry], [%i2, %loop]
  %s = phi i64 [0, %entry], [%s2, %loop]
  %q = getelementptr i8, ptr %p, i64 %i
  %b = load i8, ptr %q
  %z = zext i8 %b to i64
  %s2 = add i64 %s, %z
  %i2 = add i64 %i, 1
  %c = icmp ult i64 %i2, %n
  br i1 %c, label %loop, label %done
done: ret i64 %s2
}
define void @fill(ptr %p, i64 %n) { call void @llvm.memset.p0.i64(ptr %p, i8 120, i64 %n, i1 false) ret void }
define ptr @greet() { ret ptr @text }
define ptr @nothing() { ret ptr null }
define ptr @long_text() {
  %m = call ptr @malloc(i64 2097153)
  call void @llvm.memset.p0.i64(ptr %m, i8 97, i64 2097152, i1 false)
  %e = getelementptr i8, ptr %m, i64 2097152
  store i8 0, ptr %e
  ret ptr %m
}
define i64 @length(ptr %s) { %n = call i64 @strlen(ptr %s) ret i64 %n }
declare i64 @strlen(ptr)
declare ptr @malloc(i64)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
@text = private constant [6 x i8] c"hello\00"
)";

std::vector<FunctionDeclaration> Arithmetic() {
  return {{"add", "float64(float64, float64)"},
          {"sum", "int64(void*, int64)"},
          {"fill", "void(void*, int64)"},
          {"greet", "string()"},
          {"nothing", "string()"},
          {"long_text", "string()"},
          {"length", "int64(string)"}};
}
enum : uint32_t { kAdd, kSum, kFill, kGreet, kNothing, kLongText, kLength };

struct Cell {
  uint32_t offset, length;
};

bool Readable(int fd, int milliseconds) {
  pollfd wait{fd, POLLIN, 0};
  return poll(&wait, 1, milliseconds) == 1;
}

// One framed message.
std::string ReadMessage(int fd) {
  std::string out;
  while (out.size() < 4 || out.size() < 4 + __builtin_bswap32(*reinterpret_cast<const uint32_t*>(out.data()))) {
    char bytes[65536];
    const size_t wanted = out.size() < 4
                              ? 4 - out.size()
                              : 4 + __builtin_bswap32(*reinterpret_cast<const uint32_t*>(out.data())) - out.size();
    if (!Readable(fd, 30'000)) return {};
    const ssize_t got = recv(fd, bytes, std::min(wanted, sizeof bytes), 0);
    if (got <= 0) return {};
    out.append(bytes, static_cast<size_t>(got));
  }
  return out;
}

class Execute : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { session_ = new Session(kArithmetic, Arithmetic()); }
  static void TearDownTestSuite() {
    delete session_;
    session_ = nullptr;
  }
  void SetUp() override {
    ASSERT_TRUE(session_->ok());
    ASSERT_FALSE((*session_)->ended());
  }
  Session& session() { return *session_; }
  static Session* session_;
};
Session* Execute::session_ = nullptr;

TEST_F(Execute, CallOverALane) {
  for (int i = 0; i < 1000; ++i)
    EXPECT_EQ(Decode(session().Call(kAdd, 1.5 * i, 2.25)).Result<double>(), 1.5 * i + 2.25);
  EXPECT_EQ(session()->lane(0).calls.load() % 2, 0u);
}

TEST_F(Execute, EveryLaneAnswers) {
  for (uint32_t lane = 0; lane < 4; ++lane)
    EXPECT_EQ(Decode(session()->Exchange(lane, CallMessage(IdOf(1, kAdd), Frame(double(lane), 1.0)))).Result<double>(),
              lane + 1.0);
}

TEST_F(Execute, BigRequestTravelsInTheArena) {
  wire::CallRequest request;
  request.function_id = static_cast<int64_t>(IdOf(1, kSum));
  const uint64_t size = 3'000'000;
  request.frame = Frame(Cell{16, static_cast<uint32_t>(size)}, size) + std::string(size, '\3');
  EXPECT_EQ(Decode(session()->Exchange(1, CallMessage(request))).Result<uint64_t>(), 3 * size);
}

TEST_F(Execute, BigReplyIsFetchedInASecondStep) {
  wire::CallRequest request;
  request.function_id = static_cast<int64_t>(IdOf(1, kFill));
  const uint64_t size = 5'000'000;
  request.frame = Frame(Cell{16, static_cast<uint32_t>(size)}, size);
  request.__set_out_bytes(static_cast<int32_t>(size));
  request.__set_return_from(16);
  const auto outcome = Decode(session()->Exchange(2, CallMessage(request)));
  ASSERT_TRUE(outcome.reply);
  EXPECT_EQ(outcome.reply->data, std::string(size, 'x'));
}

TEST_F(Execute, OutMemoryStartsAsZeros) {
  EXPECT_TRUE(session().Call(kAdd, 1e300, 1e300));
  wire::CallRequest request;
  request.function_id = static_cast<int64_t>(IdOf(1, kSum));
  request.frame = Frame(Cell{16, 512}, uint64_t{512});
  request.__set_out_bytes(512);
  EXPECT_EQ(Decode(session()->Exchange(0, CallMessage(request))).Result<uint64_t>(), 0u);
}

TEST_F(Execute, StringsInAndOut) {
  const auto greeting = Decode(session().Call(kGreet));
  ASSERT_TRUE(greeting.reply);
  const auto cell = greeting.Result<Cell>();
  EXPECT_EQ(greeting.reply->data.substr(cell.offset, cell.length), "hello");
  EXPECT_EQ(Decode(session().Call(kNothing)).Result<Cell>().offset, 0xffffffffu);
  wire::CallRequest request;
  request.function_id = static_cast<int64_t>(IdOf(1, kLength));
  request.frame = Frame(Cell{8, 4}) + std::string("four\0", 5);
  EXPECT_EQ(Decode(session()->Exchange(0, CallMessage(request))).Result<uint64_t>(), 4u);
}

TEST_F(Execute, TooLongStringIsATypedError) {
  const auto outcome = Decode(session().Call(kLongText));
  ASSERT_TRUE(outcome.error);
  EXPECT_EQ(outcome.error->kind, wire::ErrorKind::ResourceExhausted);
  EXPECT_THAT(outcome.error->message, HasSubstr("1048576"));
}

TEST_F(Execute, HostileFramesAreTypedErrors) {
  const auto refused = [&](uint32_t function, std::string frame, int32_t out_bytes = 0, int64_t return_from = -1) {
    wire::CallRequest request;
    request.function_id = static_cast<int64_t>(IdOf(1, function));
    request.frame = std::move(frame);
    if (out_bytes != 0) request.__set_out_bytes(out_bytes);
    if (return_from >= 0) request.__set_return_from(static_cast<int32_t>(return_from));
    const auto outcome = Decode(session()->Exchange(3, CallMessage(request)));
    return outcome.error ? std::to_string(outcome.error->kind) + " " + outcome.error->message : "accepted";
  };
  EXPECT_THAT(refused(kAdd, std::string(15, 0)), StartsWith("1 a call of 'add' has a frame of 15 bytes"));
  EXPECT_THAT(refused(kSum, Frame(Cell{16, 1}, uint64_t{1})), HasSubstr("covers bytes 16 to 17 of a memory of 16"));
  EXPECT_THAT(refused(kSum, Frame(Cell{0xfffffff0, 0xfffffff0}, uint64_t{1})), HasSubstr("covers bytes"));
  EXPECT_THAT(refused(kLength, Frame(Cell{8, 4}) + "fours"), HasSubstr("without a NUL"));
  EXPECT_THAT(refused(kLength, Frame(Cell{8, 4}) + "four"), HasSubstr("of a memory of 12"));
  EXPECT_THAT(refused(kAdd, Frame(1.0, 2.0), 0x7fffffff), StartsWith("19 the memory of a call"));
  EXPECT_THAT(refused(kAdd, Frame(1.0, 2.0), 0, 17), HasSubstr("from byte 17 of 16"));
}

TEST_F(Execute, UnknownFunctionIsATypedError) {
  const auto stale = Decode(session()->Exchange(0, CallMessage(worker::FunctionId(100, 2), Frame(1.0, 2.0))));
  ASSERT_TRUE(stale.error);
  EXPECT_EQ(stale.error->kind, wire::ErrorKind::UnknownModule);
  EXPECT_TRUE(Decode(session()->Exchange(0, CallMessage(~uint64_t{0}, ""))).error);
}

TEST_F(Execute, CallsOfOneSessionOverlap) {
  // Both lanes are begun before either is finished: with one thread behind them the second would still be answered,
  // so that this shows no loss, and the fault tests show the threads.
  for (int i = 0; i < 100; ++i) {
    session()->Begin(0, CallMessage(IdOf(1, kAdd), Frame(1.0, double(i))));
    session()->Begin(1, CallMessage(IdOf(1, kAdd), Frame(2.0, double(i))));
    EXPECT_EQ(Decode(session()->Finish(1)).Result<double>(), 2.0 + i);
    EXPECT_EQ(Decode(session()->Finish(0)).Result<double>(), 1.0 + i);
  }
}

// ---- lent connections ----

TEST_F(Execute, LentConnectionIsServedByTheWorker) {
  UniqueFd client = session()->Lend(0);
  for (int i = 0; i < 1000; ++i) {
    const std::string message = CallMessage(IdOf(1, kAdd), Frame(1.0, double(i)));
    ASSERT_EQ(send(client.get(), message.data(), message.size(), 0), static_cast<ssize_t>(message.size()));
    EXPECT_EQ(Decode(ReadMessage(client.get())).Result<double>(), 1.0 + i);
  }
  client.Reset();
  const auto back = Receive(session()->control());
  ASSERT_TRUE(back);
  EXPECT_EQ(back->type, worker::MessageType::kLaneReturned);
  EXPECT_EQ(session()->lane(0).state.load(), worker::kReturned);
  EXPECT_EQ(session()->lane(0).return_reason, worker::kEndOfStream);
  EXPECT_EQ(session()->lane(0).request_size, 0u);
  session()->lane(0).state.store(worker::kIdle);
}

TEST_F(Execute, PipelinedAndBrokenUpMessagesKeepTheirOrder) {
  UniqueFd client = session()->Lend(1);
  std::string stream;
  for (int i = 0; i < 300; ++i) {
    wire::CallRequest request;
    request.function_id = static_cast<int64_t>(IdOf(1, kAdd));
    request.frame = Frame(1.0, double(i)) + std::string(static_cast<size_t>(i), 'x');
    stream += CallMessage(request, i);
  }
  std::thread sender([&] {
    size_t at = 0;
    for (size_t step = 1; at < stream.size(); step = step % 977 + 13) {
      const size_t size = std::min(step, stream.size() - at);
      EXPECT_EQ(send(client.get(), stream.data() + at, size, 0), static_cast<ssize_t>(size));
      at += size;
    }
  });
  for (int i = 0; i < 300; ++i) EXPECT_EQ(Decode(ReadMessage(client.get())).Result<double>(), 1.0 + i);
  sender.join();
  client.Reset();
  EXPECT_TRUE(Receive(session()->control()));
  session()->lane(1).state.store(worker::kIdle);
}

TEST_F(Execute, ForeignMessageComesBackWithEveryByte) {
  UniqueFd client = session()->Lend(2);
  const std::string call = CallMessage(IdOf(1, kAdd), Frame(1.0, 2.0));
  std::string foreign = CallMessage(IdOf(1, kAdd), Frame(1.0, 2.0));
  foreign.replace(foreign.find("call"), 4, "ping");
  const std::string stream = call + foreign + call;
  ASSERT_EQ(send(client.get(), stream.data(), stream.size(), 0), static_cast<ssize_t>(stream.size()));
  EXPECT_EQ(Decode(ReadMessage(client.get())).Result<double>(), 3.0);
  ASSERT_TRUE(Receive(session()->control()));
  auto& lane = session()->lane(2);
  EXPECT_EQ(lane.state.load(), worker::kReturned);
  EXPECT_EQ(lane.return_reason, worker::kNotACall);
  EXPECT_EQ(std::string(reinterpret_cast<char*>(lane.request), lane.request_size), foreign + call);
  lane.state.store(worker::kIdle);
}

TEST_F(Execute, UnloadedFunctionAndLargeMessageComeBack) {
  for (const std::string& message :
       {CallMessage(IdOf(9, 0), Frame(1.0, 2.0)), CallMessage(IdOf(1, kAdd), std::string(4000, 'x'))}) {
    UniqueFd client = session()->Lend(3);
    ASSERT_EQ(send(client.get(), message.data(), message.size(), 0), static_cast<ssize_t>(message.size()));
    ASSERT_TRUE(Receive(session()->control()));
    auto& lane = session()->lane(3);
    EXPECT_EQ(lane.return_reason, worker::kNotACall);
    EXPECT_EQ(std::string(reinterpret_cast<char*>(lane.request), lane.request_size),
              message.substr(0, lane.request_size));
    // What the worker did not read is still in the socket, for the daemon.
    EXPECT_TRUE(lane.request_size == message.size() || lane.request_size == worker::kLaneRequestBytes);
    lane.state.store(worker::kIdle);
  }
}

TEST_F(Execute, BigReplyOverALentConnection) {
  UniqueFd client = session()->Lend(0);
  wire::CallRequest request;
  request.function_id = static_cast<int64_t>(IdOf(1, kFill));
  const uint64_t size = 3'000'000;
  request.frame = Frame(Cell{16, static_cast<uint32_t>(size)}, size);
  request.__set_out_bytes(static_cast<int32_t>(size));
  request.__set_return_from(16);
  const std::string message = CallMessage(request);
  ASSERT_EQ(send(client.get(), message.data(), message.size(), 0), static_cast<ssize_t>(message.size()));
  const auto outcome = Decode(ReadMessage(client.get()));
  ASSERT_TRUE(outcome.reply);
  EXPECT_EQ(outcome.reply->data.size(), size);
  client.Reset();
  EXPECT_TRUE(Receive(session()->control()));
  session()->lane(0).state.store(worker::kIdle);
}

// ---- modules ----

constexpr char kStateful[] = R"(
@count = global i64 0
@llvm.global_ctors = appending global [1 x { i32, ptr, ptr }] [{ i32, ptr, ptr } { i32 65535, ptr @start, ptr null }]
define internal void @start() { store i64 40, ptr @count ret void }
define i64 @next() { %c = load i64, ptr @count %n = add i64 %c, 1 store i64 %n, ptr @count ret i64 %n }
define void @print(i64 %n) { %r = call i32 (ptr, ...) @printf(ptr @format, i64 %n) ret void }
define void @flood(i64 %n) {
entry: br label %loop
loop:
  %i = phi i64 [0, %entry], [%i2, %loop]
  %r = call i32 (ptr, ...) @printf(ptr @format, i64 %i)
  %i2 = add i64 %i, 1
  %c = icmp ult i64 %i2, %n
  br i1 %c, label %loop, label %done
done: ret void
}
define void @round_up() { %r = call i32 @fesetround(i32 2048) ret void }
define double @third(double %a, double %b) { %q = fdiv double %a, %b ret double %q }
declare i32 @fesetround(i32)
declare i32 @printf(ptr, ...)
@format = private constant [12 x i8] c"number %ld\0A\00"
)";

TEST(Modules, StateConstructorsOutputAndUnload) {
  Session session(kStateful, {{"next", "int64()"}, {"print", "void(int64)"}, {"flood", "void(int64)"}});
  ASSERT_TRUE(session.ok());
  EXPECT_EQ(Decode(session.Call(0)).Result<uint64_t>(), 41u);
  EXPECT_EQ(Decode(session.Call(0)).Result<uint64_t>(), 42u);
  auto printed = Decode(session.Call(1, int64_t{7}));
  ASSERT_TRUE(printed.reply);
  EXPECT_EQ(printed.reply->output, "number 7\n");
  printed = Decode(session.Call(0));
  ASSERT_TRUE(printed.reply);
  EXPECT_FALSE(printed.reply->__isset.output);

  const auto flood = Decode(session.Call(2, int64_t{1'000'000}));
  ASSERT_TRUE(flood.reply);
  EXPECT_LE(flood.reply->output.size(), worker::kCaptureSize);
  EXPECT_THAT(flood.reply->output, StartsWith("number 0\nnumber 1\n"));
  const size_t note = flood.reply->output.rfind("\n[");
  ASSERT_NE(note, std::string::npos);
  // "number " and the line's end are eight bytes, the digits are the rest.
  const uint64_t printed_bytes = 8ull * 1'000'000 + (10 + 90 * 2 + 900 * 3 + 9000 * 4 + 90000 * 5 + 900000ull * 6);
  EXPECT_EQ(flood.reply->output.substr(note),
            "\n[" + std::to_string(printed_bytes - note) + " more bytes of output are cut off]\n");

  EXPECT_TRUE(session->Unload(1));
  EXPECT_TRUE(Decode(session.Call(0)).error);
}

TEST(Modules, RoundingModeDoesNotReachTheNextCall) {
  Session session(kStateful, {{"round_up", "void()"}, {"third", "float64(float64, float64)"}});
  ASSERT_TRUE(session.ok());
  const double before = Decode(session.Call(1, 1.0, 3.0)).Result<double>();
  EXPECT_TRUE(Decode(session.Call(0)).reply);
  EXPECT_EQ(Decode(session.Call(1, 1.0, 3.0)).Result<double>(), before);
  EXPECT_EQ(before, 1.0 / 3.0);
}

TEST(Modules, ThousandLoadsAndUnloadsWhileALentLaneCalls) {
  Session session(kArithmetic, Arithmetic());
  ASSERT_TRUE(session.ok());
  const auto artifact = Compile(kStateful, {{"next", "int64()"}});
  ASSERT_TRUE(artifact);
  std::atomic<bool> stop{false};
  // Calls of a module that comes and goes: an answer or "not loaded", nothing else.
  std::thread caller([&] {
    while (!stop) {
      const auto outcome = Decode(session->Exchange(1, CallMessage(IdOf(2, 0), "")));
      if (outcome.reply)
        EXPECT_EQ(outcome.reply->result.size(), 8u);
      else
        EXPECT_EQ(outcome.error ? outcome.error->kind : wire::ErrorKind::Internal, wire::ErrorKind::UnknownModule);
    }
  });
  for (int i = 0; i < 300; ++i) {
    ASSERT_TRUE(session->Load(2, *artifact, {"next"}));
    ASSERT_TRUE(session->Unload(2));
  }
  stop = true;
  caller.join();
  EXPECT_FALSE(session->ended());
}

TEST(Modules, SerialCallsOfAModuleNeverOverlap) {
  // Reads, waits, writes: loses counts if two are inside.
  constexpr char kSlow[] = R"(
@count = global i64 0
define void @slow() {
entry: %c = load volatile i64, ptr @count br label %loop
loop: %i = phi i64 [0, %entry], [%i2, %loop]
  %x = load volatile i64, ptr @count
  %i2 = add i64 %i, 1
  %m = icmp ult i64 %i2, 100000
  br i1 %m, label %loop, label %done
done: %n = add i64 %c, 1 store volatile i64 %n, ptr @count ret void }
define i64 @total() { %c = load volatile i64, ptr @count ret i64 %c }
)";
  Session session(kSlow, {{"slow", "void()"}, {"total", "int64()"}}, {}, true);
  ASSERT_TRUE(session.ok());
  std::vector<std::thread> callers;
  for (uint32_t lane = 0; lane < 4; ++lane)
    callers.emplace_back([&, lane] {
      for (int i = 0; i < 50; ++i) EXPECT_TRUE(Decode(session->Exchange(lane, CallMessage(IdOf(1, 0), ""))).reply);
    });
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(Decode(session.Call(1)).Result<uint64_t>(), 200u);
}

}  // namespace
}  // namespace rbc::testing
