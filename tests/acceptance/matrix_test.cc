// Every front end on every target: call, map, arrays that stay, reduce, scan, array function, kernel, status, crash,
// print. A cell runs or is a typed refusal.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <numeric>

#include "rbc/rbc.h"
#include "tests/harness/farm_test.h"
#include "tests/harness/library.h"
#include "tests/harness/npy.h"
#include "tests/harness/paths.h"
#include "tests/harness/run_program.h"

namespace rbc::harness {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// No triple: each target makes it its own.
constexpr char kArithmetic[] = R"(
define double @poly(double %x, double %y) {
  %s = fmul double %x, %x
  %t = fmul double %s, %y
  %r = fadd double %t, 1.5
  ret double %r
}
define i32 @checked(ptr %result, double %x) {
  %bad = fcmp olt double %x, 0.0
  br i1 %bad, label %refuse, label %fine
refuse:
  ret i32 7
fine:
  store double %x, ptr %result
  ret i32 0
}
define double @sum(double %x, double %y) {
  %r = fadd double %x, %y
  ret double %r
}
define i64 @plus(i64 %x, i64 %y) {
  %r = add i64 %x, %y
  ret i64 %r
}
define i64 @boom(i64 %x) {
  store volatile i64 %x, ptr null
  ret i64 %x
}
)";

// `twice`: y = 2 x; the sum of y. `turn`: each row of four backwards, through a local array. Indices within their
// arrays, which cuda32 takes at any width.
constexpr char kArrays[] = R"(
define double @twice(ptr %x, i64 %n, ptr %y, i64 %m) {
  %some = icmp sgt i64 %n, 0
  br i1 %some, label %row, label %end
row:
  %i = phi i64 [0, %0], [%next, %row]
  %sum = phi double [0.0, %0], [%more, %row]
  %from = getelementptr inbounds double, ptr %x, i64 %i
  %to = getelementptr inbounds double, ptr %y, i64 %i
  %value = load double, ptr %from
  %double = fmul double %value, 2.0
  store double %double, ptr %to
  %more = fadd double %sum, %double
  %next = add i64 %i, 1
  %again = icmp slt i64 %next, %n
  br i1 %again, label %row, label %end
end:
  %total = phi double [0.0, %0], [%more, %row]
  ret double %total
}
define void @turn(ptr %x, i64 %rows, i64 %columns, i64 %down, i64 %right) {
  %kept = alloca [4 x double]
  br label %row
row:
  %i = phi i64 [0, %0], [%next_row, %turned]
  %along = mul nsw i64 %i, %down
  %begin = getelementptr inbounds i8, ptr %x, i64 %along
  br label %read
read:
  %j = phi i64 [0, %row], [%next_read, %read]
  %from_offset = mul nsw i64 %j, %right
  %from = getelementptr inbounds i8, ptr %begin, i64 %from_offset
  %value = load double, ptr %from
  %slot = getelementptr inbounds [4 x double], ptr %kept, i64 0, i64 %j
  store double %value, ptr %slot
  %next_read = add i64 %j, 1
  %more_to_read = icmp slt i64 %next_read, 4
  br i1 %more_to_read, label %read, label %write
write:
  %k = phi i64 [0, %read], [%next_write, %write]
  %to_offset = mul nsw i64 %k, %right
  %to = getelementptr inbounds i8, ptr %begin, i64 %to_offset
  %opposite = sub nsw i64 3, %k
  %kept_at = getelementptr inbounds [4 x double], ptr %kept, i64 0, i64 %opposite
  %turned_value = load double, ptr %kept_at
  store double %turned_value, ptr %to
  %next_write = add i64 %k, 1
  %more_to_write = icmp slt i64 %next_write, 4
  br i1 %more_to_write, label %write, label %turned
turned:
  %next_row = add i64 %i, 1
  %more_rows = icmp slt i64 %next_row, %rows
  br i1 %more_rows, label %row, label %end
end:
  ret void
}
define {ptr, i64, i64, ptr} @whole(ptr %x, i64 %n) {
  %a = insertvalue {ptr, i64, i64, ptr} zeroinitializer, ptr %x, 0
  %b = insertvalue {ptr, i64, i64, ptr} %a, i64 %n, 1
  %c = insertvalue {ptr, i64, i64, ptr} %b, i64 8, 2
  ret {ptr, i64, i64, ptr} %c
}
)";

constexpr char kHostPrint[] = R"(
@end = private constant [11 x i8] c"n is %lld\0A\00"
declare i32 @printf(ptr, ...)
define i64 @talk(i64 %n) {
  call i32 (ptr, ...) @printf(ptr @end, i64 %n)
  ret i64 %n
}
)";

constexpr char kDevicePrint[] = R"(
@text = private constant [11 x i8] c"n is %lld\0A\00"
declare i32 @vprintf(ptr, ptr)
define i64 @talk(i64 %n) {
  %arguments = alloca i64, align 8
  store i64 %n, ptr %arguments
  %printed = call i32 @vprintf(ptr @text, ptr %arguments)
  ret i64 %n
}
)";

// Reverses through shared memory across a barrier, then adds blockIdx * 1000 + threadIdx.
constexpr char kKernels[] = R"(
@open = external addrspace(3) global [0 x i64], align 8
declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()
declare i32 @llvm.nvvm.read.ptx.sreg.ntid.x()
declare i32 @llvm.nvvm.read.ptx.sreg.ctaid.x()
declare void @llvm.nvvm.barrier.cta.sync.aligned.all(i32)
declare i32 @llvm.nvvm.shfl.sync.down.i32(i32, i32, i32, i32)
define ptx_kernel void @reverse(ptr %data) {
  %tid = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %ntid = call i32 @llvm.nvvm.read.ptx.sreg.ntid.x()
  %ctaid = call i32 @llvm.nvvm.read.ptx.sreg.ctaid.x()
  %base = mul i32 %ntid, %ctaid
  %at = add i32 %base, %tid
  %mine = getelementptr inbounds i64, ptr %data, i32 %at
  %value = load i64, ptr %mine
  %slot = getelementptr inbounds i64, ptr addrspace(3) @open, i32 %tid
  store i64 %value, ptr addrspace(3) %slot
  call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)
  %other = sub i32 %ntid, %tid
  %last = sub i32 %other, 1
  %from = getelementptr inbounds i64, ptr addrspace(3) @open, i32 %last
  %reversed = load i64, ptr addrspace(3) %from
  %thousand = mul i32 %ctaid, 1000
  %mark = add i32 %thousand, %tid
  %wide = zext i32 %mark to i64
  %result = add i64 %reversed, %wide
  store i64 %result, ptr %mine
  ret void
}
define ptx_kernel void @histogram(ptr %values, ptr %counts, i32 %bins) {
  %tid = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %ntid = call i32 @llvm.nvvm.read.ptx.sreg.ntid.x()
  %ctaid = call i32 @llvm.nvvm.read.ptx.sreg.ctaid.x()
  %base = mul i32 %ntid, %ctaid
  %at = add i32 %base, %tid
  %mine = getelementptr inbounds i32, ptr %values, i32 %at
  %value = load i32, ptr %mine
  %bin = urem i32 %value, %bins
  %place = getelementptr inbounds i32, ptr %counts, i32 %bin
  %old = atomicrmw add ptr %place, i32 1 monotonic
  ret void
}
define ptx_kernel void @warp_sum(ptr %values) {
  %tid = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %mine = getelementptr inbounds i32, ptr %values, i32 %tid
  %v0 = load i32, ptr %mine
  %d16 = call i32 @llvm.nvvm.shfl.sync.down.i32(i32 -1, i32 %v0, i32 16, i32 31)
  %v1 = add i32 %v0, %d16
  %d8 = call i32 @llvm.nvvm.shfl.sync.down.i32(i32 -1, i32 %v1, i32 8, i32 31)
  %v2 = add i32 %v1, %d8
  %d4 = call i32 @llvm.nvvm.shfl.sync.down.i32(i32 -1, i32 %v2, i32 4, i32 31)
  %v3 = add i32 %v2, %d4
  %d2 = call i32 @llvm.nvvm.shfl.sync.down.i32(i32 -1, i32 %v3, i32 2, i32 31)
  %v4 = add i32 %v3, %d2
  %d1 = call i32 @llvm.nvvm.shfl.sync.down.i32(i32 -1, i32 %v4, i32 1, i32 31)
  %v5 = add i32 %v4, %d1
  store i32 %v5, ptr %mine
  ret void
}
)";

double Poly(double x, double y) { return x * x * y + 1.5; }

class Matrix : public FarmTest, public ::testing::WithParamInterface<const char*> {
 protected:
  FarmOptions Options() const override { return WithCuda(); }
  std::string target() const { return GetParam(); }
  bool is_host() const { return target() == "host"; }
  std::string Arithmetic() const { return Head() + kArithmetic; }
  std::string Arrays() const { return Head() + kArrays; }
  std::string Kernels() const { return Head() + kKernels; }
  std::string Printing() const { return Head() + (is_host() ? kHostPrint : kDevicePrint); }
  // A module for pointers of 32 bits says so.
  std::string Head() const {
    return target() == "cuda32" ? "target datalayout = \"e-p:32:32-i64:64-i128:128-v16:16-v32:32-n16:32:64\"\n"
                                  "target triple = \"nvptx-nvidia-cuda\"\n"
                                : "";
  }

  // False: this farm has no such target, and says so by its type.
  bool Exists() {
    const auto targets = Jit().try_targets().value();
    for (const auto& info : targets)
      if (info.name == target()) return true;
    const Finished run = Rbc({"call", File("poly.ll", Arithmetic()), "poly", "f64(f64,f64)", "1", "2"});
    EXPECT_THAT(run.err, StartsWith("error: UnknownTarget")) << run.ToString();
    return false;
  }

  RemoteJIT Jit(std::string* output = nullptr) {
    RemoteJIT::Options options;
    options.target = target();
    options.on_output = [output](std::string_view text) {
      if (output != nullptr) output->append(text);
    };
    return RemoteJIT(farm().unix_address(), std::move(options));
  }
  std::string File(const std::string& name, const std::string& text) {
    const std::string path = farm().folder() + "/" + name;
    WriteWholeFile(path, text);
    return path;
  }
  Finished Rbc(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {ProgramPath("rbc"), "--farm", farm().unix_address()});
    arguments.insert(arguments.end(), {"--target", target()});
    return RunProgram(arguments);
  }
  static FunctionOptions With(CallAbi abi) {
    FunctionOptions options;
    options.abi = abi;
    return options;
  }
};

// ---- C++ ---------------------------------------------------------------------------------------------------------

TEST_P(Matrix, CxxCall) {
  if (!Exists()) return;
  const auto poly = Jit().function<double(double, double)>(Source::Ir(Arithmetic()), "poly");
  for (int i = 0; i < 20; ++i) EXPECT_EQ(poly(i, 0.5), Poly(i, 0.5));
}

TEST_P(Matrix, CxxMap) {
  if (!Exists()) return;
  const auto poly = Jit().function<double(double, double)>(Source::Ir(Arithmetic()), "poly");
  for (const size_t rows : {0u, 1u, 7u, 1000u, 100'003u}) {
    std::vector<double> x(rows), y(rows);
    for (size_t i = 0; i < rows; ++i) {
      x[i] = static_cast<double>(i) / 3;
      y[i] = 1.0 / (1 + static_cast<double>(i));
    }
    const auto both = poly.map(x, y);
    const auto broadcast = poly.map(x, 0.25);
    ASSERT_EQ(both.size(), rows);
    for (size_t i = 0; i < rows; ++i) {
      ASSERT_EQ(both[i], Poly(x[i], y[i])) << i;
      ASSERT_EQ(broadcast[i], Poly(x[i], 0.25)) << i;
    }
  }
  // Every second value of an array, as it lies there.
  std::vector<double> wide(200);
  for (size_t i = 0; i < wide.size(); ++i) wide[i] = static_cast<double>(i);
  const double two = 2;
  const Column columns[] = {{"float64", wide.data(), wide.size() * 8, 16}, Column::Broadcast(two)};
  const auto result = poly.caller().map(100, {columns[0], columns[1]}).as<double>();
  for (size_t i = 0; i < 100; ++i) ASSERT_EQ(result[i], Poly(static_cast<double>(2 * i), 2.0));
  EXPECT_EQ(ErrorOf([&] { poly.caller().map(101, {columns[0], columns[1]}); }).kind, ErrorKind::kInvalidArgument);
}

TEST_P(Matrix, CxxReduce) {
  if (!Exists()) return;
  const auto plus = Jit().function(Source::Ir(Arithmetic()), "plus", {"int64(int64, int64)"});
  std::vector<int64_t> x(3 * 4000);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<int64_t>(i * i % 1009);
  const auto all = std::accumulate(x.begin(), x.end(), int64_t{0});
  EXPECT_THAT(plus.reduce(ArrayArgument::Of(x)).as<int64_t>(), ElementsAre(all));
  ArrayReduceOptions options;
  options.ordered = true;
  EXPECT_THAT(plus.reduce(ArrayArgument::Of(x), options).as<int64_t>(), ElementsAre(all));
  options.axis = 1;
  const auto rows = plus.reduce(ArrayArgument::Of(std::span(x), {3, 4000}), options).as<int64_t>();
  for (size_t i = 0; i < 3; ++i)
    EXPECT_EQ(rows.at(i), std::accumulate(x.begin() + 4000 * i, x.begin() + 4000 * (i + 1), int64_t{0})) << i;
}

TEST_P(Matrix, CxxArraysThatStay) {
  if (!Exists()) return;
  const auto jit = Jit();
  const auto poly = jit.function(Source::Ir(Arithmetic()), "poly", {"float64(float64, float64)"});
  std::vector<double> x(2000);
  std::iota(x.begin(), x.end(), 1.0);
  const Buffer there = jit.to_device(x, {.target = target()});
  EXPECT_EQ(there.target(), is_host() ? "" : target());
  const ArrayArgument array{there.dtype(), nullptr, there.shape(), there.strides(), there.id(), 0};
  ArrayMapOptions into;
  into.out = array;
  poly.map_arrays({array, ArrayArgument::One(0.5)}, into);
  for (double& value : x) value = Poly(value, 0.5);
  EXPECT_EQ(there.to_host<double>(), x);
  const Buffer here = there.to_target("host");
  EXPECT_EQ(here.to_host<double>(), x);
  // Of kernels, and of functions over arrays; on the GPU also those of the farm's memory.
  const Buffer numbers = jit.to_device(std::vector<int64_t>{1, 2, 3, 4, 5, 6}, {.target = target()});
  const auto reverse = jit.function(Source::Ir(Kernels()), "reverse", {"void(int64*)"}, With(CallAbi::kKernel));
  if (is_host()) {
    EXPECT_EQ(ErrorOf([&] { reverse.launch({{2}, {3}, 24}, numbers); }).kind, ErrorKind::kUnsupported);
  } else {
    reverse.launch({{2}, {3}, 24}, numbers);
    EXPECT_THAT(numbers.to_host<int64_t>(), ElementsAre(3, 3, 3, 1006, 1006, 1006));
    const Buffer mine = numbers.to_target("host");
    reverse.launch({{2}, {3}, 24}, mine);
    EXPECT_THAT(mine.to_host<int64_t>(), ElementsAre(3, 4, 5, 2006, 2007, 2008));
  }
  const auto twice = jit.function(Source::Ir(Arrays()), "twice", {"float64(float64[::1], float64[::1])"});
  double sum = 0;
  for (const double value : x) sum += 2 * value;
  EXPECT_EQ(twice(here, there).as<double>(), sum);
  EXPECT_EQ(there.to_host<double>()[7], 2 * x[7]);
  EXPECT_EQ(twice(there.slice(0, 7, 8), there.slice(0, 9, 10)).as<double>(), 4 * x[7]);
  EXPECT_EQ(there.to_host<double>()[9], 4 * x[7]);
}

TEST_P(Matrix, CxxScan) {
  if (!Exists()) return;
  const auto plus = Jit().function(Source::Ir(Arithmetic()), "plus", {"int64(int64, int64)"});
  for (const size_t count : {1u, 100u, 10'000u}) {
    std::vector<int64_t> x(count), expected(count);
    for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<int64_t>(i * i % 1009) - 500;
    std::partial_sum(x.begin(), x.end(), expected.begin());
    EXPECT_EQ(plus.scan(ArrayArgument::Of(x)).as<int64_t>(), expected) << count;
  }
  const std::vector<int64_t> x = {1, 2, 3, 4, 5, 6};
  ArrayScanOptions options;
  options.axis = 0;
  EXPECT_THAT(plus.scan(ArrayArgument::Of(std::span(x), {2, 3}), options).as<int64_t>(), ElementsAre(1, 2, 3, 5, 7, 9));
}

TEST_P(Matrix, CxxKernel) {
  if (!Exists()) return;
  const auto jit = Jit();
  const auto reverse = jit.function(Source::Ir(Kernels()), "reverse", {"void(int64*)"}, With(CallAbi::kKernel));
  std::vector<int64_t> data(3 * 64);
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<int64_t>(i) * 7;
  const Grid grid{{3}, {64}, 64 * 8};
  if (is_host()) {
    EXPECT_EQ(ErrorOf([&] { reverse.launch(grid, data); }).kind, ErrorKind::kUnsupported);
    return;
  }
  reverse.launch(grid, data);
  for (int64_t block = 0; block < 3; ++block)
    for (int64_t i = 0; i < 64; ++i)
      ASSERT_EQ(data[block * 64 + i], (block * 64 + 63 - i) * 7 + block * 1000 + i) << block << " " << i;

  const auto histogram =
      jit.function(Source::Ir(Kernels()), "histogram", {"void(int32*, int32*, int32)"}, With(CallAbi::kKernel));
  std::vector<int32_t> values(512), counts(10);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<int32_t>(i * i % 97);
  histogram.launch({{4}, {128}, 0}, std::span<const int32_t>(values), std::span<int32_t>(counts), 10);
  std::vector<int32_t> expected(10);
  for (const int32_t value : values) ++expected[value % 10];
  EXPECT_EQ(counts, expected);

  const auto sum = jit.function(Source::Ir(Kernels()), "warp_sum", {"void(int32*)"}, With(CallAbi::kKernel));
  std::vector<int32_t> lanes(32);
  for (int32_t i = 0; i < 32; ++i) lanes[i] = i + 1;
  sum.launch({{1}, {32}, 0}, lanes);
  EXPECT_EQ(lanes[0], 528);
  EXPECT_EQ(ErrorOf([&] { sum(lanes); }).kind, ErrorKind::kInvalidArgument) << "a kernel is launched, not called";

  EXPECT_EQ(ErrorOf([&] { reverse.launch({{1}, {2048}, 0}, data); }).kind, ErrorKind::kInvalidArgument);
  EXPECT_EQ(ErrorOf([&] { reverse.launch({{1}, {64}, 1 << 20}, data); }).kind, ErrorKind::kInvalidArgument);
  EXPECT_EQ(ErrorOf([&] { reverse.launch({{}, {64}, 0}, data); }).kind, ErrorKind::kInvalidArgument);
}

TEST_P(Matrix, CxxStatus) {
  if (!Exists()) return;
  const auto checked =
      Jit().function(Source::Ir(Arithmetic()), "checked", {"float64(float64)"}, With(CallAbi::kStatusRetptr));
  EXPECT_EQ(checked(2.5).as<double>(), 2.5);
  EXPECT_EQ(checked.try_call({::rbc::Value(-1.0)}).value().status, 7);
  std::vector<double> x(1000, 1.0);
  x[600] = x[613] = -2;
  const auto result = checked.try_map(1000, std::array{Column::Of(std::span(x))});
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->status, 7);
  EXPECT_EQ(result->row, 600);
}

TEST_P(Matrix, CxxCrash) {
  if (!Exists()) return;
  const auto jit = Jit();
  const auto add = Jit().function<double(double, double)>(Source::Ir(Arithmetic()), "poly");  // another session
  EXPECT_EQ(add(1, 1), 2.5);
  const auto boom = jit.function<int64_t(int64_t)>(Source::Ir(Arithmetic()), "boom");
  for (int i = 0; i < 3; ++i) {
    const Error error = ErrorOf([&] { boom(1); });
    EXPECT_EQ(Name(error.kind), "RemoteCrash") << error.message;
    EXPECT_EQ(error.cause, "invalid memory access");
    EXPECT_EQ(error.function, "boom");
    EXPECT_TRUE(error.may_have_run);
  }
  EXPECT_EQ(ErrorOf([&] { boom.map(std::vector<int64_t>(10)); }).kind, ErrorKind::kRemoteCrash);
  // The same session goes on with a fresh worker, the other one never noticed.
  const auto poly = jit.function<double(double, double)>(Source::Ir(Arithmetic()), "poly");
  EXPECT_EQ(poly(3, 2), Poly(3, 2));
  EXPECT_EQ(add(2, 2), Poly(2, 2));
}

TEST_P(Matrix, CxxPrint) {
  if (!Exists()) return;
  std::string output;
  const auto jit = Jit(&output);
  const auto talk = jit.function<int64_t(int64_t)>(Source::Ir(Printing()), "talk");
  EXPECT_EQ(talk(5), 5);
  EXPECT_EQ(output, "n is 5\n");
  output.clear();
  talk.map(std::vector<int64_t>{1, 2, 3});
  EXPECT_EQ(output, "n is 1\nn is 2\nn is 3\n");
}

TEST_P(Matrix, CxxArrayFunctions) {
  if (!Exists()) return;
  const auto jit = Jit();
  const Source source = Source::Ir(Arrays());
  const auto twice = jit.function<double(ArrayView<const double>, ArrayView<double>)>(source, "twice");
  const std::vector<double> x = {1, 2, 3.5};
  std::vector<double> y(3);
  EXPECT_EQ(twice(x, y), 13.0);
  EXPECT_THAT(y, ElementsAre(2, 4, 7));
  EXPECT_EQ(twice(std::vector<double>(), std::span<double>()), 0.0);
  // The same by values, which are spans and vectors.
  auto caller = jit.function(source, "twice", {"f64(f64[], f64[])"});
  EXPECT_EQ(caller(x, y).as<double>(), 13.0);
  std::vector<double> rows = {1, 2, 3, 4, 5, 6, 7, 8};
  auto turn = jit.function(source, "turn", {"void(f64[:,:])"});
  turn(ArrayView<double, 2>(rows.data(), {2, 4}));
  EXPECT_THAT(rows, ElementsAre(4, 3, 2, 1, 8, 7, 6, 5));
  const Error none = ErrorOf([&] { caller(std::vector<float>{1}, y); });
  EXPECT_EQ(none.kind, ErrorKind::kNoMatch) << none.message;
}

TEST_P(Matrix, CxxArrayResults) {
  if (!Exists()) return;
  const auto whole = Jit().function<std::vector<double>(ArrayView<const double>)>(Source::Ir(Arrays()), "whole");
  const std::vector<double> x = {1, 2, 3.5};
  if (is_host()) {
    EXPECT_THAT(whole(x), ElementsAre(1, 2, 3.5));
    EXPECT_THAT(whole(std::vector<double>()), ElementsAre());
    const ::rbc::Value value = whole.caller()(x);
    EXPECT_THAT(value.as<std::vector<double>>(), ElementsAre(1, 2, 3.5));
    EXPECT_THAT(value.shape(), ElementsAre(3));
    EXPECT_FALSE(value.try_as<std::vector<float>>());
  } else {
    const Error error = ErrorOf([&] { whole(x); });
    EXPECT_EQ(error.kind, ErrorKind::kUnsupported) << error.message;
    EXPECT_THAT(error.message, HasSubstr("cannot return an array"));
  }
}

// ---- The command -------------------------------------------------------------------------------------------------

TEST_P(Matrix, CliCall) {
  if (!Exists()) return;
  const Finished run = Rbc({"call", File("poly.ll", Arithmetic()), "poly", "f64(f64,f64)", "3", "2"});
  EXPECT_EQ(run.out, "19.5\n") << run.ToString();
}

TEST_P(Matrix, CliArrayFunctions) {
  if (!Exists()) return;
  const std::string source = File("arrays.ll", Arrays()), in = File("x.npy", Npy({1, 2, 3}));
  EXPECT_EQ(Rbc({"call", source, "twice", "f64(f64[],f64[])", in, "[0, 0, 0]"}).out, "12.0\n");
  const std::string out = farm().folder() + "/out.npy";
  const Finished run = Rbc({"call", source, "whole", "f64[](f64[])", in, "-o", out});
  if (!is_host()) {
    EXPECT_THAT(run.err, StartsWith("error: Unsupported")) << run.ToString();
    return;
  }
  EXPECT_EQ(run.exit_code, 0) << run.ToString();
  EXPECT_EQ(ReadWholeFile(out), Npy({1, 2, 3}));
  EXPECT_EQ(Rbc({"call", source, "whole", "f64[](f64[])", "[]"}).out, "[]\n");
  EXPECT_EQ(Rbc({"call", source, "whole", "f64[](f64[])", in}).out, "[1.0, 2.0, 3.0]\n");
  const Finished wrong = Rbc({"call", source, "whole", "f32[](f32[])", in});
  EXPECT_THAT(wrong.err, StartsWith("error: NoMatch")) << wrong.ToString();
}

TEST_P(Matrix, CliMap) {
  if (!Exists()) return;
  const std::string source = File("poly.ll", Arithmetic()), in = File("x.npy", Npy({1, 2, 3}));
  const std::string out = farm().folder() + "/out.npy";
  EXPECT_EQ(Rbc({"map", source, "poly", "f64(f64,f64)", in, "2"}).out, "[3.5, 9.5, 19.5]\n");
  const Finished run = Rbc({"map", source, "poly", "f64(f64,f64)", in, in, "-o", out});
  EXPECT_EQ(run.exit_code, 0) << run.ToString();
  EXPECT_EQ(ReadWholeFile(out), Npy({2.5, 9.5, 28.5}));
  const Finished wrong = Rbc({"map", source, "poly", "f64(f64,f64)", in, File("y.npy", Npy({1, 2}))});
  EXPECT_THAT(wrong.err, StartsWith("error: InvalidArgument")) << wrong.ToString();
}

// Among so many values are some that a vector function rounds otherwise than libm.
TEST_P(Matrix, CliAccuracyOfMaps) {
  if (!Exists()) return;
  const std::string source = File("wave.ll", Head() + R"(
declare double @sin(double)
define double @wave(double %x) {
  %y = call double @sin(double %x)
  ret double %y
}
)");
  std::vector<double> x(4096), libm;
  for (size_t i = 0; i < x.size(); ++i) libm.push_back(std::sin(x[i] = 0.37 * static_cast<double>(i)));
  const std::string in = File("x.npy", Npy(x)), out = farm().folder() + "/out.npy";
  const auto map = [&](const char* accuracy) {
    const Finished run = Rbc({"map", source, "wave", "f64(f64)", in, "-o", out, "--accuracy", accuracy});
    EXPECT_EQ(run.exit_code, 0) << run.ToString();
    return ReadWholeFile(out);
  };
  if (is_host()) {
    EXPECT_EQ(map("precise"), Npy(libm));
    EXPECT_NE(map("fast"), Npy(libm));
  } else {
    EXPECT_EQ(map("precise"), map("fast")) << "a device has one library";
  }
  EXPECT_EQ(Rbc({"map", source, "wave", "f64(f64)", in, "--accuracy", "good"}).exit_code, 2);
}

TEST_P(Matrix, CliReduceAndScan) {
  if (!Exists()) return;
  const std::string source = File("poly.ll", Arithmetic()), in = File("x.npy", Npy({1, 2, 3}));
  const std::string out = farm().folder() + "/out.npy";
  EXPECT_EQ(Rbc({"reduce", source, "sum", "f64(f64,f64)", in, "--ordered"}).out, "6.0\n");
  EXPECT_EQ(Rbc({"scan", source, "sum", "f64(f64,f64)", in}).out, "[1.0, 3.0, 6.0]\n");
  const Finished run = Rbc({"scan", source, "sum", "f64(f64,f64)", in, "--axis", "0", "-o", out});
  EXPECT_EQ(run.exit_code, 0) << run.ToString();
  EXPECT_EQ(ReadWholeFile(out), Npy({1, 3, 6}));
  const Finished wrong = Rbc({"reduce", source, "checked", "f64(f64)", in, "--abi", "status_retptr"});
  EXPECT_THAT(wrong.err, StartsWith("error: NoMatch")) << wrong.ToString();
}

TEST_P(Matrix, CliKernel) {
  if (!Exists()) return;
  const Finished run = Rbc({"launch", File("kernels.ll", Kernels()), "reverse", "void(int64*)", "[1, 2, 3, 4, 5, 6]",
                            "--grid", "2", "--block", "3", "--shared", "24"});
  if (is_host()) {
    EXPECT_THAT(run.err, StartsWith("error: Unsupported")) << run.ToString();
    return;
  }
  EXPECT_EQ(run.out, "[3, 3, 3, 1006, 1006, 1006]\n") << run.ToString();
}

TEST_P(Matrix, CxxChain) {
  if (!Exists()) return;
  const auto jit = Jit();
  const auto poly = jit.function(Source::Ir(Arithmetic()), "poly", {"float64(float64, float64)"});
  Queue queue = jit.queue();
  QueuedArray y = queue.map(poly, {std::vector<double>{1, 2, 3}, 0.5});
  const QueuedArray z = queue.map(poly, {y, 2.0});
  y = queue.map(poly, {z, z});
  std::vector<double> expected;
  for (const double x : {1.0, 2.0, 3.0}) expected.push_back(Poly(Poly(x, 0.5), 2.0));
  EXPECT_EQ(z.to_host<double>(), expected);
  for (double& each : expected) each = Poly(each, each);
  EXPECT_EQ(y.to_host<double>(), expected);
  EXPECT_EQ(jit.buffers().size(), 2u);
}

// Calls and launches over arrays that earlier steps make.
TEST_P(Matrix, CxxChainOfCalls) {
  if (!Exists()) return;
  const auto jit = Jit();
  const auto poly = jit.function(Source::Ir(Arithmetic()), "poly", {"float64(float64, float64)"});
  const auto twice = jit.function(Source::Ir(Arrays()), "twice", {"float64(float64[::1], float64[::1])"});
  const auto plus = jit.function(Source::Ir(Arithmetic()), "plus", {"int64(int64, int64)"});
  const auto reverse = jit.function(Source::Ir(Kernels()), "reverse", {"void(int64*)"}, With(CallAbi::kKernel));
  const Buffer x = jit.to_device(std::vector<double>{1, 2, 3}, {.target = target()});
  const Buffer n = jit.to_device(std::vector<int64_t>{0, 1, 2, 3, 4, 5}, {.target = target()});
  Queue queue = jit.queue();
  const QueuedArray y = queue.map(poly, {x, 0.5}), z = queue.map(poly, {y, 2.0});
  const QueuedCall sum = queue.call(twice, y, z);
  EXPECT_EQ(sum.get().as<double>(), 2 * (Poly(1, 0.5) + Poly(2, 0.5) + Poly(3, 0.5)));
  EXPECT_THAT(z.to_host<double>(), ElementsAre(2 * Poly(1, 0.5), 2 * Poly(2, 0.5), 2 * Poly(3, 0.5)));
  if (is_host()) return;  // has no kernels
  const QueuedArray numbers = queue.map(plus, {n, int64_t{1}});
  queue.launch(reverse, {{2}, {3}, 24}, numbers);
  EXPECT_THAT(queue.map(plus, {numbers, int64_t{1}}).to_host<int64_t>(), ElementsAre(4, 4, 4, 1007, 1007, 1007));
}

TEST_P(Matrix, CliStatus) {
  if (!Exists()) return;
  const std::string source = File("status.ll", Arithmetic());
  const Finished run = Rbc({"call", source, "checked", "f64(f64)", "-1", "--abi", "status_retptr"});
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.err, HasSubstr("returns status 7")) << run.ToString();
  const Finished map =
      Rbc({"map", source, "checked", "f64(f64)", File("x.npy", Npy({1, 2, -3})), "--abi", "status_retptr"});
  EXPECT_THAT(map.err, HasSubstr("returns status 7 for row 2")) << map.ToString();
}

TEST_P(Matrix, CliCrash) {
  if (!Exists()) return;
  const Finished run = Rbc({"call", File("boom.ll", Arithmetic()), "boom", "i64(i64)", "1"});
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.err, StartsWith("error: RemoteCrash: function 'boom' ended its worker: invalid memory access"))
      << run.ToString();
}

TEST_P(Matrix, CliPrint) {
  if (!Exists()) return;
  const Finished run = Rbc({"call", File("talk.ll", Printing()), "talk", "i64(i64)", "4"});
  EXPECT_EQ(run.out, "n is 4\n4\n") << run.ToString();
}

INSTANTIATE_TEST_SUITE_P(Targets, Matrix, ::testing::Values("host", "cuda", "cuda32"),
                         [](const auto& target) { return std::string(target.param); });

}  // namespace
}  // namespace rbc::harness
