// Calls, typed and by value, against a fake farm.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <future>
#include <thread>

#include "rbc/rbc.h"
#include "tests/client/fake_farm.h"
#include "types/frame.h"

struct Point {
  double x;
  int32_t n;
};
template <>
struct rbc::TypeText<Point> : rbc::Struct<&Point::x, &Point::n> {};

namespace rbc::test {
namespace {

constexpr char kAdd[] =
    "define double @add_daddA(double %a, double %b) {\n  %s = fadd double %a, %b\n  ret double %s\n}\n"
    "define i64 @add_lallA(i64 %a, i64 %b) {\n  %s = add i64 %a, %b\n  ret i64 %s\n}\n";

class CallTest : public testing::Test {
 protected:
  TempDir directory_;
  FakeFarm farm_{directory_.path() + "/farm"};
  RemoteJIT rjit_{farm_.address()};
};

template <typename T>
std::string Raw(const T& value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof value);
}
template <typename T>
T At(const std::string& frame, size_t offset) {
  T value;
  std::memcpy(&value, frame.data() + offset, sizeof value);
  return value;
}

TEST(Signatures, AreTheNormalForm) {
  static_assert(kSignature<double(double, double)> == "float64(float64, float64)");
  static_assert(kSignature<void()> == "void(void)");
  static_assert(kSignature<bool(char, signed char, unsigned, long, std::complex<float>)> ==
                "bool(char8, int8, uint32, int64, complex64)");
  static_assert(kSignature<std::string(const std::string&, std::span<const double>, Out<float>, int*)> ==
                "string(string, float64*, float32*, int32*)");
  static_assert(kSignature<Point(Point)> == "{float64, int32}({float64, int32})");
}

TEST_F(CallTest, NothingIsOpenedBeforeTheFirstCall) {
  const auto add = rjit_.function<double(double, double)>(Source::Ir(kAdd), "add");
  EXPECT_EQ(farm_.hellos, 0);
  EXPECT_EQ(add(1.5, 2.0), 3.5);
  EXPECT_EQ(farm_.hellos, 1);
}

TEST_F(CallTest, TypedCallsCompileOnceAndKeepOneConnection) {
  const auto add = rjit_.function<double(double, double)>(Source::Ir(kAdd), "add");
  for (int i = 0; i < 100; ++i) ASSERT_EQ(add(i, 0.5), i + 0.5);
  EXPECT_EQ(farm_.compiles, 1);
  EXPECT_EQ(farm_.calls, 100);
  EXPECT_EQ(farm_.connections, 1);
  EXPECT_EQ(farm_.last_deadline_ms, -1) << "without a deadline of the caller's the farm's own holds";
}

TEST_F(CallTest, OverloadsAreChosenByPenalty) {
  Caller add = rjit_.function(Source::Ir(kAdd), "add", {"f64(f64,f64)", "i64(i64,i64)"});
  EXPECT_EQ(add(1, 2).repr(), "3");
  EXPECT_EQ(add(1.5, 2.0).repr(), "3.5");
  EXPECT_EQ(add(1, 2.5).repr(), "3.5");
  EXPECT_THAT(add.signatures(), testing::ElementsAre("float64(float64, float64)", "int64(int64, int64)"));
  EXPECT_THAT(farm_.Symbols(), testing::ElementsAre("add_daddA", "add_lallA"));
}

TEST_F(CallTest, NoMatchSaysExactlyTheTypes) {
  const Caller add = rjit_.function(Source::Ir(kAdd), "add", {"f64(f64,f64)"});
  try {
    add(std::complex<double>(0, 1), 2);
    FAIL() << "no signature takes a complex";
  } catch (const Exception& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kNoMatch);
    EXPECT_EQ(e.message(), "could not find matching function to given argument types: `complex128, int64`");
    EXPECT_EQ(e.function(), "add");
    EXPECT_FALSE(e.may_have_run());
  }
  EXPECT_EQ(farm_.calls, 0);
}

TEST_F(CallTest, ASignatureCanBeAddedLater) {
  Caller add = rjit_.function(Source::Ir(kAdd), "add", {"f64(f64,f64)"});
  EXPECT_EQ(add(1, 2).repr(), "3.0");
  EXPECT_TRUE((add.add_signature<int64_t(int64_t, int64_t)>()));
  EXPECT_FALSE(add.add_signature("int64(int64, int64)"));
  EXPECT_EQ(add(1, 2).repr(), "3");
  EXPECT_THROW(add.add_signature("int64"), Exception);
  try {
    add.add_signature("f64(f64)");
    FAIL() << "another number of parameters";
  } catch (const Exception& e) {
    EXPECT_EQ(e.message(), "mismatch of the number of arguments: function 2, signature 1 (`float64(float64)`)");
  }
}

TEST_F(CallTest, AnOverloadWithoutASymbolFailsAloneAndSaysWhatThereIs) {
  Caller add = rjit_.function(Source::Ir(kAdd), "add", {"f64(f64,f64)"});
  add.add_signature("complex128(complex128, complex128)");
  EXPECT_EQ(add(1.0, 2.0).repr(), "3.0");
  const auto result = add.try_call({std::complex<double>(0, 1), 2});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::kUnknownName);
  EXPECT_THAT(result.error().message, testing::HasSubstr("add_DaDDA"));
}

TEST_F(CallTest, TheTargetIsOneOfTheFarms) {
  Caller add = rjit_.function(Source::Ir(kAdd), "add", {"f64(f64,f64)"});
  EXPECT_EQ(add.target(), "host");
  EXPECT_EQ(add.target("host"), "host");
  try {
    add.target("cuda");
    FAIL() << "the fake farm has no cuda";
  } catch (const Exception& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kUnknownTarget);
    EXPECT_THAT(e.message(), testing::HasSubstr("'host'"));
  }
}

TEST_F(CallTest, TextGoesThereAndBack) {
  farm_.SetCall([](const auto&, const wire::CallRequest& request) {
    const auto cell = At<types::FrameCell>(request.frame, 0);
    wire::CallReply reply;
    std::string text = request.frame.substr(cell.offset, cell.length);
    EXPECT_EQ(request.frame[cell.offset + cell.length], '\0');
    std::reverse(text.begin(), text.end());
    reply.result = Raw(types::FrameCell{0, static_cast<uint32_t>(text.size())});
    reply.__set_data(text);
    return reply;
  });
  const char ir[] = "define ptr @reverse(ptr %s) {\n ret ptr %s\n}\n";
  const auto reverse = rjit_.function<std::string(const std::string&)>(Source::Ir(ir), "reverse");
  EXPECT_EQ(reverse("stressed"), "desserts");
  EXPECT_EQ(reverse(""), "");
  EXPECT_EQ(rjit_.function(Source::Ir(ir), "reverse", {"string(string)"})("abc").as<std::string>(), "cba");
  const auto refused = reverse.try_call(std::string("a\0b", 3));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kInvalidArgument);
}

TEST_F(CallTest, MemoryIsReadWrittenAndReturned) {
  // void f(const double* in, float* inout, int* out, int64): inout doubled, out filled.
  farm_.SetCall([](const auto&, const wire::CallRequest& request) {
    std::string memory = request.frame + std::string(static_cast<size_t>(request.out_bytes), '\0');
    const auto in = At<types::FrameCell>(request.frame, 0), inout = At<types::FrameCell>(request.frame, 8),
               out = At<types::FrameCell>(request.frame, 16);
    EXPECT_EQ(in.offset % 16, 0u);
    EXPECT_EQ(inout.offset % 16, 0u);
    EXPECT_EQ(out.offset % 16, 0u);
    EXPECT_EQ(request.return_from, static_cast<int32_t>(inout.offset));
    EXPECT_EQ(At<double>(memory, in.offset + 8), 2.5);
    for (uint32_t i = 0; i < inout.length / 4; ++i) {
      const float twice = 2 * At<float>(memory, inout.offset + 4 * i);
      std::memcpy(memory.data() + inout.offset + 4 * i, &twice, 4);
    }
    for (uint32_t i = 0; i < out.length / 4; ++i) std::memcpy(memory.data() + out.offset + 4 * i, &i, 4);
    wire::CallReply reply;
    reply.__set_data(memory.substr(static_cast<size_t>(request.return_from)));
    return reply;
  });
  const char ir[] = "define void @f(ptr %a, ptr %b, ptr %c, i64 %n) {\n ret void\n}\n";
  const std::vector<double> in = {1.5, 2.5, 3.5};
  std::vector<float> inout = {1, 2, 3, 4, 5};
  std::vector<int> out(3, -1);
  const auto f =
      rjit_.function<void(std::span<const double>, std::span<float>, Out<int>, int64_t)>(Source::Ir(ir), "f");
  f(in, inout, out, 3);
  EXPECT_THAT(inout, testing::ElementsAre(2, 4, 6, 8, 10));
  EXPECT_THAT(out, testing::ElementsAre(0, 1, 2));

  const Caller by_value = rjit_.function(Source::Ir(ir), "f", {"void(float64*, float32*, int32*, int64)"});
  EXPECT_TRUE(by_value(in, inout, Out<int>(out), 3).is_none());
  EXPECT_THAT(inout, testing::ElementsAre(4, 8, 12, 16, 20));
}

TEST_F(CallTest, StructsTravelByValue) {
  farm_.SetCall([](const auto&, const wire::CallRequest& request) {
    Point p = At<Point>(request.frame, 0);
    p.x *= 2;
    p.n += 1;
    wire::CallReply reply;
    reply.result = Raw(p);
    return reply;
  });
  const auto f = rjit_.function<Point(Point)>(Source::Ir("define {double, i32} @f({double, i32} %p) {\n}\n"), "f");
  const Point p = f(Point{1.25, 41});
  EXPECT_EQ(p.x, 2.5);
  EXPECT_EQ(p.n, 42);
  EXPECT_EQ(f.caller().call({Value::Struct(std::array<Value, 2>{Value(1.25), Value(41)})}).repr(), "(2.5, 42)");
}

TEST_F(CallTest, WhatAFunctionPrintsReachesTheUser) {
  farm_.SetCall([](const auto&, const auto&) {
    wire::CallReply reply;
    reply.__set_output("hello\n");
    return reply;
  });
  std::string heard;
  RemoteJIT::Options options;
  options.on_output = [&](std::string_view text) { heard += text; };
  const RemoteJIT rjit(farm_.address(), options);
  rjit.function<void()>(Source::Ir("define void @f() {\n}\n"), "f")();
  EXPECT_EQ(heard, "hello\n");
}

TEST_F(CallTest, AStatusIsAnErrorForWhoAsksForAValue) {
  farm_.SetCall([](const auto&, const auto&) {
    wire::CallReply reply;
    reply.result = Raw(0.0);
    reply.__set_status(3);
    return reply;
  });
  const auto f =
      rjit_.function<double()>(Source::Ir("define i32 @f(ptr %r) {\n}\n"), "f", {.abi = CallAbi::kStatusRetptr});
  EXPECT_THROW(f(), Exception);
  const auto raw = f.caller().try_call(std::span<const Value>());
  ASSERT_TRUE(raw);
  EXPECT_EQ(raw->status, 3);
}

TEST_F(CallTest, AFarmsErrorArrivesWhole) {
  farm_.SetCall([](const auto&, const auto&) -> wire::CallReply {
    wire::FarmError error;
    error.kind = wire::ErrorKind::RemoteCrash;
    error.message = "'f' ended by signal 11";
    error.__set_role("execution worker");
    error.__set_function_name("f");
    error.__set_cause("null pointer");
    error.__set_signal(11);
    error.__set_may_have_run(true);
    error.__set_output("before");
    throw error;
  });
  const auto f = rjit_.function<void()>(Source::Ir("define void @f() {\n}\n"), "f");
  try {
    f();
    FAIL() << "the farm refuses";
  } catch (const Exception& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kRemoteCrash);
    EXPECT_STREQ(e.what(), "RemoteCrash: 'f' ended by signal 11");
    EXPECT_EQ(e.signal(), 11);
    EXPECT_EQ(e.cause(), "null pointer");
    EXPECT_EQ(e.output(), "before");
    EXPECT_TRUE(e.may_have_run());
  }
}

TEST_F(CallTest, AModuleIsUnloadedWithItsLastCaller) {
  {
    const auto one = rjit_.function<double(double, double)>(Source::Ir(kAdd), "add");
    const auto same = rjit_.function<double(double, double)>(Source::Ir(kAdd), "add");
    one(1, 2);
    same(1, 2);
    EXPECT_EQ(farm_.compiles, 1) << "the same module twice is one";
    EXPECT_EQ(farm_.unloads, 0);
  }
  EXPECT_EQ(farm_.unloads, 1);
}

TEST_F(CallTest, PublishedFunctionsAreFoundByName) {
  const Caller add = rjit_.function(Source::Ir(kAdd), "add", {"f64(f64,f64)"});
  add.publish("sum");
  const RemoteJIT other(farm_.address());
  EXPECT_EQ((other.connect<double(double, double)>("sum"))(2, 3), 5);
  Caller sum = other.connect("sum");
  EXPECT_EQ(sum(1, 2).repr(), "3.0");
  EXPECT_EQ(sum.get_IR(), kAdd);
  EXPECT_THROW((other.connect<int(int)>("sum")), Exception);
  other.withdraw("sum");
  EXPECT_THROW(other.connect("sum"), Exception);
}

TEST_F(CallTest, IrIsGivenAsTextEvenOfBitcode) {
  EXPECT_EQ(rjit_.function(Source::Ir(kAdd), "add", {"f64(f64,f64)"}).get_IR(), kAdd);
  EXPECT_THAT(rjit_.function(Source::Ir("BC\xc0\xde----"), "add", {"f64(f64,f64)"}).get_IR(),
              testing::HasSubstr("printed by the farm"));
}

TEST_F(CallTest, PendingCallsCanBePolledWaitedForAndTold) {
  std::promise<void> go;
  auto may_go = go.get_future().share();
  farm_.SetCall([may_go](const auto&, const auto&) {
    may_go.wait();
    wire::CallReply reply;
    reply.result = Raw(7.0);
    return reply;
  });
  const auto f = rjit_.function<double()>(Source::Ir("define double @f() {\n}\n"), "f");
  const Pending<double> pending = f.call_async();
  EXPECT_FALSE(pending.ready());
  EXPECT_FALSE(pending.wait_for(std::chrono::milliseconds(1)));
  pollfd wait{pending.fd(), POLLIN, 0};
  EXPECT_EQ(::poll(&wait, 1, 0), 0);
  std::promise<double> told;
  pending.then([&](const Result<double>& result) { told.set_value(result.value()); });
  auto future = pending.future();
  go.set_value();
  EXPECT_EQ(pending.get(), 7.0);
  EXPECT_EQ(told.get_future().get(), 7.0);
  EXPECT_EQ(future.get(), 7.0);
  EXPECT_EQ(::poll(&wait, 1, 30'000), 1);
  EXPECT_EQ(f.caller().call_async().get().repr(), "7.0");
}

TEST_F(CallTest, ARunningCallIsCancelledOverAnotherConnection) {
  std::promise<void> started, go;
  auto may_go = go.get_future().share();
  farm_.SetCall([&started, may_go](const auto&, const auto&) {
    started.set_value();
    may_go.wait();
    Throw(wire::ErrorKind::Cancelled, "it was cancelled");
    return wire::CallReply();
  });
  const auto f = rjit_.function<void()>(Source::Ir("define void @f() {\n}\n"), "f");
  const auto pending = f.call_async();
  started.get_future().wait();
  EXPECT_TRUE(pending.cancel());
  EXPECT_EQ(farm_.cancels, 1);
  go.set_value();
  const auto result = pending.try_get();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::kCancelled);
}

TEST_F(CallTest, EightThreadsShareOneSession) {
  const auto add = rjit_.function<double(double, double)>(Source::Ir(kAdd), "add");
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i)
        if (add(t, i) != t + i) ++wrong;
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(farm_.calls, 1600);
  EXPECT_EQ(farm_.hellos, 1);
  EXPECT_LE(farm_.attaches, 7);
}

TEST_F(CallTest, EightCallsOverlap) {
  std::atomic<int> inside{0};
  std::atomic<bool> all{false};
  farm_.SetCall([&](const auto&, const auto&) {
    if (++inside == 8) all = true;
    for (int i = 0; i < 30'000 && !all; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    wire::CallReply reply;
    return reply;
  });
  const auto f = rjit_.function<void()>(Source::Ir("define void @f() {\n}\n"), "f");
  std::vector<Pending<void>> pending;
  for (int i = 0; i < 8; ++i) pending.push_back(f.call_async());
  for (const auto& p : pending) p.get();
  EXPECT_TRUE(all);
}

// The child uses neither the parent's session nor its sockets, and the parent goes on as before.
TEST_F(CallTest, AForkedChildStartsAnew) {
  const auto add = rjit_.function<double(double, double)>(Source::Ir(kAdd), "add");
  ASSERT_EQ(add(1, 2), 3);
  // The farm's threads, which are of this process, must not hold the allocator's lock when it forks.
  ASSERT_TRUE(AwaitSleepingThreads());
  const pid_t child = ::fork();
  if (child == 0) ::_exit(add(20, 22) == 42 && add(1, 1) == 2 ? 0 : 1);
  for (int i = 0; i < 50; ++i) ASSERT_EQ(add(i, 1), i + 1);
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_EQ(farm_.hellos, 2);
  EXPECT_EQ(add(2, 2), 4);
}

TEST_F(CallTest, AForkInTheMiddleOfOtherThreadsCallsDoesNoHarm) {
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "a child may find a lock of the sanitizer's own allocator taken";
#endif
  const auto add = rjit_.function<double(double, double)>(Source::Ir(kAdd), "add");
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t)
    threads.emplace_back([&] {
      for (int i = 0; !stop; ++i)
        if (add(i, 1) != i + 1) ++wrong;
    });
  for (int i = 0; i < 10; ++i) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(add(i, i) == 2 * i ? 0 : 1);
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  stop = true;
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(Values, KnowTheirPythonForm) {
  EXPECT_EQ(Value(3).repr(), "3");
  EXPECT_EQ(Value(3.5).repr(), "3.5");
  EXPECT_EQ(Value(std::complex<double>(2, 1)).repr(), "(2+1j)");
  EXPECT_EQ(Value(true).repr(), "True");
  EXPECT_EQ(Value(uint64_t{1} << 63).repr(), "9223372036854775808");
  EXPECT_EQ(Value::Parse("complex128", "2+1j")->repr(), "(2+1j)");
  EXPECT_FALSE(Value::Parse("int8", "300"));
  EXPECT_EQ(Value(300).as<int16_t>(), 300);
  EXPECT_FALSE(Value(300).try_as<int8_t>());
  EXPECT_FALSE(Value("text").try_as<double>());
}

}  // namespace
}  // namespace rbc::test
