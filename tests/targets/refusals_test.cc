// What a module may not hold, and how the refusal reads.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/targets/clang.h"
#include "tests/targets/fork.h"
#include "tests/targets/harness.h"

namespace rbc::testing {
namespace {

using ::testing::HasSubstr;

struct Refusal {
  const char* name;
  const char* ir;
  ErrorKind kind;
  const char* message;  // part of it
};

// Each module defines `i32 @f(i32)`.
const Refusal kRefusals[] = {
    {"ModuleAsm", "module asm \".incbin \\22/etc/passwd\\22\"\ndefine i32 @f(i32 %a) {\n  ret i32 %a\n}\n",
     ErrorKind::kUnsupported, "module asm is not allowed"},
    {"InlineAsm", "define i32 @f(i32 %a) {\n  call void asm sideeffect \"nop\", \"\"()\n  ret i32 %a\n}\n",
     ErrorKind::kUnsupported,
     "function 'f': inline asm is not allowed by this farm's operator: call void asm sideeffect"},
    {"IFunc",
     "@g = ifunc i32 (i32), ptr @r\ndefine ptr @r() {\n  ret ptr null\n}\ndefine i32 @f(i32 %a) {\n  %b = call i32 "
     "@g(i32 %a)\n  ret i32 %b\n}\n",
     ErrorKind::kUnsupported, "'g': ifuncs are not supported"},
    {"ThreadLocal",
     "@t = thread_local global i32 0\ndefine i32 @f(i32 %a) {\n  %b = load i32, ptr @t\n  ret i32 %b\n}\n",
     ErrorKind::kUnsupported, "'t': thread_local variables are not supported"},
    {"ScalableVector", "define i32 @f(i32 %a) {\n  %p = alloca <vscale x 4 x i32>\n  ret i32 %a\n}\n",
     ErrorKind::kUnsupported, "function 'f': scalable vectors are not supported"},
    {"GarbageCollection", "define i32 @f(i32 %a) gc \"statepoint-example\" {\n  ret i32 %a\n}\n",
     ErrorKind::kUnsupported, "garbage collection"},
    {"WideInteger",
     "define i32 @f(i32 %a) {\n  %b = zext i32 %a to i4096\n  %c = mul i4096 %b, %b\n  %d = trunc i4096 %c to i32\n  "
     "ret i32 %d\n}\n",
     ErrorKind::kUnsupported, "integers of 4096 bits are not supported, the limit is 1024: %b = zext i32 %a to i4096"},
    {"WideVector", "define i32 @f(i32 %a) {\n  %p = alloca <65536 x i64>\n  ret i32 %a\n}\n", ErrorKind::kUnsupported,
     "vectors of 4194304 bits"},
    {"Exceptions",
     "declare i32 @__gxx_personality_v0(...)\ndeclare void @g()\ndefine i32 @f(i32 %a) personality ptr "
     "@__gxx_personality_v0 {\n"
     "  invoke void @g() to label %ok unwind label %lp\nlp:\n  %l = landingpad { ptr, i32 } cleanup\n  resume { ptr, "
     "i32 } %l\nok:\n  ret i32 %a\n}\n",
     ErrorKind::kUnsupported,
     "function 'f': C++ exceptions are not supported; compile with -fno-exceptions: invoke void @g()"},
    {"NamedRegister",
     "declare i64 @llvm.read_register.i64(metadata)\ndefine i32 @f(i32 %a) {\n  %b = call i64 "
     "@llvm.read_register.i64(metadata !0)\n  ret i32 %a\n}\n!0 = !{!\"rsp\"}\n",
     ErrorKind::kUnsupported, "'llvm.read_register.i64' is not supported"},
    {"OuterFrame",
     "declare ptr @llvm.frameaddress.p0(i32)\ndefine i32 @f(i32 %a) {\n  %b = call ptr @llvm.frameaddress.p0(i32 "
     "100000000)\n  ret i32 %a\n}\n",
     ErrorKind::kUnsupported, "addresses of outer frames"},
    {"CallingConvention",
     "define x86_intrcc void @g(ptr byval(i64) %a) {\n  ret void\n}\ndefine i32 @f(i32 %a) {\n  %b = ptrtoint ptr @g "
     "to i64\n  %c = trunc i64 %b to i32\n  ret i32 %c\n}\n",
     ErrorKind::kUnsupported, "'g': calling convention 83 is not supported"},
    {"ForeignIntrinsic",
     "declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()\ndefine i32 @f(i32 %a) {\n  %b = call i32 "
     "@llvm.nvvm.read.ptx.sreg.tid.x()\n  ret i32 %b\n}\n",
     ErrorKind::kUnsupported, "'llvm.nvvm.read.ptx.sreg.tid.x' is not supported"},
    {"Quad", "define i32 @f(i32 %a) {\n  %b = sitofp i32 %a to fp128\n  %c = fptosi fp128 %b to i32\n  ret i32 %c\n}\n",
     ErrorKind::kUnsupported, "fp128 is not supported"},
    {"HugeVariable",
     "@g = global [1099511627776 x i8] zeroinitializer\ndefine i32 @f(i32 %a) {\n  store i8 1, ptr @g\n  ret i32 "
     "%a\n}\n",
     ErrorKind::kUnsupported, "more than 256 MiB"},
    {"HugeStack",
     "define i32 @f(i32 %a) {\n  %b = alloca [9223372036854775807 x i8]\n  store volatile i8 1, ptr %b\n  ret i32 "
     "%a\n}\n",
     ErrorKind::kUnsupported, "more than 1024 MiB on the stack"},
    {"HugeAggregate",
     "define i32 @f(i32 %a) {\n  %p = alloca [100000 x i8]\n  %v = load [100000 x i8], ptr %p\n  store [100000 x i8] "
     "%v, ptr %p\n  ret i32 %a\n}\n",
     ErrorKind::kUnsupported, "a value of 100000 scalars is not supported"},
    {"Naked", "define i32 @f(i32 %a) naked {\n  unreachable\n}\n", ErrorKind::kUnsupported, "naked functions"},
    {"WideAtomic",
     "define i32 @f(i32 %a) {\n  %p = alloca i1024\n  %b = atomicrmw add ptr %p, i1024 1 seq_cst\n  ret i32 %a\n}\n",
     ErrorKind::kUnsupported, "atomic accesses of 1024 bits"},
    {"BigEndian", "target datalayout = \"E-p:64:64\"\ndefine i32 @f(i32 %a) {\n  ret i32 %a\n}\n",
     ErrorKind::kUnsupported, "big-endian"},
    {"SmallPointers", "target datalayout = \"e-p:32:32\"\ndefine i32 @f(i32 %a) {\n  ret i32 %a\n}\n",
     ErrorKind::kUnsupported, "pointers of 32 bits"},
    {"MissingSymbols",
     "declare i32 @fopen(ptr, ptr)\ndeclare i32 @no_such(i32)\n@nor_this = external global i32\ndefine i32 @f(i32 %a) "
     "{\n  %b = call i32 @fopen(ptr null, ptr null)\n"
     "  %c = call i32 @no_such(i32 %b)\n  %d = load i32, ptr @nor_this\n  ret i32 %d\n}\n",
     ErrorKind::kMissingSymbol, "'fopen' (files are not available to functions), 'no_such', 'nor_this'"},
    {"HiddenLibraryCall",
     "define i32 @f(i32 %a) {\n  %p = inttoptr i32 %a to ptr\n  %v = load atomic i64, ptr %p seq_cst, align 1\n  %b = "
     "trunc i64 %v to i32\n  ret i32 %b\n}\n",
     ErrorKind::kMissingSymbol, "'__atomic_load'"},
    {"DoesNotVerify",
     "define i32 @f(i32 %a) {\n  br label %x\nx:\n  %b = add i32 %c, 1\n  %c = add i32 %b, 1\n  ret i32 %c\n}\n",
     ErrorKind::kInvalidModule, "does not verify"},
    {"OnlyDeclared", "declare i32 @f(i32)\n", ErrorKind::kInvalidModule,
     "'f' is declared in the module but not defined there"},
    {"NotAFunction", "@f = global i32 0\n", ErrorKind::kInvalidModule, "'f' is not a function of the module"},
    {"WrongResult", "define i64 @f(i32 %a) {\n  ret i64 0\n}\n", ErrorKind::kInvalidModule,
     "the result is expected as i32, found is i64"},
    {"TooManyParameters", "define i32 @f(i32 %a, i32 %b) {\n  ret i32 %a\n}\n", ErrorKind::kInvalidModule,
     "the function takes 2 IR parameters, the signature makes 1"},
    {"Variadic", "define i32 @f(i32 %a, ...) {\n  ret i32 %a\n}\n", ErrorKind::kInvalidModule,
     "takes variable arguments"},
    {"UnknownIntrinsic",
     "declare i32 @llvm.totally.unknown(i32)\ndefine i32 @f(i32 %a) {\n  %r = call i32 @llvm.totally.unknown(i32 %a)\n "
     " ret i32 %r\n}\n",
     ErrorKind::kUnsupported, "no such intrinsic"},
    {"Coroutine",
     "declare ptr @llvm.coro.begin(token, ptr)\ndeclare token @llvm.coro.id(i32, ptr, ptr, ptr)\ndefine i32 @f(i32 %a) "
     "presplitcoroutine {\n"
     "  %i = call token @llvm.coro.id(i32 0, ptr null, ptr null, ptr null)\n  %b = call ptr @llvm.coro.begin(token %i, "
     "ptr null)\n  ret i32 %a\n}\n",
     ErrorKind::kUnsupported, "llvm.coro."},
    {"Garbage", "this is no IR", ErrorKind::kInvalidModule, "line 1, column 1: expected top-level entity"},
    {"Empty", "", ErrorKind::kInvalidModule, "the module has no such function"},
};

class Refusals : public ::testing::TestWithParam<Refusal> {};

TEST_P(Refusals, AreTypedAndNamed) {
  const Refusal& refusal = GetParam();
  const auto outcome = InFork([&] {
    auto artifact = Compile(refusal.ir, {{"f", "int32(int32)"}});
    return artifact ? std::string("an object") : Message(artifact);
  });
  ASSERT_TRUE(outcome.answered) << "signal " << outcome.signal << ", exit code " << outcome.exit_code;
  EXPECT_THAT(outcome.answer, HasSubstr(std::string(rbc::Name(refusal.kind)) + ": "));
  EXPECT_THAT(outcome.answer, HasSubstr(refusal.message));
}
INSTANTIATE_TEST_SUITE_P(Each, Refusals, ::testing::ValuesIn(kRefusals),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(Diagnostics, HaveLineColumnAndSource) {
  auto artifact =
      Compile("define i32 @f(i32 %a) {\n  %b = add i32 %a, %nothing\n  ret i32 %b\n}\n", {{"f", "int32(int32)"}});
  ASSERT_FALSE(artifact);
  ASSERT_EQ(artifact.error().diagnostics.size(), 1u);
  const Diagnostic& diagnostic = artifact.error().diagnostics[0];
  EXPECT_EQ(diagnostic.line, 2u);
  EXPECT_EQ(diagnostic.column, 20u);
  EXPECT_EQ(diagnostic.source_line, "  %b = add i32 %a, %nothing");
  EXPECT_THAT(diagnostic.message, HasSubstr("use of undefined value '%nothing'"));
}

TEST(Diagnostics, NestingIsBounded) {
  const std::string deep =
      "@g = global " + std::string(100000, '{') + "i32" + std::string(100000, '}') + " zeroinitializer\n";
  auto artifact = Compile(deep, {});
  ASSERT_FALSE(artifact);
  EXPECT_EQ(artifact.error().kind, ErrorKind::kInvalidModule);
  EXPECT_THAT(artifact.error().message, HasSubstr("nest 100000 deep, more than 256"));
}

TEST(Diagnostics, ExponentialInliningIsRefused) {
  std::string ir = "define internal void @f0(ptr %p) alwaysinline {\n  store volatile i32 1, ptr %p\n  ret void\n}\n";
  for (int i = 1; i <= 30; ++i) {
    ir += fmt::format(
        "define internal void @f{}(ptr %p) alwaysinline {{\n  call void @f{}(ptr %p)\n  call void @f{}(ptr %p)\n  ret "
        "void\n}}\n",
        i, i - 1, i - 1);
  }
  ir += "define void @f(ptr %p) {\n  call void @f30(ptr %p)\n  ret void\n}\n";
  auto artifact = Compile(ir, {{"f", "void(int32*)"}});
  ASSERT_FALSE(artifact);
  EXPECT_THAT(Message(artifact), HasSubstr("Unsupported: 'f"));
  EXPECT_THAT(Message(artifact), HasSubstr("more than 1000000 instructions"));
}

TEST(Diagnostics, ExponentialEmptyTypesEndQuickly) {
  std::string ir = "%T0 = type { }\n";
  for (int i = 1; i <= 60; ++i) ir += fmt::format("%T{} = type {{ %T{}, %T{} }}\n", i, i - 1, i - 1);
  ir += "define %T60 @f(%T60 %a) {\n  ret %T60 %a\n}\n";
  const auto outcome = InFork([&] { return Message(Compile(ir, {{"f", "int32(int32)"}})); });
  ASSERT_TRUE(outcome.answered) << outcome.signal;
  EXPECT_THAT(outcome.answer, HasSubstr("InvalidModule: "));
}

// The identification block spells the producer's name in characters of six bits, at any bit of the file.
bool ReplaceChar6(std::string* bitcode, std::string_view from, std::string_view to) {
  const auto code = [](char c) -> unsigned { return c >= '0' && c <= '9' ? c - '0' + 52 : c - 'A' + 26; };
  const auto bit = [&](size_t at) { return (static_cast<unsigned char>((*bitcode)[at / 8]) >> (at % 8)) & 1u; };
  const auto matches = [&](size_t start) {
    for (size_t i = 0; i < from.size() * 6; ++i) {
      if (bit(start + i) != ((code(from[i / 6]) >> (i % 6)) & 1u)) return false;
    }
    return true;
  };
  for (size_t start = 0; start + from.size() * 6 < std::min<size_t>(bitcode->size(), 256) * 8; ++start) {
    if (!matches(start)) continue;
    for (size_t i = 0; i < to.size() * 6; ++i) {
      char& byte = (*bitcode)[(start + i) / 8];
      const unsigned mask = 1u << ((start + i) % 8);
      byte = static_cast<char>((byte & ~mask) | (((code(to[i / 6]) >> (i % 6)) & 1u) != 0 ? mask : 0));
    }
    return true;
  }
  return false;
}

TEST(Producer, NewerBitcodeNamesBothVersions) {
  if (!HasClang()) GTEST_SKIP() << "no clang on this machine";
  std::string bitcode = ClangModule("int f(int a) { return a; }", "-O1");
  ASSERT_TRUE(Compile(bitcode, {{"f", "int32(int32)", Abi::kSysv}}));
  ASSERT_TRUE(ReplaceChar6(&bitcode, "LLVM1", "LLVM9"));
  auto artifact = Compile(bitcode, {{"f", "int32(int32)", Abi::kSysv}});
  ASSERT_FALSE(artifact);
  EXPECT_EQ(artifact.error().kind, ErrorKind::kUnsupportedProducer);
  EXPECT_THAT(artifact.error().message, HasSubstr("made by LLVM9"));
  EXPECT_THAT(artifact.error().message, HasSubstr("newer than the LLVM 22."));
}

TEST(Producer, NewerTextThatDoesNotParseNamesBothVersions) {
  auto artifact = Compile(
      "define i32 @f(i32 newattribute %a) {\n  ret i32 %a\n}\n!llvm.ident = !{!0}\n!0 = !{!\"clang version 99.1.0\"}\n",
      {{"f", "int32(int32)"}});
  ASSERT_FALSE(artifact);
  EXPECT_EQ(artifact.error().kind, ErrorKind::kUnsupportedProducer);
  EXPECT_THAT(artifact.error().message, HasSubstr("clang 99"));
  EXPECT_THAT(artifact.error().message, HasSubstr("LLVM 22."));
}

TEST(Refused, InlineAsmByTheOperatorsLeave) {
  CompileOptions options;
  options.allow_inline_asm = true;
  Loaded module("define i32 @f(i32 %a) {\n  %b = call i32 asm \"leal 1($1), $0\", \"=r,r\"(i32 %a)\n  ret i32 %b\n}\n",
                {{"f", "int32(int32)"}}, options);
  ASSERT_TRUE(module.ok());
  EXPECT_EQ(module.Run<int32_t>(0, 41), 42);
  for (const char* text : {".incbin \\22/etc/passwd\\22", "nop; .include \\22/etc/passwd\\22",
                           "{.incbin \\22/etc/passwd\\22|nop}", "\\0A\\09.file \\22x\\22"}) {
    auto artifact = Compile(
        fmt::format("define i32 @f(i32 %a) {{\n  call void asm sideeffect \"{}\", \"\"()\n  ret i32 %a\n}}\n", text),
        {{"f", "int32(int32)"}}, options);
    ASSERT_FALSE(artifact) << text;
    EXPECT_THAT(Message(artifact), HasSubstr("instructions only, no directives"));
  }
  // What its own assembler refuses is an error with a message, not the end of the process.
  const auto outcome = InFork([&] {
    return Message(
        Compile("define i32 @f(i32 %a) {\n  call void asm sideeffect \"nosuchinstruction\", \"\"()\n  ret i32 %a\n}\n",
                {{"f", "int32(int32)"}}, options));
  });
  ASSERT_TRUE(outcome.answered);
  EXPECT_THAT(outcome.answer, HasSubstr("CompileFailed: "));
  EXPECT_THAT(outcome.answer, HasSubstr("invalid instruction mnemonic 'nosuchinstruction'"));
}

TEST(Refused, DeadCodeIsNot) {
  Loaded module(
      "@t = thread_local global i32 0\ndefine internal ptr @dead() gc \"nosuchgc\" {\n  ret ptr @t\n}\n"
      "define i32 @f(i32 %a) \"target-cpu\"=\"nosuch\" \"target-features\"=\"-sse2,+nosuch\" "
      "\"probe-stack\"=\"nosuch\" section \".strange\" {\n  ret i32 %a\n}\n",
      {{"f", "int32(int32)"}});
  ASSERT_TRUE(module.ok());
  EXPECT_EQ(module.Run<int32_t>(0, 42), 42);
}

TEST(Refused, UnknownOptions) {
  CompileOptions options;
  options.opt_level = 4;
  EXPECT_THAT(Message(Compile("", {}, options)), HasSubstr("InvalidArgument: optimisation level 4"));
  EXPECT_THAT(Message(Compile("define i32 @f(i32 %a) {\n  ret i32 %a\n}\n", {{"f", "int32(int32)", Abi::kKernel}})),
              HasSubstr("Unsupported: 'f'"));
  EXPECT_THAT(Message(Compile("define i32 @f(i32 %a) {\n  ret i32 %a\n}\n", {{"f", "int32(int32[])"}})),
              HasSubstr("InvalidModule: 'f' does not match its signature"));
  EXPECT_THAT(Message(Compile("define i32 @f(i32 %a) {\n  ret i32 %a\n}\n", {{"f", "int32(int32"}})),
              HasSubstr("InvalidArgument: "));
}

}  // namespace
}  // namespace rbc::testing
