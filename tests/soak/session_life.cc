// One life of a session.
// SPDX-License-Identifier: Apache-2.0
#include "tests/soak/session_life.h"

#include <algorithm>
#include <numeric>

namespace rbc::harness {
namespace {

constexpr char kFunctions[] = R"(
define i64 @scale(i64 %x) {
  %r = mul i64 %x, FACTOR
  ret i64 %r
}
define i64 @sum(i64 %x, i64 %y) {
  %r = add i64 %x, %y
  ret i64 %r
}
define i64 @last(i64 %x, i64 %y) {
  ret i64 %y
}
define i64 @scale_all(ptr %x, i64 %n, i64 %stride) {
  %some = icmp sgt i64 %n, 0
  br i1 %some, label %each, label %end
each:
  %i = phi i64 [0, %0], [%next, %each]
  %sum = phi i64 [0, %0], [%more, %each]
  %offset = mul nsw i64 %i, %stride
  %at = getelementptr inbounds i8, ptr %x, i64 %offset
  %value = load i64, ptr %at
  %scaled = mul i64 %value, FACTOR
  store i64 %scaled, ptr %at
  %more = add i64 %sum, %scaled
  %next = add i64 %i, 1
  %again = icmp slt i64 %next, %n
  br i1 %again, label %each, label %end
end:
  %total = phi i64 [0, %0], [%more, %each]
  ret i64 %total
}
define i64 @boom(i64 %x) {
  store volatile i64 %x, ptr null
  ret i64 %x
}
@turning = internal global i32 0
define i64 @endless(i64 %x) {
  br label %again
again:
  %one = load volatile i32, ptr @turning
  br label %again
}
)";
constexpr char kKernel[] = R"(
declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()
declare void @llvm.nvvm.barrier.cta.sync.aligned.all(i32)
@slots = internal addrspace(3) global [64 x i64] poison, align 8
define ptx_kernel void @reverse(ptr %data) {
  %tid = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %mine = getelementptr inbounds i64, ptr %data, i32 %tid
  %value = load i64, ptr %mine
  %slot = getelementptr inbounds i64, ptr addrspace(3) @slots, i32 %tid
  store i64 %value, ptr addrspace(3) %slot
  call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)
  %other = sub i32 63, %tid
  %from = getelementptr inbounds i64, ptr addrspace(3) @slots, i32 %other
  %reversed = load i64, ptr addrspace(3) %from
  store i64 %reversed, ptr %mine
  ret void
}
)";

std::string SourceFor(bool gpu, int64_t factor) {
  std::string text = kFunctions;
  for (size_t at; (at = text.find("FACTOR")) != std::string::npos;) text.replace(at, 6, std::to_string(factor));
  return gpu ? text + kKernel : text;  // a host module has no such intrinsics
}

RemoteJIT::Options OptionsFor(bool gpu) {
  RemoteJIT::Options options;
  options.target = gpu ? "cuda" : "host";
  return options;
}

}  // namespace

SessionLife::SessionLife(const std::string& address, bool gpu, uint64_t seed)
    : gpu_(gpu),
      random_(seed),
      factor_(static_cast<int64_t>(random_() % 1'000'000 + 2)),
      source_(Source::Ir(SourceFor(gpu, factor_))),
      jit_(address, OptionsFor(gpu)) {}

int SessionLife::Live() {
  std::vector<void (SessionLife::*)()> deeds = {&SessionLife::Call,         &SessionLife::Map,  &SessionLife::MapArrays,
                                                &SessionLife::Reduce,       &SessionLife::Scan, &SessionLife::Buffers,
                                                &SessionLife::ArrayFunction};
  if (gpu_) deeds.insert(deeds.end(), {&SessionLife::Kernel, &SessionLife::Residents});
  if (random_() % 4 == 0) deeds.push_back(&SessionLife::Crash);
  if (random_() % 16 == 0) deeds.push_back(&SessionLife::Overrun);
  std::shuffle(deeds.begin(), deeds.end(), random_);
  for (const auto deed : deeds) (this->*deed)();
  Call();
  return wrong_;
}

std::vector<int64_t> SessionLife::Numbers(size_t most) {
  std::vector<int64_t> out(random_() % most + 1);
  for (auto& value : out) value = static_cast<int64_t>(random_() % 1'000'000) - 500'000;
  return out;
}

Caller SessionLife::Named(const std::string& name, const std::string& signature, CallAbi abi) {
  FunctionOptions options;
  options.abi = abi;
  return jit_.function(source_, name, {signature}, options);
}

void SessionLife::Call() {
  const auto scale = Named("scale", "int64(int64)").as<int64_t(int64_t)>();
  for (int i = 0; i < 10; ++i) Expect(scale(i) == i * factor_);
}

void SessionLife::Map() {
  const auto rows = Numbers(5000);
  const auto mapped = Named("scale", "int64(int64)").as<int64_t(int64_t)>().map(rows);
  for (size_t i = 0; i < rows.size(); ++i) Expect(mapped[i] == rows[i] * factor_);
}

// A row and a column stretch to a matrix.
void SessionLife::MapArrays() {
  const auto row = Numbers(200), column = Numbers(50);
  const auto height = static_cast<int64_t>(column.size());
  const auto sums = Named("sum", "int64(int64, int64)")
                        .map_arrays({ArrayArgument::Of(row), ArrayArgument::Of(std::span(column), {height, 1})});
  const auto values = sums.as<int64_t>();
  for (size_t i = 0; i < values.size(); ++i) Expect(values[i] == row[i % row.size()] + column[i / row.size()]);
}

void SessionLife::Reduce() {
  const auto x = Numbers(30'000);
  ArrayReduceOptions options;
  options.ordered = random_() % 2 == 0;
  const auto sum = Named("sum", "int64(int64, int64)").reduce(ArrayArgument::Of(x), options).as<int64_t>();
  Expect(sum.at(0) == std::accumulate(x.begin(), x.end(), int64_t{0}));
  const auto last = Named("last", "int64(int64, int64)").reduce(ArrayArgument::Of(x), options).as<int64_t>();
  Expect(last.at(0) == x.back());
}

void SessionLife::Scan() {
  const auto x = Numbers(30'000);
  std::vector<int64_t> expected(x.size());
  std::partial_sum(x.begin(), x.end(), expected.begin());
  Expect(Named("sum", "int64(int64, int64)").scan(ArrayArgument::Of(x)).as<int64_t>() == expected);
}

// From one buffer into another one; both are freed.
void SessionLife::Buffers() {
  const auto x = Numbers(20'000);
  const Buffer in = jit_.to_device(x), out = jit_.empty<int64_t>({static_cast<int64_t>(x.size())});
  const auto argument = [](const Buffer& buffer) {
    return ArrayArgument{buffer.dtype(), nullptr, buffer.shape(), buffer.strides(), buffer.id(), buffer.offset()};
  };
  ArrayMapOptions options;
  options.out = argument(out);
  Named("scale", "int64(int64)").map_arrays({argument(in)}, options);
  const auto values = out.to_host<int64_t>();
  for (size_t i = 0; i < x.size(); ++i) Expect(values[i] == x[i] * factor_);
}

void SessionLife::ArrayFunction() {
  const auto before = Numbers(3000);
  auto x = before;
  const int64_t sum = Named("scale_all", "int64(int64[:])")(std::span(x)).as<int64_t>();
  Expect(sum == std::accumulate(before.begin(), before.end(), int64_t{0}) * factor_);
  for (size_t i = 0; i < x.size(); ++i) Expect(x[i] == before[i] * factor_);
}

void SessionLife::Kernel() {
  std::vector<int64_t> data(64);
  for (int64_t i = 0; i < 64; ++i) data[static_cast<size_t>(i)] = i * factor_;
  Named("reverse", "void(int64*)", CallAbi::kKernel).launch({{1}, {64}, 0}, data);
  for (int64_t i = 0; i < 64; ++i) Expect(data[static_cast<size_t>(i)] == (63 - i) * factor_);
}

// Arrays of the GPU's memory through every kind of request; a fault loses them, by name.
void SessionLife::Residents() {
  const auto x = Numbers(60'000);
  const auto count = static_cast<int64_t>(x.size());
  const Buffer in = jit_.to_device(x, {.name = "in", .target = "cuda"}),
               out = jit_.empty<int64_t>({count}, {.target = "cuda"});
  Named("scale", "int64(int64)").as<int64_t(int64_t)>().map_into(out, in);
  const int64_t sum = std::accumulate(x.begin(), x.end(), int64_t{0}) * factor_;
  Expect(Named("sum", "int64(int64, int64)").reduce(ArrayArgument::Of(out)).as<int64_t>().at(0) == sum);
  Expect(Named("last", "int64(int64, int64)").reduce(ArrayArgument::Of(in)).as<int64_t>().at(0) == x.back());
  Expect(Named("scale_all", "int64(int64[:])")(in.slice(0, count - 1, -1, -1)).as<int64_t>() == sum);
  Expect(in.to_host<int64_t>() == out.to_host<int64_t>());
  if (count >= 64) {
    const Buffer here = out.slice(0, count - 64, count).to_target("host");
    const auto reverse = Named("reverse", "void(int64*)", CallAbi::kKernel);
    reverse.launch({{1}, {64}, 0}, out.slice(0, count - 64, count));
    reverse.launch({{1}, {64}, 0}, here);  // brought there and back
    Expect(here.to_host<int64_t>() == out.slice(0, count - 64, count).to_host<int64_t>());
    for (int64_t i = 0; i < 64; ++i) Expect(here.span<int64_t>()[static_cast<size_t>(i)] == x[count - 1 - i] * factor_);
  }
  if (random_() % 4 != 0) return;
  Crash();
  try {
    (void)in.to_host<int64_t>();
    Expect(false);
  } catch (const Exception& exception) {
    Expect(exception.kind() == ErrorKind::kBufferLost);
    Expect(exception.error().message.find("\"in\"") != std::string::npos);
  }
}

void SessionLife::Crash() {
  const auto crash = Named("boom", "int64(int64)").try_call({::rbc::Value(1)});
  Expect(!crash && crash.error().kind == ErrorKind::kRemoteCrash);
}

void SessionLife::Overrun() {
  const auto endless = Named("endless", "int64(int64)").with_timeout(std::chrono::milliseconds(1000));
  const auto stopped = endless.try_call({::rbc::Value(1)});
  Expect(!stopped && stopped.error().kind == ErrorKind::kDeadlineExceeded);
}

}  // namespace rbc::harness
