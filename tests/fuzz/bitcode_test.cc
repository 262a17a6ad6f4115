// Mutated bitcode through the real daemon: each answer is a typed error or an object, the daemon and others go on.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <map>
#include <mutex>
#include <random>
#include <thread>

#include "tests/harness/farm_test.h"
#include "tests/harness/ir.h"
#include "tests/harness/neighbour.h"
#include "tests/harness/paths.h"
#include "tests/harness/toolchain.h"

namespace rbc::harness {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kDeadlineMs = 1000;

struct Seed {
  std::string name;
  std::string bitcode;
};

// C whose parts bitcode has records for: integers, floats, vectors, switches, loops, globals, calls, structs.
const char* const kSources[] = {
    "long f(long x) { return x * 3 + 1; }",
    "double f(double x) { double s = 0; for (int i = 0; i < 100; i++) s += x / (i + 1); return s; }",
    "int f(int x) { switch (x) { case 1: return 5; case 2: return 7; case 9: return 1; case 77: return x; } return -x; "
    "}",
    "static int table[] = {1, 2, 3, 4}; int f(int i) { return table[i & 3]++; }",
    "struct s { int a; double b; char c[7]; }; double f(struct s *p) { return p->a + p->b + p->c[3]; }",
    "typedef float v __attribute__((vector_size(16))); v f(v a, v b) { return a * b + a; }",
    "int g(int n) { return n < 2 ? n : g(n - 1) + g(n - 2); } int f(int n) { return g(n); }",
    "_Complex double f(_Complex double z) { return z * z; }",
    "__int128 f(__int128 a, __int128 b) { return a * b / 7; }",
    "int printf(const char *, ...); int f(int n) { return printf(\"%d %s\\n\", n, \"text\"); }",
    "int n; int f(int x) { return __atomic_fetch_add(&n, x, 5) + __sync_bool_compare_and_swap(&n, 1, 2); }",
    "void *memcpy(void *, const void *, unsigned long); void f(char *a, char *b, long n) { memcpy(a, b, n); a[n] = 0; "
    "}",
};

std::vector<Seed> Seeds() {
  std::vector<Seed> seeds;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(SourcePath("tests/faults/crashers"))) {
    const auto& path = entry.path();
    std::string bitcode;
    if (path.extension() == ".bc") bitcode = ReadWholeFile(path.string());
    if (path.extension() == ".ll") bitcode = Assemble(ReadWholeFile(path.string()));
    if (!bitcode.empty()) seeds.push_back({path.filename().string(), std::move(bitcode)});
  }
  for (size_t i = 0; i < std::size(kSources); ++i) {
    for (const char* level : {"-O0", "-O2", "-g"}) {
      seeds.push_back(
          {"source " + std::to_string(i) + " " + level, CompileC(kSources[i], IrForm::kBitcode, {level, "-mavx2"})});
    }
  }
  seeds.push_back({"add", Assemble(AddModule().ir)});
  seeds.push_back({"busy", Assemble(BusyModule().ir)});
  std::sort(seeds.begin(), seeds.end(), [](const Seed& a, const Seed& b) { return a.name < b.name; });
  return seeds;
}

std::string Mutate(std::string bytes, std::mt19937_64& random) {
  const int count = 1 + static_cast<int>(random() % 8);
  for (int i = 0; i < count && bytes.size() > 32; ++i) {
    const size_t at = random() % bytes.size();
    switch (random() % 5) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8));
        break;
      case 1:
        bytes[at] = static_cast<char>(random());
        break;
      case 2: {  // a piece moved over another
        const size_t size = std::min<size_t>(random() % 64, bytes.size() - at);
        const std::string piece = bytes.substr(random() % bytes.size(), size);
        bytes.replace(at, piece.size(), piece);
        break;
      }
      case 3:
        bytes.replace(at, std::min<size_t>(4, bytes.size() - at), std::string(4, random() % 2 == 0 ? '\xff' : '\0'));
        break;
      default:
        bytes.erase(at, 1 + random() % 16);
        break;
    }
  }
  return bytes;
}

class MutatedBitcode : public FarmTest {
 protected:
  FarmOptions Options() const override {
    return FarmOptions()
        .Set("compile", "deadline_ms", std::to_string(kDeadlineMs))
        .Set("compile", "quarantine_ms", "1")
        .Set("workers", "compile_memory_limit", "\"1 GiB\"");
  }
  void TryOne(Client& client, const std::string& what, const std::string& bitcode, uint64_t number) {
    const auto begin = Clock::now();
    Module module{bitcode, {}, {}};
    module.options.opt_level = static_cast<int>(number % 4);
    std::string kind = "object";
    Error error;
    if (number % 2 == 0) {
      const auto object = client.EmitCode(module, wire::Emit::Object);
      if (!object) error = object.error();
      if (!object) kind = Name(error.kind);
    } else {
      module.functions = {Declare("f", "int64(int64)")};
      const auto loaded = client.Compile(module);
      if (!loaded) error = loaded.error();
      kind = loaded ? "loaded" : std::string(Name(error.kind));
      EXPECT_TRUE(!loaded || client.Unload(loaded->module_id)) << what;
    }
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin).count();
    const std::lock_guard lock(mutex_);
    ++kinds_[kind];
    EXPECT_LT(took, kDeadlineMs + 4000 + kStall.count()) << what;
    EXPECT_THAT(kind, ::testing::Not(::testing::AnyOf("Internal", "ConnectionLost", "WorkerLost")))
        << what << ": " << Describe(error);
    EXPECT_EQ(Describe(error).find(SourcePath()), std::string::npos) << what;
  }

  std::mutex mutex_;
  std::map<std::string, int> kinds_;
};

TEST_F(MutatedBitcode, IsATypedErrorOrAnObject) {
  const std::vector<Seed> seeds = Seeds();
  ASSERT_GE(seeds.size(), 70u);
  const uint64_t seed = TestSeed(20'260'101);
  const uint64_t count = LongRun() ? 20'000 : 300;
  Neighbour neighbour(farm());
  std::atomic<uint64_t> next{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&] {
      Client client = farm().Connect();
      for (uint64_t i = next++; i < count && !HasFailure(); i = next++) {
        std::mt19937_64 random(seed * 1'000'003 + i);
        const Seed& from = seeds[random() % seeds.size()];
        TryOne(client, "RBC_SEED=" + std::to_string(seed) + " number " + std::to_string(i) + ", " + from.name,
               Mutate(from.bitcode, random), i);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& [kind, number] : kinds_) std::printf("%6d %s\n", number, kind.c_str());
  EXPECT_GT(kinds_["InvalidModule"], 0);
  ExpectUndisturbed(neighbour.Take());
}

}  // namespace
}  // namespace rbc::harness
