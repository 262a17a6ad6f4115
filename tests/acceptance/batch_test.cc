// Batches of plain calls: many in one turn of a worker, and each with its own result, output and end.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <numeric>

#include "tests/harness/farm_test.h"
#include "tests/harness/ir.h"
#include "tests/harness/toolchain.h"

namespace rbc::harness {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

class Batches : public FarmTest {
 protected:
  // 0: loops for ever; negative: crashes; else the square, which it also prints where it is even.
  wire::FunctionInfo LoadSquare(Client& client) {
    return Must(client.Load(MakeModule(CompileC("int printf(const char *, ...);"
                                                "long square(long n) {"
                                                "  if (n == 0) for (volatile int i = 0;; i++) {}"
                                                "  if (n < 0) *(volatile int *)0 = 1;"
                                                "  if (n % 2 == 0) printf(\"%ld\\n\", n);"
                                                "  return n * n; }"),
                                       "square", "int64(int64)", wire::Abi::Sysv)));
  }

  static std::vector<wire::CallRequest> Requests(const wire::FunctionInfo& function,
                                                 const std::vector<int64_t>& numbers, int32_t deadline_ms = 20'000) {
    std::vector<wire::CallRequest> out;
    for (const int64_t n : numbers)
      out.push_back(PackRequest(function, {n},
                                {.request_id = static_cast<int64_t>(1000 + out.size()), .deadline_ms = deadline_ms}));
    return out;
  }

  static int64_t ValueOf(const wire::CallReply& reply) {
    return *Must(types::UnpackResult(types::Type::Int(64), reply.result, reply.data)).As<int64_t>();
  }
};

// More than one turn of a lane holds, of calls and of replies.
TEST_F(Batches, OfAnySizeAnswerEachCallInItsPlace) {
  Client client = farm().Connect();
  const auto square = LoadSquare(client);
  EXPECT_TRUE(Must(client.CallBatch({})).empty());
  std::vector<int64_t> numbers(20'000);
  std::iota(numbers.begin(), numbers.end(), 1);
  const auto outcomes = Must(client.CallBatch(Requests(square, numbers)));
  ASSERT_EQ(outcomes.size(), numbers.size());
  for (size_t i = 0; i < numbers.size(); ++i) {
    ASSERT_FALSE(outcomes[i].__isset.error) << i << ": " << outcomes[i].error.message;
    ASSERT_EQ(ValueOf(outcomes[i].reply), numbers[i] * numbers[i]);
    ASSERT_EQ(outcomes[i].reply.output, numbers[i] % 2 == 0 ? std::to_string(numbers[i]) + "\n" : "");
  }
  EXPECT_EQ(farm().WorkersOf("execute").size(), 1u);
}

TEST_F(Batches, LargeCallsAndRepliesGoThroughThem) {
  Client client = farm().Connect();
  const auto print = Must(client.Load(MakeModule(
      CompileC(
          "int puts(const char *); int f(int n) { for (int i = 0; i < n; i++) puts(\"0123456789abcde\"); return n; }"),
      "f", "int32(int32)", wire::Abi::Sysv)));
  std::vector<wire::CallRequest> requests;
  const std::vector<int> lines = {1, 3000, 2, 200, 3000, 3000, 3000, 3000, 3000, 3000, 5};
  for (const int n : lines) requests.push_back(PackRequest(print, {n}));
  // What lies behind the parameters does not matter to the function.
  requests[2].frame.resize(300'000);
  requests[10].frame.resize(1000);
  const auto outcomes = Must(client.CallBatch(requests));
  ASSERT_EQ(outcomes.size(), lines.size());
  for (size_t i = 0; i < lines.size(); ++i) {
    ASSERT_FALSE(outcomes[i].__isset.error) << i << ": " << outcomes[i].error.message;
    EXPECT_EQ(outcomes[i].reply.output.size(), 16u * static_cast<size_t>(lines[i])) << i;
  }
}

TEST_F(Batches, ACrashIsThatOfOneCall) {
  Client client = farm().Connect();
  const auto square = LoadSquare(client);
  const auto outcomes = Must(client.CallBatch(Requests(square, {3, 4, -1, 5, 6, -2, -3, 7})));
  ASSERT_EQ(outcomes.size(), 8u);
  for (const size_t i : {2u, 5u, 6u}) {
    ASSERT_TRUE(outcomes[i].__isset.error) << i;
    EXPECT_EQ(outcomes[i].error.kind, wire::ErrorKind::RemoteCrash) << outcomes[i].error.message;
    EXPECT_EQ(outcomes[i].error.function_name, "square");
    EXPECT_EQ(outcomes[i].error.output, "") << "what other calls printed is theirs";
  }
  EXPECT_EQ(ValueOf(outcomes[1].reply), 16);
  EXPECT_EQ(outcomes[1].reply.output, "4\n");
  EXPECT_EQ(ValueOf(outcomes[4].reply), 36);
  EXPECT_EQ(ValueOf(outcomes[7].reply), 49);
}

TEST_F(Batches, TheDeadlineIsThatOfEachCall) {
  Client client = farm().Connect();
  const auto square = LoadSquare(client);
  const auto begin = Clock::now();
  const auto outcomes = Must(client.CallBatch(Requests(square, {3, 0, 5}, 2000)));
  EXPECT_GE(Clock::now() - begin, milliseconds(1990));
  ASSERT_EQ(outcomes.size(), 3u);
  EXPECT_EQ(ValueOf(outcomes[0].reply), 9);
  ASSERT_TRUE(outcomes[1].__isset.error);
  EXPECT_EQ(outcomes[1].error.kind, wire::ErrorKind::DeadlineExceeded);
  EXPECT_TRUE(outcomes[1].error.may_have_run);
  EXPECT_EQ(ValueOf(outcomes[2].reply), 25);

  // Many calls that take longer together than each may.
  const auto busy = Must(client.Load(BusyModule()));
  const int64_t steps = 50'000'000;
  const auto many = Must(client.CallBatch(Requests(busy, std::vector<int64_t>(100, steps), 2500)));
  for (const auto& outcome : many) ASSERT_FALSE(outcome.__isset.error) << outcome.error.message;
}

TEST_F(Batches, ACancelEndsAllThatHasNotRun) {
  Client client = farm().Connect();
  Client second = Must(client.Attach());
  const auto square = LoadSquare(client);
  for (const int64_t id : {1000, 1001}) {  // of the first, and of the one that runs
    auto batch = std::async(std::launch::async, [&] { return client.CallBatch(Requests(square, {3, 0, 5})); });
    EXPECT_TRUE(WaitUntil(kPatience, [&] { return Must(second.Cancel(id)); }));
    const auto outcomes = Must(batch.get());
    ASSERT_EQ(outcomes.size(), 3u);
    ASSERT_TRUE(outcomes[1].__isset.error && outcomes[2].__isset.error);
    EXPECT_EQ(outcomes[1].error.kind, wire::ErrorKind::Cancelled);
    EXPECT_EQ(outcomes[2].error.kind, wire::ErrorKind::Cancelled);
    EXPECT_FALSE(outcomes[2].error.may_have_run);
  }
}

TEST_F(Batches, WhatBecameOfTheirCallsIsKept) {
  Client client = farm().Connect();
  const auto square = LoadSquare(client);
  std::vector<int64_t> numbers(1000);
  std::iota(numbers.begin(), numbers.end(), 1);
  Must(client.CallBatch(Requests(square, numbers)));
  EXPECT_EQ(ValueOf(Must(client.Outcome(1999)).reply), 1000 * 1000);
  EXPECT_EQ(ValueOf(Must(client.Outcome(1800)).reply), 801 * 801);
  const auto forgotten = Must(client.Outcome(1000));
  ASSERT_TRUE(forgotten.__isset.error);
  EXPECT_EQ(forgotten.error.kind, wire::ErrorKind::WorkerLost);
}

}  // namespace
}  // namespace rbc::harness
