// What functions compute through their entry points: every scalar, abi, level and kind of module.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <complex>

#include "tests/targets/clang.h"
#include "tests/targets/harness.h"

namespace rbc::testing {
namespace {

using ::testing::HasSubstr;
using Complex = std::complex<double>;

CompileOptions Level(uint8_t level) {
  CompileOptions options;
  options.opt_level = level;
  return options;
}

class Levels : public ::testing::TestWithParam<int> {
 protected:
  CompileOptions options() const { return Level(GetParam()); }
};
INSTANTIATE_TEST_SUITE_P(O, Levels, ::testing::Range(0, 4));

// The notebook's module, cell 12, completed: typed pointers, an old data layout, numba's CPU calling convention.
constexpr std::string_view kNotebook = R"(
; ModuleID = 'add'
source_filename = "<ipython-input-4-47cad48366e9>"
target datalayout = "e-m:e-i64:64-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"

@"_ZN08NumbaEnv8__main__7add$244Edd" = common local_unnamed_addr global i8* null
@"_ZN08NumbaEnv8__main__7add$245Exx" = common local_unnamed_addr global i8* null
@"_ZN08NumbaEnv8__main__7add$246E10complex12810complex128" = common local_unnamed_addr global i8* null

; Function Attrs: norecurse nounwind
define i32 @"_ZN8__main__7add$244Edd"(double* noalias nocapture %retptr, { i8*, i32 }** noalias nocapture readnone %excinfo, double %arg.a, double %arg.b) local_unnamed_addr #0 {
entry:
  %.16 = fadd double %arg.a, %arg.b
  store double %.16, double* %retptr, align 8
  ret i32 0
}

; Function Attrs: norecurse nounwind readnone
define double @add_daddA(double %.1, double %.2) local_unnamed_addr #1 {
entry:
  %.16.i = fadd double %.1, %.2
  ret double %.16.i
}

; Function Attrs: norecurse nounwind
define i32 @"_ZN8__main__7add$245Exx"(i64* noalias nocapture %retptr, { i8*, i32 }** noalias nocapture readnone %excinfo, i64 %arg.a, i64 %arg.b) local_unnamed_addr #0 {
entry:
  %.16 = add nsw i64 %arg.b, %arg.a
  store i64 %.16, i64* %retptr, align 8
  ret i32 0
}

; Function Attrs: norecurse nounwind readnone
define i64 @add_lallA(i64 %.1, i64 %.2) local_unnamed_addr #1 {
entry:
  %.16.i = add nsw i64 %.2, %.1
  ret i64 %.16.i
}

define i32 @"_ZN8__main__7add$246E10complex12810complex128"({ double, double }* noalias nocapture %retptr, { i8*, i32 }** noalias nocapture readnone %excinfo, double %arg.a.0, double %arg.a.1, double %arg.b.0, double %arg.b.1) local_unnamed_addr #0 {
entry:
  %.re = fadd double %arg.a.0, %arg.b.0
  %.im = fadd double %arg.a.1, %arg.b.1
  %retptr.re = getelementptr inbounds { double, double }, { double, double }* %retptr, i64 0, i32 0
  store double %.re, double* %retptr.re, align 8
  %retptr.im = getelementptr inbounds { double, double }, { double, double }* %retptr, i64 0, i32 1
  store double %.im, double* %retptr.im, align 8
  ret i32 0
}

define { double, double } @add_DaDDA({ double, double } %.1, { double, double } %.2) local_unnamed_addr #1 {
entry:
  %a.re = extractvalue { double, double } %.1, 0
  %a.im = extractvalue { double, double } %.1, 1
  %b.re = extractvalue { double, double } %.2, 0
  %b.im = extractvalue { double, double } %.2, 1
  %re = fadd double %a.re, %b.re
  %im = fadd double %a.im, %b.im
  %half = insertvalue { double, double } undef, double %re, 0
  %whole = insertvalue { double, double } %half, double %im, 1
  ret { double, double } %whole
}

attributes #0 = { norecurse nounwind }
attributes #1 = { norecurse nounwind readnone }
)";

TEST_P(Levels, TheNotebooksModuleRuns) {
  Loaded module(
      kNotebook,
      {{"add_daddA", "float64(float64, float64)"},
       {"add_lallA", "int64(int64, int64)"},
       {"add_DaDDA", "complex128(complex128, complex128)"},
       {"_ZN8__main__7add$244Edd", "float64(float64, float64)", Abi::kStatusRetptr},
       {"_ZN8__main__7add$245Exx", "int64(int64, int64)", Abi::kStatusRetptr},
       {"_ZN8__main__7add$246E10complex12810complex128", "complex128(complex128, complex128)", Abi::kStatusRetptr}},
      options());
  ASSERT_TRUE(module.ok());
  EXPECT_EQ(module.Run<double>(0, 1.5, 2.0), 3.5);
  EXPECT_EQ(module.Run<int64_t>(1, int64_t{1}, int64_t{2}), 3);
  EXPECT_EQ(module.Run<Complex>(2, Complex(0, 1), Complex(2, 0)), Complex(2, 1));
  EXPECT_EQ(module.Run<double>(3, 1.5, 2.0), 3.5);
  EXPECT_EQ(module.Run<int64_t>(4, int64_t{1}, int64_t{2}), 3);
  EXPECT_EQ(module.Run<Complex>(5, Complex(0, 1), Complex(2, 0)), Complex(2, 1));
  EXPECT_EQ(module.status(), 0);
}

constexpr std::string_view kScalars = R"(
define i1 @not(i1 %a) {
  %b = xor i1 %a, true
  ret i1 %b
}
define i8 @not8(i8 %a) {
  %b = xor i8 %a, 1
  ret i8 %b
}
define i8 @byte(i8 %a) {
  %b = add i8 %a, 1
  ret i8 %b
}
define i128 @wide(i128 %a, i128 %b) {
  %c = sdiv i128 %a, %b
  ret i128 %c
}
define half @half(half %a) {
  %b = fadd half %a, %a
  ret half %b
}
define x86_fp80 @long(x86_fp80 %a) {
  %b = fadd x86_fp80 %a, %a
  ret x86_fp80 %b
}
define {float, float} @swap({float, float} %a) {
  %x = extractvalue {float, float} %a, 0
  %y = extractvalue {float, float} %a, 1
  %b = insertvalue {float, float} poison, float %y, 0
  %c = insertvalue {float, float} %b, float %x, 1
  ret {float, float} %c
}
define {i8, {i1, double}, i16} @nest({i8, {i1, double}, i16} %a) {
  ret {i8, {i1, double}, i16} %a
}
define i64 @none() {
  ret i64 42
}
define void @nothing(i32 %a) {
  ret void
}
)";

TEST_P(Levels, EveryDirectScalar) {
  Loaded module(kScalars,
                {{"not", "bool(bool)"},
                 {"not8", "bool(bool)"},
                 {"byte", "uint8(uint8)"},
                 {"wide", "int128(int128, int128)"},
                 {"half", "float16(float16)"},
                 {"long", "float128(float128)"},
                 {"swap", "complex64(complex64)"},
                 {"nest", "{int8, {bool, float64}, int16}({int8, {bool, float64}, int16})"},
                 {"none", "int64()"},
                 {"nothing", "void(int32)"}},
                options());
  ASSERT_TRUE(module.ok());
  EXPECT_EQ(module.Run<uint8_t>(0, uint8_t{0}), 1);
  EXPECT_EQ(module.Run<uint8_t>(0, uint8_t{1}), 0);
  EXPECT_EQ(module.Run<uint8_t>(0, uint8_t{4}), 0) << "any byte but zero is true";
  EXPECT_EQ(module.Run<uint8_t>(1, uint8_t{0}), 1);
  EXPECT_EQ(module.Run<uint8_t>(2, uint8_t{255}), 0);
  const __int128 big = static_cast<__int128>(-7) << 70;
  EXPECT_TRUE((module.Run<__int128>(3, big, __int128{7}) == (static_cast<__int128>(-1) << 70)));
  EXPECT_EQ(module.Run<uint16_t>(4, uint16_t{0x3E00}), 0x4200) << "1.5 + 1.5 is 3 in half precision";
  EXPECT_EQ(module.Run<long double>(5, 1.25L), 2.5L);
  struct Padded {
    long double value;
  } padded = {1.25L};
  struct Bytes {
    uint8_t bytes[16];
  };
  const auto bytes = module.Run<Bytes>(5, padded);
  for (int i = 10; i < 16; ++i) EXPECT_EQ(bytes.bytes[i], 0) << "padding of a long double is zero";
  EXPECT_EQ(module.Run<std::complex<float>>(6, std::complex<float>(1, 2)), std::complex<float>(2, 1));
  struct Nest {
    int8_t a;
    alignas(8) bool b;
    double c;
    int16_t d;
  };
  const auto nest = module.Run<Nest>(7, Nest{-1, true, 2.5, 300});
  EXPECT_EQ(nest.a, -1);
  EXPECT_TRUE(nest.b);
  EXPECT_EQ(nest.c, 2.5);
  EXPECT_EQ(nest.d, 300);
  EXPECT_EQ(module.Run<int64_t>(8), 42);
  module.Run<int64_t>(9, 1);
  EXPECT_EQ(module.status(), 0);
}

constexpr std::string_view kCells = R"(
declare i64 @strlen(ptr)
define i64 @len(ptr %s) {
  %n = call i64 @strlen(ptr %s)
  ret i64 %n
}
define void @double(ptr %x, i32 %n) {
entry:
  %any = icmp sgt i32 %n, 0
  br i1 %any, label %loop, label %exit
loop:
  %i = phi i32 [ 0, %entry ], [ %next, %loop ]
  %p = getelementptr double, ptr %x, i32 %i
  %v = load double, ptr %p
  %w = fmul double %v, 2.0
  store double %w, ptr %p
  %next = add i32 %i, 1
  %more = icmp slt i32 %next, %n
  br i1 %more, label %loop, label %exit
exit:
  ret void
}
define i1 @isnull(ptr %x) {
  %n = icmp eq ptr %x, null
  ret i1 %n
}
@text = constant [3 x i8] c"ok\00"
define ptr @text_of() {
  ret ptr @text
}
)";

TEST_P(Levels, PointersAndStringsAreCellsOfTheFrame) {
  Loaded module(kCells,
                {{"len", "uint64(string)"},
                 {"double", "void(float64*, int32)"},
                 {"isnull", "bool(int32*)"},
                 {"text_of", "string()"}},
                options());
  ASSERT_TRUE(module.ok());
  struct alignas(16) Frame {
    types::FrameCell cell;
    int32_t n = 3;
    char text[16] = "abcde";
    double values[3] = {1, 2, 3};
  } frame;
  frame.cell = {offsetof(Frame, text), 5};
  uint64_t length = 0;
  EXPECT_EQ(module.Call(0, &frame, &length), 0);
  EXPECT_EQ(length, 5u);
  frame.cell = {offsetof(Frame, values), sizeof frame.values};
  EXPECT_EQ(module.Call(1, &frame, &length), 0);
  EXPECT_EQ(frame.values[2], 6);
  uint8_t is_null = 9;
  module.Call(2, &frame, &is_null);
  EXPECT_EQ(is_null, 0);
  frame.cell = {types::kNullOffset, 0};
  module.Call(2, &frame, &is_null);
  EXPECT_EQ(is_null, 1);
  const char* text = nullptr;
  module.Call(3, &frame, &text);
  EXPECT_STREQ(text, "ok");
  const auto& entries = module.artifact().entries;
  EXPECT_TRUE(entries[3].result_is_string);
  EXPECT_EQ(entries[3].result_size, 8u);
  ASSERT_EQ(entries[0].cells.size(), 1u);
  EXPECT_EQ(entries[0].cells[0].second, EntryPoint::Cell::kString);
  EXPECT_EQ(entries[1].cells[0].second, EntryPoint::Cell::kPointer);
}

TEST_P(Levels, StatusTravelsBesideTheResult) {
  Loaded module(R"(
define i32 @div(ptr %result, i64 %a, i64 %b) {
  %zero = icmp eq i64 %b, 0
  br i1 %zero, label %bad, label %good
bad:
  ret i32 7
good:
  %q = sdiv i64 %a, %b
  store i64 %q, ptr %result
  ret i32 0
}
define i32 @positive(ptr %result, ptr %exception, double %a) {
  %b = fcmp ogt double %a, 0.0
  %c = zext i1 %b to i8
  store i8 %c, ptr %result
  ret i32 0
}
define i32 @none(ptr %result, ptr %exception) {
  store ptr null, ptr %result
  ret i32 -2
}
)",
                {{"div", "int64(int64, int64)", Abi::kStatusRetptr},
                 {"positive", "bool(float64)", Abi::kStatusRetptr},
                 {"none", "void()", Abi::kStatusRetptr}},
                options());
  ASSERT_TRUE(module.ok());
  EXPECT_EQ(module.Run<int64_t>(0, int64_t{42}, int64_t{-6}), -7);
  EXPECT_EQ(module.status(), 0);
  EXPECT_EQ(module.Run<int64_t>(0, int64_t{42}, int64_t{0}), 0) << "no leftovers of the stack";
  EXPECT_EQ(module.status(), 7);
  EXPECT_EQ(module.Run<uint8_t>(1, 0.5), 1);
  module.Run<int64_t>(2);
  EXPECT_EQ(module.status(), -2);
}

TEST_P(Levels, ConstructorsRunInOrderOfPriority) {
  Loaded module(R"(
@order = global i64 0
@llvm.global_ctors = appending global [3 x { i32, ptr, ptr }] [{ i32, ptr, ptr } { i32 65535, ptr @last, ptr null }, { i32, ptr, ptr } { i32 101, ptr @first, ptr null }, { i32, ptr, ptr } { i32 65535, ptr @very_last, ptr null }]
@llvm.global_dtors = appending global [1 x { i32, ptr, ptr }] [{ i32, ptr, ptr } { i32 65535, ptr @clear, ptr null }]
define internal void @append(i64 %digit) {
  %a = load i64, ptr @order
  %b = mul i64 %a, 10
  %c = add i64 %b, %digit
  store i64 %c, ptr @order
  ret void
}
define internal void @first() {
  call void @append(i64 1)
  ret void
}
define internal void @last() {
  call void @append(i64 2)
  ret void
}
define internal void @very_last() {
  call void @append(i64 3)
  ret void
}
define internal void @clear() {
  store i64 0, ptr @order
  ret void
}
define i64 @get() {
  %a = load i64, ptr @order
  ret i64 %a
}
)",
                {{"get", "int64()"}}, options());
  ASSERT_TRUE(module.ok());
  EXPECT_EQ(module.Run<int64_t>(0), 123);
  EXPECT_TRUE(module.artifact().stateful);
  EXPECT_FALSE(module.artifact().repeatable);
  reinterpret_cast<void (*)()>(module.module().Symbol(module.artifact().destructors))();
  EXPECT_EQ(module.Run<int64_t>(0), 0);
}

TEST_P(Levels, FunctionsNamedLikeTheLibrarysAreTheClients) {
  Loaded module(R"(
define double @trunc(double %a) {
  %b = fadd double %a, 1.0
  ret double %b
}
define double @sin(double %a) {
  ret double 7.0
}
define ptr @memcpy(ptr %to, ptr %from, i64 %n) {
  ret ptr null
}
declare double @llvm.sin.f64(double)
define double @both(double %a) {
  %b = call double @sin(double %a)
  %c = call double @llvm.sin.f64(double %a)
  %d = fadd double %b, %c
  ret double %d
}
define i1 @copies(ptr %to) {
  %a = call ptr @memcpy(ptr %to, ptr %to, i64 8)
  %b = icmp eq ptr %a, null
  ret i1 %b
}
)",
                {{"trunc", "float64(float64)"},
                 {"sin", "float64(float64)"},
                 {"both", "float64(float64)"},
                 {"copies", "bool(int8*)"}},
                options());
  ASSERT_TRUE(module.ok());
  EXPECT_EQ(module.Run<double>(0, 1.5), 2.5);
  EXPECT_EQ(module.Run<double>(1, 1.5), 7.0);
  EXPECT_EQ(module.Run<double>(2, 1.5), 7.0 + std::sin(1.5));
  EXPECT_EQ(module.Run<uint8_t>(3, uint64_t{0}), 1);
}

TEST_P(Levels, RecursionAndLibraryCalls) {
  Loaded module(R"(
declare double @pow(double, double)
define i64 @fib(i64 %n) {
  %small = icmp slt i64 %n, 2
  br i1 %small, label %done, label %more
done:
  ret i64 %n
more:
  %a = sub i64 %n, 1
  %b = sub i64 %n, 2
  %x = call i64 @fib(i64 %a)
  %y = call i64 @fib(i64 %b)
  %z = add i64 %x, %y
  ret i64 %z
}
define double @power(double %a, double %b) {
  %c = call double @pow(double %a, double %b)
  ret double %c
}
)",
                {{"fib", "int64(int64)"}, {"power", "float64(float64, float64)"}}, options());
  ASSERT_TRUE(module.ok());
  EXPECT_EQ(module.Run<int64_t>(0, int64_t{15}), 610);
  EXPECT_EQ(module.Run<double>(1, 2.5, 3.5), std::pow(2.5, 3.5));
  EXPECT_TRUE(module.artifact().repeatable) << "pow() has no effect but errno";
}

TEST_P(Levels, NothingIsFusedUnlessAsked) {
  constexpr std::string_view kFused = R"(
declare double @llvm.fmuladd.f64(double, double, double)
define double @mad(double %a, double %b, double %c) {
  %d = call double @llvm.fmuladd.f64(double %a, double %b, double %c)
  ret double %d
}
define double @constant() {
  %d = call double @llvm.fmuladd.f64(double 0x3FF0000000000001, double 0x3FF0000000000001, double -1.0)
  ret double %d
}
)";
  Loaded module(kFused, {{"mad", "float64(float64, float64, float64)"}, {"constant", "float64()"}}, options());
  ASSERT_TRUE(module.ok());
  const double a = 0x1.0000000000001p0;
  volatile double product = a * a;
  EXPECT_EQ(module.Run<double>(0, a, a, -1.0), product - 1.0);
  EXPECT_EQ(module.Run<double>(1), product - 1.0) << "the optimiser's own arithmetic gives the same";
}

TEST(Semantics, BitcodeAndTextOfClangRun) {
  if (!HasClang()) GTEST_SKIP() << "no clang on this machine";
  constexpr std::string_view kSource = R"(
    #include <stddef.h>
    double sin(double);
    static int table[4] = {1, 2, 3, 4};
    int pick(int i) { return table[i & 3]; }
    double wave(double x) { return sin(x) * 2; }
    int state(void) { static int calls; return ++calls; }
    size_t length(const char* s) { size_t n = 0; while (s[n]) ++n; return n; }
  )";
  for (const char* flags :
       {"-O0", "-O2", "-O0 -S", "-O2 -S", "-O2 -g",
        "-O1 -fPIC -fstack-protector-all -fno-omit-frame-pointer -march=native", "-O2 -S -Xclang -opaque-pointers"}) {
    SCOPED_TRACE(flags);
    const auto ir = ClangModule(kSource, flags);
    for (uint8_t level = 0; level <= 3; ++level) {
      Loaded module(ir,
                    {{"pick", "int32(int32)", Abi::kSysv},
                     {"wave", "float64(float64)", Abi::kSysv},
                     {"state", "int32()", Abi::kSysv}},
                    Level(level));
      ASSERT_TRUE(module.ok());
      EXPECT_EQ(module.Run<int32_t>(0, 6), 3);
      EXPECT_EQ(module.Run<double>(1, 0.5), std::sin(0.5) * 2);
      EXPECT_EQ(module.Run<int32_t>(2), 1);
      EXPECT_EQ(module.Run<int32_t>(2), 2) << "globals live between calls";
      EXPECT_TRUE(module.artifact().stateful);
    }
  }
}

TEST(Semantics, EmitsAssemblyAndIr) {
  constexpr std::string_view kIr = "define i64 @inc(i64 %a) {\n  %b = add i64 %a, 1\n  ret i64 %b\n}\n";
  CompileOptions options;
  options.emit = Emit::kAssembly;
  auto assembly = Compile(kIr, {{"inc", "int64(int64)"}}, options);
  ASSERT_TRUE(assembly) << Message(assembly);
  EXPECT_THAT(assembly->code, HasSubstr("inc:"));
  EXPECT_THAT(assembly->code, HasSubstr("ret"));
  EXPECT_TRUE(assembly->entries.empty());
  options.emit = Emit::kIr;
  auto ir = Compile(kIr, {}, options);
  ASSERT_TRUE(ir) << Message(ir);
  EXPECT_THAT(ir->code, HasSubstr("@inc(i64"));
  EXPECT_TRUE(Compile(ir->code, {{"inc", "int64(int64)"}})) << "what is printed reads again";
  options.emit = Emit::kPtx;
  auto ptx = Compile(kIr, {{"inc", "int64(int64)"}}, options);
  ASSERT_FALSE(ptx);
  EXPECT_EQ(ptx.error().kind, ErrorKind::kUnsupported);
}

TEST(Semantics, NamesTheFunctionAtAnAddress) {
  Loaded module(R"(
define i64 @outer(i64 %a) {
  %b = call i64 @inner(i64 %a)
  ret i64 %b
}
define internal i64 @inner(i64 %a) noinline {
  %b = mul i64 %a, %a
  ret i64 %b
}
)",
                {{"outer", "int64(int64)"}}, Level(0));
  ASSERT_TRUE(module.ok());
  EXPECT_STREQ(module.module().FunctionAt(module.module().Symbol(module.artifact().entries[0].symbol)), "outer");
  EXPECT_STREQ(module.module().FunctionAt(module.module().Symbol("inner")), "inner");
  EXPECT_STREQ(module.module().FunctionAt(&module), "");
  EXPECT_EQ(module.module().Symbol("nobody"), nullptr);
}

TEST(Semantics, LibraryCallsAreMadeUpOnlyIfOffered) {
  // LLVM would make putchar of printf, calloc of malloc and memset: neither is among the test's symbols.
  Loaded module(R"(
declare ptr @malloc(i64)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
declare i64 @strlen(ptr)
declare void @free(ptr)
define i64 @zeros(i64 %n) {
  %p = call ptr @malloc(i64 %n)
  call void @llvm.memset.p0.i64(ptr %p, i8 0, i64 %n, i1 false)
  %l = call i64 @strlen(ptr %p)
  call void @free(ptr %p)
  ret i64 %l
}
)",
                {{"zeros", "int64(int64)"}}, Level(3));
  ASSERT_TRUE(module.ok());
  EXPECT_EQ(module.Run<int64_t>(0, int64_t{100}), 0);
}

TEST(Semantics, KeepsDebugInformationOnlyWhenAsked) {
  if (!HasClang()) GTEST_SKIP() << "no clang on this machine";
  const auto ir = ClangModule("int add(int a, int b) { return a + b; }", "-O1 -g");
  CompileOptions options;
  for (const bool debug : {false, true}) {
    options.debug = debug;
    Loaded module(ir, {{"add", "int32(int32, int32)", Abi::kSysv}}, options);
    ASSERT_TRUE(module.ok());
    EXPECT_EQ(module.Run<int32_t>(0, 40, 2), 42);
    EXPECT_EQ(module.artifact().code.find(".debug_info") != std::string::npos, debug);
    EXPECT_EQ(module.artifact().code.find(".eh_frame") != std::string::npos, debug) << "unwind tables only to debug";
  }
}

// Remembers every breadcrumb.
class Crumbs : public CompileProgress {
 public:
  void Phase(const char* phase) override { seen += std::string(phase) + ":"; }
  void Function(std::string_view name) override {
    if (name != last) seen += std::string(name) + " ";
    last = name;
  }
  std::string seen, last;
};

TEST(Semantics, LeavesBreadcrumbs) {
  Crumbs crumbs;
  const Module module{"define i64 @f(i64 %a) noinline {\n  %b = mul i64 %a, %a\n  ret i64 %b\n}\n",
                      {{"f", "int64(int64)"}}};
  ASSERT_TRUE(HostTarget().Compile(module, {}, &crumbs));
  EXPECT_THAT(crumbs.seen, ::testing::ContainsRegex("parse:.*optimize:.*f .*emit:.*f .*rbc.call.0.f"));
}

TEST(Semantics, ReportsPhases) {
  auto artifact = Compile("define i64 @f() {\n  ret i64 1\n}\n", {{"f", "int64()"}});
  ASSERT_TRUE(artifact);
  std::string phases;
  for (const auto& [phase, time] : artifact->timings_us) phases += phase + " ";
  EXPECT_EQ(phases, "parse verify check declare optimize emit ");
}

}  // namespace
}  // namespace rbc::testing
