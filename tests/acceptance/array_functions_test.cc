// Functions over arrays: C and IR that get pointers, shapes and strides, on host and on the simulated GPU, and that
// give arrays back, on host.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "tests/harness/farm_test.h"
#include "tests/harness/ir.h"
#include "tests/harness/toolchain.h"
#include "types/array.h"

namespace rbc::harness {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using types::Buffer;
using types::Direction;

// The caller's numbers as an array; without strides they lie side by side.
template <typename T>
Value Array(T* data, const types::Type& element, std::vector<int64_t> shape, std::vector<int64_t> strides = {},
            Direction direction = Direction::kInOut) {
  Buffer buffer{.data = data, .bytes = sizeof(T), .direction = direction, .element = element};
  for (const int64_t n : shape) buffer.bytes *= static_cast<size_t>(n);
  if (strides.empty()) strides = types::DenseStrides(shape, sizeof(T));
  buffer.shape = std::move(shape);
  buffer.strides = std::move(strides);
  return buffer;
}
Value Doubles(std::vector<double>& data) {
  return Array(data.data(), types::Type::Float(64), {static_cast<int64_t>(data.size())});
}

template <typename T>
std::vector<T> ElementsOf(const Value& value) {
  const Buffer* array = value.As<Buffer>();
  if (array == nullptr) throw std::runtime_error("the result is no array");
  std::vector<T> out(array->bytes / sizeof(T));
  if (!out.empty()) std::memcpy(out.data(), array->data, array->bytes);
  return out;
}

class ArrayFunctions : public FarmTest {
 protected:
  wire::FunctionInfo LoadC(Client& client, const std::string& source, const std::string& signature) {
    return Must(client.Load(MakeModule(CompileC("#include <stddef.h>\n" + source), "f", signature, wire::Abi::Sysv)));
  }
};

// What does not differ between host and GPU.
class ArrayArguments : public ArrayFunctions, public ::testing::WithParamInterface<const char*> {
 protected:
  FarmOptions Options() const override { return FarmOptions().Set("targets.cuda", "simulate", "true"); }
  wire::FunctionInfo LoadC(Client& client, const std::string& source, const std::string& signature) {
    Module module = MakeModule(CompileC("#include <stddef.h>\n" + source), "f", signature, wire::Abi::Sysv);
    module.target = GetParam();
    return Must(client.Load(module));
  }
};

TEST_P(ArrayArguments, APointerALengthAndAStride) {
  Client client = farm().Connect();
  const auto sum = LoadC(client, R"(
      double f(const char *data, long n, long stride) {
        double sum = 0;
        for (long i = 0; i < n; i++) sum += *(const double *)(data + i * stride);
        return sum;
      })",
                         "float64(float64[:])");
  std::vector<double> x(1000);
  std::iota(x.begin(), x.end(), 0.0);
  const auto f64 = types::Type::Float(64);
  EXPECT_TRUE(Must(client.Call(sum, {Doubles(x)})).value == Value(499'500.0));
  EXPECT_TRUE(Must(client.Call(sum, {Array(x.data(), f64, {500}, {16})})).value == Value(249'500.0));
  EXPECT_TRUE(Must(client.Call(sum, {Array(x.data() + 999, f64, {1000}, {-8})})).value == Value(499'500.0));
  EXPECT_TRUE(Must(client.Call(sum, {Array(x.data() + 7, f64, {10}, {0}, Direction::kIn)})).value == Value(70.0));
  EXPECT_TRUE(Must(client.Call(sum, {Array(x.data(), f64, {0})})).value == Value(0.0));
}

TEST_P(ArrayArguments, ContiguousParametersHaveNoStrides) {
  Client client = farm().Connect();
  const auto scale = LoadC(
      client, "void f(const double *x, long n, double *y, long m) { for (long i = 0; i < n; i++) y[i] = 2 * x[i]; }",
      "void(float64[], float64[::1])");
  std::vector<double> x = {1, 2, 3}, y(3), wide(6, -1);
  Must(client.Call(scale, {Doubles(x), Doubles(y)}));
  EXPECT_THAT(y, ElementsAre(2, 4, 6));
  const auto gaps = Array(wide.data(), types::Type::Float(64), {3}, {16});
  EXPECT_THROW(Must(client.Call(scale, {Doubles(x), gaps})), std::runtime_error);
}

TEST_P(ArrayArguments, WrittenElementsComeBackAndTheGapsStay) {
  Client client = farm().Connect();
  const auto fill = LoadC(client, R"(
      void f(char *data, long rows, long columns, long down, long right) {
        for (long i = 0; i < rows; i++)
          for (long j = 0; j < columns; j++) *(int *)(data + i * down + j * right) += 10 * i + j;
      })",
                          "void(int32[:,:])");
  std::vector<int32_t> memory(12, 100);
  // Rows 0 and 2 of three, columns from the last to the first.
  Must(client.Call(fill, {Array(memory.data() + 3, types::Type::Int(32), {2, 4}, {32, -4})}));
  EXPECT_THAT(memory, ElementsAre(103, 102, 101, 100, 100, 100, 100, 100, 113, 112, 111, 110));
}

TEST_P(ArrayArguments, ManyArraysFillTheRegistersOfC) {
  Client client = farm().Connect();
  const auto f = LoadC(client, R"(
      typedef struct { long a, b; } Pair;
      double f(const double *a, long n, double k, const double *b, long m, Pair p, const double *c, long o, int last) {
        return a[n - 1] * k + b[m - 1] + c[o - 1] + p.a + p.b + last;
      })",
                       "float64(float64[], float64, float64[], {int64, int64}, float64[], int32)");
  std::vector<double> a = {1, 2}, b = {3}, c = {4, 5, 6};
  const auto result = client.Call(f, {Doubles(a), 10.0, Doubles(b), Value::Struct({100, 200}), Doubles(c), 1000});
  EXPECT_TRUE(Must(result).value == Value(20.0 + 3 + 6 + 300 + 1000));
}

// Of three dimensions, any strides, with memory of its own.
TEST_P(ArrayArguments, LocalArraysOfFixedSize) {
  Client client = farm().Connect();
  const auto turn = LoadC(client, R"(
      void f(char *x, long n, long m, long k, long down, long right, long deep) {
        for (long i = 0; i < n; i++)
          for (long j = 0; j < m; j++) {
            double kept[8];
            for (long l = 0; l < k; l++) kept[l] = *(double *)(x + i * down + j * right + l * deep);
            for (long l = 0; l < k; l++) *(double *)(x + i * down + j * right + l * deep) = kept[k - 1 - l] + i;
          }
      })",
                          "void(float64[:,:,:])");
  std::vector<double> memory(2 * 3 * 16, -1), expected = memory;
  const auto at = [](int64_t i, int64_t j, int64_t l) { return static_cast<size_t>(i * 48 + (2 - j) * 16 + l * 2); };
  for (int64_t i = 0; i < 2; ++i)
    for (int64_t j = 0; j < 3; ++j)
      for (int64_t l = 0; l < 8; ++l) {
        memory[at(i, j, l)] = static_cast<double>(100 * i + 10 * j + l);
        expected[at(i, j, l)] = static_cast<double>(100 * i + 10 * j + 7 - l + i);
      }
  Must(client.Call(turn,
                   {Array(memory.data() + at(0, 0, 0), types::Type::Float(64), {2, 3, 8}, {48 * 8, -16 * 8, 16})}));
  EXPECT_EQ(memory, expected);
}

INSTANTIATE_TEST_SUITE_P(Targets, ArrayArguments, ::testing::Values("host", "cuda"),
                         [](const auto& target) { return std::string(target.param); });

// What a function returns: the elements, and who owns them.
constexpr char kResult[] = R"(
    typedef struct { double *data; long shape[1], strides[1]; void *owner; } Array;
    typedef struct { size_t references; void (*destructor)(void *, size_t, void *); void *info, *data; size_t size;
                     void *unused; } Owner;
    void *malloc(size_t);
)";

TEST_F(ArrayFunctions, AnArrayOfMallocIsReturnedAndReleased) {
  Client client = farm().Connect();
  const auto add = LoadC(client, std::string(kResult) + R"(
      Array f(const double *x, long n, const double *y, long m) {
        Owner *owner = malloc(sizeof(Owner) + n * sizeof(double));
        owner->references = 1;
        owner->destructor = 0;
        Array out = {(double *)(owner + 1), {n}, {sizeof(double)}, owner};
        for (long i = 0; i < n; i++) out.data[i] = x[i] + y[i];
        return out;
      })",
                         "float64[:](float64[], float64[])");
  std::vector<double> x = {1, 2, 3}, y = {10, 20, 30};
  const auto sum = Must(client.Call(add, {Doubles(x), Doubles(y)}));
  EXPECT_THAT(ElementsOf<double>(sum.value), ElementsAre(11, 22, 33));
  EXPECT_THAT(sum.value.As<Buffer>()->shape, ElementsAre(3));
  std::vector<double> none;
  EXPECT_THAT(ElementsOf<double>(Must(client.Call(add, {Doubles(none), Doubles(none)})).value), ElementsAre());

  // 10,000 results of 80 KB each leave nothing behind. AddressSanitizer keeps freed memory for a while.
  std::vector<double> large(10'000, 1.0);
  const auto worker = farm().WorkersOf("execute", static_cast<uint64_t>(client.session().session_id));
  ASSERT_EQ(worker.size(), 1u);
  const auto call = [&](int times) {
    for (int i = 0; i < times; ++i) ASSERT_TRUE(client.Call(add, {Doubles(large), Doubles(large)}));
  };
  call(100);
  const uint64_t before = ResidentBytes(worker[0].pid);
  call(10'000);
  if (!kSanitized) {
    EXPECT_LE(ResidentBytes(worker[0].pid), before + (4 << 20));
  }
}

TEST_F(ArrayFunctions, ResultsMayBePartsOfArgumentsAndConstants) {
  Client client = farm().Connect();
  const auto every_second = LoadC(client, std::string(kResult) + R"(
      Array f(double *x, long n, long stride) {
        Array out = {x, {(n + 1) / 2}, {2 * stride}, 0};
        return out;
      })",
                                  "float64[:](float64[:])");
  std::vector<double> x = {1, 2, 3, 4, 5};
  EXPECT_THAT(ElementsOf<double>(Must(client.Call(every_second, {Doubles(x)})).value), ElementsAre(1, 3, 5));
  const auto primes = LoadC(client, std::string(kResult) + R"(
      static double kPrimes[] = {2, 3, 5, 7};
      Array f(void) { Array out = {kPrimes, {4}, {8}, 0}; return out; })",
                            "float64[:]()");
  EXPECT_THAT(ElementsOf<double>(Must(client.Call(primes, {})).value), ElementsAre(2, 3, 5, 7));
}

TEST_F(ArrayFunctions, TheOwnersDestructorRunsOnce) {
  Client client = farm().Connect();
  const auto f = LoadC(client, std::string(kResult) + R"(
      int printf(const char *, ...); void free(void *);
      static long released;
      static void Drop(void *data, size_t size, void *info) { released += size; free(data); }
      Array f(long n) {
        Owner *owner = malloc(sizeof(Owner));
        *owner = (Owner){1, Drop, 0, malloc(8), 8, 0};
        *(double *)owner->data = released;
        return (Array){owner->data, {1}, {8}, owner};
      })",
                       "float64[:](int64)");
  EXPECT_THAT(ElementsOf<double>(Must(client.Call(f, {1})).value), ElementsAre(0));
  EXPECT_THAT(ElementsOf<double>(Must(client.Call(f, {1})).value), ElementsAre(8));
}

TEST_F(ArrayFunctions, IrWithAStatusGivesAnArrayOrNone) {
  Client client = farm().Connect();
  const std::string ir = R"(define i32 @view(ptr %out, ptr %data, i64 %n, i64 %stride, i64 %skip) {
  %bad = icmp sgt i64 %skip, %n
  br i1 %bad, label %refuse, label %give
refuse:
  ret i32 3
give:
  %bytes = mul i64 %skip, %stride
  %first = getelementptr i8, ptr %data, i64 %bytes
  %left = sub i64 %n, %skip
  store ptr %first, ptr %out
  %shape = getelementptr i8, ptr %out, i64 8
  store i64 %left, ptr %shape
  %strides = getelementptr i8, ptr %out, i64 16
  store i64 %stride, ptr %strides
  %owner = getelementptr i8, ptr %out, i64 24
  store ptr null, ptr %owner
  ret i32 0
}
)";
  const auto f = Must(client.Load(MakeModule(ir, "view", "float64[:](float64[:], int64)", wire::Abi::StatusRetptr)));
  std::vector<double> x = {1, 2, 3};
  EXPECT_THAT(ElementsOf<double>(Must(client.Call(f, {Doubles(x), 1})).value), ElementsAre(2, 3));
  EXPECT_THAT(ElementsOf<double>(Must(client.Call(f, {Doubles(x), 3})).value), ElementsAre());
  EXPECT_EQ(Must(client.Call(f, {Doubles(x), 4})).status, 3);
}

TEST_F(ArrayFunctions, OtherParametersThanTheSignatureSaysAreNamed) {
  Client client = farm().Connect();
  const auto refusal = [&](const std::string& parameters, const std::string& signature) {
    const std::string ir = "define double @f(" + parameters + ") {\n  ret double 0.0\n}\n";
    const Error error = MustFail(client.Load(MakeModule(ir, "f", signature)));
    EXPECT_EQ(error.kind, ErrorKind::kInvalidModule) << Describe(error);
    return error.message;
  };
  EXPECT_THAT(refusal("ptr, i64", "float64(float64[:])"),
              HasSubstr("parameter 1 is expected as i64, found is missing"));
  EXPECT_THAT(refusal("ptr, i64, i64", "float64(float64[])"),
              HasSubstr("takes 3 IR parameters, the signature makes 2"));
  EXPECT_THAT(refusal("i64, i64", "float64(float64[])"), HasSubstr("parameter 1 is expected as ptr, found is i64"));
  EXPECT_THAT(refusal("{ptr, i64}", "float64(float64[])"), HasSubstr("expected as ptr"));
}

TEST_F(ArrayFunctions, ArraysInStructsAreRefusedByName) {
  Client client = farm().Connect();
  const Error error = MustFail(client.Load(
      MakeModule("define double @f({ptr, i64} %x) {\n  ret double 0.0\n}\n", "f", "float64({float64[:], int64})")));
  EXPECT_EQ(error.kind, ErrorKind::kUnsupported) << Describe(error);
  EXPECT_THAT(error.message, HasSubstr("float64[:]"));
}

// A buffer of the session, which is created and filled on the farm.
TEST_F(ArrayFunctions, ArraysThatStayAreArguments) {
  Client client = farm().Connect();
  const std::string source =
      "void f(char *data, long n, long stride) { for (long i = 0; i < n; i++) *(double *)(data + i * stride) += i; }";
  const auto sum = LoadC(client, "double f(const double *x, long n) { double s = 0; while (n) s += x[--n]; return s; }",
                         "float64(float64[])");
  wire::BufferSpec spec;
  spec.dtype = "float64";
  spec.shape = {1000};
  const auto info = Must(client.CreateBuffer(spec));
  const auto place = static_cast<uint64_t>(info.offset);
  const auto stays = [&](uint64_t where, int64_t n, int64_t stride) {
    return Value(Buffer{.bytes = static_cast<size_t>(n) * 8,
                        .element = types::Type::Float(64),
                        .shape = {n},
                        .strides = {stride},
                        .in_arena = where});
  };
  const auto add = LoadC(client, source, "void(float64[:])");
  EXPECT_TRUE(Must(client.Call(sum, {stays(place, 1000, 8)})).value == Value(0.0));
  Must(client.Call(add, {stays(place, 1000, 8)}));
  Must(client.Call(add, {stays(place + 999 * 8, 500, -16)}));  // every second one from the last on
  EXPECT_TRUE(Must(client.Call(sum, {stays(place, 1000, 8)})).value == Value(499'500.0 + 124'750.0));
  EXPECT_TRUE(Must(client.Call(sum, {stays(place + 8, 3, 8)})).value == Value(1.0 + 2 + 3 + 499 + 498));
  EXPECT_FALSE(client.Call(sum, {stays(uint64_t{1} << 60, 1, 8)}));
  EXPECT_FALSE(client.Call(sum, {stays(place + 4, 1, 8)}));
  // A worker that is started later finds it too.
  const auto crash = LoadC(client, "int f(void) { return *(volatile int *)8; }", "int32()");
  EXPECT_EQ(MustFail(client.Call(crash, {})).kind, ErrorKind::kRemoteCrash);
  EXPECT_TRUE(Must(client.Call(sum, {stays(place, 1000, 8)})).value == Value(499'500.0 + 124'750.0));
}

// What a client puts into the slot of an array is not believed.
class HostileArrays : public ArrayFunctions {};

TEST_F(HostileArrays, ElementsOutsideOfTheCallsMemoryAreRefused) {
  Client client = farm().Connect();
  const auto sum = LoadC(client, R"(
      double f(const char *data, long n, long m, long down, long right) {
        double sum = 0;
        for (long i = 0; i < n; i++)
          for (long j = 0; j < m; j++) sum += *(const double *)(data + i * down + j * right);
        return sum;
      })",
                         "float64(float64[:,:])");
  constexpr int64_t kSlot = 40, kData = 48;  // 6 doubles behind the slot
  constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();
  const auto call = [&](uint64_t where, std::vector<int64_t> shape, std::vector<int64_t> strides) {
    wire::CallRequest request;
    request.function_id = sum.function_id;
    request.frame.resize(kData + 48);
    types::StoreFrameArray({where, std::move(shape), std::move(strides)}, request.frame.data());
    return client.CallRaw(request);
  };
  ASSERT_TRUE(call(kData, {2, 3}, {24, 8}));
  ASSERT_TRUE(call(kData + 40, {2, 3}, {-24, -8}));
  ASSERT_TRUE(call(kData + 48, {0, 3}, {24, 8}));
  struct Case {
    uint64_t where;
    std::vector<int64_t> shape, strides;
  };
  const Case cases[] = {
      {kData + 8, {2, 3}, {24, 8}},
      {kData, {2, 4}, {24, 8}},
      {kData, {2, 3}, {32, 8}},
      {kData, {2, 3}, {-128, 8}},
      {kData, {2, 3}, {24, kHuge / 2}},
      {kData, {2, 3}, {-kHuge - 1, 8}},
      {kData, {kHuge, kHuge}, {8, 8}},
      {kData, {kHuge, 1}, {kHuge, 8}},
      {kData, {-1, 3}, {24, 8}},
      {kData, {0, -3}, {24, 8}},
      {kData + 4, {1, 3}, {24, 8}},
      {kData, {2, 2}, {12, 8}},
      {kData + 49, {0, 3}, {24, 8}},
      {uint64_t{1} << 63, {1, 1}, {8, 8}},
      {(uint64_t{1} << 63) + kData, {2, 3}, {24, 8}},
      {~uint64_t{0}, {1, 1}, {8, 8}},
      {uint64_t{1} << 62, {1, 1}, {8, 8}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(std::to_string(c.where) + " " + ::testing::PrintToString(c.shape) +
                 ::testing::PrintToString(c.strides));
    const auto reply = call(c.where, c.shape, c.strides);
    ASSERT_FALSE(reply) << "accepted";
    EXPECT_EQ(reply.error().kind, ErrorKind::kInvalidArgument) << Describe(reply.error());
  }
  wire::CallRequest short_frame;
  short_frame.function_id = sum.function_id;
  short_frame.frame.resize(kSlot - 1);
  EXPECT_EQ(MustFail(client.CallRaw(short_frame)).kind, ErrorKind::kInvalidArgument);
}

TEST_F(HostileArrays, GapsWhereNoneMayBeAreRefused) {
  Client client = farm().Connect();
  const auto f = LoadC(client, "double f(const double *x, long n) { return x[n - 1]; }", "float64(float64[])");
  wire::CallRequest request;
  request.function_id = f.function_id;
  request.frame.resize(32 + 32);
  types::StoreFrameArray({32, {2}, {16}}, request.frame.data());
  const Error error = MustFail(client.CallRaw(request));
  EXPECT_EQ(error.kind, ErrorKind::kInvalidArgument);
  EXPECT_THAT(error.message, HasSubstr("side by side"));
}

TEST_F(HostileArrays, ResultsBeyondTheLimitAndWithoutSenseAreRefused) {
  Client client = farm().Connect();
  const auto f = LoadC(client, std::string(kResult) + R"(
      static double zero;
      Array f(long n, long stride) { return (Array){&zero, {n}, {stride}, 0}; })",
                       "float64[:](int64, int64)");
  EXPECT_THAT(ElementsOf<double>(Must(client.Call(f, {3, 0})).value), ElementsAre(0, 0, 0));
  EXPECT_EQ(MustFail(client.Call(f, {int64_t{1} << 40, 0})).kind, ErrorKind::kResourceExhausted);
  EXPECT_EQ(MustFail(client.Call(f, {-1, 0})).kind, ErrorKind::kInvalidArgument);
  EXPECT_EQ(MustFail(client.Call(f, {std::numeric_limits<int64_t>::max(), 0})).kind, ErrorKind::kInvalidArgument);
  EXPECT_THAT(ElementsOf<double>(Must(client.Call(f, {1, 0})).value), ElementsAre(0));
  const Error crash = MustFail(client.Call(f, {1000, int64_t{1} << 40}));
  EXPECT_EQ(crash.kind, ErrorKind::kRemoteCrash) << Describe(crash);
  EXPECT_EQ(crash.function, "f");
}

}  // namespace
}  // namespace rbc::harness
