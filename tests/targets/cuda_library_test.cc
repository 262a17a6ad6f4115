// C code for GPUs: printing, asserts, strings, complex numbers; what is refused; cubins; 32-bit modules.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <complex>

#include "targets/cuda/nvjitlink.h"
#include "tests/targets/clang.h"
#include "tests/targets/cuda_harness.h"
#include "tests/targets/harness.h"

namespace rbc::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::string FromC(std::string_view source) {
  return ClangModule(source, "-O1 -S -emit-llvm -fno-pic -ffp-contract=off");
}

TEST(CudaLibrary, PrintsByVprintf) {
  const auto ir = FromC(R"(
      int printf(const char*, ...); int puts(const char*); int putchar(int);
      int f(int a) { printf("a=%d %f\n", a, 1.5); puts("hello"); putchar(a); return 0; })");
  const std::vector<FunctionDeclaration> declarations = {{"f", "int32(int32)", Abi::kSysv}};
  EXPECT_THAT(ExpectAssembles(ir, declarations), HasSubstr("vprintf"));
  Simulated module(ir, declarations);
  ASSERT_TRUE(module.ok());
  TakePrinted();
  EXPECT_EQ(module.Call<int32_t>(0, 65), 0);
  EXPECT_THAT(TakePrinted(), StartsWith("a=%d %f\n|"));
}

TEST(CudaLibrary, KnowsAssertAndAbort) {
  const auto ir = FromC(R"(
      #include <assert.h>
      #include <stdlib.h>
      int f(int a) { assert(a > 3); if (a > 10) abort(); return a; })");
  const std::vector<FunctionDeclaration> declarations = {{"f", "int32(int32)", Abi::kSysv}};
  const auto ptx = ExpectAssembles(ir, declarations);
  EXPECT_THAT(ptx, HasSubstr("__assertfail"));
  EXPECT_THAT(ptx, HasSubstr("trap;"));
  Simulated module(ir, declarations);
  ASSERT_TRUE(module.ok());
  EXPECT_EQ(module.Call<int32_t>(0, 7), 7);
}

TEST(CudaLibrary, HasStringsAndMemory) {
  const auto ir = FromC(R"(
      #include <string.h>
      #include <stdlib.h>
      unsigned long f(const char *a, const char *b) {
        char copy[64];
        memset(copy, 0, sizeof copy);
        memcpy(copy, a, strlen(a));
        char *more = calloc(4, 8);
        unsigned long n = strlen(copy) * 100 + (strcmp(copy, b) < 0) * 10 + (memcmp(a, b, 1) == 0) + more[5];
        free(more);
        return n;
      })");
  const std::vector<FunctionDeclaration> declarations = {{"f", "uint64(string, string)", Abi::kSysv}};
  ExpectAssembles(ir, declarations);
  Simulated module(ir, declarations);
  ASSERT_TRUE(module.ok());
  ASSERT_EQ(module.artifact().entries[0].cells.size(), 2u);
  alignas(16) struct {
    uint32_t a_offset = 16, a_length = 5, b_offset = 32, b_length = 5;
    char a[16] = "abcde";
    char b[16] = "abcdf";
  } frame;
  uint64_t result = 0;
  int32_t status = -1;
  const cuda::CallParameters parameters{reinterpret_cast<uint64_t>(&frame), reinterpret_cast<uint64_t>(&result),
                                        reinterpret_cast<uint64_t>(&status)};
  module.Launch(0, &parameters);
  EXPECT_EQ(result, 511u);
  EXPECT_EQ(status, 0);
}

TEST(CudaLibrary, MultipliesAndDividesComplexNumbers) {
  const auto ir = FromC("double _Complex f(double _Complex a, double _Complex b) { return a * b + a / b; }");
  const std::vector<FunctionDeclaration> declarations = {{"f", "complex128(complex128, complex128)", Abi::kSysv}};
  ExpectAssembles(ir, declarations);
  Simulated module(ir, declarations);
  ASSERT_TRUE(module.ok());
  const std::complex<double> a(1.5, -2), b(0.25, 3);
  const auto result = module.Call<std::complex<double>>(0, a, b);
  EXPECT_NEAR(std::abs(result - (a * b + a / b)), 0, 1e-14);
}

// No GPU has an instruction for it, and there is no library to call: it is made of shifts and subtractions in place.
TEST(CudaLibrary, DividesNumbersOf128Bits) {
  const std::string_view ir = R"(
define void @f(ptr %x, ptr %y, ptr %out) {
  %a = load i128, ptr %x
  %b = load i128, ptr %y
  %q = sdiv i128 %a, %b
  %r = urem i128 %a, %b
  store i128 %q, ptr %out
  %second = getelementptr i128, ptr %out, i64 1
  store i128 %r, ptr %second
  ret void
}
)";
  const std::vector<FunctionDeclaration> declarations = {{"f", "void(int128*, int128*, int128*)", Abi::kKernel}};
  __extension__ typedef __int128 Wide;
  __extension__ typedef unsigned __int128 WideUnsigned;
  const Wide large = (Wide{0x1234567890abcdef} << 64) + 0x1234567;
  for (const uint8_t level : {0, 2}) {
    CompileOptions options;
    options.opt_level = level;
    ExpectAssembles(ir, declarations, options);
    Simulated module(ir, declarations, options);
    ASSERT_TRUE(module.ok());
    for (const auto& [a, b] : {std::pair<Wide, Wide>{large, 12345}, {-large, 987654321987654321}, {large, large - 1}}) {
      alignas(16) Wide out[2] = {};
      const void* parameters[] = {&a, &b, out};
      module.Launch(0, parameters);
      EXPECT_TRUE(out[0] == a / b) << int{level};
      EXPECT_TRUE(static_cast<WideUnsigned>(out[1]) == static_cast<WideUnsigned>(a) % static_cast<WideUnsigned>(b));
    }
  }
}

TEST(CudaLibrary, HasComplexFunctions) {
  const auto ir = FromC(R"(
double cabs(double _Complex), carg(double _Complex);
double _Complex cexp(double _Complex), clog(double _Complex), csqrt(double _Complex);
float _Complex cexpf(float _Complex), clogf(float _Complex), csqrtf(float _Complex);
double _Complex e(double _Complex z) { return cexp(z); }
double _Complex l(double _Complex z) { return clog(z); }
double _Complex s(double _Complex z) { return csqrt(z); }
double _Complex polar(double _Complex z) { double _Complex r; __real__ r = cabs(z); __imag__ r = carg(z); return r; }
float _Complex ef(float _Complex z) { return cexpf(z); }
float _Complex lf(float _Complex z) { return clogf(z); }
float _Complex sf(float _Complex z) { return csqrtf(z); }
)");
  std::vector<FunctionDeclaration> declarations;
  for (const char* name : {"e", "l", "s", "polar"})
    declarations.push_back({name, "complex128(complex128)", Abi::kSysv});
  for (const char* name : {"ef", "lf", "sf"}) declarations.push_back({name, "complex64(complex64)", Abi::kSysv});
  ExpectAssembles(ir, declarations);
  Simulated module(ir, declarations);
  ASSERT_TRUE(module.ok());
  using Wide = std::complex<double>;
  using Narrow = std::complex<float>;
  const auto near = [](const auto& got, const auto& expected, double bound) {
    EXPECT_LE(std::abs(got - expected), bound * (1 + std::abs(expected))) << got << " and not " << expected;
  };
  for (const Wide z : {Wide(1.5, -2), Wide(-3, 0.5), Wide(0.6, 0.8), Wide(0, -4), Wide(-2, 0.0), Wide(-2, -0.0),
                       Wide(1e-200, 1e-200), Wide(3, 1e5), Wide(40, 700)}) {
    near(module.Call<Wide>(0, z), std::exp(z), 1e-14);
    near(module.Call<Wide>(1, z), std::log(z), 1e-14);
    near(module.Call<Wide>(2, z), std::sqrt(z), 1e-14);
    near(module.Call<Wide>(3, z), Wide(std::abs(z), std::arg(z)), 1e-14);
    const Narrow f(static_cast<float>(z.real()), static_cast<float>(z.imag()));
    if (std::abs(f) == 0) continue;
    near(module.Call<Narrow>(4, f), std::exp(f), 1e-5);
    near(module.Call<Narrow>(5, f), std::log(f), 1e-5);
    near(module.Call<Narrow>(6, f), std::sqrt(f), 1e-5);
  }
  const double infinity = std::numeric_limits<double>::infinity();
  near(module.Call<Wide>(2, Wide(1e308, 1e308)), std::sqrt(Wide(1e308, 1e308)), 1e-14);
  EXPECT_EQ(module.Call<Wide>(0, Wide(-infinity, infinity)), Wide(0, 0));
  EXPECT_EQ(module.Call<Wide>(2, Wide(-infinity, 1)), Wide(0, infinity));
  EXPECT_EQ(module.Call<Wide>(2, Wide(0, -infinity)), Wide(infinity, -infinity));
  EXPECT_TRUE(std::isfinite(module.Call<Wide>(0, Wide(709.9, 1.5)).real()));
  const auto missing = CompileCuda(
      FromC("double _Complex csin(double _Complex);\ndouble _Complex f(double _Complex z) { return csin(z); }"),
      {{"f", "complex128(complex128)", Abi::kSysv}}, ForPtx(90));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().kind, ErrorKind::kMissingSymbol);
  EXPECT_THAT(Message(missing), HasSubstr("cexp, clog and csqrt"));
}

TEST(CudaLibrary, TakesWhatCompilersMakeOfC) {
  const auto ir = FromC(R"(
      typedef unsigned __int128 u128;
      static int fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
      static long twice(long x) { return 2 * x; }
      static long thrice(long x) { return 3 * x; }
      long f(int n, unsigned long a, unsigned long b) {
        static const char *const names[] = {"zero", "one", "two"};
        long (*const table[])(long) = {twice, thrice};
        u128 q = ((u128)a << 64 | b) / (b | 1);
        switch (n % 5) { case 0: return 5; case 1: return fib(n); case 2: return names[n % 3][0]; case 3: return table[n % 2](n); }
        return (long)(q % 1000);
      })");
  const std::vector<FunctionDeclaration> declarations = {{"f", "int64(int32, uint64, uint64)", Abi::kSysv}};
  for (uint8_t level = 0; level <= 3; ++level) {
    CompileOptions options;
    options.opt_level = level;
    ExpectAssembles(ir, declarations, options);
    Simulated module(ir, declarations, options);
    ASSERT_TRUE(module.ok());
    EXPECT_EQ(module.Call<int64_t>(0, 10, uint64_t{1}, uint64_t{2}), 5);
    EXPECT_EQ(module.Call<int64_t>(0, 11, uint64_t{1}, uint64_t{2}), 89);
    EXPECT_EQ(module.Call<int64_t>(0, 12, uint64_t{1}, uint64_t{2}), 'z');
    EXPECT_EQ(module.Call<int64_t>(0, 13, uint64_t{1}, uint64_t{2}), 39);
    const unsigned __int128 q = (static_cast<unsigned __int128>(1) << 64 | 2) / 3;
    EXPECT_EQ(module.Call<int64_t>(0, 14, uint64_t{1}, uint64_t{2}), static_cast<int64_t>(q % 1000));
  }
}

TEST(CudaLibrary, KeepsLinesForDebuggers) {
  const auto ir =
      ClangModule("double f(double x) {\n  double y = x * x;\n  return y + 1;\n}", "-O0 -g -S -emit-llvm -fno-pic");
  CompileOptions options;
  options.debug = true;
  options.opt_level = 0;
  EXPECT_THAT(ExpectAssembles(ir, {{"f", "float64(float64)", Abi::kSysv}}, options), HasSubstr(".loc"));
}

struct Refusal {
  const char* name;
  const char* ir;
  const char* message;
};
const Refusal kRefusals[] = {
    {"HostFunction",
     "declare ptr @fopen(ptr, ptr)\ndefine void @f() {\n  %p = call ptr @fopen(ptr null, ptr null)\n  ret void\n}\n",
     "'fopen' (files and streams do not exist on a GPU)"},
    {"UnknownFunction", "declare void @nothing()\ndefine void @f() {\n  call void @nothing()\n  ret void\n}\n",
     "'nothing'"},
    {"OddMaths", "declare double @sin(i32)\ndefine void @f() {\n  %p = call double @sin(i32 1)\n  ret void\n}\n",
     "libdevice has no function of that name with these types"},
    {"TensorCores",
     "declare void @llvm.nvvm.wgmma.fence.sync.aligned()\ndefine void @f() {\n  call void "
     "@llvm.nvvm.wgmma.fence.sync.aligned()\n  ret void\n}\n",
     "'llvm.nvvm.wgmma.fence.sync.aligned' is not supported"},
    {"BigFrame", "define void @f() {\n  %p = alloca [1000000 x i8]\n  store volatile i8 0, ptr %p\n  ret void\n}\n",
     "function 'f': the function's variables take more than the 512 KiB"},
    {"BigShared",
     "@s = internal addrspace(3) global [20000 x i32] undef\ndefine void @f() {\n  store i32 1, ptr "
     "addrspace(3) @s\n  ret void\n}\n",
     "static shared memory takes more than 48 KiB"},
    {"Cycle",
     "@a = global ptr @b\n@b = global ptr @a\ndefine void @f() {\n  %p = load ptr, ptr @a\n  store i8 0, ptr %p\n  ret "
     "void\n}\n",
     "in a circle"},
    {"KernelCallsKernel",
     "define ptx_kernel void @k() {\n  ret void\n}\ndefine void @f() {\n  call ptx_kernel void @k()\n  ret "
     "void\n}\n",
     "a kernel cannot be called from device code"},
    {"TailCall", "define void @f() {\n  musttail call void @f()\n  ret void\n}\n", "guaranteed tail calls"},
    {"WideAtomic",
     "define void @f() {\n  %p = alloca i128\n  %x = atomicrmw add ptr %p, i128 1 seq_cst\n  ret void\n}\n",
     "atomic accesses of 128 bits"},
};

class CudaRefusals : public ::testing::TestWithParam<Refusal> {};
TEST_P(CudaRefusals, NameWhatAndWhere) {
  auto artifact = CompileCuda(GetParam().ir, {{"f", "void()"}}, ForPtx(90));
  ASSERT_FALSE(artifact);
  EXPECT_THAT(Message(artifact), HasSubstr(GetParam().message));
}
INSTANTIATE_TEST_SUITE_P(Each, CudaRefusals, ::testing::ValuesIn(kRefusals),
                         [](const auto& test) { return test.param.name; });

TEST(CudaOptions, UnknownGpusAreNamed) {
  auto options = ForPtx(70);
  auto artifact = CompileCuda("define void @f() {\n  ret void\n}\n", {{"f", "void()"}}, options);
  EXPECT_THAT(Message(artifact), HasSubstr("does not compile for sm_70; it knows 75, 80"));
  options = ForPtx(100);
  options.ptx_version = 78;
  artifact = CompileCuda("define void @f() {\n  ret void\n}\n", {{"f", "void()"}}, options);
  EXPECT_THAT(Message(artifact), HasSubstr("sm_100 needs PTX 8.6 or newer, not 7.8"));
}

TEST(Cubin, ComesFromNvJitLink) {
  CudaTarget();  // looks for it
  ASSERT_NE(cuda::NvJitLinkPath(), "") << "scripts/install-deps gets nvJitLink";
  CompileOptions options;
  for (const uint32_t sm : kSms) {
    options.sm = sm;
    options.emit = Emit::kCubin;
    auto cubin = CompileCuda("define double @f(double %a) {\n  %b = fadd double %a, 1.0\n  ret double %b\n}\n",
                             {{"f", "float64(float64)"}}, options);
    ASSERT_TRUE(cubin) << Message(cubin);
    EXPECT_EQ(cubin->format, CodeFormat::kCubin);
    EXPECT_THAT(cubin->code, StartsWith("\x7f"
                                        "ELF"));
    EXPECT_THAT(cubin->code, HasSubstr("rbc_call_0"));
    options.emit = Emit::kObject;
    auto object = CompileCuda("define void @f() {\n  ret void\n}\n", {{"f", "void()"}}, options);
    ASSERT_TRUE(object) << Message(object);
    EXPECT_EQ(object->format, CodeFormat::kCubin) << "what a device runs is a cubin where it can be made";
  }
}

TEST(Cubin, BadPtxIsATypedErrorWithItsLine) {
  CudaTarget();  // looks for it
  ASSERT_NE(cuda::NvJitLinkPath(), "");
  CompileOptions options;
  options.emit = Emit::kCubin;
  options.sm = 90;
  options.allow_inline_asm = true;
  auto cubin =
      CompileCuda("define void @f() {\n  call void asm sideeffect \"this is no ptx;\", \"\"()\n  ret void\n}\n",
                  {{"f", "void()"}}, options);
  ASSERT_FALSE(cubin);
  EXPECT_EQ(cubin.error().kind, ErrorKind::kCompileFailed);
  EXPECT_THAT(Message(cubin), HasSubstr("line"));
}

// The table that sinf goes through for large arguments is a variable there, which nothing writes.
TEST(CudaLibrary, TablesOfLibdeviceAreNoState) {
  constexpr std::string_view kSin =
      "declare float @sinf(float)\ndefine float @f(float %x) {\n  %y = call float @sinf(float %x)\n  ret float %y\n}\n";
  const auto artifact = CompileCuda(kSin, {{"f", "float32(float32)"}}, ForPtx(80));
  ASSERT_TRUE(artifact) << Message(artifact);
  EXPECT_FALSE(artifact->stateful);
  EXPECT_TRUE(artifact->repeatable);
}

constexpr std::string_view kHead32 = R"(
target datalayout = "e-p:32:32-p6:32:32-p7:32:32-i64:64-i128:128-i256:256-v16:16-v32:32-n16:32:64"
target triple = "nvptx-nvidia-cuda"
)";

Expected<Artifact> Compile32(const std::string& body, std::vector<FunctionDeclaration> functions,
                             CompileOptions options) {
  return Cuda32Target().Compile(Module{std::string(kHead32) + body, std::move(functions)}, options, nullptr);
}

TEST(Cuda32, RunsAsCodeOf64Bits) {
  const std::string sum = R"(
define double @sum(ptr %p, i32 %n) {
entry:
  %slot = alloca ptr
  store ptr %p, ptr %slot
  br label %head
head:
  %i = phi i32 [ 0, %entry ], [ %next, %body ]
  %s = phi double [ 0.0, %entry ], [ %t, %body ]
  %more = icmp slt i32 %i, %n
  br i1 %more, label %body, label %end
body:
  %base = load ptr, ptr %slot
  %q = getelementptr inbounds double, ptr %base, i32 %i
  %v = load double, ptr %q
  %t = fadd double %s, %v
  %next = add nsw i32 %i, 1
  br label %head
end:
  ret double %s
}
)";
  for (const uint32_t sm : kSms) {
    auto ptx = Compile32(sum, {{"sum", "float64(float64*, int32)"}}, ForPtx(sm));
    ASSERT_TRUE(ptx) << Message(ptx);
    EXPECT_THAT(ptx->code, HasSubstr(".address_size 64"));
    EXPECT_EQ(AssemblerComplaint(ptx->code, sm), "");
  }
}

// An index that is cut to 32 bits without losing anything may have more.
TEST(Cuda32, TakesWideIndicesThatStayInBounds) {
  const std::string wide =
      "define double @f(ptr %p, i64 %i) {\n  %q = getelementptr inbounds double, ptr %p, i64 %i\n"
      "  %x = load double, ptr %q\n  ret double %x\n}\n";
  const auto ptx = Compile32(wide, {{"f", "float64(float64*, int64)"}}, ForPtx(90));
  ASSERT_TRUE(ptx) << Message(ptx);
  EXPECT_EQ(AssemblerComplaint(ptx->code, 90), "");
}

// Only what is declared and needed counts.
TEST(Cuda32, DeadCodeRefusesNothing) {
  const std::string module =
      "@held = global ptr null\n"
      "define i32 @other(ptr %p) {\n  %x = ptrtoint ptr %p to i32\n  ret i32 %x\n}\n"
      "define linkonce_odr ptr @chase(ptr %p) {\n  %q = load ptr, ptr @held\n  ret ptr %q\n}\n"
      "define i32 @f(i32 %x) {\n  %y = add i32 %x, 1\n  ret i32 %y\n}\n";
  EXPECT_TRUE(Compile32(module, {{"f", "int32(int32)"}}, ForPtx(90)));
  const auto refused = Compile32(module, {{"f", "int32(int32)"}, {"other", "int32(int32*)"}}, ForPtx(90));
  EXPECT_THAT(Message(refused), HasSubstr("conversions between pointers and numbers"));
}

// What is refused where it would run is fine to read.
TEST(Cuda32, GivesTextOf32BitsForGpusThatHadIt) {
  const std::string chain =
      "declare double @sin(double)\n"
      "define double @f(ptr %p) {\n  %q = load ptr, ptr %p\n  %x = load double, ptr %q\n"
      "  %y = call double @sin(double %x)\n  ret double %y\n}\n";
  for (const uint32_t sm : {30u, 52u, 61u, 72u}) {
    auto ptx = Compile32(chain, {}, ForPtx(sm));
    ASSERT_TRUE(ptx) << Message(ptx);
    EXPECT_THAT(ptx->code, HasSubstr(".address_size 32"));
    EXPECT_THAT(ptx->code, HasSubstr(".target sm_" + std::to_string(sm)));
    EXPECT_THAT(ptx->code, HasSubstr(".param .b32 f_param_0"));
  }
  EXPECT_THAT(Message(Compile32(chain, {}, ForPtx(40))), HasSubstr("sm_40 had no code of 32 bits"));
  EXPECT_THAT(Message(Compile32(chain, {{"f", "float64(float64*)"}}, ForPtx(52))), HasSubstr("declare no functions"));
  CompileOptions cubin;
  cubin.emit = Emit::kCubin;
  cubin.sm = 52;
  EXPECT_THAT(Message(Compile32(chain, {}, cubin)), HasSubstr("does not compile for sm_52"));
}

TEST(Cuda32, RefusesWhatDependsOnTheSizeOfPointers) {
  const std::pair<const char*, const char*> kCases[] = {
      {"define i32 @f(ptr %p) {\n  %x = ptrtoint ptr %p to i32\n  ret i32 %x\n}\n",
       "conversions between pointers and numbers"},
      {"define i32 @f(ptr %p) {\n  %q = load ptr, ptr %p\n  %x = load i32, ptr %q\n  ret i32 %x\n}\n",
       "pointers in memory"},
      {"define i32 @f(ptr %p) {\n  %i = load i64, ptr %p\n  %q = getelementptr i32, ptr %p, i64 %i\n  %x = load i32, "
       "ptr %q\n  ret i32 %x\n}\n",
       "an index of more than 32 bits"},
      {"define i32 @f(ptr %p) {\n  %i = load i32, ptr %p\n  %q = getelementptr i32, ptr %p, i32 %i\n  %x = load i32, "
       "ptr %q\n  "
       "ret i32 %x\n}\n",
       "may wrap around"},
      {"define i32 @f(ptr %p) {\n  %q = getelementptr i32, ptr %p, i32 1073741825\n  %x = load i32, ptr %q\n  ret i32 "
       "%x\n}\n",
       "an offset of more than 32 bits"},
      {"define i32 @f(ptr %p) {\n  %v = call <2 x ptr> @llvm.masked.load.v2p0.p0(ptr %p, i32 4, <2 x i1> <i1 1, i1 0>, "
       "<2 x ptr> zeroinitializer)\n  %q = extractelement <2 x ptr> %v, i32 0\n  %x = load i32, ptr %q\n  ret i32 "
       "%x\n}\ndeclare <2 x ptr> @llvm.masked.load.v2p0.p0(ptr, i32, <2 x i1>, <2 x ptr>)\n",
       "pointers in memory"},
      {"define i32 @f(ptr %p) {\n  %v = insertelement <2 x ptr> zeroinitializer, ptr %p, i32 0\n  call void "
       "@llvm.masked.store.v2p0.p0(<2 x ptr> %v, ptr %p, i32 4, <2 x i1> <i1 1, i1 0>)\n  ret i32 1\n}\ndeclare void "
       "@llvm.masked.store.v2p0.p0(<2 x ptr>, ptr, i32, <2 x i1>)\n",
       "pointers in memory"},
      {"define i32 @f(ptr %p) {\n  %q = call ptr @llvm.ptrmask.p0.i32(ptr %p, i32 -4)\n  %x = load i32, ptr %q\n  ret "
       "i32 %x\n}\ndeclare ptr @llvm.ptrmask.p0.i32(ptr, i32)\n",
       "conversions between pointers and numbers"},
      {"@g = global ptr null\ndefine i32 @f(ptr %p) {\n  %x = load i32, ptr @g\n  ret i32 %x\n}\n",
       "'g': a variable that holds pointers"},
  };
  for (const auto& [ir, message] : kCases) {
    auto artifact = Compile32(ir, {{"f", "int32(int32*)"}}, ForPtx(90));
    ASSERT_FALSE(artifact) << ir;
    EXPECT_THAT(Message(artifact), HasSubstr(message));
  }
  auto wide = Cuda32Target().Compile(
      Module{"target datalayout = \"e-i64:64\"\ndefine void @f() {\n  ret void\n}\n", {{"f", "void()"}}}, ForPtx(90),
      nullptr);
  EXPECT_THAT(Message(wide), HasSubstr("the module is made for pointers of 64 bits, this target's have 32"));
}

}  // namespace
}  // namespace rbc::testing
