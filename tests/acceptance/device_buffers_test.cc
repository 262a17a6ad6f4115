// Arrays in the memory of a device, through a real farm: copies, maps and reductions where they lie, quotas, losses.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "tests/acceptance/on_device.h"

namespace rbc::harness {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kFunctions = R"(
define double @add(double %a, double %b) {
  %c = fadd double %a, %b
  ret double %c
}
define double @trap(double %a) {
  call void @llvm.trap()
  unreachable
}
declare void @llvm.trap()
)";

// Both ways of copying.
class DeviceBuffers : public OnDevice {
 protected:
  std::string SessionMemory() const override { return "512 MiB"; }
  static Caller Function(const RemoteJIT& jit, const std::string& name, const std::string& target) {
    const std::string signature = name == "add" ? "float64(float64, float64)" : "float64(float64)";
    return jit.function(Source::Ir(kFunctions), name, {signature}, {.target = target});
  }
};
INSTANTIATE_TEST_SUITE_P(Over, DeviceBuffers, ::testing::Values("unix", "tcp"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(DeviceBuffers, GoThereAndBack) {
  const auto jit = Jit();
  for (const size_t count : {size_t{0}, size_t{1}, size_t{1000}, size_t{9'000'001}}) {
    const Numbers numbers = Counting(count);
    const Buffer buffer = OnCuda(jit, numbers, "numbers");
    EXPECT_EQ(buffer.target(), "cuda");
    EXPECT_EQ(buffer.data(), nullptr) << "no memory of this process";
    EXPECT_TRUE(buffer.to_host<double>() == numbers) << count;
    ASSERT_EQ(jit.buffers().size(), 1u);
    EXPECT_EQ(jit.buffers()[0].target, "cuda");
    EXPECT_EQ(jit.buffers()[0].name, "numbers");
  }
  EXPECT_TRUE(jit.buffers().empty()) << "freed with the last handle";
  EXPECT_EQ(jit.to_device(Counting(3), {.target = "host"}).target(), "");
}

TEST_P(DeviceBuffers, ViewsAreThoseOfHostBuffers) {
  const auto jit = Jit();
  const Buffer here = jit.to_device(std::span<const double>(Counting(24)), {2, 3, 4});
  const Buffer there = here.to_target("cuda");
  const std::function<Buffer(const Buffer&)> views[] = {
      [](const Buffer& b) { return b.transpose(); }, [](const Buffer& b) { return b.slice(2, 1, 4, 2); },
      [](const Buffer& b) { return b.slice(1, 2, -1, -2); },
      [](const Buffer& b) { return b.slice(0, 1, 2).slice(2, 3, -1, -1); },
      [](const Buffer& b) { return b.reshape({24}).slice(0, 23, 2, -5); }};
  int64_t base = 100;
  for (const auto& view : views) {
    EXPECT_EQ(view(there).to_host<double>(), view(here).to_host<double>());
    Numbers fresh(static_cast<size_t>(view(here).size()));
    std::iota(fresh.begin(), fresh.end(), static_cast<double>(base += 100));
    view(here).copy_from(fresh);
    view(there).copy_from(fresh);
    EXPECT_EQ(there.to_host<double>(), here.to_host<double>()) << "and nothing around it";
  }
  // Long rows with gaps between them.
  const Buffer wide = jit.empty<double>({3, 5000}, {.target = "cuda"});
  wide.copy_from(Counting(15'000));
  const Buffer part = wide.slice(1, 10, 4010);
  const Numbers read = part.to_host<double>();
  EXPECT_EQ(read[0], 10);
  EXPECT_EQ(read[4000], 5010);
  part.copy_from(Numbers(12'000, -1.0));
  const Numbers all = wide.to_host<double>();
  EXPECT_EQ(all[9], 9);
  EXPECT_EQ(all[10], -1);
  EXPECT_EQ(all[4010], 4010);
  EXPECT_EQ(all[14'009], -1);
}

TEST_P(DeviceBuffers, AreCopiedBetweenTargets) {
  const auto jit = Jit();
  const Numbers numbers = Counting(70'000);
  const Buffer here = jit.to_device(numbers);
  const Buffer there = here.to_target("cuda");
  const Buffer pinned = there.to_target("cuda:0");
  const Buffer narrow = pinned.to_target("cuda32");
  const Buffer back = narrow.to_target("host");
  EXPECT_EQ(pinned.target(), "cuda:0");
  EXPECT_EQ(narrow.target(), "cuda32");
  EXPECT_TRUE(back.to_host<double>() == numbers);
  there.slice(0, 0, 10).copy_from(there.slice(0, 100, 110));
  EXPECT_EQ(there.to_host<double>()[3], 103);
  here.slice(0, 1, 20, 2).copy_from(narrow.slice(0, 9, -1, -1));
  EXPECT_EQ(here.to_host<double>()[1], 9);
  EXPECT_EQ(here.to_host<double>()[19], 0);
  EXPECT_EQ(ErrorOf([&] { here.copy_from(there.slice(0, 0, 10)); }).kind, ErrorKind::kInvalidArgument);
  EXPECT_EQ(ErrorOf([&] { here.copy_from(jit.empty<float>({70'000})); }).kind, ErrorKind::kInvalidArgument);
  EXPECT_EQ(ErrorOf([&] { there.to_target("gpu"); }).kind, ErrorKind::kUnknownTarget);
  EXPECT_EQ(ErrorOf([&] { there.to_target("cuda:7"); }).kind, ErrorKind::kUnknownTarget);
}

TEST_P(DeviceBuffers, MapsTakeThemWhereTheyLie) {
  const auto jit = Jit();
  const auto add = Function(jit, "add", "cuda");
  constexpr size_t kCount = 100'000;
  const Numbers numbers = Counting(kCount);
  const Buffer x = OnCuda(jit, numbers), y = jit.empty<double>({kCount}, {.target = "cuda"});
  const auto check = [&](const ArrayArgument& a, const ArrayArgument& b, const std::function<double(size_t)>& wanted) {
    ArrayMapOptions into;
    into.out = ArrayArgument::Of(y);
    add.map_arrays({a, b}, into);
    const Numbers got = y.to_host<double>();
    for (size_t i = 0; i < kCount; ++i) ASSERT_EQ(got[i], wanted(i)) << i;
  };
  check(ArrayArgument::Of(x), ArrayArgument::Of(x), [](size_t i) { return 2.0 * i; });
  check(ArrayArgument::Of(x), ArrayArgument::One(0.5), [](size_t i) { return i + 0.5; });
  check(ArrayArgument::Of(x), ArrayArgument::Of(numbers), [](size_t i) { return 2.0 * i; });
  const Buffer here = jit.to_device(numbers);
  check(ArrayArgument::Of(here), ArrayArgument::Of(x), [](size_t i) { return 2.0 * i; });
  check(ArrayArgument::Of(x.slice(0, kCount - 1, -1, -1)), ArrayArgument::Of(x), [](size_t) { return kCount - 1.0; });
  y.copy_from(numbers);
  check(ArrayArgument::Of(y), ArrayArgument::Of(x), [](size_t i) { return 2.0 * i; });  // in place
  // Without `out` the result comes back; a buffer of the farm's own memory takes it too.
  EXPECT_EQ(add.map_arrays({ArrayArgument::Of(x), ArrayArgument::One(1.0)}).as<double>()[kCount - 1], kCount);
  ArrayMapOptions into;
  into.out = ArrayArgument::Of(here);
  add.map_arrays({ArrayArgument::Of(x), ArrayArgument::Of(x)}, into);
  EXPECT_EQ(here.to_host<double>()[5], 10);
}

TEST_P(DeviceBuffers, MapsOfEveryKindGiveWhatHostBuffersGive) {
  const auto jit = Jit();
  const auto there = Function(jit, "add", "cuda"), here = Function(jit, "add", "host");
  const Buffer x = jit.to_device(std::span<const double>(Counting(600)), {20, 30}), xd = x.to_target("cuda");
  const std::vector<uint8_t> bytes = [] {
    std::vector<uint8_t> out(600);
    for (size_t i = 0; i < out.size(); ++i) out[i] = i % 3 == 0;
    return out;
  }();
  const ArrayArgument where{"bool", bytes.data(), {20, 30}, {}};
  struct {
    std::function<Buffer(const Buffer&)> a, b, out;
    bool masked;
  } const cases[] = {
      {[](const Buffer& b) { return b; }, [](const Buffer& b) { return b.slice(0, 3, 4); },  // a row for all rows
       [](const Buffer& b) { return b; }, false},
      {[](const Buffer& b) { return b; }, [](const Buffer& b) { return b.slice(1, 3, 4); },  // a column for all
       [](const Buffer& b) { return b; }, false},
      {[](const Buffer& b) { return b; }, [](const Buffer& b) { return b; }, [](const Buffer& b) { return b; }, true},
      {[](const Buffer& b) { return b.slice(0, 19, -1, -1); }, [](const Buffer& b) { return b; },
       [](const Buffer& b) { return b; }, false},
      {[](const Buffer& b) { return b.slice(1, 0, 29); }, [](const Buffer& b) { return b.slice(1, 1, 30); },
       [](const Buffer& b) { return b.slice(1, 1, 30); }, false}};  // over its own inputs
  for (const auto& [a, b, out, masked] : cases) {
    ArrayMapOptions options, options_there;
    options.out = ArrayArgument::Of(out(x));
    options_there.out = ArrayArgument::Of(out(xd));
    if (masked) options.where = options_there.where = where;
    here.map_arrays({ArrayArgument::Of(a(x)), ArrayArgument::Of(b(x))}, options);
    there.map_arrays({ArrayArgument::Of(a(xd)), ArrayArgument::Of(b(xd))}, options_there);
    ASSERT_EQ(xd.to_host<double>(), x.to_host<double>());
  }
}

TEST_P(DeviceBuffers, ReductionsTakeThemWhereTheyLie) {
  const auto jit = Jit();
  const auto add = Function(jit, "add", "cuda");
  const Buffer x = jit.to_device(std::span<const double>(Counting(60'000)), {200, 300}, {.target = "cuda"});
  EXPECT_EQ(add.reduce(ArrayArgument::Of(x)).as<double>()[0], 60'000.0 * 59'999 / 2);
  EXPECT_EQ(add.reduce(ArrayArgument::Of(x.slice(1, 0, 300, 2))).as<double>()[0], 60'000.0 * 59'998 / 4);
  ArrayReduceOptions options;
  options.axis = 0;
  const Numbers sums = add.reduce(ArrayArgument::Of(x), options).as<double>();
  ASSERT_EQ(sums.size(), 300u);
  EXPECT_EQ(sums[7], 200 * 7 + 300.0 * 199 * 200 / 2);
  // Rows where they lie, and columns: to the bit what an array that is sent gives.
  Numbers values(3 * 40'000);
  for (size_t i = 0; i < values.size(); ++i) values[i] = std::sqrt(static_cast<double>(i));
  const Buffer table = jit.to_device(std::span<const double>(values), {3, 40'000}, {.target = "cuda"});
  const ArrayArgument sent = ArrayArgument::Of(std::span<const double>(values), {3, 40'000});
  for (const int axis : {0, 1}) {
    options.axis = axis;
    const Numbers got = add.reduce(ArrayArgument::Of(table), options).as<double>();
    EXPECT_TRUE(got == add.reduce(sent, options).as<double>()) << axis;
    EXPECT_NEAR(got[0],
                axis == 0 ? std::sqrt(40'000.0) + std::sqrt(80'000.0)
                          : std::accumulate(values.begin(), values.begin() + 40'000, 0.0),
                1e-6);
  }
  EXPECT_TRUE(add.reduce(ArrayArgument::Of(table.transpose()), options).as<double>() ==
              add.reduce(ArrayArgument::Of(table), {.axis = 0}).as<double>());
  EXPECT_EQ(add.reduce(ArrayArgument::Of(table)).as<double>(), add.reduce(sent).as<double>());
  const Buffer total = jit.empty<double>({}, {.target = "cuda"});
  ArrayReduceOptions into;
  into.out = ArrayArgument::Of(total);
  add.reduce(ArrayArgument::Of(x), into);
  EXPECT_EQ(total.to_host<double>()[0], 60'000.0 * 59'999 / 2);
}

TEST_P(DeviceBuffers, ScansTakeThemWhereTheyLie) {
  const auto jit = Jit();
  const auto add = Function(jit, "add", "cuda");
  Numbers values(5 << 20);  // in two pieces
  for (size_t i = 0; i < values.size(); ++i) values[i] = std::sqrt(static_cast<double>(i));
  const Numbers wanted = add.scan(ArrayArgument::Of(values)).as<double>();
  const Buffer x = OnCuda(jit, values), y = jit.empty<double>({5 << 20}, {.target = "cuda"});
  ArrayScanOptions into;
  into.out = ArrayArgument::Of(y);
  add.scan(ArrayArgument::Of(x), into);
  EXPECT_TRUE(y.to_host<double>() == wanted) << "the same bits as of one that is sent";
  EXPECT_TRUE(add.scan(ArrayArgument::Of(x)).as<double>() == wanted);
  into.out = ArrayArgument::Of(x);
  add.scan(ArrayArgument::Of(x), into);
  EXPECT_TRUE(x.to_host<double>() == wanted) << "in place";
  const Buffer z = OnCuda(jit, Counting(1000));
  EXPECT_EQ(add.scan(ArrayArgument::Of(z.slice(0, 999, -1, -3))).as<double>()[1], 999 + 996);
  into.out = ArrayArgument::Of(z.slice(0, 1, 501));
  add.scan(ArrayArgument::Of(z.slice(0, 0, 500)), into);  // over its own input
  const Numbers shifted = z.to_host<double>();
  EXPECT_EQ(shifted[0], 0);
  EXPECT_EQ(shifted[500], 499.0 * 500 / 2);
  EXPECT_EQ(shifted[501], 501);
}

// Rows behind one another, columns, rows with gaps, more and longer ones than a launch takes: the bits of what is sent.
TEST_P(DeviceBuffers, ScansOfRowsTakeThemWhereTheyLie) {
  const auto jit = Jit();
  const auto add = Function(jit, "add", "cuda");
  for (const auto& [rows, length] : std::vector<std::pair<int64_t, int64_t>>{{3, 40'000}, {200, 300}, {70'000, 2}}) {
    Numbers values(static_cast<size_t>(rows * length));
    for (size_t i = 0; i < values.size(); ++i) values[i] = std::sqrt(static_cast<double>(i));
    const Buffer x = jit.to_device(std::span<const double>(values), {rows, length}, {.target = "cuda"});
    const ArrayArgument sent = ArrayArgument::Of(std::span<const double>(values), {rows, length});
    for (const int axis : {0, 1}) {
      const Numbers wanted = add.scan(sent, {.axis = axis}).as<double>();
      EXPECT_TRUE(add.scan(ArrayArgument::Of(x), {.axis = axis}).as<double>() == wanted) << rows << " " << axis;
      const Buffer y = jit.empty<double>({rows, length}, {.target = "cuda"});
      add.scan(ArrayArgument::Of(x), {.axis = axis, .out = ArrayArgument::Of(y)});
      EXPECT_TRUE(y.to_host<double>() == wanted) << rows << " " << axis;
      const Buffer columns = jit.empty<double>({length, rows}, {.target = "cuda"});
      add.scan(ArrayArgument::Of(x), {.axis = axis, .out = ArrayArgument::Of(columns.transpose())});
      EXPECT_TRUE(columns.transpose().to_host<double>() == wanted) << rows << " " << axis;
    }
    const Numbers flat = add.scan(ArrayArgument::Of(x)).as<double>();
    EXPECT_TRUE(flat == add.scan(sent).as<double>());
  }
  const Buffer x = jit.to_device(std::span<const double>(Counting(1'000)), {10, 100}, {.target = "cuda"});
  const Numbers sums = add.scan(ArrayArgument::Of(x.slice(1, 99, 49, -1)), {.axis = 1}).as<double>();
  EXPECT_EQ(sums[51], 199 + 198);
}

TEST_P(DeviceBuffers, AFunctionOfAnotherTargetSaysHowToGetThere) {
  const auto jit = Jit();
  const Buffer x = OnCuda(jit, Counting(10), "prices");
  const Error error = ErrorOf([&] {
    Function(jit, "add", "host").map_arrays({ArrayArgument::Of(x), ArrayArgument::One(1.0)});
  });
  EXPECT_EQ(error.kind, ErrorKind::kInvalidArgument);
  EXPECT_THAT(error.message,
              AllOf(HasSubstr("\"prices\""), HasSubstr("\"cuda\""), HasSubstr("\"host\""), HasSubstr("to_target")));
  EXPECT_EQ(ErrorOf([&] {
              Function(jit, "add", "cuda:0").map_arrays({ArrayArgument::Of(x), ArrayArgument::One(1.0)});
            }).kind,
            ErrorKind::kInvalidArgument);
  EXPECT_EQ(ErrorOf([&] { (void)x.span<double>(); }).kind, ErrorKind::kInvalidArgument);
}

TEST_P(DeviceBuffers, AreCountedAgainstAQuota) {
  const auto jit = Jit();
  constexpr int64_t kQuarter = 16 << 20;  // doubles: 128 MiB
  std::vector<Buffer> kept;
  for (int i = 0; i < 3; ++i) kept.push_back(jit.empty<double>({kQuarter}, {.target = "cuda"}));
  const Error full = ErrorOf([&] { jit.empty<double>({2 * kQuarter}, {.target = "cuda"}); });
  EXPECT_EQ(full.kind, ErrorKind::kResourceExhausted);
  EXPECT_THAT(full.message, AllOf(HasSubstr(std::to_string(256 << 20)), HasSubstr(std::to_string(512 << 20))));
  kept.pop_back();
  kept.pop_back();
  EXPECT_EQ(jit.empty<double>({2 * kQuarter}, {.target = "cuda"}).bytes(), 256u << 20) << "what was freed is free";
  EXPECT_EQ(jit.buffers().size(), 1u);
}

TEST_P(DeviceBuffers, AreLostByNameWithTheirWorker) {
  const auto jit = Jit();
  const Buffer prices = OnCuda(jit, Counting(10), "prices"), here = jit.to_device(Counting(10), {.name = "here"});
  EXPECT_EQ(ErrorOf([&] { Function(jit, "trap", "cuda")(1.0); }).kind, ErrorKind::kRemoteCrash);
  const auto add = Function(jit, "add", "cuda");
  for (const auto& use :
       std::vector<std::function<void()>>{[&] { (void)prices.to_host<double>(); }, [&] { prices.copy_from(here); },
                                          [&] {
                                            add.map_arrays({ArrayArgument::Of(prices), ArrayArgument::One(1.0)});
                                          },
                                          [&] { prices.to_target("host"); }}) {
    const Error error = ErrorOf(use);
    EXPECT_EQ(error.kind, ErrorKind::kBufferLost) << error.message;
    EXPECT_THAT(error.message, AllOf(HasSubstr("\"prices\""), HasSubstr("trap")));
  }
  EXPECT_EQ(here.to_host<double>(), Counting(10)) << "the farm's own memory survives";
  const Buffer fresh = OnCuda(jit, Counting(10));
  EXPECT_EQ(add.map_arrays({ArrayArgument::Of(fresh), ArrayArgument::Of(fresh)}).as<double>()[9], 18);
  EXPECT_EQ(ErrorOf([&] { (void)prices.to_host<double>(); }).kind, ErrorKind::kBufferLost) << "and stays lost";
  prices.free();
  EXPECT_EQ(jit.buffers().size(), 2u);
}

}  // namespace
}  // namespace rbc::harness
