// A client that goes on writing into its arrays while the farm reads them: it gets what it deserves, others notice
// nothing.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <numeric>
#include <random>
#include <thread>

#include "rbc/rbc.h"
#include "tests/harness/farm_test.h"
#include "tests/harness/neighbour.h"

namespace rbc::harness {
namespace {

using Numbers = std::vector<double>;

constexpr char kCode[] = R"(
double add(double x, double y) { return x + y; }
double sum(const double *x, long n) { double s = 0; for (long i = 0; i < n; i++) s += x[i]; return s; }
void twice(const double *x, long n, double *out, long m) { for (long i = 0; i < n && i < m; i++) out[i] = 2 * x[i]; }
)";
constexpr int64_t kCount = 300'000;

// Writes bytes of its own choice wherever the session's arena is mapped: into the arrays, between and behind them.
class Scribbler {
 public:
  explicit Scribbler(const Buffer& first) : memory_(static_cast<char*>(first.data())) {
    thread_ = std::thread([this] {
      std::mt19937_64 random(TestSeed(1));
      while (!stop_) {
        const size_t at = random() % kReach, size = std::min<size_t>(random() % 20'000, kReach - at);
        const int kind = static_cast<int>(random() % 4);
        std::memset(memory_ + at, kind == 0 ? 0xff : kind == 1 ? 0 : static_cast<int>(random()), size);
      }
    });
  }
  ~Scribbler() {
    stop_ = true;
    thread_.join();
  }

 private:
  static constexpr size_t kReach = size_t{16} << 20;
  char* const memory_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

TEST(ArenaLiar, HarmsOnlyItself) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "it writes while others read, which is what TSan is for";
#endif
  const Farm farm{FarmOptions()};
  const RemoteJIT good(farm.unix_address()), bad(farm.unix_address());
  Numbers numbers(kCount);
  std::iota(numbers.begin(), numbers.end(), 0.0);
  const Buffer kept = good.to_device(numbers);
  const auto add_there = good.function<double(double, double)>(Source::C(kCode), "add");
  Neighbour neighbour(farm);
  {
    const Buffer x = bad.to_device(numbers), y = bad.to_device(numbers), out = bad.empty<double>({kCount});
    const Buffer mask = bad.empty<bool>({kCount});
    const Caller add = bad.function(Source::C(kCode), "add", {"float64(float64, float64)"});
    const Caller sum = bad.function(Source::C(kCode), "sum", {"float64(float64[::1])"});
    const Caller twice = bad.function(Source::C(kCode), "twice", {"void(float64[::1], float64[::1])"});
    ASSERT_NE(x.data(), nullptr);
    const Scribbler scribbler(x);
    Queue queue = bad.queue();
    for (int i = 0; i < 60; ++i) {
      ArrayMapOptions options;
      options.out = ArrayArgument::Of(out);
      if (i % 2 == 1) options.where = ArrayArgument::Of(mask);
      const ArrayArgument inputs[] = {ArrayArgument::Of(x), ArrayArgument::Of(y)};
      const auto mapped = add.try_map_arrays(inputs, options);
      ASSERT_TRUE(mapped) << mapped.error().message;
      EXPECT_EQ(add.map_arrays({ArrayArgument::Of(x), ArrayArgument::One(1.0)}).shape, x.shape());
      EXPECT_EQ(add.reduce(ArrayArgument::Of(x)).data.size(), sizeof(double));
      EXPECT_EQ(add.scan(ArrayArgument::Of(y)).data.size(), kCount * sizeof(double));
      (void)sum(x);
      twice(x, out);
      const QueuedArray chained = queue.map(add, {x, y}), again = queue.map(add, {chained, x});
      EXPECT_EQ(again.to_host<double>().size(), static_cast<size_t>(kCount));
      EXPECT_EQ(x.to_host<double>().size(), static_cast<size_t>(kCount));
      ASSERT_TRUE(out.try_copy_from(y));
      EXPECT_GE(bad.buffers().size(), 4u) << "the farm keeps its books elsewhere";
      if (i % 10 == 0) {
        EXPECT_EQ(add_there.map(kept, 1.0)[7], 8.0);
      }
    }
  }
  ExpectUndisturbed(neighbour.Take());
  EXPECT_TRUE(kept.to_host<double>() == numbers);
  const Buffer fresh = bad.to_device(numbers);
  EXPECT_TRUE(fresh.to_host<double>() == numbers) << "and whoever stops lying is served";
}

}  // namespace
}  // namespace rbc::harness
