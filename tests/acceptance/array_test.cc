// Maps, reductions and scans over arrays through a real farm, on host and on the simulator, against plain C++.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstring>
#include <limits>
#include <numeric>
#include <random>

#include "client/src/core.h"
#include "rbc/rbc.h"
#include "tests/harness/farm_test.h"

namespace rbc::harness {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// `x * 3 + y` of each type, and what fails, crashes and combines.
constexpr char kFunctions[] = R"(
define double @f64(double %x, double %y) { %p = fmul double %x, 3.0
  %r = fadd double %p, %y
  ret double %r }
define float @f32(float %x, float %y) { %p = fmul float %x, 3.0
  %r = fadd float %p, %y
  ret float %r }
define i64 @i64(i64 %x, i64 %y) { %p = mul i64 %x, 3
  %r = add i64 %p, %y
  ret i64 %r }
define i32 @i32(i32 %x, i32 %y) { %p = mul i32 %x, 3
  %r = add i32 %p, %y
  ret i32 %r }
define i16 @i16(i16 %x, i16 %y) { %p = mul i16 %x, 3
  %r = add i16 %p, %y
  ret i16 %r }
define i8 @i8(i8 %x, i8 %y) { %p = mul i8 %x, 3
  %r = add i8 %p, %y
  ret i8 %r }
define i32 @checked(ptr %result, double %x) {
  %bad = fcmp olt double %x, 0.0
  br i1 %bad, label %refuse, label %fine
refuse:
  ret i32 7
fine:
  store double %x, ptr %result
  ret i32 0
}
define i64 @boom(i64 %x) {
  %bad = icmp eq i64 %x, 77
  br i1 %bad, label %crash, label %fine
crash:
  store volatile i64 %x, ptr null
  ret i64 0
fine:
  ret i64 %x
}
define double @add(double %x, double %y) { %r = fadd double %x, %y
  ret double %r }
define i64 @addi(i64 %x, i64 %y) { %r = add i64 %x, %y
  ret i64 %r }
define i64 @most(i64 %x, i64 %y) { %c = icmp sgt i64 %x, %y
  %r = select i1 %c, i64 %x, i64 %y
  ret i64 %r }
define { double, i64 } @both(double %x, i64 %y) {
  %a = fadd double %x, 1.0
  %b = add i64 %y, 2
  %r = insertvalue { double, i64 } undef, double %a, 0
  %s = insertvalue { double, i64 } %r, i64 %b, 1
  ret { double, i64 } %s
}
define i64 @endless(i64 %x) {
  %place = alloca i64
  br label %loop
loop:
  store volatile i64 %x, ptr %place
  br label %loop
}
)";

using Shape = std::vector<int64_t>;

int64_t Count(const Shape& shape) {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

// An array with any strides in memory of its own, and its elements by index.
template <typename T>
struct Strided {
  std::vector<T> memory;
  int64_t first = 0;
  Shape shape, steps;  // in elements

  T& At(const Shape& index) {
    int64_t at = first;
    for (size_t i = 0; i < index.size(); ++i) at += index[i] * steps[i];
    return memory[static_cast<size_t>(at)];
  }
  ArrayArgument Argument() const {
    ArrayArgument out = ArrayArgument::Of(std::span<const T>(memory));
    out.data = memory.data() + first;
    out.shape = shape;
    for (const int64_t step : steps) out.strides.push_back(step * static_cast<int64_t>(sizeof(T)));
    return out;
  }
};

// The next index in C order; false behind the last.
bool Advance(Shape* index, const Shape& shape) {
  for (size_t i = shape.size(); i-- > 0;) {
    if (++(*index)[i] < shape[i]) return true;
    (*index)[i] = 0;
  }
  return false;
}

enum class Layout { kC, kFortran, kNegative, kSparse, kRepeated };

template <typename T>
Strided<T> Make(const Shape& shape, Layout layout, std::mt19937& random) {
  Strided<T> out{{}, 0, shape, Shape(shape.size())};
  const int64_t gap = layout == Layout::kSparse ? 3 : 1;
  int64_t step = gap;
  for (size_t n = 0; n < shape.size(); ++n) {
    const size_t i = layout == Layout::kFortran ? n : shape.size() - 1 - n;
    if (layout == Layout::kRepeated && (n & 1) == 0) continue;  // every second one stays on its place
    out.steps[i] = step;
    step *= std::max<int64_t>(shape[i], 1);
    if (layout == Layout::kNegative && shape[i] > 0) {
      out.first += (shape[i] - 1) * out.steps[i];
      out.steps[i] = -out.steps[i];
    }
  }
  out.memory.resize(static_cast<size_t>(step + gap));
  std::uniform_int_distribution<int> values(-100, 100);
  for (T& value : out.memory) value = static_cast<T>(values(random));
  return out;
}

class Arrays : public FarmTest, public ::testing::WithParamInterface<const char*> {
 protected:
  FarmOptions Options() const override { return FarmOptions().Set("targets.cuda", "simulate", "true"); }
  bool is_host() const { return std::string_view(GetParam()) == "host"; }
  RemoteJIT Jit() {
    RemoteJIT::Options options;
    options.target = GetParam();
    return RemoteJIT(farm().unix_address(), std::move(options));
  }
  Caller Named(const RemoteJIT& jit, const std::string& name, const std::string& signature,
               CallAbi abi = CallAbi::kDirect) {
    FunctionOptions options;
    options.abi = abi;
    return jit.function(Source::Ir(kFunctions), name, {signature}, options);
  }
  static ErrorKind KindOf(const Result<ArrayResult>& result) {
    return result ? ErrorKind::kInternal : result.error().kind;
  }

  // Every layout of `x` and `y` against the other, broadcast to one shape.
  template <typename T>
  void CheckType(const RemoteJIT& jit, const char* name, const char* type);
};

template <typename T>
void Arrays::CheckType(const RemoteJIT& jit, const char* name, const char* type) {
  const Caller f = Named(jit, name, std::string(type) + "(" + type + ", " + type + ")");
  std::mt19937 random(7);
  const std::pair<Shape, Shape> shapes[] = {
      {{}, {}},         {{5}, {}},     {{65}, {65}},          {{3, 1}, {4}}, {{2, 3, 5}, {3, 1}},
      {{4, 7}, {4, 7}}, {{0, 3}, {3}}, {{1, 1, 6}, {2, 5, 1}}};
  constexpr Layout kLayouts[] = {Layout::kC, Layout::kFortran, Layout::kNegative, Layout::kSparse, Layout::kRepeated};
  int round = 0;
  for (const auto& [left, right] : shapes) {
    for (const Layout layout : kLayouts) {
      auto x = Make<T>(left, layout, random), y = Make<T>(right, kLayouts[++round % 5], random);
      const auto result = f.try_map_arrays(std::array{x.Argument(), y.Argument()});
      ASSERT_TRUE(result) << name << ": " << result.error().message;
      const auto values = result->template as<T>();
      Shape index(result->shape.size(), 0);
      ASSERT_EQ(static_cast<int64_t>(values.size()), Count(result->shape));
      for (size_t n = 0; n < values.size(); ++n, Advance(&index, result->shape)) {
        const auto of = [&](Strided<T>& array) -> T {
          Shape own(array.shape.size());
          for (size_t i = 0; i < own.size(); ++i)
            own[i] = array.shape[i] == 1 ? 0 : index[index.size() - own.size() + i];
          return array.At(own);
        };
        ASSERT_EQ(values[n], static_cast<T>(of(x) * T{3} + of(y))) << name << " round " << round << " element " << n;
      }
    }
  }
}

TEST_P(Arrays, MapsAreThoseOfPlainLoops) {
  const auto jit = Jit();
  CheckType<double>(jit, "f64", "float64");
  CheckType<float>(jit, "f32", "float32");
  CheckType<int64_t>(jit, "i64", "int64");
  CheckType<int32_t>(jit, "i32", "int32");
  CheckType<int16_t>(jit, "i16", "int16");
  CheckType<int8_t>(jit, "i8", "int8");
}

// Many rows: more than one thread, and pieces whose ends lie anywhere.
TEST_P(Arrays, LargeMapsAreWhole) {
  const auto jit = Jit();
  const Caller f = Named(jit, "f64", "float64(float64, float64)");
  for (const int64_t rows : {1000, 32'768, 200'003}) {
    std::vector<double> x(static_cast<size_t>(rows));
    std::iota(x.begin(), x.end(), 0.0);
    const double one = 1;
    const auto values = f.map_arrays({ArrayArgument::Of(x), ArrayArgument::One(one)}).as<double>();
    for (size_t i = 0; i < values.size(); ++i) ASSERT_EQ(values[i], x[i] * 3 + 1) << rows;
  }
  // Columns of a matrix beside its transpose.
  std::vector<double> matrix(300 * 500);
  std::iota(matrix.begin(), matrix.end(), 0.0);
  ArrayArgument plain = ArrayArgument::Of(std::span(matrix), {300, 500}), turned = plain;
  turned.shape = {500, 300};
  turned.strides = {8, 4000};
  const auto sum = f.map_arrays({turned, turned});
  EXPECT_THAT(sum.shape, ElementsAre(500, 300));
  const auto values = sum.as<double>();
  for (int64_t i = 0; i < 500; ++i)
    for (int64_t j = 0; j < 300; ++j) ASSERT_EQ(values[i * 300 + j], matrix[j * 500 + i] * 4);
}

TEST_P(Arrays, TellTheirTimesWhereAsked) {
  const auto jit = Jit();
  const Caller f = Named(jit, "f64", "float64(float64, float64)");
  const std::vector<double> x(10'000, 1);
  const auto map = [&](bool profile) {
    ArrayMapOptions options;
    options.profile = profile;
    return f.map_arrays({ArrayArgument::Of(x), ArrayArgument::One(2.0)}, options).times;
  };
  EXPECT_EQ(map(false).kernel, 0);
  const ArrayTimes times = map(true);
  EXPECT_GT(times.kernel, 0);
  EXPECT_GT(times.queue, 0);
  EXPECT_EQ(times.bytes_out, 80'008);
  EXPECT_EQ(times.bytes_in, 80'000);
}

TEST_P(Arrays, OtherTypesAreConvertedByTheOverloadRules) {
  const auto jit = Jit();
  Caller f = Named(jit, "f64", "float64(float64, float64)");
  const std::vector<int32_t> whole = {1, 2, 3};
  const std::vector<float> half = {0.5f};
  const auto result = f.map_arrays({ArrayArgument::Of(whole), ArrayArgument::Of(half)});
  EXPECT_EQ(result.dtype, "float64");
  EXPECT_THAT(result.as<double>(), ElementsAre(3.5, 6.5, 9.5));
  const Caller narrow = Named(jit, "f32", "float32(float32, float32)");
  EXPECT_EQ(narrow.map_arrays({ArrayArgument::Of(half), ArrayArgument::Of(half)}).dtype, "float32");
}

// As with arguments of a call: nothing wraps, and nothing becomes infinite.
TEST_P(Arrays, ElementsThatDoNotFitAreRefused) {
  const auto jit = Jit();
  const Caller narrow = Named(jit, "i32", "int32(int32, int32)"),
               positive = Named(jit, "i32", "uint32(uint32, uint32)");
  const Caller single = Named(jit, "f32", "float32(float32, float32)"), sum = Named(jit, "addi", "int64(int64, int64)");
  const auto refusal = [](const Result<ArrayResult>& result) {
    return result || result.error().kind != ErrorKind::kInvalidArgument ? "" : result.error().message;
  };
  for (const size_t size : {size_t{4}, size_t{100'000}}) {  // in a message, and through a buffer of the session
    std::vector<int64_t> wide(size, std::numeric_limits<int32_t>::min());
    const auto map = [&](const Caller& f) {
      return f.try_map_arrays(std::array{ArrayArgument::One(int32_t{0}), ArrayArgument::Of(wide)});
    };
    EXPECT_EQ(ValueOrThrow(map(narrow)).as<int32_t>()[size - 1], std::numeric_limits<int32_t>::min());
    wide[size - 1] = int64_t{1} << 40;
    EXPECT_THAT(refusal(map(narrow)), HasSubstr("holds 1099511627776, which does not fit type `int32`"));
    wide.assign(size, 1);
    wide[size - 1] = -1;
    EXPECT_THAT(refusal(map(positive)), HasSubstr("holds -1, which does not fit type `uint32`"));
  }
  std::vector<double> real = {0.1, std::numeric_limits<double>::infinity(), 1e-300, 3e38};
  const auto rounded = single.map_arrays({ArrayArgument::One(0.0f), ArrayArgument::Of(real)}).as<float>();
  EXPECT_THAT(rounded, ElementsAre(0.1f, std::numeric_limits<float>::infinity(), 0.0f, 3e38f));
  real[3] = -1e39;
  EXPECT_THAT(refusal(single.try_map_arrays(std::array{ArrayArgument::One(0.0f), ArrayArgument::Of(real)})),
              HasSubstr("does not fit type `float32`"));

  const std::vector<uint64_t> large = {1, ~uint64_t{0}};
  EXPECT_THAT(refusal(sum.try_reduce(ArrayArgument::Of(large))), HasSubstr("18446744073709551615, which does not fit"));
  EXPECT_THAT(refusal(sum.try_scan(ArrayArgument::Of(large))), HasSubstr("18446744073709551615, which does not fit"));
  ArrayReduceOptions options;
  options.identity = ArrayArgument::One(1e300);
  EXPECT_THAT(refusal(sum.try_reduce(ArrayArgument::Of(std::vector<int64_t>()), options)), HasSubstr("does not fit"));
}

TEST_P(Arrays, ShapesThatDoNotStretchAreRefused) {
  const auto jit = Jit();
  const Caller f = Named(jit, "f64", "float64(float64, float64)");
  const std::vector<double> three(3), four(4);
  const auto result = f.try_map_arrays(std::array{ArrayArgument::Of(three), ArrayArgument::Of(four)});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::kInvalidArgument);
  EXPECT_THAT(result.error().message, HasSubstr("(3,) (4,)"));
  EXPECT_EQ(KindOf(f.try_map_arrays(std::array{ArrayArgument::Of(three)})), ErrorKind::kNoMatch);
}

TEST_P(Arrays, OutTakesTheResultAndWhereLeavesElementsAlone) {
  const auto jit = Jit();
  const Caller f = Named(jit, "f64", "float64(float64, float64)");
  std::vector<double> x = {1, 2, 3, 4, 5, 6}, out(6, -1);
  ArrayMapOptions options;
  options.out = ArrayArgument::Of(std::span(out), {2, 3});
  const auto result = f.map_arrays({ArrayArgument::Of(std::span(x), {2, 3}), ArrayArgument::One(0.5)}, options);
  EXPECT_TRUE(result.data.empty());
  EXPECT_THAT(out, ElementsAre(3.5, 6.5, 9.5, 12.5, 15.5, 18.5));
  // One value fills what is asked for.
  f.map_arrays({ArrayArgument::One(1.0), ArrayArgument::One(2.0)}, options);
  EXPECT_THAT(out, ElementsAre(5, 5, 5, 5, 5, 5));
  const bool mask[] = {true, false, true, false, false, true};
  options.where = ArrayArgument::Of(std::span<const bool>(mask), {2, 3});
  f.map_arrays({ArrayArgument::Of(std::span(x), {2, 3}), ArrayArgument::One(0.0)}, options);
  EXPECT_THAT(out, ElementsAre(3, 5, 9, 5, 5, 18));
  options.out->shape = {3, 2};
  EXPECT_EQ(
      KindOf(f.try_map_arrays(std::array{ArrayArgument::Of(std::span(x), {2, 3}), ArrayArgument::One(0.0)}, options)),
      ErrorKind::kInvalidArgument);
}

TEST_P(Arrays, WhereGuardsWhatMustNotRun) {
  const auto jit = Jit();
  const Caller boom = Named(jit, "boom", "int64(int64)");
  std::vector<int64_t> x(1000);
  std::iota(x.begin(), x.end(), 0);
  std::unique_ptr<bool[]> mask(new bool[1000]);
  for (size_t i = 0; i < 1000; ++i) mask[i] = i != 77;
  ArrayMapOptions options;
  options.where = ArrayArgument::Of(std::span<const bool>(mask.get(), 1000));
  const auto values = boom.map_arrays({ArrayArgument::Of(x)}, options).as<int64_t>();
  for (size_t i = 0; i < 1000; ++i) ASSERT_EQ(values[i], i == 77 ? 0 : static_cast<int64_t>(i));
}

TEST_P(Arrays, TheFirstElementThatFailsIsTold) {
  const auto jit = Jit();
  const Caller checked = Named(jit, "checked", "float64(float64)", CallAbi::kStatusRetptr);
  std::vector<double> x(100'000, 1.0);
  x[70'001] = x[40'123] = x[99'999] = -1;
  const auto result = checked.map_arrays({ArrayArgument::Of(std::span(x), {100, 1000})});
  EXPECT_EQ(result.status, 7);
  EXPECT_EQ(result.row, 40'123);
  EXPECT_THAT(result.index, ElementsAre(40, 123));
  // Seen as columns another one comes first.
  ArrayArgument turned = ArrayArgument::Of(std::span(x), {1000, 100});
  turned.strides = {8, 8000};
  EXPECT_THAT(checked.map_arrays({turned}).index, ElementsAre(1, 70));
}

TEST_P(Arrays, AFaultInOneElementIsToldAndTheNextMapWorks) {
  const auto jit = Jit();
  const Caller boom = Named(jit, "boom", "int64(int64)");
  for (const size_t rows : {100u, 200'000u}) {  // alone, and on threads that help
    std::vector<int64_t> x(rows);
    x[rows - 1] = 77;
    const auto result = boom.try_map_arrays(std::array{ArrayArgument::Of(x)});
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind, ErrorKind::kRemoteCrash) << result.error().message;
    EXPECT_EQ(result.error().cause, "invalid memory access");
    EXPECT_EQ(result.error().function, "boom");
    x[rows - 1] = 5;
    EXPECT_EQ(boom.map_arrays({ArrayArgument::Of(x)}).as<int64_t>(), x);
  }
}

TEST_P(Arrays, AStructOfResultsComesAsAnArrayOfThem) {
  const auto jit = Jit();
  const Caller both = Named(jit, "both", "{float64, int64}(float64, int64)");
  const std::vector<double> x = {1.5, 2.5};
  const std::vector<int64_t> y = {10, 20};
  const auto result = both.map_arrays({ArrayArgument::Of(x), ArrayArgument::Of(y)});
  ASSERT_EQ(result.data.size(), 32u);
  double first;
  int64_t second;
  std::memcpy(&first, result.data.data() + 16, 8);
  std::memcpy(&second, result.data.data() + 24, 8);
  EXPECT_EQ(first, 3.5);
  EXPECT_EQ(second, 22);
}

TEST_P(Arrays, AMapThatDoesNotEndIsStopped) {
  const auto jit = Jit();
  const Caller endless = Named(jit, "endless", "int64(int64)").with_timeout(std::chrono::milliseconds(1000));
  const std::vector<int64_t> x(100'000);
  EXPECT_EQ(KindOf(endless.try_map_arrays(std::array{ArrayArgument::Of(x)})), ErrorKind::kDeadlineExceeded);
  const Caller add = Named(jit, "addi", "int64(int64, int64)");
  EXPECT_EQ(add.map_arrays({ArrayArgument::Of(x), ArrayArgument::One(int64_t{4})}).as<int64_t>()[5], 4);
}

// A buffer of `count` doubles in the session of `caller`.
ArrayArgument MakeBuffer(const Caller& caller, int64_t count) {
  const auto& core = *detail::Inside::State(caller)->core;
  auto info = core.farm->Ask(core.DeadlineOf(0), [&](wire::FarmClient& client) {
    wire::BufferSpec spec;
    spec.dtype = "float64";
    spec.shape = {count};
    wire::BufferInfo made;
    client.buffer_create(made, spec);
    return made;
  });
  ArrayArgument out{"float64", nullptr, {count}, {8}};
  out.buffer = ValueOrThrow(std::move(info)).id;
  return out;
}

// Part of it, from element `first` on.
ArrayArgument Part(ArrayArgument buffer, int64_t first, int64_t count) {
  buffer.offset = first * 8;
  buffer.shape = {count};
  return buffer;
}

TEST_P(Arrays, BuffersAreReadAndWrittenInPlace) {
  const auto jit = Jit();
  const Caller f = Named(jit, "f64", "float64(float64, float64)");
  constexpr int64_t kCount = 100'001;
  std::vector<double> values(kCount);
  std::iota(values.begin(), values.end(), 0.0);
  const ArrayArgument buffer = MakeBuffer(f, kCount), zero = ArrayArgument::One(0.0);
  ArrayMapOptions into;
  into.out = buffer;
  const auto apply = [&](const ArrayArgument& from) {
    const auto result = f.map_arrays({from, ArrayArgument::One(1.0)}, into);
    EXPECT_TRUE(result.data.empty()) << "it stays on the farm";
  };
  apply(ArrayArgument::Of(values));
  for (double& value : values) value = value * 3 + 1;
  apply(buffer);
  for (double& value : values) value = value * 3 + 1;
  // Each element goes to its neighbour's place: the input is copied first.
  into.out = Part(buffer, 1, kCount - 1);
  apply(Part(buffer, 0, kCount - 1));
  for (size_t i = values.size() - 1; i > 0; --i) values[i] = values[i - 1] * 3 + 1;
  const auto read = f.map_arrays({buffer, zero}).as<double>();
  for (size_t i = 0; i < values.size(); ++i) ASSERT_EQ(read[i], values[i] * 3) << i;
}

TEST_P(Arrays, ArraysBeyondTheirBufferAreRefused) {
  const auto jit = Jit();
  const Caller f = Named(jit, "f64", "float64(float64, float64)");
  const ArrayArgument buffer = MakeBuffer(f, 100), zero = ArrayArgument::One(0.0);
  EXPECT_EQ(KindOf(f.try_map_arrays(std::array{Part(buffer, 1, 100), zero})), ErrorKind::kInvalidArgument);
  EXPECT_EQ(KindOf(f.try_map_arrays(std::array{Part(buffer, -1, 100), zero})), ErrorKind::kInvalidArgument);
  ArrayArgument other = buffer;
  other.buffer += 1000;
  EXPECT_EQ(KindOf(f.try_map_arrays(std::array{other, zero})), ErrorKind::kBufferLost);
  EXPECT_TRUE(f.try_map_arrays(std::array{buffer, zero}));
}

INSTANTIATE_TEST_SUITE_P(Targets, Arrays, ::testing::Values("host", "cuda"),
                         [](const auto& target) { return std::string(target.param); });

}  // namespace
}  // namespace rbc::harness
