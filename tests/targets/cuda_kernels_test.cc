// Kernels of the client's own at which threads meet: assembled for every SM, run on the simulator's engine.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <regex>
#include <sstream>

#include "cuda/simulator/engine.h"
#include "tests/targets/cuda_harness.h"
#include "tests/targets/harness.h"

namespace rbc::testing {
namespace {

using ::testing::HasSubstr;

struct Shape {
  uint32_t blocks = 1, threads = 1, dynamic_shared = 0;
};

Status Launch(Simulated& module, size_t index, const void* parameters, Shape shape) {
  const auto& entry = module.artifact().entries[index];
  simulator::Launch launch;
  launch.entry = module.Code(index);
  launch.parameters = parameters;
  launch.grid[0] = shape.blocks;
  launch.block[0] = shape.threads;
  launch.static_shared = entry.shared_bytes;
  launch.dynamic_shared = shape.dynamic_shared;
  launch.meets = entry.meets;
  return simulator::Run(launch, {});
}

// Reverses each block's part through shared memory and adds blockIdx * 1000 + threadIdx.
constexpr std::string_view kReverse = R"(
@tile = internal addrspace(3) global [256 x i32] undef, align 4
declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()
declare i32 @llvm.nvvm.read.ptx.sreg.ntid.x()
declare i32 @llvm.nvvm.read.ptx.sreg.ctaid.x()
declare void @llvm.nvvm.barrier0()
define ptx_kernel void @reverse(ptr %in, ptr %out) {
  %t = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %n = call i32 @llvm.nvvm.read.ptx.sreg.ntid.x()
  %b = call i32 @llvm.nvvm.read.ptx.sreg.ctaid.x()
  %base = mul i32 %b, %n
  %i = add i32 %base, %t
  %p = getelementptr i32, ptr %in, i32 %i
  %v = load i32, ptr %p
  %s = getelementptr [256 x i32], ptr addrspace(3) @tile, i32 0, i32 %t
  store i32 %v, ptr addrspace(3) %s
  call void @llvm.nvvm.barrier0()
  %m = sub i32 %n, 1
  %r = sub i32 %m, %t
  %q = getelementptr [256 x i32], ptr addrspace(3) @tile, i32 0, i32 %r
  %w = load i32, ptr addrspace(3) %q
  %k = mul i32 %b, 1000
  %a = add i32 %k, %t
  %x = add i32 %w, %a
  %o = getelementptr i32, ptr %out, i32 %i
  store i32 %x, ptr %o
  ret void
}
)";

TEST(CudaKernels, ReverseThroughSharedMemory) {
  const std::vector<FunctionDeclaration> declarations = {{"reverse", "void(int32*, int32*)", Abi::kKernel}};
  EXPECT_THAT(ExpectAssembles(kReverse, declarations), HasSubstr(".visible .entry reverse("));
  for (uint8_t level = 0; level <= 3; ++level) {
    CompileOptions options;
    options.opt_level = level;
    Simulated module(kReverse, declarations, options);
    ASSERT_TRUE(module.ok());
    const auto& entry = module.artifact().entries[0];
    EXPECT_EQ(entry.kind, EntryKind::kKernel);
    EXPECT_TRUE(entry.meets);
    EXPECT_EQ(entry.shared_bytes, 1024u);
    EXPECT_EQ(entry.parameter_bytes, 16u);
    ASSERT_EQ(entry.parameters.size(), 2u);
    EXPECT_TRUE(entry.parameters[1].is_pointer);
    EXPECT_EQ(entry.parameters[1].offset, 8u);
    std::vector<int32_t> in(3 * 256), out(in.size());
    std::iota(in.begin(), in.end(), 0);
    const void* parameters[] = {in.data(), out.data()};
    auto run = Launch(module, 0, parameters, {.blocks = 3, .threads = 256});
    ASSERT_TRUE(run) << Message(run);
    for (int b = 0; b < 3; ++b) {
      for (int t = 0; t < 256; ++t) ASSERT_EQ(out[b * 256 + t], b * 256 + 255 - t + b * 1000 + t) << b << ' ' << t;
    }
  }
}

// The same with as much shared memory as the launch gives.
constexpr std::string_view kDynamic = R"(
@open = external addrspace(3) global [0 x double], align 8
declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()
declare i32 @llvm.nvvm.read.ptx.sreg.ntid.x()
declare void @llvm.nvvm.barrier.cta.sync.aligned.all(i32)
define void @reverse(ptr %data) {
  %t = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %n = call i32 @llvm.nvvm.read.ptx.sreg.ntid.x()
  %p = getelementptr double, ptr %data, i32 %t
  %v = load double, ptr %p
  %s = getelementptr double, ptr addrspacecast (ptr addrspace(3) @open to ptr), i32 %t
  store double %v, ptr %s
  call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)
  %m = sub i32 %n, 1
  %r = sub i32 %m, %t
  %q = getelementptr double, ptr addrspacecast (ptr addrspace(3) @open to ptr), i32 %r
  %w = load double, ptr %q
  store double %w, ptr %p
  ret void
}
)";

TEST(CudaKernels, SharedMemoryOfTheLaunch) {
  const std::vector<FunctionDeclaration> declarations = {{"reverse", "void(float64*)", Abi::kKernel}};
  ExpectAssembles(kDynamic, declarations);
  Simulated module(kDynamic, declarations);
  ASSERT_TRUE(module.ok());
  std::vector<double> data(100);
  std::iota(data.begin(), data.end(), 0.0);
  const void* parameters[] = {data.data()};
  auto run = Launch(module, 0, parameters, {.blocks = 1, .threads = 100, .dynamic_shared = 800});
  ASSERT_TRUE(run) << Message(run);
  for (int i = 0; i < 100; ++i) ASSERT_EQ(data[i], 99 - i);
}

// A warp's sum by shuffles, and the ballot of its odd values.
constexpr std::string_view kWarp = R"(
declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()
declare i32 @llvm.nvvm.shfl.sync.bfly.i32(i32, i32, i32, i32)
declare i32 @llvm.nvvm.vote.ballot.sync(i32, i1)
define ptx_kernel void @sum(ptr %data, ptr %out) {
entry:
  %t = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %p = getelementptr i32, ptr %data, i32 %t
  %v = load i32, ptr %p
  br label %loop
loop:
  %d = phi i32 [ 16, %entry ], [ %half, %loop ]
  %s = phi i32 [ %v, %entry ], [ %next, %loop ]
  %o = call i32 @llvm.nvvm.shfl.sync.bfly.i32(i32 -1, i32 %s, i32 %d, i32 31)
  %next = add i32 %s, %o
  %half = lshr i32 %d, 1
  %more = icmp ne i32 %half, 0
  br i1 %more, label %loop, label %done
done:
  %odd = trunc i32 %v to i1
  %ballot = call i32 @llvm.nvvm.vote.ballot.sync(i32 -1, i1 %odd)
  %w = lshr i32 %t, 5
  %q = getelementptr { i32, i32 }, ptr %out, i32 %w
  store i32 %next, ptr %q
  %q2 = getelementptr { i32, i32 }, ptr %out, i32 %w, i32 1
  store i32 %ballot, ptr %q2
  ret void
}
)";

TEST(CudaKernels, ShufflesAndVotes) {
  const std::vector<FunctionDeclaration> declarations = {{"sum", "void(int32*, {int32, int32}*)", Abi::kKernel}};
  ExpectAssembles(kWarp, declarations);
  Simulated module(kWarp, declarations);
  ASSERT_TRUE(module.ok());
  std::vector<int32_t> data(96);
  std::iota(data.begin(), data.end(), 0);
  int32_t out[3][2] = {};
  const void* parameters[] = {data.data(), out};
  auto run = Launch(module, 0, parameters, {.blocks = 1, .threads = 96});
  ASSERT_TRUE(run) << Message(run);
  for (int w = 0; w < 3; ++w) {
    EXPECT_EQ(out[w][0], std::accumulate(data.begin() + w * 32, data.begin() + (w + 1) * 32, 0));
    EXPECT_EQ(static_cast<uint32_t>(out[w][1]), 0xAAAAAAAAu);
  }
}

constexpr std::string_view kHistogram = R"(
declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()
declare i32 @llvm.nvvm.read.ptx.sreg.ntid.x()
declare i32 @llvm.nvvm.read.ptx.sreg.ctaid.x()
define ptx_kernel void @histogram(ptr %data, ptr %bins, i32 %n, float %scale) {
  %t = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %m = call i32 @llvm.nvvm.read.ptx.sreg.ntid.x()
  %b = call i32 @llvm.nvvm.read.ptx.sreg.ctaid.x()
  %base = mul i32 %b, %m
  %i = add i32 %base, %t
  %in = icmp ult i32 %i, %n
  br i1 %in, label %count, label %end
count:
  %p = getelementptr float, ptr %data, i32 %i
  %v = load float, ptr %p
  %s = fmul float %v, %scale
  %k = fptoui float %s to i32
  %q = getelementptr i64, ptr %bins, i32 %k
  %old = atomicrmw add ptr %q, i64 1 monotonic
  br label %end
end:
  ret void
}
)";

TEST(CudaKernels, AtomicHistogram) {
  const std::vector<FunctionDeclaration> declarations = {
      {"histogram", "void(float32*, int64*, int32, float32)", Abi::kKernel}};
  ExpectAssembles(kHistogram, declarations);
  Simulated module(kHistogram, declarations);
  ASSERT_TRUE(module.ok());
  const auto& entry = module.artifact().entries[0];
  EXPECT_FALSE(entry.meets) << "counting waits for nobody";
  ASSERT_EQ(entry.parameters.size(), 4u);
  EXPECT_EQ(entry.parameters[2].offset, 16u);
  EXPECT_EQ(entry.parameters[3].offset, 20u);
  EXPECT_EQ(entry.parameter_bytes, 24u);
  std::vector<float> data(10'000);
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<float>(i % 10) / 10 + 0.05f;
  std::vector<int64_t> bins(10);
  const struct {
    const float* data;
    int64_t* bins;
    int32_t n;
    float scale;
  } parameters = {data.data(), bins.data(), static_cast<int32_t>(data.size()), 10.0f};
  auto run = Launch(module, 0, &parameters, {.blocks = 40, .threads = 256});
  ASSERT_TRUE(run) << Message(run);
  EXPECT_THAT(bins, ::testing::Each(1000));
}

// A block's memory is gone with it; a variable of the module is not.
TEST(CudaKernels, SharedMemoryIsNoState) {
  const std::vector<FunctionDeclaration> reverse = {{"reverse", "void(int32*, int32*)", Abi::kKernel}};
  const auto shared = CompileCuda(kReverse, reverse, ForPtx(80));
  ASSERT_TRUE(shared) << Message(shared);
  EXPECT_FALSE(shared->stateful);
  std::string global(kReverse);
  for (size_t at; (at = global.find("addrspace(3)")) != std::string::npos;) global.replace(at, 12, "addrspace(1)");
  const auto state = CompileCuda(global, reverse, ForPtx(80));
  ASSERT_TRUE(state) << Message(state);
  EXPECT_TRUE(state->stateful);
}

// A lock that is taken by spinning: the threads behind the first must let it go on.
constexpr std::string_view kSpin = R"(
define ptx_kernel void @count(ptr %lock, ptr %n) {
  br label %try
try:
  %r = cmpxchg ptr %lock, i32 0, i32 1 acquire monotonic
  %ok = extractvalue { i32, i1 } %r, 1
  br i1 %ok, label %mine, label %try
mine:
  %v = load i32, ptr %n
  %w = add i32 %v, 1
  store i32 %w, ptr %n
  store atomic i32 0, ptr %lock release, align 4
  ret void
}
)";

TEST(CudaKernels, SpinLocksEnd) {
  const std::vector<FunctionDeclaration> declarations = {{"count", "void(int32*, int32*)", Abi::kKernel}};
  ExpectAssembles(kSpin, declarations);
  Simulated module(kSpin, declarations);
  ASSERT_TRUE(module.ok());
  EXPECT_TRUE(module.artifact().entries[0].meets);
  int32_t lock = 0, n = 0;
  const void* parameters[] = {&lock, &n};
  auto run = Launch(module, 0, parameters, {.blocks = 2, .threads = 64});
  ASSERT_TRUE(run) << Message(run);
  EXPECT_EQ(n, 128);
}

constexpr std::string_view kMax =
    "define i64 @most(i64 %a, i64 %b) {\n  %g = icmp sgt i64 %a, %b\n  %r = select i1 %g, i64 "
    "%a, i64 %b\n  ret i64 %r\n}\n";

TEST(CudaKernels, ReductionsOfAnyLength) {
  CompileOptions options;
  options.entry = EntryKind::kReduce;
  const std::vector<FunctionDeclaration> declarations = {{"most", "int64(int64, int64)"}};
  ExpectAssembles(kMax, declarations, options);
  Simulated module(kMax, declarations, options);
  ASSERT_TRUE(module.ok());
  for (const size_t rows : {1, 2, 31, 255, 256, 257, 1000, 5000}) {
    std::vector<int64_t> data(rows);
    for (size_t i = 0; i < rows; ++i) data[i] = static_cast<int64_t>(i * 7919 % 10'007) - 20'000;
    constexpr uint32_t kBlocks = 3;
    int64_t partials[kBlocks] = {INT64_MIN, INT64_MIN, INT64_MIN};
    uint64_t outcome = cuda::kAllRowsFine;
    const cuda::ReduceParameters parameters = {rows,
                                               reinterpret_cast<uint64_t>(&outcome),
                                               {reinterpret_cast<uint64_t>(data.data()), 8},
                                               reinterpret_cast<uint64_t>(partials),
                                               0};
    auto run = Launch(module, 0, &parameters, {.blocks = kBlocks, .threads = cuda::kReduceThreads});
    ASSERT_TRUE(run) << Message(run);
    EXPECT_EQ(*std::max_element(partials, partials + kBlocks), *std::max_element(data.begin(), data.end())) << rows;
    EXPECT_EQ(outcome, cuda::kAllRowsFine);
  }
}

// With a run given, a block of threads has so many elements, however many blocks there are: the same value.
TEST(CudaKernels, ReductionsByBlocksOfOneSize) {
  constexpr uint64_t kRun = 3, kOfBlock = kRun * cuda::kReduceThreads, kRows = 5 * kOfBlock - 200;
  const std::string_view last = "define i64 @last(i64 %a, i64 %b) {\n  ret i64 %b\n}\n";
  CompileOptions options;
  options.entry = EntryKind::kReduce;
  Simulated module(last, {{"last", "int64(int64, int64)"}}, options);
  ASSERT_TRUE(module.ok());
  std::vector<int64_t> data(kRows);
  std::iota(data.begin(), data.end(), 1);
  for (const uint32_t blocks : {1u, 3u, 5u}) {
    std::vector<int64_t> values(blocks, -1);
    uint64_t outcome = cuda::kAllRowsFine;
    const cuda::ReduceParameters parameters = {std::min<uint64_t>(kRows, blocks * kOfBlock),
                                               reinterpret_cast<uint64_t>(&outcome),
                                               {reinterpret_cast<uint64_t>(data.data()), 8},
                                               reinterpret_cast<uint64_t>(values.data()),
                                               kRun};
    auto run = Launch(module, 0, &parameters, {.blocks = blocks, .threads = cuda::kReduceThreads});
    ASSERT_TRUE(run) << Message(run);
    for (uint32_t i = 0; i < blocks; ++i)
      EXPECT_EQ(values[i], static_cast<int64_t>(std::min((i + 1) * kOfBlock, kRows))) << i << " of " << blocks;
  }
}

// Any number of threads, in place: one of them goes strictly from first to last.
TEST(CudaKernels, ScansOfAnyLength) {
  CompileOptions options;
  options.entry = EntryKind::kScan;
  const std::vector<FunctionDeclaration> declarations = {{"most", "int64(int64, int64)"}};
  ExpectAssembles(kMax, declarations, options);
  Simulated module(kMax, declarations, options);
  ASSERT_TRUE(module.ok());
  const auto& entry = module.artifact().entries[0];
  EXPECT_TRUE(entry.meets);
  EXPECT_EQ(entry.parameter_bytes, sizeof(cuda::ScanParameters));
  for (const uint64_t length : {1, 2, 31, 255, 256, 257, 1000}) {
    for (const uint32_t threads : {1, 32, 256}) {
      constexpr uint64_t kSegments = 5;
      const int64_t before = -19'500;
      std::vector<int64_t> data(kSegments * length), expected(data.size());
      for (size_t i = 0; i < data.size(); ++i) {
        data[i] = static_cast<int64_t>(i * 7919 % 10'007) - 20'000;
        expected[i] = std::max(data[i], i % length == 0 ? before : expected[i - 1]);
      }
      uint64_t outcome = cuda::kAllRowsFine;
      const cuda::Column column = {reinterpret_cast<uint64_t>(data.data()), 8};
      auto staged = data;
      const cuda::Column same = {reinterpret_cast<uint64_t>(staged.data()), 8};
      cuda::ScanParameters parameters = {kSegments,
                                         length,
                                         reinterpret_cast<uint64_t>(&outcome),
                                         column,
                                         column,
                                         reinterpret_cast<uint64_t>(&before),
                                         0,
                                         kSegments * length,
                                         0};
      auto run = Launch(module, 0, &parameters, {.blocks = 2, .threads = threads});
      ASSERT_TRUE(run) << Message(run);
      EXPECT_EQ(data, expected) << length << " by " << threads;
      parameters.in = parameters.out = same;
      parameters.flags = cuda::kScanStaged;
      ASSERT_TRUE(Launch(module, 0, &parameters, {.blocks = 2, .threads = threads}));
      EXPECT_EQ(staged, expected) << length << " by " << threads << ", brought together";
      EXPECT_EQ(outcome, cuda::kAllRowsFine);
    }
  }
}

// Three launches for a segment that blocks share: values of the parts, what came before each, all elements.
TEST(CudaKernels, ScansOfOneSegmentByManyBlocks) {
  CompileOptions options;
  options.entry = EntryKind::kScan;
  const std::string_view code = "define i64 @add(i64 %a, i64 %b) {\n  %c = add i64 %a, %b\n  ret i64 %c\n}\n";
  const std::vector<FunctionDeclaration> declarations = {{"add", "int64(int64, int64)"}};
  ExpectAssembles(code, declarations, options);
  Simulated module(code, declarations, options);
  ASSERT_TRUE(module.ok());
  constexpr uint64_t kPart = 100;
  for (const uint64_t count : {101, 200, 777}) {
    for (const uint64_t way : {0, 1, 2, 3}) {
      const bool carried = (way & 1) != 0;
      const uint64_t parts = (count + kPart - 1) / kPart;
      const int64_t before = 1'000'000;
      std::vector<int64_t> in(count), out(count), expected(count), values(parts, -1);
      for (size_t i = 0; i < count; ++i) {
        in[i] = static_cast<int64_t>(i * 7919 % 10'007);
        expected[i] = in[i] + (i != 0 ? expected[i - 1] : carried ? before : 0);
      }
      uint64_t outcome = cuda::kAllRowsFine;
      const cuda::Column from = {reinterpret_cast<uint64_t>(in.data()), 8};
      const cuda::Column to = {reinterpret_cast<uint64_t>(out.data()), 8};
      const cuda::Column all = {reinterpret_cast<uint64_t>(values.data()), 8};
      const uint64_t carry = carried ? reinterpret_cast<uint64_t>(&before) : 0;
      cuda::ScanParameters parameters = {parts, kPart,   reinterpret_cast<uint64_t>(&outcome), from, to, 0, 0,
                                         count, all.data};
      parameters.flags = way / 2;  // kScanStaged or not
      ASSERT_TRUE(Launch(module, 0, &parameters, {.blocks = 3, .threads = 32}));
      EXPECT_EQ(values[0], expected[kPart - 1] - (carried ? before : 0));
      EXPECT_EQ(out, std::vector<int64_t>(count)) << "nothing but the values is written";
      cuda::ScanParameters middle = {1, parts, parameters.outcome, all, all, carry, 0, parts, 0};
      ASSERT_TRUE(Launch(module, 0, &middle, {.blocks = 1, .threads = 32}));
      EXPECT_EQ(values.back(), expected.back());
      parameters.values = 0;
      parameters.carry = carry;
      parameters.carries = all.data;
      ASSERT_TRUE(Launch(module, 0, &parameters, {.blocks = 3, .threads = 32}));
      EXPECT_EQ(out, expected) << count << " " << way;
    }
  }
}

// By blocks, by threads that go over columns, brought together by the block or not: the same bits.
TEST(CudaKernels, ReductionsOfSegmentsMeetTheSameWay) {
  CompileOptions options;
  options.entry = EntryKind::kReduce;
  const std::string_view code =
      "define double @add(double %a, double %b) {\n  %c = fadd double %a, %b\n  ret double %c\n}\n";
  const std::vector<FunctionDeclaration> declarations = {{"add", "float64(float64, float64)"}};
  ExpectAssembles(code, declarations, options);
  Simulated module(code, declarations, options);
  ASSERT_TRUE(module.ok());
  constexpr uint64_t kSegments = 3, kRun = 64, kOfBlock = kRun * cuda::kReduceThreads;
  for (const uint64_t rows : {1, 7, 64, 65, 1000, 16'384, 20'001}) {
    std::vector<double> data(kSegments * rows), columns(data.size());
    for (uint64_t s = 0; s < kSegments; ++s)
      for (uint64_t i = 0; i < rows; ++i)
        data[s * rows + i] = columns[i * kSegments + s] = std::sqrt(static_cast<double>(i * 31 + s)) * 1e-3;
    const uint64_t parts = (rows + kOfBlock - 1) / kOfBlock, runs = (rows + kRun - 1) / kRun;
    uint64_t outcome = cuda::kAllRowsFine;
    const auto reduce = [&](const std::vector<double>& from, int64_t stride, int64_t between, uint64_t count,
                            uint64_t run, uint64_t flags, uint64_t values) {
      std::vector<double> out(kSegments * values, -1);
      const cuda::ReduceParameters parameters = {count,
                                                 reinterpret_cast<uint64_t>(&outcome),
                                                 {reinterpret_cast<uint64_t>(from.data()), stride},
                                                 reinterpret_cast<uint64_t>(out.data()),
                                                 run,
                                                 kSegments,
                                                 between,
                                                 flags};
      const uint64_t blocks = (flags & cuda::kReduceAlone) != 0
                                  ? (kSegments * values + cuda::kReduceThreads - 1) / cuda::kReduceThreads
                                  : kSegments * values;
      const auto ran =
          Launch(module, 0, &parameters, {.blocks = static_cast<uint32_t>(blocks), .threads = cuda::kReduceThreads});
      EXPECT_TRUE(ran) << Message(ran);
      return out;
    };
    const auto row = static_cast<int64_t>(8 * rows);
    const auto plain = reduce(data, 8, row, rows, kRun, 0, parts);
    EXPECT_NEAR(plain[0],
                std::accumulate(data.begin(), data.begin() + static_cast<int64_t>(std::min(rows, kOfBlock)), 0.0),
                1e-9);
    EXPECT_EQ(reduce(data, 8, row, rows, kRun, cuda::kReduceStaged, parts), plain) << rows;
    const auto of_runs = reduce(columns, 8 * kSegments, 8, rows, kRun, cuda::kReduceAlone, runs);
    const auto joined = reduce(of_runs, 8, static_cast<int64_t>(8 * runs), runs, 1, 0, parts);
    EXPECT_EQ(joined, plain) << rows;
    EXPECT_EQ(reduce(of_runs, 8, static_cast<int64_t>(8 * runs), runs, 1, cuda::kReduceStaged, parts), plain) << rows;
    // A thread a segment.
    const auto alone = reduce(data, 8, row, rows, rows, cuda::kReduceAlone, 1);
    for (uint64_t s = 0; s < kSegments; ++s) {
      double sum = data[s * rows];
      for (uint64_t i = 1; i < rows; ++i) sum += data[s * rows + i];
      EXPECT_EQ(alone[s], sum) << "from first to last";
    }
    EXPECT_EQ(reduce(data, 8, row, rows, rows, cuda::kReduceAlone | cuda::kReduceStaged, 1), alone) << rows;
    EXPECT_EQ(outcome, cuda::kAllRowsFine);
  }
}

// Of the emitted IR of an entry's kernel: the same with a word printed before each load of an element: its address and
// the thread, as one number.
std::string TellingLoads(const std::string& ir) {
  static const std::regex load(R"(( *)%\S+ = load (double|i64), (ptr addrspace\(1\)|ptr) (%[\w.]+).*)");
  std::istringstream lines(ir);
  std::string out;
  int count = 0;
  for (std::string line; std::getline(lines, line); out += line + "\n") {
    std::smatch match;
    if (!std::regex_match(line, match, load)) continue;
    const std::string n = std::to_string(count++);
    out += "  %told.a" + n + " = ptrtoint " + match.str(3) + " " + match.str(4) + " to i64\n  %told.s" + n +
           " = shl i64 %told.a" + n + ", 10\n  %told.t" + n +
           " = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()\n  %told.z" + n + " = zext i32 %told.t" + n +
           " to i64\n  %told.v" + n + " = or i64 %told.s" + n + ", %told.z" + n + "\n  %told.r" + n +
           " = call i32 (ptr, ...) @printf(ptr @rbc_told, i64 %told.v" + n + ")\n";
  }
  EXPECT_GT(count, 0) << ir;
  return out + "@rbc_told = private constant [2 x i8] c\"x\\00\"\ndeclare i32 @printf(ptr, ...)\n";
}

// Which elements of `data` each thread loaded, in order.
std::vector<std::vector<uint64_t>> ToldLoads(const std::vector<double>& data, uint32_t threads) {
  std::vector<std::vector<uint64_t>> loads(threads);
  const auto begin = reinterpret_cast<uint64_t>(data.data());
  std::istringstream told(TakePrinted());
  for (std::string one; std::getline(told, one, ';');) {
    const uint64_t value = std::stoull(one.substr(one.find('|') + 1));
    const uint64_t element = (value / 1024 - begin) / sizeof(double);
    if (element < data.size()) loads.at(value % 1024).push_back(element);
  }
  return loads;
}

// Where runs lie side by side the threads of a block load pieces of 64 bytes, eight neighbouring threads each, so that
// no sector of memory is read for some of its bytes only; asked for threads' own runs they load far from each other.
TEST(CudaKernels, NeighbouringThreadsLoadNeighbouringElements) {
  constexpr uint64_t kRun = 64, kRows = kRun * cuda::kReduceThreads;
  CompileOptions options;
  options.entry = EntryKind::kReduce;
  options.emit = Emit::kIr;
  auto emitted =
      CompileCuda("define double @add(double %a, double %b) {\n  %c = fadd double %a, %b\n  ret double %c\n}\n",
                  {{"add", "float64(float64, float64)"}}, options);
  ASSERT_TRUE(emitted) << Message(emitted);
  Simulated module(
      TellingLoads(emitted->code),
      {{"rbc_reduce_0", "void(int64, int64*, float64*, int64, float64*, int64, int64, int64, int64)", Abi::kKernel}});
  ASSERT_TRUE(module.ok());
  const std::vector<double> data(kRows, 1);
  for (const uint64_t flags : {uint64_t{cuda::kReduceStaged}, uint64_t{0}}) {
    uint64_t outcome = cuda::kAllRowsFine;
    double sum = 0;
    const cuda::ReduceParameters parameters = {kRows,
                                               reinterpret_cast<uint64_t>(&outcome),
                                               {reinterpret_cast<uint64_t>(data.data()), 8},
                                               reinterpret_cast<uint64_t>(&sum),
                                               kRun,
                                               1,
                                               0,
                                               flags};
    TakePrinted();
    const auto run = Launch(module, 0, &parameters, {.blocks = 1, .threads = cuda::kReduceThreads});
    ASSERT_TRUE(run) << Message(run);
    EXPECT_EQ(sum, kRows);
    const auto loads = ToldLoads(data, cuda::kReduceThreads);
    uint64_t neighbours = 0, all = 0;
    for (uint32_t thread = 0; thread + 1 < cuda::kReduceThreads; ++thread) {
      ASSERT_EQ(loads[thread].size(), kRun) << thread;
      if (thread % 8 == 7) continue;
      for (size_t i = 0; i < kRun; ++i, ++all) neighbours += loads[thread + 1][i] == loads[thread][i] + 1;
    }
    EXPECT_EQ(neighbours, flags != 0 ? all : 0) << "of " << all;
  }
}

// A worker compiles one module after the other: nothing of one may show in the next.
TEST(CudaKernels, PtxDoesNotDependOnWhatCameBefore) {
  const std::vector<FunctionDeclaration> reverse = {{"reverse", "void(int32*, int32*)", Abi::kKernel}};
  const std::vector<FunctionDeclaration> count = {{"count", "void(int32*, int32*)", Abi::kKernel}};
  auto first = CompileCuda(kSpin, count, ForPtx(90));
  ASSERT_TRUE(first) << Message(first);
  for (int i = 0; i < 200; ++i) {
    auto with_shared = CompileCuda(kReverse, reverse, ForPtx(90));
    ASSERT_TRUE(with_shared) << Message(with_shared);
    auto again = CompileCuda(kSpin, count, ForPtx(90));
    ASSERT_TRUE(again) << Message(again);
    ASSERT_EQ(again->code, first->code) << i;
  }
}

TEST(CudaKernels, BoundsOfABlockAreKept) {
  constexpr std::string_view kBounded = R"(
define ptx_kernel void @k(ptr %p) #0 {
  store i32 1, ptr %p
  ret void
}
attributes #0 = { "nvvm.maxntid"="16,8,1" }
)";
  auto artifact = CompileCuda(kBounded, {{"k", "void(int32*)", Abi::kKernel}}, ForPtx(80));
  ASSERT_TRUE(artifact) << Message(artifact);
  EXPECT_EQ(artifact->entries[0].max_threads, 128u);
  EXPECT_THAT(artifact->code, HasSubstr(".maxntid 16, 8, 1"));
  EXPECT_EQ(AssemblerComplaint(artifact->code, 80), "");
}

TEST(CudaKernels, StructsTravelInParameters) {
  // A struct of {double, int} in memory, as clang passes it, then a pointer.
  constexpr std::string_view kStruct = R"(
define ptx_kernel void @k(ptr byval({ double, i32 }) align 8 %s, ptr %out) {
  %a = load double, ptr %s
  %p = getelementptr { double, i32 }, ptr %s, i32 0, i32 1
  %b = load i32, ptr %p
  %c = sitofp i32 %b to double
  %d = fadd double %a, %c
  store double %d, ptr %out
  ret void
}
)";
  const std::vector<FunctionDeclaration> declarations = {{"k", "void({float64, int32}, float64*)", Abi::kKernel}};
  ExpectAssembles(kStruct, declarations);
  Simulated module(kStruct, declarations);
  ASSERT_TRUE(module.ok());
  double out = 0;
  const struct {
    double a;
    int32_t b;
    double* out;
  } parameters = {1.5, 2, &out};
  ASSERT_EQ(module.artifact().entries[0].parameter_bytes, sizeof parameters);
  auto run = Launch(module, 0, &parameters, {});
  ASSERT_TRUE(run) << Message(run);
  EXPECT_EQ(out, 3.5);
}

TEST(CudaKernels, AKernelMustFitItsDeclaration) {
  const std::pair<FunctionDeclaration, const char*> kCases[] = {
      {{"reverse", "void(int32*)", Abi::kKernel}, "the kernel takes 2 IR parameters, the signature has 1"},
      {{"reverse", "void(int32*, int32)", Abi::kKernel}, "parameter 2 is expected as i32, found is ptr"},
      {{"reverse", "int32(int32*, int32*)", Abi::kKernel}, "a kernel returns nothing"},
      {{"reverse", "void(int32*, int32*)"}, "'reverse' is a kernel: declare it with abi kernel"},
  };
  for (const auto& [declaration, message] : kCases) {
    auto artifact = CompileCuda(kReverse, {declaration}, ForPtx(90));
    ASSERT_FALSE(artifact);
    EXPECT_THAT(Message(artifact), HasSubstr(message));
  }
}

TEST(CudaKernels, WhatASimulatorCannotDoIsNamed) {
  constexpr std::string_view kAssembly =
      "define void @f() {\n  call void asm sideeffect \"bar.sync 0;\", \"\"()\n  ret void\n}\n";
  CompileOptions options;
  options.simulate = true;
  options.allow_inline_asm = true;
  auto artifact = CompileCuda(kAssembly, {{"f", "void()"}}, options);
  ASSERT_FALSE(artifact);
  EXPECT_EQ(artifact.error().kind, ErrorKind::kUnsupported);
  EXPECT_THAT(Message(artifact), HasSubstr("'inline assembly' cannot be simulated; it needs a GPU"));
}

}  // namespace
}  // namespace rbc::testing
