// What LLVM's back end for GPUs has no code for, or wrong code: refused by name, or written so that it is right.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/targets/cuda_harness.h"

namespace rbc::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

struct Refusal {
  const char* name;
  const char* ir;
  const char* message;
};

// A function 'f' that does one thing with what lies at its parameter.
std::string Function(std::string_view body, std::string_view before = "") {
  return fmt::format("{}\ndefine void @f(ptr %p) {{\n{}\n  ret void\n}}\n", before, body);
}

const Refusal kRefused[] = {
    {"WideNumberToFloat", "  %a = load i128, ptr %p\n  %b = sitofp i128 %a to double\n  store double %b, ptr %p",
     "function 'f': conversions between floating point and integers over 64 bits are not supported on GPUs: %b = "
     "sitofp i128"},
    {"FloatToWideNumber", "  %a = load float, ptr %p\n  %b = fptoui float %a to i65\n  store i65 %b, ptr %p",
     "integers over 64 bits are not supported on GPUs: %b = fptoui"},
    {"OddNumberInMemory", "  %a = load i129, ptr %p\n  %b = add i129 %a, 1\n  store i129 %b, ptr %p",
     "function 'f': an integer over 128 bits in memory is a multiple of 64 of them"},
    {"Interleave",
     "  %a = load <4 x i8>, ptr %p\n  %b = call <12 x i8> @llvm.vector.interleave3.v12i8(<4 x i8> %a, <4 x i8> %a, <4 "
     "x "
     "i8> %a)\n  store <12 x i8> %b, ptr %p",
     "'llvm.vector.interleave3.v12i8' is not supported on GPUs"},
    {"FixedPointDivision",
     "  %a = load i32, ptr %p\n  %b = call i32 @llvm.sdiv.fix.i32(i32 %a, i32 %a, i32 3)\n  store i32 %b, ptr %p",
     "'llvm.sdiv.fix.i32' is not supported on GPUs"},
    {"FunnelShift",
     "  %a = load i64, ptr %p\n  %b = zext i64 %a to i65\n  %c = call i65 @llvm.fshl.i65(i65 %b, i65 %b, i65 %b)\n  %d "
     "= trunc i65 %c to i64\n  store i64 %d, ptr %p",
     "funnel shifts of this width"},
    {"PartialReduction",
     "  %a = load <16 x i32>, ptr %p\n  %b = call <4 x i32> @llvm.vector.partial.reduce.add.v4i32.v16i32(<4 x i32> "
     "zeroinitializer, <16 x i32> %a)\n  store <4 x i32> %b, ptr %p",
     "'llvm.vector.partial.reduce.add.v4i32.v16i32' is not supported on GPUs"},
    {"MaskOfThree",
     "  %a = call <3 x double> @llvm.masked.load.v3f64.p0(ptr %p, i32 32, <3 x i1> <i1 0, i1 1, i1 0>, <3 x double> "
     "zeroinitializer)\n  store <3 x double> %a, ptr %p",
     "masks over this number of elements"},
    {"ForeignScope", "  fence syncscope(\"agent\") acquire", "has no syncscope \"agent\""},
    {"ClusterTooEarly", "  %a = atomicrmw add ptr %p, i32 1 syncscope(\"cluster\") seq_cst",
     "sm_75 has no syncscope \"cluster\""},
    {"ClusterMemoryTooEarly", "  %q = load ptr addrspace(7), ptr %p\n  store i32 1, ptr addrspace(7) %q",
     "sm_75 has no such address space"},
    {"ConstantMemory", "  %a = load ptr addrspace(4), ptr %p\n  %b = atomicrmw add ptr addrspace(4) %a, i32 1 seq_cst",
     "constant memory cannot be written by a kernel"},
};

class Selection : public ::testing::TestWithParam<Refusal> {};
TEST_P(Selection, RefusesByFunctionAndInstruction) {
  for (const uint8_t level : {0, 2}) {
    auto artifact = CompileCuda(Function(GetParam().ir), {}, ForPtx(75, level));
    ASSERT_FALSE(artifact);
    EXPECT_THAT(Message(artifact), HasSubstr(GetParam().message));
  }
}
INSTANTIATE_TEST_SUITE_P(Each, Selection, ::testing::ValuesIn(kRefused),
                         [](const auto& test) { return test.param.name; });

// Of whole modules: what is wrong with a function, a kernel or a variable.
const Refusal kRefusedModules[] = {
    {"EmptyParameter", "define void @f({} %x) {\n  ret void\n}\n", "'f': an empty parameter is not supported"},
    {"EmptyParameterInMemory", "define void @f(ptr byval([0 x i8]) %x) {\n  ret void\n}\n",
     "'f': an empty parameter is not supported"},
    {"OddParameter", "define i96 @f(i96 %x) {\n  ret i96 %x\n}\n", "'f': a parameter of between 64 and 128 bits"},
    {"AlignedParameter", "define void @f(ptr byval(i32) align 4096 %x) {\n  ret void\n}\n",
     "'f': a parameter's alignment over 128"},
    {"KernelWithManyParameters", "define ptx_kernel void @k(ptr byval([5000 x i8]) %x) {\n  ret void\n}\n",
     "'k': a kernel's parameters take at most 4352 bytes, not 5000"},
    {"OtherParameters",
     "define void @g(i32 %x) noinline optnone {\n  ret void\n}\ndefine void @f() noinline optnone {\n  call void "
     "@g(double 1.0)\n  ret void\n}\n",
     "function 'f': a call with other parameters"},
    {"AliasOfKernel", "@a = alias void (), ptr @k\ndefine ptx_kernel void @k() {\n  ret void\n}\n",
     "'a': aliases of kernels"},
    {"AliasOfOtherType", "@a = alias void (double), ptr @g\ndefine void @g(i32 %x) {\n  ret void\n}\n",
     "'a': an alias with other parameters"},
    {"AddressOfSharedMemory",
     "@s = internal addrspace(3) global i32 undef\n@p = global ptr addrspacecast (ptr addrspace(3) @s to ptr)\n",
     "'p': its initial value is computed from addresses"},
    {"AddressInOtherSpace",
     "@c = internal addrspace(4) global i32 1\n@p = global ptr addrspace(1) addrspacecast (ptr addrspace(4) @c to ptr "
     "addrspace(1))\n",
     "'p': its initial value is computed from addresses"},
    {"OddNumberBesideAnAddress", "@g = global i32 1\n@p = global {ptr, i17} {ptr @g, i17 3}\n",
     "'p': an initial value of integers of odd widths beside addresses"},
    {"OtherMemcpy",
     "declare ptr @memcpy(ptr, i32, i64)\ndefine void @f(ptr %p) {\n  %a = call ptr @memcpy(ptr %p, i32 1, i64 2)\n  "
     "ret "
     "void\n}\n",
     "function 'f': a library function with other parameters than C's"},
    {"OtherPrintf",
     "declare double @printf(ptr, ...)\ndefine void @f(ptr %p) {\n  %a = call double (ptr, ...) @printf(ptr %p)\n  "
     "store double %a, ptr %p\n  ret void\n}\n",
     "function 'f': a library function with other parameters than C's"},
    {"OtherMalloc",
     "declare i32 @malloc(i32)\ndefine void @f(ptr %p) {\n  %a = call i32 @malloc(i32 1)\n  store i32 %a, ptr %p\n  "
     "ret void\n}\n",
     "function 'f': a library function with other parameters than C's"},
    {"AddressOfALibraryFunction",
     "declare void @free(ptr)\ndefine void @f(ptr %p) {\n  store ptr @free, ptr %p\n  ret void\n}\n",
     "'free': the address of this function cannot be taken on a GPU"},
    {"ShuffleOfOldGpus",
     "declare i32 @llvm.nvvm.shfl.down.i32(i32, i32, i32)\ndefine void @f(ptr %p) {\n  %a = call i32 "
     "@llvm.nvvm.shfl.down.i32(i32 1, i32 2, i32 3)\n  store i32 %a, ptr %p\n  ret void\n}\n",
     "'llvm.nvvm.shfl.down.i32' is not supported"},
    {"VoteOfOldGpus",
     "declare i1 @llvm.nvvm.vote.all(i1)\ndefine void @f(ptr %p) {\n  %a = call i1 @llvm.nvvm.vote.all(i1 1)\n  store "
     "i1 %a, ptr %p\n  ret void\n}\n",
     "'llvm.nvvm.vote.all' is not supported"},
    {"BfloatsTooEarly",
     "declare bfloat @llvm.nvvm.fmin.bf16(bfloat, bfloat)\ndefine void @f(ptr %p) {\n  %a = call bfloat "
     "@llvm.nvvm.fmin.bf16(bfloat 1.0, bfloat 2.0)\n  store bfloat %a, ptr %p\n  ret void\n}\n",
     "'llvm.nvvm.fmin.bf16' needs sm_80 or newer, this is for sm_75"},
    {"SignsTooEarly",
     "declare half @llvm.nvvm.fmin.xorsign.abs.f16(half, half)\ndefine void @f(ptr %p) {\n  %a = call half "
     "@llvm.nvvm.fmin.xorsign.abs.f16(half 1.0, half 2.0)\n  store half %a, ptr %p\n  ret void\n}\n",
     "needs sm_86 or newer, this is for sm_75"},
    {"FlushedBfloats",
     "declare bfloat @llvm.nvvm.fma.rn.ftz.bf16(bfloat, bfloat, bfloat)\ndefine void @f(ptr %p) {\n  %a = call bfloat "
     "@llvm.nvvm.fma.rn.ftz.bf16(bfloat 1.0, bfloat 2.0, bfloat 3.0)\n  store bfloat %a, ptr %p\n  ret void\n}\n",
     "'llvm.nvvm.fma.rn.ftz.bf16' is not supported"},
    {"BarrierOfHalfAWarp",
     "declare void @llvm.nvvm.barrier.cta.sync.aligned.count(i32, i32)\ndefine void @f(ptr %p) {\n  call void "
     "@llvm.nvvm.barrier.cta.sync.aligned.count(i32 0, i32 5)\n  ret void\n}\n",
     "the number of threads at a barrier is a multiple of 32"},
    {"PowersOfDoubles",
     "declare double @llvm.nvvm.ex2.approx.d(double)\ndefine void @f(ptr %p) {\n  %a = call double "
     "@llvm.nvvm.ex2.approx.d(double 1.0)\n  store double %a, ptr %p\n  ret void\n}\n",
     "is not supported"},
    {"MoreBfloatsTooEarly",
     "declare <2 x bfloat> @llvm.nvvm.fabs.bf16x2(<2 x bfloat>)\ndefine void @f(ptr %p) {\n  %a = call <2 x bfloat> "
     "@llvm.nvvm.fabs.bf16x2(<2 x bfloat> zeroinitializer)\n  store <2 x bfloat> %a, ptr %p\n  ret void\n}\n",
     "needs sm_80 or newer, this is for sm_75"},
    {"NameOfOneMark", "define void @_() {\n  ret void\n}\n", "'_': this name cannot be written in PTX"},
    {"NameOfAConstant", "define void @WARP_SZ() {\n  ret void\n}\n", "'WARP_SZ': this name cannot be written in PTX"},
    {"BoundsOfNothing", "define ptx_kernel void @k() \"nvvm.minctasm\"=\"0\" {\n  ret void\n}\n",
     "'k': the attribute \"nvvm.minctasm\" is one to three numbers over 0"},
    {"BoundsOfText", "define ptx_kernel void @k() \"nvvm.maxntid\"=\"many\" {\n  ret void\n}\n",
     "'k': the attribute \"nvvm.maxntid\" is one to three numbers over 0"},
};

class SelectionOfModules : public ::testing::TestWithParam<Refusal> {};
TEST_P(SelectionOfModules, RefusesByName) {
  for (const uint8_t level : {0, 2}) {
    auto artifact = CompileCuda(GetParam().ir, {}, ForPtx(75, level));
    ASSERT_FALSE(artifact);
    EXPECT_THAT(Message(artifact), HasSubstr(GetParam().message));
  }
}
INSTANTIATE_TEST_SUITE_P(Each, SelectionOfModules, ::testing::ValuesIn(kRefusedModules),
                         [](const auto& test) { return test.param.name; });

void ExpectAssemblesAtAnyLevel(const std::string& ir) {
  for (const uint8_t level : {0, 2}) {
    CompileOptions options;
    options.opt_level = level;
    ExpectAssembles(ir, {}, options);
  }
}

TEST(LocalAtomics, ArePlainAccesses) {
  for (const char* width : {"i8", "i16", "i32", "i64"}) {
    for (const char* place : {"  %a = alloca [4 x {0}]\n  %q = getelementptr {0}, ptr %a, i32 %i\n",
                              "  %q = alloca {0}, addrspace(5)\n", "  %q = getelementptr {0}, ptr %v, i32 %i\n"}) {
      const std::string where = fmt::format(fmt::runtime(place), width);
      const std::string pointer = where.find("addrspace") == std::string::npos ? "ptr" : "ptr addrspace(5)";
      const std::string body = fmt::format(
          "{0}  store atomic {1} 3, {2} %q seq_cst, align 8\n  %x = atomicrmw umax {2} %q, {1} 5 seq_cst\n  %c = "
          "cmpxchg {2} %q, {1} %x, {1} 7 seq_cst seq_cst\n  %y = extractvalue {{{1}, i1}} %c, 0\n  %z = load atomic "
          "{1}, {2} %q seq_cst, align 8\n  %s = add {1} %y, %z\n  store {1} %s, ptr %p\n  ret void\n}}\n",
          where, width, pointer);
      const std::string parameters = fmt::format("(ptr %p, i32 %i, ptr byval([4 x {}]) %v) {{\n", width);
      ExpectAssemblesAtAnyLevel("define void @f" + parameters + body + "define ptx_kernel void @k" + parameters + body);
    }
  }
}

TEST(LocalAtomics, GiveWhatAtomicOnesGive) {
  constexpr const char* kCompareAndSwap =
      "define i32 @f(i32 %i) {\n  %a = alloca [4 x i32]\n  %q = getelementptr i32, ptr %a, i32 %i\n  store volatile "
      "i32 "
      "3, ptr %q\n  %c = cmpxchg ptr %q, i32 3, i32 40 seq_cst seq_cst\n  %o = extractvalue {i32, i1} %c, 0\n  %d = "
      "cmpxchg ptr %q, i32 3, i32 50 seq_cst seq_cst\n  %g = extractvalue {i32, i1} %d, 1\n  %h = zext i1 %g to i32\n  "
      "%n = atomicrmw add ptr %q, i32 500 seq_cst\n  %m = load i32, ptr %q\n  %s = add i32 %o, %m\n  %t = add i32 %s, "
      "%n\n  %u = add i32 %t, %h\n  ret i32 %u\n}\n";
  Simulated module(kCompareAndSwap, {{"f", "int32(int32)"}});
  ASSERT_TRUE(module.ok());
  EXPECT_EQ(module.Call<int32_t>(0, int32_t{2}), 3 + 540 + 40 + 0);
}

TEST(AtomicsOfOneThread, AreThoseOfAll) {
  ExpectAssemblesAtAnyLevel(Function(
      "  %a = atomicrmw add ptr %p, i32 1 syncscope(\"singlethread\") acq_rel\n  %b = cmpxchg ptr %p, i32 1, i32 %a "
      "syncscope(\"singlethread\") acq_rel acquire\n  %c = load atomic i16, ptr %p syncscope(\"singlethread\") "
      "seq_cst, "
      "align 2\n  store atomic i16 %c, ptr %p syncscope(\"singlethread\") release, align 2\n  fence "
      "syncscope(\"singlethread\") seq_cst"));
}

TEST(InitialValues, OfOddTypesAreBytes) {
  const auto ptx = CompileCuda(
      "@bits = global <8 x i1> <i1 1, i1 0, i1 1, i1 1, i1 0, i1 0, i1 0, i1 1>\n"
      "@nibbles = global <2 x i4> <i4 1, i4 2>\n"
      "@odd = global [2 x i24] [i24 1, i24 2]\n"
      "@mixed = global {i8, <8 x i1>, i17} {i8 3, <8 x i1> <i1 1, i1 0, i1 1, i1 1, i1 0, i1 0, i1 0, i1 1>, i17 "
      "70000}\n"
      "@wide = global [2 x i65] [i65 1, i65 -2]\n"
      "@wider = global [3 x i129] [i129 1, i129 2, i129 -1]\n"
      "@alone = global i7 5\n"
      "@shared = addrspace(3) global i17 undef\n"
      "@fields = global {<3 x i1>, [2 x half], <2 x float>, i128, i9} {<3 x i1> <i1 0, i1 undef, i1 1>, [2 x half] "
      "[half 1.0, half undef], <2 x float> <float 1.0, float -2.0>, i128 1, i9 256}\n",
      {}, ForPtx(75));
  ASSERT_TRUE(ptx) << ptx.error().message;
  EXPECT_EQ(AssemblerComplaint(ptx->code, 75), "");
  EXPECT_THAT(ptx->code,
              AllOf(HasSubstr(" bits[1] = {141};"), HasSubstr(" nibbles[1] = {33};"),
                    HasSubstr(" odd[8] = {1, 0, 0, 0, 2};"), HasSubstr(" mixed[8] = {3, 141, 0, 0, 112, 17, 1}"),
                    HasSubstr(" wide[32] = {1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 254, 255,"),
                    HasSubstr(" alone[1] = {5};"),
                    HasSubstr(" fields[48] = {4, 0, 0, 60, 0, 0, 0, 0, 0, 0, 128, 63, 0, 0, 0, 192, 1, 0, 0, 0, "
                              "0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}")));
}

TEST(Vectors, AreTakenApartWhereThereAreElementsOnly) {
  for (const char* type : {"<2 x i32>", "<4 x i16>", "<3 x i64>"}) {
    const std::string name = fmt::format("v{}{}", type[1], std::string_view(type).substr(5, 3));
    ExpectAssemblesAtAnyLevel(Function(fmt::format(
        "  %a = load {0}, ptr %p\n  %b = call {0} @llvm.bswap.{1}({0} %a)\n  %c = call {0} @llvm.clmul.{1}({0} "
        "%a, {0} %b)\n  %d = call {0} @llvm.umul.fix.{1}({0} %c, {0} %b, i32 3)\n  store {0} %d, ptr %p",
        type, name)));
  }
  ExpectAssemblesAtAnyLevel(Function(
      "  %a = load <2 x float>, ptr %p\n  %b = call <2 x float> @llvm.canonicalize.v2f32(<2 x float> %a)\n  store "
      "<2 x float> %b, ptr %p"));
}

TEST(Names, OfTheModulesOwnAreMended) {
  ExpectAssemblesAtAnyLevel(
      "@\"1\" = internal global i32 3\n@\"$\" = internal global i32 4\ndefine internal void @_() noinline optnone {\n  "
      "store volatile i32 1, ptr @\"1\"\n  store volatile i32 1, ptr @\"$\"\n  ret void\n}\ndefine internal void "
      "@WARP_SZ() noinline optnone {\n  ret void\n}\ndefine void @f() {\n  call void @_()\n  call void @WARP_SZ()\n  "
      "ret void\n}\n");
}

TEST(InlineDefinitions, OfOtherFilesAreKept) {
  ExpectAssemblesAtAnyLevel(
      "define available_externally void @g() noinline optnone {\n  ret void\n}\ndefine void @f() {\n  call void "
      "@g()\n  ret void\n}\n");
}

}  // namespace
}  // namespace rbc::testing
