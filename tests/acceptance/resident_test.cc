// Arrays of the session as arguments of the library's calls and maps, and arrays that are too large for a message.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "rbc/rbc.h"
#include "tests/harness/farm_test.h"
#include "tests/harness/library.h"

namespace rbc::harness {
namespace {

using ::testing::HasSubstr;

constexpr char kSource[] = R"(
double add(double x, double y) { return x + y; }
void negate(double *x, long n) { for (long i = 0; i < n; i++) x[i] = -x[i]; }
double sum(const char *data, long n, long m, long down, long right) {
  double sum = 0;
  for (long i = 0; i < n; i++)
    for (long j = 0; j < m; j++) sum += *(const double *)(data + i * down + j * right);
  return sum;
}
)";

class Residents : public FarmTest, public ::testing::WithParamInterface<const char*> {
 protected:
  RemoteJIT Jit() {
    return RemoteJIT(std::string(GetParam()) == "unix" ? farm().unix_address() : farm().tcp_address());
  }
};
INSTANTIATE_TEST_SUITE_P(Over, Residents, ::testing::Values("unix", "tcp"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(Residents, AreArgumentsOfFunctionsOverArrays) {
  const auto jit = Jit();
  const Buffer x = jit.to_device(Counting(12));
  const auto negate = jit.function(Source::C(kSource), "negate", {"void(float64[::1])"});
  negate(x);
  negate(x.slice(0, 6, 12));
  EXPECT_EQ(x.to_host<double>(), (Numbers{0, -1, -2, -3, -4, -5, 6, 7, 8, 9, 10, 11}));
  const auto typed = jit.function<void(ArrayView<double>)>(Source::C(kSource), "negate");
  typed(x);
  typed(x.slice(0, 0, 6));
  EXPECT_EQ(x.to_host<double>(), (Numbers{0, -1, -2, -3, -4, -5, -6, -7, -8, -9, -10, -11}));
  const auto sum = jit.function(Source::C(kSource), "sum", {"float64(float64[:,:])"});
  EXPECT_EQ(sum(x.reshape({3, 4})).as<double>(), -66);
  EXPECT_EQ(sum(x.reshape({3, 4}).slice(1, 3, -1, -2).transpose()).as<double>(), -36);
  EXPECT_EQ(ErrorOf([&] { sum(x); }).kind, ErrorKind::kNoMatch);
  EXPECT_EQ(ErrorOf([&] { negate(jit.to_device(std::vector<float>{1})); }).kind, ErrorKind::kNoMatch);
  EXPECT_THAT(ErrorOf([&] { typed(x.slice(0, 0, 12, 2)); }).message, HasSubstr("with gaps"));
}

TEST_P(Residents, ThatAreGoneOrForeignAreRefused) {
  const auto jit = Jit(), other = Jit();
  const auto negate = jit.function(Source::C(kSource), "negate", {"void(float64[::1])"});
  const auto typed = jit.function<void(ArrayView<double>)>(Source::C(kSource), "negate");
  const Buffer theirs = other.to_device(Counting(3));
  EXPECT_THAT(ErrorOf([&] { negate(theirs); }).message, HasSubstr("another connection"));
  const Buffer freed = jit.to_device(Counting(3));
  freed.free();
  EXPECT_EQ(ErrorOf([&] { negate(freed); }).kind, ErrorKind::kBufferLost);
  const Buffer ended = jit.to_device(Counting(3));
  negate(ended);
  jit.close();
  negate(Counting(3));  // in a session of its own, where that place is somebody else's
  EXPECT_EQ(ErrorOf([&] { negate(ended); }).kind, ErrorKind::kBufferLost);
  EXPECT_EQ(ErrorOf([&] { typed(ended); }).kind, ErrorKind::kBufferLost);
}

TEST_P(Residents, AreArgumentsOfTypedMaps) {
  const auto jit = Jit();
  const auto add = jit.function<double(double, double)>(Source::C(kSource), "add");
  const Numbers numbers = Counting(6);
  const Buffer x = jit.to_device(numbers);
  const Numbers twice = {0, 2, 4, 6, 8, 10};
  EXPECT_EQ(add.map(x, numbers), twice);
  EXPECT_EQ(add.map(x, x), twice);
  const Buffer out = jit.empty<double>({6});
  add.map_into(out, x, 0.5);
  EXPECT_EQ(out.to_host<double>(), (Numbers{0.5, 1.5, 2.5, 3.5, 4.5, 5.5}));
  Numbers here(6);
  add.map_into(here, std::span<const double>(numbers), x);
  EXPECT_EQ(here, twice);
  const auto table =
      add.caller().map_arrays({ArrayArgument::Of(x.reshape({2, 3})), ArrayArgument::Of(x.slice(0, 0, 3))});
  EXPECT_EQ(table.as<double>(), (Numbers{0, 2, 4, 3, 5, 7}));
  EXPECT_EQ(ErrorOf([&] { add.map(x, Counting(5)); }).kind, ErrorKind::kInvalidArgument);
}

TEST_P(Residents, LargeArraysNeedNoMessage) {
  const auto jit = Jit();
  const auto add = jit.function<double(double, double)>(Source::C(kSource), "add");
  constexpr size_t kCount = 9'000'000;  // 72 MB, more than a message may have
  const Numbers numbers = Counting(kCount);
  Numbers sums = add.map(numbers, 1.0);
  ASSERT_EQ(sums.size(), kCount);
  for (size_t i = 0; i < kCount; ++i) ASSERT_EQ(sums[i], static_cast<double>(i) + 1);
  add.map_into(sums, numbers, sums);
  for (size_t i = 0; i < kCount; ++i) ASSERT_EQ(sums[i], 2 * static_cast<double>(i) + 1);
  // Every second element from the last on, as float32, and where it is odd.
  std::vector<float> small(2'000'000);
  std::iota(small.begin(), small.end(), 0.0f);
  std::vector<char> odd(small.size() / 2);
  for (size_t i = 0; i < odd.size(); ++i) odd[i] = i % 2 == 1;
  ArrayArgument strided = ArrayArgument::Of(small);
  strided.data = &small.back();
  strided.shape = {static_cast<int64_t>(odd.size())};
  strided.strides = {-8};
  ArrayMapOptions options;
  options.where = ArrayArgument{"bool", odd.data(), strided.shape, {}};
  const auto some = add.caller().map_arrays({strided, ArrayArgument::One(0.5)}, options).as<double>();
  for (size_t i = 0; i < some.size(); ++i)
    ASSERT_EQ(some[i], i % 2 == 1 ? static_cast<double>(small[small.size() - 1 - 2 * i]) + 0.5 : 0.0) << i;
  const auto all =
      add.caller().reduce(ArrayArgument::Of(std::span<const double>(numbers), {3, 3'000'000}), {.axis = 0});
  ASSERT_EQ(all.as<double>()[7], 3'000'000.0 + 6'000'000.0 + 21);
  const auto scanned = add.caller().scan(ArrayArgument::Of(numbers)).as<double>();
  EXPECT_EQ(scanned.back(), 0.5 * static_cast<double>(kCount) * static_cast<double>(kCount - 1));
  (void)jit.empty<double>({1});  // what is to be freed goes with the next request at the latest
  EXPECT_TRUE(jit.buffers().empty());
}

}  // namespace
}  // namespace rbc::harness
