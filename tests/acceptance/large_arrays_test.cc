// Large arrays of this process as arguments and results of functions over arrays: they go through buffers of the
// session, and nothing but the time tells.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "client/src/core.h"
#include "rbc/rbc.h"
#include "tests/harness/farm_test.h"
#include "tests/harness/library.h"
#include "types/array.h"

namespace rbc::harness {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kCode[] = R"(
typedef struct { double *data; long shape[1], strides[1]; void *owner; } Array;
typedef struct { unsigned long references; void (*destructor)(void *, unsigned long, void *); void *info, *data;
                 unsigned long size; void *unused; } Owner;
void *malloc(unsigned long);
static Array make(long n) {
  Owner *owner = malloc(sizeof(Owner) + n * sizeof(double));
  *owner = (Owner){1, 0, 0, owner + 1, n * sizeof(double), 0};
  return (Array){(double *)(owner + 1), {n}, {sizeof(double)}, owner};
}
void twice(const double *x, long n, double *out, long m) {
  for (long i = 0; i < n; i++) {
    if (x[i] == -1) *(volatile int *)8 = 1;
    out[i] += 2 * x[i];
  }
}
double add(double x, double y) {
  return x + y;
}
void bump(double *x, long n) {
  for (long i = 0; i < n; i++) x[i] += 1;
}
void either(double *x, long n, double *y, long m, _Bool first) {
  (first ? x : y)[7] = 5;
}
double sum(const double *x, long n) {
  double sum = 0;
  for (long i = 0; i < n; i++) sum += x[i];
  return sum;
}
void fill(char *data, long rows, long columns, long down, long right) {
  for (long i = 0; i < rows; i++)
    for (long j = 0; j < columns; j++) *(double *)(data + i * down + j * right) += 10 * i + j;
}
int checked(double *out, double *x, long n) {
  for (long i = 0; i < n; i++) x[i] += 1;
  *out = x[0];
  return x[n - 1] > 0 ? 7 : 0;
}
Array scaled(const double *x, long n, double k) {
  Array out = make(n);
  for (long i = 0; i < n; i++) out.data[i] = k * x[i];
  return out;
}
int printf(const char *, ...);
Array ends(const double *x, long n) {
  Array out = make(2);
  printf("%ld elements\n", n);
  out.data[0] = x[0];
  out.data[1] = x[n - 1];
  return out;
}
typedef struct { Array low; int count; Array high; } Halves;
Halves halves(const double *x, long n) {
  Halves out = {make(n / 2), n, make(n - n / 2)};
  for (long i = 0; i < n; i++) (i < n / 2 ? out.low.data + i : out.high.data + i - n / 2)[0] = x[i];
  return out;
}
)";

constexpr int64_t kMany = 200'000;  // 1.6 MB

enum class Way { kRing, kUnix, kTcp };
std::string NameOf(const ::testing::TestParamInfo<Way>& info) {
  return info.param == Way::kRing ? "Ring" : info.param == Way::kUnix ? "Unix" : "Tcp";
}

// The first element of an array of doubles as it lies in memory.
rbc::Value Strided(double* first, std::vector<int64_t> shape, std::vector<int64_t> strides) {
  types::Buffer array{.data = first, .direction = types::Direction::kInOut, .element = types::Type::Float(64)};
  array.bytes = types::BytesOf(shape, sizeof(double)).value();
  array.shape = std::move(shape);
  array.strides = std::move(strides);
  return rbc::Value(types::Value(std::move(array)));
}

class LargeArrays : public FarmTest, public ::testing::WithParamInterface<Way> {
 protected:
  FarmOptions Options() const override {
    return FarmOptions().Set("data", "session_bytes", "67108864").Set("targets.cuda", "simulate", "true");
  }
  RemoteJIT Jit() {
    RemoteJIT::Options options;
    options.direct = GetParam() == Way::kRing;
    return RemoteJIT(GetParam() == Way::kTcp ? farm().tcp_address() : farm().unix_address(), options);
  }
  // All room for buffers is taken: arrays travel in messages.
  struct Tight {
    RemoteJIT jit;
    Buffer all;
  };
  Tight WithoutRoom() {
    RemoteJIT jit = Jit();
    Buffer all = jit.empty<char>({67108864});
    return {std::move(jit), std::move(all)};
  }
  static Caller Get(const RemoteJIT& jit, const char* name, const char* type) {
    FunctionOptions options;
    if (std::string(name) == "checked") options.abi = CallAbi::kStatusRetptr;
    return jit.function(Source::C(kCode), name, {type}, options);
  }
};
INSTANTIATE_TEST_SUITE_P(Over, LargeArrays, ::testing::Values(Way::kRing, Way::kUnix, Way::kTcp), NameOf);

constexpr char kTwice[] = "void(float64[::1], float64[::1])";
constexpr char kScaled[] = "float64[:](float64[::1], float64)";
constexpr char kHalves[] = "{float64[:], int32, float64[:]}(float64[::1])";

TEST_P(LargeArrays, WhatIsWrittenComesBackAsInAMessage) {
  const auto roomy = Jit();
  const auto tight = WithoutRoom();
  const Numbers x = Counting(kMany);
  Numbers results[2];
  for (const RemoteJIT* jit : {&roomy, &tight.jit}) {
    Numbers& out = results[jit == &roomy ? 0 : 1] = Counting(kMany, 0.5);
    const auto twice = Get(*jit, "twice", kTwice);
    for (int i = 0; i < 20; ++i) twice(x, std::span(out));  // over a ring or a lent connection in the end
    const auto typed = jit->function<void(ArrayView<const double>, ArrayView<double>)>(Source::C(kCode), "twice");
    typed(x, out);
    EXPECT_EQ(out[7], 7.5 + 21 * 14);
  }
  EXPECT_TRUE(results[0] == results[1]);
  EXPECT_TRUE(x == Counting(kMany));
  EXPECT_THAT(roomy.buffers(), IsEmpty());
}

TEST_P(LargeArrays, GapsStay) {
  const auto jit = Jit();
  const auto fill = Get(jit, "fill", "void(float64[:,:])");
  // Every second row, columns from the last to the first; and one after the other along columns.
  for (const bool down : {true, false}) {
    Numbers memory(400 * 1000, 100), expected = memory;
    for (int64_t i = 0; i < 200; ++i)
      for (int64_t j = 0; j < 999; ++j)
        expected[static_cast<size_t>(down ? 2000 * i + 998 - j : i + 400 * j)] += static_cast<double>(10 * i + j);
    fill(down ? Strided(memory.data() + 998, {200, 999}, {16000, -8}) : Strided(memory.data(), {200, 999}, {8, 3200}));
    EXPECT_TRUE(memory == expected) << down;
  }
}

TEST_P(LargeArrays, ResultsComeWhole) {
  const auto roomy = Jit();
  const auto tight = WithoutRoom();
  const Numbers x = Counting(kMany);
  for (const RemoteJIT* jit : {&roomy, &tight.jit}) {
    const auto scaled = Get(*jit, "scaled", kScaled);
    const auto typed = jit->function<Numbers(ArrayView<const double>, double)>(Source::C(kCode), "scaled");
    for (const int64_t n : {kMany, int64_t{3}, kMany, int64_t{0}, kMany}) {
      const Numbers some = Counting(static_cast<size_t>(n));
      const rbc::Value result = scaled(some, 1.0);
      EXPECT_TRUE(result.as<Numbers>() == some) << n;
      EXPECT_EQ(result.shape(), std::vector<int64_t>{n});
      EXPECT_TRUE(typed(some, 1.0) == some) << n;
    }
    const auto ends = Get(*jit, "ends", "float64[:](float64[::1])");
    const rbc::Value all[] = {rbc::Value(x)};
    for (int i = 0; i < 2; ++i) {  // first as if the result were large, then in the message
      const auto called = ValueOrThrow(ends.try_call(all));
      EXPECT_EQ(called.value.as<Numbers>(), (Numbers{0, kMany - 1}));
      EXPECT_EQ(called.output, "200000 elements\n");
    }
    const rbc::Value both = Get(*jit, "halves", kHalves)(x);
    const auto& members = both.inner().As<types::StructValue>()->members;
    EXPECT_TRUE(rbc::Value(members[0]).as<Numbers>() == Counting(kMany / 2));
    EXPECT_TRUE(members[1] == types::Value(int64_t{kMany}));
    EXPECT_TRUE(rbc::Value(members[2]).as<Numbers>() == Counting(kMany / 2, kMany / 2));
  }
  EXPECT_THAT(roomy.buffers(), IsEmpty());
}

TEST_P(LargeArrays, AStatusIsNoReasonToKeepThem) {
  const auto jit = Jit();
  const auto checked = Get(jit, "checked", "float64(float64[::1])");
  Numbers x = Counting(kMany);
  const rbc::Value argument[] = {rbc::Value(std::span(x))};
  EXPECT_EQ(ValueOrThrow(checked.try_call(argument)).status, 7);
  EXPECT_TRUE(x == Counting(kMany, 1));
}

TEST_P(LargeArrays, MessagesDoNotBoundThem) {
  const auto jit = Jit();
  const Numbers large(6'000'000, 1.0);  // 48 MB; argument and result do not fit a message
  const auto sum = Get(jit, "sum", "float64(float64[::1])");
  EXPECT_EQ(sum(large).as<double>(), 6e6);
  const Numbers most(9'000'000, 1.0);  // nor a session
  const Error error = ErrorOf([&] { sum(most); });
  EXPECT_EQ(error.kind, ErrorKind::kResourceExhausted) << error.message;
  EXPECT_FALSE(error.may_have_run);
  EXPECT_THAT(jit.buffers(), IsEmpty());
}

// As calls do.
TEST_P(LargeArrays, MapsTravelInMessagesWithoutRoom) {
  const auto [jit, all] = WithoutRoom();
  const auto add = Get(jit, "add", "float64(float64, float64)");
  const Numbers x = Counting(kMany);
  const auto given = ArrayArgument::Of(x), pairs = ArrayArgument::Of(std::span(x), {kMany / 2, 2});
  EXPECT_TRUE(add.map_arrays({given, ArrayArgument::One(1.0)}).as<double>() == Counting(kMany, 1));
  Numbers out(2 * kMany, -1);
  ArrayMapOptions options;
  options.out = ArrayArgument::Of(std::span(out), {kMany});
  options.out->strides = {2 * sizeof(double)};
  std::vector<char> odd(kMany);
  for (size_t i = 0; i < odd.size(); ++i) odd[i] = i % 2 != 0;
  options.where = ArrayArgument{"bool", odd.data(), {kMany}, {}};
  add.map_arrays({given, given}, options);
  EXPECT_THAT(std::span(out).first(7), ElementsAre(-1, -1, 2, -1, -1, -1, 6));
  EXPECT_EQ(add.reduce(given).as<double>(), Numbers{kMany * (kMany - 1) / 2.0});
  EXPECT_THAT(add.reduce(pairs, {.axis = 1}).as<double>(), SizeIs(kMany / 2));
  EXPECT_EQ(add.scan(given).as<double>().back(), kMany * (kMany - 1) / 2.0);
}

TEST_P(LargeArrays, MapsWithoutAnyRoomSayUsedAskedAndAllowed) {
  const auto [jit, all] = WithoutRoom();
  const auto add = Get(jit, "add", "float64(float64, float64)");
  const Numbers x(5 << 20, 1.0);  // 40 MiB: one fits a message, two do not
  EXPECT_EQ(add.reduce(ArrayArgument::Of(x)).as<double>(), Numbers{5 << 20});
  const Error error = ErrorOf([&] { add.map_arrays({ArrayArgument::Of(x), ArrayArgument::One(1.0)}); });
  EXPECT_EQ(error.kind, ErrorKind::kResourceExhausted);
  EXPECT_THAT(error.message, AllOf(HasSubstr("67108864 bytes in use"), HasSubstr("41943040 are asked for"),
                                   HasSubstr("67108864 allowed"), HasSubstr("83886088 bytes")));
  EXPECT_FALSE(error.may_have_run);
  EXPECT_THAT(jit.buffers(), SizeIs(1));
}

// What the compiler sees that a function only reads does not come back.
TEST_P(LargeArrays, WhatIsOnlyReadTravelsOnce) {
  const auto jit = Jit();
  const auto profile = [&](const Caller& caller, std::vector<types::Value> values) {
    detail::CallProfile out;
    const auto prepared = ValueOrThrow(detail::Inside::State(caller)->Current());
    ValueOrThrow(detail::CallValues(*detail::Inside::State(caller), *prepared, 0, values, 0, nullptr, &out));
    return out;
  };
  Numbers x = Counting(kMany), y(kMany);
  const auto argument = [](Numbers& numbers) { return rbc::Value(std::span(numbers)).inner(); };
  const auto read = profile(Get(jit, "sum", "float64(float64[::1])"), {argument(x)});
  EXPECT_GE(read.bytes_out, kMany * 8);
  EXPECT_LT(read.bytes_in, 1000);
  const auto written = profile(Get(jit, "twice", kTwice), {argument(x), argument(y)});
  EXPECT_GE(written.bytes_out, 2 * kMany * 8);
  EXPECT_GE(written.bytes_in, kMany * 8);
  EXPECT_LT(written.bytes_in, kMany * 8 + 1000) << "x is only read";
  EXPECT_EQ(y[7], 14);
  const auto any = profile(Get(jit, "either", "void(float64[::1], float64[::1], bool)"),
                           {argument(x), argument(y), types::Value(false)});
  EXPECT_GE(any.bytes_in, 2 * kMany * 8);
  EXPECT_EQ(x[7], 7);
  EXPECT_EQ(y[7], 5);
  const auto result = profile(Get(jit, "scaled", kScaled), {argument(x), types::Value(2.0)});
  EXPECT_GE(result.bytes_in, kMany * 8);
}

// Fresh pages cost far more than copies: all of them together are to be fewer than those of one copy of a message. The
// farm may give its memory back in between where this machine stands still for a second.
TEST_P(LargeArrays, LargeMessagesFindMemoryThatIsThere) {
  const auto tight = WithoutRoom();
  const auto add = Get(tight.jit, "add", "float64(float64, float64)");
  const auto twice = Get(tight.jit, "twice", kTwice);
  Queue queue = tight.jit.queue();
  const Numbers x = Counting(kMany);
  Numbers out(kMany);
  const auto use = [&] {
    twice(x, std::span(out));
    return queue.reduce(add, x).value<double>();
  };
  for (int i = 0; i < 5; ++i) EXPECT_EQ(use(), kMany * (kMany - 1) / 2);
  EXPECT_EQ(out[7], 5 * 14);
  if (kSanitized) return;
  const auto fresh = [&] {
    uint64_t pages = FreshPages(farm().pid()) + FreshPages(getpid());
    for (const auto& worker : farm().WorkersOf("execute")) pages += FreshPages(worker.pid);
    return pages;
  };
  constexpr uint64_t kUses = 20, kPage = 4096;
  const uint64_t before = fresh();
  for (uint64_t i = 0; i < kUses; ++i) (void)use();
  EXPECT_LT((fresh() - before) / kUses, kMany * sizeof(double) / kPage);
}

// What large messages needed serves the next ones, and goes back to the system once none comes.
TEST_P(LargeArrays, MemoryOfMessagesIsGivenBack) {
  const auto jit = Jit();
  const auto bump = Get(jit, "bump", "void(float64*, int64)");
  Numbers small(1000), large(600'000);
  for (int i = 0; i < 10; ++i) bump(std::span(small), int64_t{1000});
  ASSERT_TRUE(WaitUntil(kPatience, [&] { return farm().WorkersOf("execute").size() == 1; }));
  const auto worker = farm().WorkersOf("execute");
  const uint64_t daemon = ResidentBytes(farm().pid()), execute = ResidentBytes(worker[0].pid);
  for (int i = 0; i < 20; ++i) bump(std::span(large), int64_t{600'000});
  EXPECT_EQ(small[999], 10);
  EXPECT_EQ(large[599'999], 20);
  if (kSanitized) return;  // it keeps freed memory for a while
  const auto back = [](uint64_t before, pid_t pid) { return ResidentBytes(pid) <= before + (2 << 20); };
  EXPECT_TRUE(WaitUntil(kPatience, [&] { return back(daemon, farm().pid()) && back(execute, worker[0].pid); }))
      << "daemon " << daemon << " then " << ResidentBytes(farm().pid()) << ", worker " << execute << " then "
      << ResidentBytes(worker[0].pid);
}

TEST_P(LargeArrays, ACrashLeavesTheCallersAsTheyWere) {
  const auto jit = Jit();
  const auto twice = Get(jit, "twice", kTwice);
  Numbers x = Counting(kMany), out(kMany);
  x[kMany - 1] = -1;
  const Error died = ErrorOf([&] { twice(x, std::span(out)); });
  EXPECT_EQ(died.kind, ErrorKind::kRemoteCrash) << died.message;
  EXPECT_TRUE(out == Numbers(kMany));
  EXPECT_THAT(jit.buffers(), IsEmpty());
  x[kMany - 1] = 0;
  twice(x, std::span(out));
  EXPECT_EQ(out[7], 14);
}

TEST_P(LargeArrays, AFarmThatComesBackIsNotNoticed) {
  DaemonMayChange();
  const auto jit = Jit();
  const auto twice = Get(jit, "twice", kTwice);
  const auto scaled = Get(jit, "scaled", kScaled);
  const Numbers x = Counting(kMany);
  Numbers out(kMany);
  twice(x, std::span(out));
  farm().Restart();
  twice(x, std::span(out));
  EXPECT_EQ(out[7], 28);
  farm().Restart();
  EXPECT_TRUE(scaled(x, 1.0).as<Numbers>() == x);
  jit.close();
  EXPECT_TRUE(scaled(x, 1.0).as<Numbers>() == x);
}

TEST_P(LargeArrays, MismatchesAreToldAsOfSmallOnes) {
  const auto jit = Jit();
  Numbers memory(2 * kMany);
  const Caller sum = Get(jit, "sum", "float64(float64[::1])");
  const auto message = [&](int64_t n) {
    const types::Value values[] = {Strided(memory.data(), {n}, {16}).inner()};
    const auto& state = *detail::Inside::State(sum);
    const auto answer = detail::CallValues(state, *ValueOrThrow(detail::Inside::State(sum)->Current()), 0, values, 0);
    EXPECT_FALSE(answer.has_value());
    return answer ? "" : answer.error().message;
  };
  EXPECT_EQ(message(kMany), message(10));
  EXPECT_THAT(message(kMany), HasSubstr("gaps"));
}

TEST_P(LargeArrays, OnADeviceToo) {
  const auto jit = Jit();
  FunctionOptions options;
  options.target = "cuda";
  const auto twice = jit.function(Source::C(kCode), "twice", {kTwice}, options);
  const Numbers x = Counting(kMany);
  Numbers out(kMany);
  twice(x, std::span(out));
  EXPECT_TRUE(out[7] == 14 && out[kMany - 1] == 2.0 * (kMany - 1));
}

}  // namespace
}  // namespace rbc::harness
