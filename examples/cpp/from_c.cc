// C source through this machine's clang: memory, structs, text, and a crash that stays on the farm: from_c [FARM].
// SPDX-License-Identifier: Apache-2.0
#include <iostream>
#include <vector>

#include "rbc/rbc.h"

constexpr char kCode[] = R"(
#include <stdio.h>
typedef struct { double mean; int count; } Summary;
Summary summarise(const double *x, long n) {
  double sum = 0;
  for (long i = 0; i < n; ++i) sum += x[i];
  Summary out = {n ? sum / n : 0, (int)n};
  return out;
}
void scale(double *x, long n, double factor) { for (long i = 0; i < n; ++i) x[i] *= factor; }
void greet(const char *who) { printf("hello %s\n", who); }
int crash(void) { return *(volatile int *)0; }
)";

struct Summary {
  double mean;
  int count;
};
template <>
struct rbc::TypeText<Summary> : rbc::Struct<&Summary::mean, &Summary::count> {};

int main(int argc, char** argv) try {
  rbc::RemoteJIT rjit(argc > 1 ? argv[1] : "");
  const rbc::Source code = rbc::Source::C(kCode);
  auto summarise = rjit.function<Summary(std::span<const double>, long)>(code, "summarise");
  auto scale = rjit.function<void(std::span<double>, long, double)>(code, "scale");
  std::vector<double> x = {1, 2, 3, 4};
  scale(x, 4, 10);
  const Summary summary = summarise(x, 4);
  std::cout << summary.count << " values, mean " << summary.mean << "\n";  // 4 values, mean 25
  rjit.function<void(const char*)>(code, "greet")("world");                // hello world
  const auto crashed = rjit.function<int()>(code, "crash").try_call();
  if (crashed) return 1;
  std::cout << rbc::KindName(crashed.error().kind) << " in " << crashed.error().function << ", signal "
            << crashed.error().signal << "\n";
  return 0;
} catch (const rbc::Exception& error) {
  std::cerr << "error: " << error.what() << "\n";
  return 1;
}
