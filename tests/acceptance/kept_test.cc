// Array results that stay on the farm: of calls, batches and chains; structs with arrays; what is left behind when
// something goes wrong.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "rbc/rbc.h"
#include "tests/harness/farm_test.h"
#include "tests/harness/library.h"
#include "tests/harness/toolchain.h"

namespace rbc::harness {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr char kSource[] = R"(
typedef struct { double *data; long shape[1], strides[1]; void *owner; } Array;
typedef struct { unsigned long references; void (*destructor)(void *, unsigned long, void *); void *info, *data;
                 unsigned long size; void *unused; } Owner;
void *malloc(unsigned long);
static long alive;
static void drop(void *data, unsigned long size, void *info) { alive--; }
static Array make(long n) {
  Owner *owner = malloc(sizeof(Owner) + n * sizeof(double));
  *owner = (Owner){1, drop, 0, owner + 1, n * sizeof(double), 0};
  alive++;
  return (Array){(double *)(owner + 1), {n}, {sizeof(double)}, owner};
}
Array scaled(const double *x, long n, double k) {
  Array out = make(n);
  for (long i = 0; i < n; i++) out.data[i] = k * x[i];
  return out;
}
Array counting(long n) {
  Array out = make(n);
  for (long i = 0; i < n; i++) out.data[i] = i;
  return out;
}
Array evens(double *x, long n, long stride) { return (Array){x, {(n + 1) / 2}, {2 * stride}, 0}; }
long living(void) { return alive; }
typedef struct { Array low; int count; _Bool any; Array high; } Halves;
Halves halves(const double *x, long n) {
  Halves out = {make(n / 2), n, n > 0, make(n - n / 2)};
  for (long i = 0; i < n; i++) (i < n / 2 ? out.low.data + i : out.high.data + i - n / 2)[0] = x[i];
  return out;
}
Array crash(long n) { *(volatile int *)8 = 1; return make(n); }
Array nowhere(long n) { return (Array){(double *)64, {n}, {8}, 0}; }
Array slowly(long n) { volatile long i = 0; while (i < n) i = i + 1; return make(3); }
double twice(double x) { return 2 * x; }
double add(double x, double y) { return x + y; }
)";
constexpr char kHalves[] = "{float64[:], int32, bool, float64[:]}(float64[::1])";

class Kept : public FarmTest, public ::testing::WithParamInterface<const char*> {
 protected:
  FarmOptions Options() const override {
    return FarmOptions().Set("limits", "max_message", "1048576").Set("data", "session_bytes", "67108864");
  }
  RemoteJIT Jit() {
    return RemoteJIT(std::string(GetParam()) == "unix" ? farm().unix_address() : farm().tcp_address());
  }
};
INSTANTIATE_TEST_SUITE_P(Over, Kept, ::testing::Values("unix", "tcp"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(Kept, AResultStaysAndIsAnArgumentOfTheNext) {
  const auto jit = Jit();
  const auto scaled = jit.function(Source::C(kSource), "scaled", {"float64[:](float64[::1], float64)"});
  const Buffer x = jit.to_device(Counting(5));
  const Buffer y = scaled.keep(x, 2.0);
  EXPECT_EQ(y.to_host<double>(), (Numbers{0, 2, 4, 6, 8}));
  EXPECT_THAT(y.shape(), ElementsAre(5));
  EXPECT_EQ(scaled.keep(y, 0.5).to_host<double>(), Counting(5));
  EXPECT_EQ(scaled.keep(Counting(3), 3.0).to_host<double>(), (Numbers{0, 3, 6}));
  EXPECT_EQ(scaled.keep(Numbers{}, 3.0).size(), 0);
  const auto typed = jit.function<Numbers(ArrayView<const double>, double)>(Source::C(kSource), "scaled");
  EXPECT_EQ(typed.keep(y, 2.0).to_host<double>(), (Numbers{0, 4, 8, 12, 16}));
  const auto evens = jit.function(Source::C(kSource), "evens", {"float64[:](float64[:])"});
  const Buffer part = evens.keep(y);  // a copy, although the function gives a part of y
  y.copy_from(Numbers(5));
  EXPECT_EQ(part.to_host<double>(), (Numbers{0, 4, 8}));
  const rbc::Value named[] = {rbc::Value(int64_t{2})};
  const auto counting = jit.function(Source::C(kSource), "counting", {"float64[:](int64)"});
  EXPECT_EQ(ValueOrThrow(counting.try_keep(named, "numbers")).kept.front().name(), "numbers");
}

TEST_P(Kept, NoMessageBoundsIt) {
  const auto jit = Jit();
  const auto counting = jit.function(Source::C(kSource), "counting", {"float64[:](int64)"});
  const int64_t n = 1'000'000;  // 8 MB
  EXPECT_EQ(ErrorOf([&] { counting(n); }).kind, ErrorKind::kResourceExhausted);
  const Buffer all = counting.keep(n);
  const auto add = jit.function(Source::C(kSource), "add", {"float64(float64, float64)"});
  EXPECT_EQ(add.reduce(ArrayArgument::Of(all)).as<double>(), Numbers{499'999'500'000.0});
}

TEST_P(Kept, StructsWithArrays) {
  const auto jit = Jit();
  const auto halves = jit.function(Source::C(kSource), "halves", {kHalves});
  const Numbers numbers = Counting(5);
  const rbc::Value here[] = {rbc::Value(numbers)};
  const auto called = ValueOrThrow(halves.try_call(here));
  EXPECT_EQ(called.value.repr(), "([0.0, 1.0], 5, True, [2.0, 3.0, 4.0])");
  Queue queue = jit.queue();
  for (const auto& kept :
       {ValueOrThrow(halves.try_keep(here)), ValueOrThrow(queue.keep_all(halves, jit.to_device(numbers)).try_get())}) {
    ASSERT_THAT(kept.kept, SizeIs(2));
    EXPECT_EQ(kept.kept[0].to_host<double>(), (Numbers{0, 1}));
    EXPECT_EQ(kept.kept[1].to_host<double>(), (Numbers{2, 3, 4}));
    EXPECT_EQ(kept.value.repr(), "(None, 5, True, None)");
  }
  EXPECT_THAT(ErrorOf([&] { halves.keep(Counting(2)); }).message, HasSubstr("returns 2 arrays"));
  const auto deep = ErrorOf(
      [&] { jit.function(Source::C(kSource), "halves", {"{{float64[:], int64}, int32}(float64[::1])"})(numbers); });
  EXPECT_EQ(deep.kind, ErrorKind::kUnsupported);
}

TEST_P(Kept, NothingIsLeftWhereItFails) {
  const auto jit = Jit();
  const auto f = [&](const char* name, const char* type) { return jit.function(Source::C(kSource), name, {type}); };
  const auto twice = f("twice", "float64(float64)");
  EXPECT_THAT(ErrorOf([&] { twice.keep(1.0); }).message, HasSubstr("returns no array"));
  const auto counting = f("counting", "float64[:](int64)");
  const auto quota = ErrorOf([&] { counting.keep(int64_t{10'000'000}); });  // 80 MB of 64
  EXPECT_EQ(quota.kind, ErrorKind::kResourceExhausted) << Describe(quota);
  EXPECT_TRUE(quota.may_have_run);
  EXPECT_THAT(jit.buffers(), SizeIs(0));
  EXPECT_EQ(ErrorOf([&] { f("crash", "float64[:](int64)").keep(int64_t{3}); }).kind, ErrorKind::kRemoteCrash);
  EXPECT_EQ(ErrorOf([&] { f("nowhere", "float64[:](int64)").keep(int64_t{3}); }).kind, ErrorKind::kRemoteCrash);
  EXPECT_THAT(jit.buffers(), SizeIs(0));
  EXPECT_EQ(ErrorOf([&] { counting.keep(int64_t{3}); }).kind, ErrorKind::kStateLost);  // its globals, with the worker
  {
    const Buffer three = counting.keep(int64_t{3});
    EXPECT_EQ(three.to_host<double>(), Counting(3));
    EXPECT_THAT(jit.buffers(), SizeIs(1));
  }
  EXPECT_THAT(jit.buffers(), SizeIs(0));
}

TEST_P(Kept, StepsOfAQueueHandThemOn) {
  const auto jit = Jit();
  const auto counting = jit.function(Source::C(kSource), "counting", {"float64[:](int64)"});
  const auto add = jit.function(Source::C(kSource), "add", {"float64(float64, float64)"});
  auto queue = jit.queue();
  const auto x = queue.keep(counting, int64_t{4});
  const auto y = queue.map(add, {x, 1.0});
  const auto sum = queue.reduce(add, y);
  EXPECT_EQ(y.to_host<double>(), (Numbers{1, 2, 3, 4}));
  EXPECT_EQ(sum.value<double>(), 10);
  EXPECT_EQ(x.get().to_host<double>(), Counting(4));
  QueuedArray last = y;
  {
    const auto dropped = queue.keep(counting, int64_t{1000});  // for the next step alone
    last = queue.map(add, {dropped, 0.5});
  }
  EXPECT_EQ(last.get().size(), 1000);
  EXPECT_THAT(jit.buffers(), SizeIs(3));
  const auto crash = jit.function(Source::C(kSource), "crash", {"float64[:](int64)"});
  const auto failed = queue.keep(crash, int64_t{3});
  const auto after = queue.map(add, {failed, 1.0});
  EXPECT_EQ(ErrorOf([&] { after.get(); }).kind, ErrorKind::kRemoteCrash);
  EXPECT_EQ(ErrorOf([&] { queue.keep(add, 1.0, 2.0); }).kind, ErrorKind::kInvalidArgument);
}

// The handle goes while the farm makes the array.
TEST_P(Kept, NothingIsLeftOfWhatNobodyWantsAnyMore) {
  const auto jit = Jit();
  const auto slowly = jit.function(Source::C(kSource), "slowly", {"float64[:](int64)"});
  EXPECT_EQ(slowly.keep(int64_t{1}).size(), 3);
  auto queue = jit.queue({.eager = true});
  {
    const auto dropped = queue.keep(slowly, int64_t{300'000'000});
    EXPECT_TRUE(WaitUntil(std::chrono::seconds(20), [&] {
      const auto workers = farm().WorkersOf("execute");
      return !workers.empty() && workers[0].state == "busy";
    }));
  }
  queue.wait();
  EXPECT_TRUE(WaitUntil(std::chrono::seconds(20), [&] { return farm().StatusJson()["data"]["buffers"] == 0; }));
}

TEST_P(Kept, NoMessageBoundsTheArraysThatAQueueIsGiven) {
  const auto jit = Jit();
  const auto add = jit.function(Source::C(kSource), "add", {"float64(float64, float64)"});
  const Numbers large = Counting(1'000'000);  // 8 MB
  ArrayArgument columns = ArrayArgument::Of(std::span(large), {1000, 1000});
  columns.strides = {8, 8000};
  Queue queue = jit.queue();
  const QueuedArray sums = queue.map(add, {large, 1.0}), turned = queue.map(add, {columns, 0.0});
  const QueuedArray more = queue.map(add, {sums, large}), so_far = queue.scan(add, large);
  const QueuedArray all = queue.reduce(add, large);
  EXPECT_EQ(all.value<double>(), 499'999'500'000.0);
  EXPECT_TRUE(sums.to_host<double>() == Counting(large.size(), 1));
  EXPECT_EQ(turned.to_host<double>()[1], 1000);
  EXPECT_EQ(more.to_host<double>()[7], 15);
  EXPECT_EQ(so_far.to_host<double>().back(), 499'999'500'000.0);
  EXPECT_THAT(jit.buffers(), SizeIs(4)) << "those of the handles alone";
}

TEST_P(Kept, WithoutRoomTheArraysOfAQueueTravelInItsMessage) {
  const auto jit = Jit();
  const Buffer all = jit.empty<char>({64 << 20});
  const auto add = jit.function(Source::C(kSource), "add", {"float64(float64, float64)"});
  Queue queue = jit.queue();
  EXPECT_EQ(queue.reduce(add, Counting(50'000)).value<double>(), 1'249'975'000.0);  // 400 KB
}

// A call takes what an earlier step makes, of which nobody knows the length when it is queued.
TEST_P(Kept, QueuesHandThemToCalls) {
  const auto jit = Jit();
  const auto scaled = jit.function(Source::C(kSource), "scaled", {"float64[:](float64[::1], float64)"});
  const auto evens = jit.function(Source::C(kSource), "evens", {"float64[:](float64[:])"});
  const auto counting = jit.function(Source::C(kSource), "counting", {"float64[:](int64)"});
  const auto add = jit.function(Source::C(kSource), "add", {"float64(float64, float64)"});
  auto queue = jit.queue();
  const auto run = [&] {
    const auto x = queue.map(add, {queue.keep(counting, int64_t{5}), 1.0});
    return queue.keep(scaled, queue.keep(evens, queue.keep(scaled, x, 2.0)), 0.5);
  };
  EXPECT_EQ(run().to_host<double>(), (Numbers{1, 3, 5}));
  const auto are_left = [&](size_t count) {  // the queue's thread lets go of what it ran when it comes to it
    return WaitUntil(std::chrono::seconds(20), [&] { return jit.buffers().size() == count; });
  };
  ASSERT_TRUE(are_left(0));
  const auto messages = [&] { return farm().StatusJson()["connections"]["messages"].get<uint64_t>(); };
  const auto first = messages(), itself = messages() - first;
  const auto again = run();
  again.wait();
  EXPECT_EQ(messages() - first - 2 * itself, 1u) << "one round trip";
  EXPECT_TRUE(are_left(1)) << "temporaries are gone";
  EXPECT_EQ(queue.keep(scaled, again, 4.0).to_host<double>(), (Numbers{4, 12, 20})) << "of an earlier chain";
  const Buffer into = jit.to_device(Counting(6));
  const auto gaps = queue.map(add, {Numbers{7, 8, 9}, 1.0}, {.out = {into.slice(0, 0, 6, 2)}, .where = {}});
  EXPECT_EQ(queue.keep(evens, gaps).to_host<double>(), (Numbers{8, 10})) << "strides too";
  EXPECT_EQ(ErrorOf([&] { (void)queue.keep(scaled, gaps, 1.0).get(); }).kind, ErrorKind::kInvalidArgument)
      << "side by side is what that one wants";

  // What fails is told by who needs it, what does not fit is refused at once.
  const auto crash = jit.function(Source::C(kSource), "crash", {"float64[:](int64)"});
  const auto needs = queue.keep(scaled, queue.keep(crash, int64_t{3}), 1.0);
  const Error told = ErrorOf([&] { (void)queue.keep(evens, needs).get(); });
  EXPECT_EQ(told.kind, ErrorKind::kRemoteCrash) << told.message;
  EXPECT_THAT(told.message, HasSubstr("crash"));
  EXPECT_EQ(ErrorOf([&] { (void)needs.get(); }).kind, ErrorKind::kRemoteCrash) << "and later";
  const auto later = queue.keep(scaled, needs, 1.0);
  EXPECT_EQ(ErrorOf([&] { (void)later.get(); }).kind, ErrorKind::kRemoteCrash) << "of another chain";
  const auto table = queue.map(add, {jit.empty<double>({2, 3}), 1.0});
  EXPECT_EQ(ErrorOf([&] { queue.keep(scaled, table, 1.0); }).kind, ErrorKind::kNoMatch) << "two dimensions";
  EXPECT_THAT(ErrorOf([&] { queue.keep(scaled, queue.reduce(add, again), 1.0); }).message, HasSubstr("one value"));
  EXPECT_THAT(ErrorOf([&] { jit.queue().keep(scaled, again, 1.0); }).message, HasSubstr("another queue"));
  EXPECT_THAT(ErrorOf([&] { scaled(again, 1.0); }).message, HasSubstr("get() it first"));
}

TEST_P(Kept, ArraysOfAnEndedSessionAreNoArguments) {
  const auto jit = Jit();
  const auto scaled = jit.function(Source::C(kSource), "scaled", {"float64[:](float64[::1], float64)"});
  const Buffer x = jit.to_device(Counting(5));
  auto queue = jit.queue();
  const auto later = queue.keep(scaled, x, 2.0);
  jit.close();
  EXPECT_EQ(scaled.keep(Counting(5), 2.0).size(), 5);  // in a session of its own
  EXPECT_EQ(ErrorOf([&] { scaled.keep(x, 2.0); }).kind, ErrorKind::kBufferLost);
  EXPECT_EQ(ErrorOf([&] { later.get(); }).kind, ErrorKind::kBufferLost);
}

// The messages themselves.
class KeptWire : public FarmTest {};

TEST_F(KeptWire, OwnersAreReleasedAndRowsOfABatchKeepTheirs) {
  Client client = farm().Connect();
  Module module = MakeModule(CompileC(kSource), "counting", "float64[:](int64)", wire::Abi::Sysv);
  auto living = module.functions.front();
  living.symbol = "living";
  living.signature = "int64()";
  module.functions.push_back(living);
  const auto functions = Must(client.Compile(module)).functions;
  const auto request = [&](int64_t n, bool keep) {
    wire::CallRequest out;
    out.function_id = functions[0].function_id;
    out.frame.assign(reinterpret_cast<const char*>(&n), sizeof n);
    if (keep) out.__set_keep("rows");
    return out;
  };
  const auto alive = [&] { return Must(client.Call(functions[1], {})).value; };
  const auto kept = Must(client.CallRaw(request(3, true)));
  ASSERT_THAT(kept.kept, SizeIs(1));
  EXPECT_EQ(kept.kept[0].name, "rows");
  EXPECT_THAT(kept.kept[0].shape, ElementsAre(3));
  EXPECT_TRUE(kept.data.empty());
  EXPECT_EQ(kept.result.substr(0, 8), std::string(8, '\0'));
  EXPECT_TRUE(alive() == Value(int64_t{0}));
  // After many calls the connection is the worker's, which hands this one back.
  for (int i = 0; i < 1000; ++i) Must(client.Call(functions[1], {}));
  EXPECT_THAT(Must(client.CallRaw(request(4, true))).kept, SizeIs(1));
  const auto rows = Must(client.CallBatch({request(1, true), request(2, false), request(5, true)}));
  EXPECT_THAT(rows[0].reply.kept, SizeIs(1));
  EXPECT_FALSE(rows[1].reply.__isset.kept);
  EXPECT_EQ(rows[1].reply.data.size(), 16u);
  EXPECT_EQ(rows[2].reply.kept.at(0).bytes, 40);
  EXPECT_TRUE(alive() == Value(int64_t{0}));
  auto no_array = request(0, true);
  no_array.function_id = functions[1].function_id;
  no_array.frame.clear();
  EXPECT_EQ(MustFail(client.CallRaw(no_array)).kind, ErrorKind::kInvalidArgument);
  const auto refused = Must(client.CallBatch({no_array, request(1, true)}));
  EXPECT_TRUE(refused[0].__isset.error);
  EXPECT_THAT(refused[1].reply.kept, SizeIs(1));
}

}  // namespace
}  // namespace rbc::harness
