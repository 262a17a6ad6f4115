// Distinct functions without end through one session: memory of daemon, worker and client stays flat.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <malloc.h>
#include <unistd.h>

#include "tests/harness/farm_test.h"
#include "tests/harness/ir.h"
#include "tests/harness/toolchain.h"

namespace rbc::harness {
namespace {

struct Memory {
  uint64_t daemon = 0, worker = 0, client = 0;
  uint64_t daemon_resident = 0, worker_resident = 0, client_resident = 0;
};

class Flat : public FarmTest {
 protected:
  // A store that fills before the measurement begins: from then on the oldest go.
  FarmOptions Options() const override { return FarmOptions().Set("store", "max_bytes", "\"1 MiB\""); }
  Memory Measure(const Client& client) {
    const auto workers = farm().WorkersOf("execute", static_cast<uint64_t>(client.session().session_id));
    EXPECT_EQ(workers.size(), 1u);
    malloc_trim(0);
    const pid_t worker = workers.empty() ? 0 : workers[0].pid;
    return {WorkingBytes(farm().pid()),  WorkingBytes(worker),  WorkingBytes(getpid()),
            ResidentBytes(farm().pid()), ResidentBytes(worker), ResidentBytes(getpid())};
  }
};

// Five percent of all that the process has resident.
void ExpectFlat(const char* who, uint64_t before, uint64_t after, uint64_t resident) {
  EXPECT_LE(after, before + resident / 20) << who << " grew from " << before / 1024 << " KiB to " << after / 1024
                                           << " KiB, resident are " << resident / 1024;
}

TEST_F(Flat, DistinctFunctionsCompiledCalledAndReleased) {
  const int count = LongRun() ? 200'000 : 3'000;
  const int warm = LongRun() ? 10'000 : 1'000;
  Client client = farm().Connect();
  Memory before;
  for (int i = 0; i < count; ++i) {
    if (i == warm) before = Measure(client);
    const auto reply = client.Compile(ScaleModule("scale" + std::to_string(i), i + 2));
    ASSERT_TRUE(reply) << i << ": " << Describe(reply.error());
    ASSERT_FALSE(reply->cached);
    const auto result = client.Call(reply->functions[0], {3});
    ASSERT_TRUE(result) << i << ": " << Describe(result.error());
    ASSERT_TRUE(result->value == Value(3 * int64_t{i + 2}));
    ASSERT_TRUE(client.Unload(reply->module_id));
  }
  const Memory after = Measure(client);
  std::printf("KiB before and after: daemon %lu %lu, worker %lu %lu, client %lu %lu\n", before.daemon / 1024,
              after.daemon / 1024, before.worker / 1024, after.worker / 1024, before.client / 1024,
              after.client / 1024);
  ExpectFlat("the daemon", before.daemon, after.daemon, before.daemon_resident);
  ExpectFlat("the worker", before.worker, after.worker, before.worker_resident);
  ExpectFlat("the client", before.client, after.client, before.client_resident);
}

TEST_F(Flat, SessionsThatComeAndGo) {
  const int count = LongRun() ? 5'000 : 300;
  const auto one = [&] {
    Client client = farm().Connect();
    ASSERT_TRUE(Must(client.Call(Must(client.Load(AddModule())), {1.0, 2.0})).value == Value(3.0));
  };
  for (int i = 0; i < count / 3; ++i) one();
  const auto settled = [&] { return WaitUntil(kPatience, [&] { return farm().WorkersOf("execute").empty(); }); };
  ASSERT_TRUE(settled());
  const uint64_t before = WorkingBytes(farm().pid()), resident = ResidentBytes(farm().pid());
  const size_t descriptors = OpenDescriptors(farm().pid());
  for (int i = 0; i < count; ++i) one();
  ASSERT_TRUE(settled()) << "workers outlive their sessions";
  ExpectFlat("the daemon", before, WorkingBytes(farm().pid()), resident);
  EXPECT_TRUE(WaitUntil(kPatience, [&] { return OpenDescriptors(farm().pid()) <= descriptors + 4; }));
  EXPECT_TRUE(WaitUntil(kPatience, [&] { return farm().Processes().size() <= 8; }));
}

// The same objects from a worker that has compiled thousands, errors among them, as from a fresh one.
TEST_F(Flat, AWarmCompilersObjectsAreThoseOfAFreshOne) {
  const int count = LongRun() ? 5'000 : 500;
  FarmOptions fresh_options;
  fresh_options.Set("compile", "jobs_per_worker", "1").Set("compile", "workers", "1");
  FarmOptions warm_options;
  warm_options.Set("compile", "jobs_per_worker", "1000000").Set("compile", "workers", "1");
  Farm fresh(fresh_options), warm(warm_options);
  Client of_fresh = fresh.Connect(), of_warm = warm.Connect();
  const std::string source =
      CompileC("double f(double *v, long n) { double s = 0; for (long i = 0; i < n; i++) s += v[i] * i; return s; }");
  for (int i = 0; i < count; ++i) {
    Module module = ScaleModule("scale" + std::to_string(i), i * 7919 + 3);
    switch (i % 5) {
      case 1:
        module = MakeModule("define i32 @broken(" + std::to_string(i), "broken", "int32()");
        break;
      case 2:
        module = MakeModule(source + "; " + std::to_string(i), "f", "float64(float64*, int64)", wire::Abi::Sysv);
        break;
      case 3:
        module = MakeModule("define i32 @f() {\n  %r = call i32 @none" + std::to_string(i) +
                                "()\n  ret i32 %r\n}\ndeclare i32 @none" + std::to_string(i) + "()\n",
                            "f", "int32()");
        break;
      default:
        break;
    }
    module.options.opt_level = i % 4;
    const auto a = of_fresh.EmitCode(module, wire::Emit::Object), b = of_warm.EmitCode(module, wire::Emit::Object);
    ASSERT_EQ(a.has_value(), b.has_value()) << i;
    if (a) {
      ASSERT_TRUE(a->code == b->code) << "object " << i << " differs";
    } else {
      ASSERT_EQ(a.error().kind, b.error().kind) << i;
      ASSERT_EQ(a.error().message, b.error().message) << i;
    }
  }
}

}  // namespace
}  // namespace rbc::harness
