// How fast the code of maps and reductions is on one core, against loops over libm, memcpy and, with --python PATH (of
// an interpreter with numba), against numba and NumPy in the same run. Goal 11. bulk_code [--rows N] [--python PATH]
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <new>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/targets/bulk.h"

namespace {

using rbc::CompileOptions;
using rbc::EntryKind;
using rbc::testing::BulkColumn;
using rbc::testing::kBlackScholesLines;
using rbc::testing::Loaded;
using rbc::testing::RunBulk;
using Clock = std::chrono::steady_clock;

constexpr int kRounds = 7;
const char* const kFive = "float64(float64, float64, float64, float64, float64)";

const std::string kFunctions = R"(
declare double @log(double)
declare double @exp(double)
declare double @erf(double)
declare double @llvm.sqrt.f64(double)
define double @cdf(double %x) {
  %s = fmul double %x, 0x3FE6A09E667F3BCD
  %e = call double @erf(double %s)
  %p = fadd double %e, 1.0
  %h = fmul double %p, 0.5
  ret double %h
}
define double @price(double %s, double %k, double %r, double %v, double %t) {
)" + std::string(kBlackScholesLines) +
                               R"(  ret double %p
}
define double @polynomial(double %x) {
  %p1 = fmul double %x, 0.9
  %s1 = fadd double %p1, 0.8
  %p2 = fmul double %s1, %x
  %s2 = fadd double %p2, 0.7
  %p3 = fmul double %s2, %x
  %s3 = fadd double %p3, 0.6
  %p4 = fmul double %s3, %x
  %s4 = fadd double %p4, 0.5
  %p5 = fmul double %s4, %x
  %s5 = fadd double %p5, 0.4
  %p6 = fmul double %s5, %x
  %s6 = fadd double %p6, 0.3
  %p7 = fmul double %s6, %x
  %s7 = fadd double %p7, 0.2
  %p8 = fmul double %s7, %x
  %s8 = fadd double %p8, 0.1
  ret double %s8
}
define double @add(double %a, double %b) {
  %c = fadd double %a, %b
  ret double %c
}
)";

template <typename T>
T Price(T s, T k, T r, T v, T t) {
  const T half = T(1) / 2, root = std::sqrt(half);
  const auto cdf = [&](T x) { return half * (1 + std::erf(x * root)); };
  const T d1 = (std::log(s / k) + (r + half * v * v) * t) / (v * std::sqrt(t)), d2 = d1 - v * std::sqrt(t);
  return s * cdf(d1) - k * std::exp(-r * t) * cdf(d2);
}

Loaded Load(const char* name, const std::string& signature, EntryKind kind, const std::string& pattern) {
  CompileOptions options;
  options.entry = kind;
  options.map_pattern = pattern;
  return Loaded(kFunctions, {{name, signature, rbc::Abi::kDirect}}, options);
}

// Medians of alternating rounds, in rows a microsecond.
std::vector<double> Measure(size_t rows, const std::vector<std::function<void()>>& runs) {
  std::vector<std::vector<double>> times(runs.size());
  for (int round = -1; round < kRounds; ++round) {
    for (size_t i = 0; i < runs.size(); ++i) {
      const auto begin = Clock::now();
      size_t repeats = 0;
      do {
        runs[i]();
        ++repeats;
      } while (Clock::now() - begin < std::chrono::milliseconds(20));
      const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
      if (round >= 0) times[i].push_back(rows * repeats / seconds / 1e6);
    }
  }
  std::vector<double> medians;
  for (auto& of : times) {
    std::nth_element(of.begin(), of.begin() + of.size() / 2, of.end());
    medians.push_back(of[of.size() / 2]);
  }
  return medians;
}

// As the farm's arrays lie: from the begin of a line of the cache on.
template <typename T>
struct OfLines {
  using value_type = T;
  OfLines() = default;
  template <typename U>
  OfLines(const OfLines<U>&) {}
  T* allocate(size_t count) { return static_cast<T*>(operator new(count * sizeof(T), std::align_val_t(64))); }
  void deallocate(T* memory, size_t) { operator delete(memory, std::align_val_t(64)); }
  bool operator==(const OfLines&) const = default;
};
using Values = std::vector<double, OfLines<double>>;

// On large pages where the kernel has them, as NumPy's arrays are.
Values Zeros(size_t rows) {
  Values values;
  values.reserve(rows);
  const auto begin = (reinterpret_cast<uintptr_t>(values.data()) + 4095) / 4096 * 4096;
  const auto end = reinterpret_cast<uintptr_t>(values.data() + rows) / 4096 * 4096;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
  values.resize(rows);
  return values;
}

Values Random(size_t rows, double low, double high) {
  std::mt19937_64 random(rows + static_cast<size_t>(low * 10));
  std::uniform_real_distribution<double> range(low, high);
  auto values = Zeros(rows);
  for (double& value : values) value = range(random);
  return values;
}

void BlackScholes(size_t rows) {
  auto module = Load("price", kFive, EntryKind::kMap, "cccccc");
  const auto s = Random(rows, 80, 120), k = Random(rows, 81, 121), r = Random(rows, 0.01, 0.05),
             v = Random(rows, 0.1, 0.5), t = Random(rows, 0.25, 2);
  auto ours = Zeros(rows), plain = Zeros(rows);
  const auto run = [&](size_t first, size_t count) {
    std::vector<BulkColumn> columns;
    for (auto* column : {&s, &k, &r, &v, &t}) columns.push_back({column->data() + first, 8});
    columns.push_back({ours.data() + first, 8});
    RunBulk(module, count, columns);
  };
  const size_t half = rows / 2 / 64 * 64;
  const auto rates = Measure(rows, {[&] { run(0, rows); },
                                    [&] {
                                      std::thread other([&] { run(half, rows - half); });
                                      run(0, half);
                                      other.join();
                                    },
                                    [&] {
                                      for (size_t i = 0; i < rows; ++i) plain[i] = Price(s[i], k[i], r[i], v[i], t[i]);
                                    }});
  double error = 0, libm = 0;
  for (size_t i = 0; i < rows; i += 7) {
    const auto truth = Price<long double>(s[i], k[i], r[i], v[i], t[i]);
    if (truth < s[i] / 10) continue;  // a small difference of large numbers, in libm's loop too
    error = std::max<double>(error, std::fabs((ours[i] - truth) / truth));
    libm = std::max<double>(libm, std::fabs((plain[i] - truth) / truth));
  }
  fmt::print(
      "black_scholes   {:8.0f} M/s   libm loop {:8.0f}   {:5.2f}x (goal 6)   two threads {:8.0f}   {:5.2f}x of one "
      "(goal 1.85)   relative error {:.1e}, libm's {:.1e}\n",
      rates[0], rates[2], rates[0] / rates[2], rates[1], rates[1] / rates[0], error, libm);
}

void Add(size_t rows) {
  auto plain = Load("add", "float64(float64, float64)", EntryKind::kMap, "ccc");
  auto streamed = Load("add", "float64(float64, float64)", EntryKind::kMap, "ccn");
  const auto a = Random(rows, 0, 1), b = Random(rows, 1, 2);
  auto memory = Zeros(rows);
  double* out = memory.data();
  const std::vector<BulkColumn> columns = {{a.data(), 8}, {b.data(), 8}, {out, 8}};
  const auto rates = Measure(rows, {[&] { RunBulk(plain, rows, columns); }, [&] { RunBulk(streamed, rows, columns); },
                                    [&] { std::memcpy(out, a.data(), rows * 8); }});
  RunBulk(streamed, rows, columns);
  const bool right = out[rows / 2] == a[rows / 2] + b[rows / 2];
  // A row of add moves three values, one of memcpy two.
  fmt::print(
      "add             {:8.0f} M/s   streamed {:8.0f}   memcpy {:8.0f}   bytes moved {:.2f}x, {:.2f}x (goal 0.95){}\n",
      rates[0], rates[1], rates[2], 1.5 * rates[0] / rates[2], 1.5 * rates[1] / rates[2], right ? "" : " WRONG");
}

void Polynomial(size_t rows) {
  auto module = Load("polynomial", "float64(float64)", EntryKind::kMap, "cc");
  auto streamed = Load("polynomial", "float64(float64)", EntryKind::kMap, "cn");
  const auto x = Random(rows, -1, 1);
  auto memory = Zeros(rows);
  double* out = memory.data();
  const std::vector<BulkColumn> columns = {{x.data(), 8}, {out, 8}};
  const auto rates =
      Measure(rows, {[&] { RunBulk(module, rows, columns); }, [&] { RunBulk(streamed, rows, columns); }});
  RunBulk(streamed, rows, columns);
  double error = 0;
  for (size_t i = 0; i < rows; i += 7) {
    double truth = 0.9;
    for (const double factor : {0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1}) truth = truth * x[i] + factor;
    error = std::max(error, std::fabs(out[i] - truth));
  }
  fmt::print("polynomial      {:8.0f} M/s   streamed {:8.0f}   (goal 1.1x numba's) at {} rows{}\n", rates[0], rates[1],
             rows, error < 1e-15 ? "" : " WRONG");
}

void Sum(size_t rows) {
  auto module = Load("add", "float64(float64, float64)", EntryKind::kReduce, "");
  const auto x = Random(rows, -1, 1);
  alignas(16) double value[2] = {};
  double plain = 0;
  const auto rates = Measure(rows, {[&] {
                                      RunBulk(module, rows, {{x.data(), 8}}, value);
                                    },
                                    [&] {
                                      plain = 0;
                                      for (const double each : x) plain += each;
                                      asm volatile("" : : "r"(&plain) : "memory");
                                    }});
  fmt::print("sum             {:8.0f} M/s   plain loop {:8.0f}   {:5.2f}x at {} rows{}\n", rates[0], rates[1],
             rates[0] / rates[1], rows, std::fabs(plain - value[0]) < 1e-6 ? "" : " WRONG");
}

// The same work by numba and NumPy, as they print it.
void Peers(const std::string& python, size_t rows) {
  const std::string script = R"(
import sys, time, numba, numpy as np
def rate(f, rows):
    best = []
    for _ in range(8):
        n, t = 0, time.perf_counter()
        while time.perf_counter() - t < 0.02: f(); n += 1
        best.append(rows * n / (time.perf_counter() - t) / 1e6)
    return sorted(best[1:])[3]
@numba.vectorize(['f8(f8)'])
def poly(x): return (((((((0.9*x+0.8)*x+0.7)*x+0.6)*x+0.5)*x+0.4)*x+0.3)*x+0.2)*x+0.1
for rows in (8192, int(sys.argv[1])):
    x = np.random.rand(rows); out = np.empty_like(x)
    print('numba vectorize, polynomial %8.0f M/s at %d rows' % (rate(lambda: poly(x, out), rows), rows))
for rows in (8192, 100000, int(sys.argv[1])):
    x = np.random.rand(rows)
    print('NumPy, sum %8.0f M/s at %d rows' % (rate(lambda: x.sum(), rows), rows))
)";
  const std::string command = fmt::format("{} - {} <<'RBC_END'\n{}\nRBC_END\n", python, rows, script);
  std::fflush(stdout);
  if (std::system(command.c_str()) != 0) fmt::print("{} cannot run numba\n", python);
}

}  // namespace

int main(int count, char** arguments) {
  size_t rows = 4'000'000;
  std::string python;
  for (int i = 1; i + 1 < count; i += 2) {
    const std::string option = arguments[i];
    if (option == "--rows") rows = std::stoul(arguments[i + 1]);
    if (option == "--python") python = arguments[i + 1];
  }
  BlackScholes(rows);
  Add(rows);
  for (const size_t some : {size_t{8192}, rows}) Polynomial(some);
  for (const size_t some : {size_t{8192}, size_t{100'000}, rows}) Sum(some);
  if (!python.empty()) Peers(python, rows);
}
