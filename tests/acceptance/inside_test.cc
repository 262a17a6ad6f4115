// What bindings use of librbc beside its public headers: calls by values, batches, waits that can be interrupted.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>

#include "client/src/core.h"
#include "client/src/interrupt.h"
#include "rbc/rbc.h"
#include "tests/harness/farm_test.h"

namespace rbc::harness {
namespace {

using std::chrono::steady_clock;

constexpr const char* kDivide = R"(
define i32 @divide(i64* %out, i64 %a, i64 %b) {
  %zero = icmp eq i64 %b, 0
  br i1 %zero, label %no, label %yes
no:
  ret i32 77
yes:
  %q = sdiv i64 %a, %b
  store i64 %q, i64* %out
  ret i32 0
})";

constexpr const char* kSpin = R"(
define i64 @spin(i64 %turns) {
entry:
  br label %loop
loop:
  %more = icmp ne i64 %turns, 0
  br i1 %more, label %loop, label %done
done:
  ret i64 5
})";

class Inside : public FarmTest {
 protected:
  RemoteJIT Jit() { return RemoteJIT(farm().unix_address()); }
  static ::rbc::Caller Divide(const RemoteJIT& jit) {
    FunctionOptions options;
    options.abi = CallAbi::kStatusRetptr;
    return jit.function(Source::Ir(kDivide), "divide", {"int64(int64, int64)"}, options);
  }
};

std::vector<types::Value> Row(int64_t a, int64_t b) { return {types::Value(a), types::Value(b)}; }

TEST_F(Inside, ValuesAndStatuses) {
  const auto jit = Jit();
  const auto caller = Divide(jit);
  auto& state = *detail::Inside::State(caller);
  const auto prepared = state.Current().value();
  const auto good = detail::CallValues(state, *prepared, 0, Row(42, 6), 0);
  ASSERT_TRUE(good) << good.error().message;
  EXPECT_EQ(good->status, 0);
  EXPECT_EQ(good->value, types::Value(int64_t{7}));
  const auto raised = detail::CallValues(state, *prepared, 0, Row(42, 0), 0);
  ASSERT_TRUE(raised) << raised.error().message;
  EXPECT_EQ(raised->status, 77);
}

TEST_F(Inside, ABatchIsInOrderAndItsErrorsAreTheRowsOwn) {
  const auto jit = Jit();
  const auto caller = Divide(jit);
  auto& state = *detail::Inside::State(caller);
  const auto prepared = state.Current().value();
  std::vector<std::vector<types::Value>> rows;
  for (int64_t i = 0; i < 100; ++i) rows.push_back(Row(i * 3, i % 10 == 9 ? 0 : 3));
  rows.push_back(Row(INT64_MIN, -1));  // a trap: the worker dies of this row
  const auto answers = detail::CallRows(state, *prepared, 0, rows, 0);
  ASSERT_TRUE(answers) << answers.error().message;
  ASSERT_EQ(answers->size(), rows.size());
  for (int64_t i = 0; i < 100; ++i) {
    const auto& answer = (*answers)[static_cast<size_t>(i)];
    ASSERT_TRUE(answer) << answer.error().message;
    if (i % 10 == 9) {
      EXPECT_EQ(answer->status, 77);
    } else {
      EXPECT_EQ(answer->value, types::Value(i));
    }
  }
  ASSERT_FALSE(answers->back());
  EXPECT_EQ(answers->back().error().kind, ErrorKind::kRemoteCrash);
  EXPECT_EQ(answers->back().error().function, "divide");
  // The module is loaded anew, and an empty batch is none.
  EXPECT_EQ(detail::CallRows(state, *prepared, 0, {Row(9, 3)}, 0)->front()->value, types::Value(int64_t{3}));
  EXPECT_TRUE(detail::CallRows(state, *prepared, 0, {}, 0)->empty());
}

// Wishes, in turn, from when `begin` has passed.
class Script : public client::Impatience {
 public:
  Script(std::shared_ptr<client::Farm> farm, Wish wish) : farm_(std::move(farm)), wish_(wish) {}
  Wish Ask(int64_t request_id) override {
    ++asked;
    if (asked < 2) return Wish::kWait;
    if (wish_ == Wish::kCancel && !cancelled_) {
      const client::WithImpatience none(nullptr);
      const auto stopped = farm_->Cancel(request_id, client::Deadline::AfterMs(20'000));
      EXPECT_TRUE(stopped) << stopped.error().message;
      cancelled_ = stopped && *stopped;
      if (!cancelled_ && asked < 1000) return Wish::kWait;  // it has not come to the farm yet
      EXPECT_TRUE(cancelled_);
    }
    return wish_;
  }
  std::atomic<int> asked{0};

 private:
  std::shared_ptr<client::Farm> farm_;
  const Wish wish_;
  std::atomic<bool> cancelled_{false};
};

using Wish = client::Impatience::Wish;
class Impatient : public Inside, public ::testing::WithParamInterface<std::tuple<Wish, int>> {};
INSTANTIATE_TEST_SUITE_P(Wishes, Impatient,
                         ::testing::Combine(::testing::Values(Wish::kCancel, Wish::kLeave), ::testing::Values(1, 30)),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param) == Wish::kCancel ? "Cancels" : "Leaves") +
                                  (std::get<1>(info.param) > 1 ? "OverTheRing" : "OverTheSocket");
                         });

TEST_P(Impatient, StopsACallAndTheNextOneWorks) {
  const auto jit = Jit();
  const auto caller = jit.function(Source::Ir(kSpin), "spin", {"int64(int64)"});
  // The second time often enough for the direct ring.
  for (int calls = std::get<1>(GetParam()); calls > 0; --calls) EXPECT_EQ(caller(0).as<int64_t>(), 5);
  const auto start = steady_clock::now();
  Script script(detail::Inside::CoreOf(jit)->farm, std::get<0>(GetParam()));
  {
    const client::WithImpatience impatient(&script);
    const ::rbc::Value one(1);
    const auto result = caller.try_call({one});
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind, ErrorKind::kCancelled) << result.error().message;
  }
  EXPECT_GE(script.asked, 2);
  EXPECT_LT(steady_clock::now() - start, std::chrono::seconds(30));
  const auto again =
      jit.function(Source::Ir(kDivide), "divide", {"int64(int64, int64)"}, {.abi = CallAbi::kStatusRetptr});
  EXPECT_EQ(again(8, 2).as<int64_t>(), 4);
}

}  // namespace
}  // namespace rbc::harness
