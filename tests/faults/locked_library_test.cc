// The C library in a worker that is locked down: what it does behind the scenes (asking for the size of memory, giving
// memory back, translating messages) must not be taken for a forbidden system call of the user's.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rbc/rbc.h"
#include "tests/harness/farm_test.h"
#include "tests/harness/toolchain.h"

namespace rbc::harness {
namespace {

constexpr char kUses[] = R"(
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/time.h>

// Blocks that go in the order in which they came and the other way round; then, since large memory that was freed
// changes how the next is kept, a list that grows by and by.
long heap(long size) {
  long sum = 0;
  char *volatile blocks[64];
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 64; ++i) blocks[i] = memset(malloc(size / 64 + 1), i, size / 64 + 1);
    for (int i = 0; i < 64; ++i) free(blocks[round ? i : 63 - i]);
  }
  char *volatile list = 0;
  for (long n = 64; n <= size; n = n * 9 / 8 + 16) {
    list = realloc(list, n);
    list[n - 1] = 1;
    sum += list[n - 1];
  }
  free(list);
  void *volatile other;
  if (posix_memalign((void **)&other, 4096, size)) return -1;
  free(other);
  free(other = calloc(size, 1));
  return sum > 0;
}

static int ascending(const void *a, const void *b) { return *(const int *)a < *(const int *)b ? -1 : 1; }

long sort(long count) {
  int *numbers = malloc(count * sizeof *numbers);
  for (long i = 0; i < count; ++i) numbers[i] = i * 2654435761u % count;
  qsort(numbers, count, sizeof *numbers, ascending);
  long wrong = 0;
  for (long i = 1; i < count; ++i) wrong += numbers[i - 1] > numbers[i];
  free(numbers);
  return wrong == 0;
}

long text(long n) {
  char room[512], *made;
  snprintf(room, sizeof room, "%.300f %'ld %a %Lg", 1e100 / n, n, 0.1, 1.5L);
  double back;
  if (sscanf(room, "%lf", &back) != 1 || strtod(room, 0) != back) return 0;
  if (asprintf(&made, "%s %s", strerror(ENOMEM), strerror(100000 + (int)n)) < 0) return 0;
  free(made);
  printf("%s %f\n", "printed", back);
  fprintf(stderr, "%ld\n", n);
  return strcoll("a", "b") < 0;
}

long clocks(long n) {
  struct timespec now;
  struct timeval today;
  for (int id = 0; id < 8; ++id)
    if (id != CLOCK_THREAD_CPUTIME_ID) clock_gettime(id, &now);
  srand(n);
  return time(0) > 0 && gettimeofday(&today, 0) == 0 && clock() >= 0 && rand() >= 0 && drand48() < 1;
}
)";

class LockedLibrary : public FarmTest, public ::testing::WithParamInterface<const char*> {
 protected:
  // The thread of a ring allocates elsewhere than the one that serves the daemon.
  void DoIts(const std::string& work, bool direct) {
    RemoteJIT::Options options;
    options.direct = direct;
    RemoteJIT rjit(farm().unix_address(), options);
    const auto function = rjit.function<int64_t(int64_t)>(Source::Ir(CompileC(kUses, IrForm::kText, {"-O1"})), work);
    for (const int64_t size : {1'000, 7'000'000, 100'000, 1'000'000, 30'000'000, 1'000}) {
      if (size > 1'000'000 && work == "sort") continue;
      EXPECT_EQ(function(size), 1) << size << (direct ? " by a ring" : " through the daemon");
    }
  }
};

TEST_P(LockedLibrary, DoesItsWork) {
  DoIts(GetParam(), true);
  DoIts(GetParam(), false);
}

INSTANTIATE_TEST_SUITE_P(, LockedLibrary, ::testing::Values("heap", "sort", "text", "clocks"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace rbc::harness
