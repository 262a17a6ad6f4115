// Names in modules: found without LLVM, resolved as users mean them. Sources through the machine's clang.
// SPDX-License-Identifier: Apache-2.0
#include "client/src/symbols.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>
#include <random>

#include "client/src/process.h"
#include "rbc/rbc.h"
#include "tests/client/fake_farm.h"

namespace rbc::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Names = std::vector<std::string>;

types::Type T(std::string_view text) { return types::Type::Parse(text).value(); }

TEST(Symbols, AreReadFromText) {
  const char ir[] =
      "define i32 @plain(i32 %x) {\n}\n"
      "declare void @declared()\n"
      "; define void @comment()\n"
      "  define dso_local noundef { double, double } @\"odd \\22name\\22\"() #0 {\n"
      "define internal void @hidden() {\n"
      "define linkonce_odr %\"class.@x\" @_Z3addii(%\"struct.@y\"* %p) {\n"
      "@global = global i32 0\n"
      "@other = weak alias double (double), ptr @plain\n"
      "@inside = internal alias double (double), ptr @plain\n"
      "@data = alias i32, ptr @global\n";
  EXPECT_EQ(DefinedFunctions(ir), (Names{"plain", "odd \"name\"", "_Z3addii", "other"}));
  EXPECT_EQ(DefinedFunctions(""), Names{});
  EXPECT_EQ(DefinedFunctions("define \n define @\n define \"\n define x@\"abc"), Names{"abc"});
}

TEST(Symbols, ExactThenMangledThenCxx) {
  const auto resolve = [](const std::string& name, std::string_view signature, bool alone, Names defined) {
    auto symbol = ResolveSymbol(name, T(signature), alone, std::move(defined));
    return symbol ? *symbol : "error: " + symbol.error().message;
  };
  EXPECT_EQ(resolve("add", "double(double, double)", true, {"add", "add_daddA"}), "add");
  EXPECT_EQ(resolve("add", "double(double, double)", false, {"add", "add_daddA"}), "add_daddA");
  EXPECT_EQ(resolve("add", "double(double, double)", true, {"add_daddA", "_Z3adddd"}), "add_daddA");
  EXPECT_EQ(resolve("add", "double(double, double)", true, {"_Z3adddd"}), "_Z3adddd");
  EXPECT_EQ(resolve("add", "double(double, double)", true, {"_Z3adddd", "_Z3addii"}), "_Z3adddd");
  EXPECT_EQ(resolve("add", "int(int, int)", true, {"_Z3adddd", "_Z3addii"}), "_Z3addii");
  EXPECT_EQ(resolve("geo::area", "double(double)", true, {"_ZN3geo4areaEd", "_ZN3ngeo4areaEd"}), "_ZN3geo4areaEd");
  EXPECT_EQ(resolve("area", "double(double)", true, {"_ZN3geo4areaEd"}), "_ZN3geo4areaEd");
  EXPECT_THAT(resolve("area", "double(double)", true, {"_ZN3geo4areaEd", "_ZN3foo4areaEd"}),
              HasSubstr("geo::area(double)"));
  EXPECT_THAT(resolve("rea", "double(double)", true, {"_ZN3geo4areaEd"}), HasSubstr("has neither 'rea'"));
  EXPECT_EQ(resolve("add", "double(double, double)", true, {}), "add");  // the farm says what such a module is
  EXPECT_EQ(ResolveSymbol("add", T("double(double, double)"), true, std::nullopt).value(), "add");
  EXPECT_EQ(ResolveSymbol("add", T("double(double, double)"), false, std::nullopt).value(), "add_daddA");
  EXPECT_EQ(ResolveSymbol("add", T("double(double, double)"), true, std::nullopt, "..add_daddA..").value(),
            "add_daddA");
}

std::string Clang(const std::string& code, const std::vector<std::string>& options, const std::string& clang) {
  std::vector<std::string> arguments = {clang, "-x", "c", "-", "-O1", "-emit-llvm", "-c", "-o", "-"};
  arguments.insert(arguments.end(), options.begin(), options.end());
  const auto done = Run(arguments, code, 1 << 24, Deadline::AfterMs(30000));
  return done ? done->out : "";
}

constexpr char kCode[] =
    "int global = 1;\nstatic int __attribute__((noinline)) hidden(int x) { return x + global; }\nint other(int);\nint "
    "shown(int x) { return hidden(x) + other(x); }\nint weak(int x) __attribute__((weak));\nint weak(int x) { return "
    "x; }\n";

TEST(Symbols, AreReadFromBitcode) {
  const std::string clang = FindProgram("clang");
  if (clang.empty()) GTEST_SKIP() << "no clang on PATH";
  const std::string bitcode = Clang(kCode, {}, clang);
  ASSERT_TRUE(IsBitcode(bitcode));
  const auto found = DefinedFunctions(bitcode);
  ASSERT_TRUE(found);
  EXPECT_THAT(*found, testing::UnorderedElementsAre("shown", "weak"));
}

TEST(Symbols, DamagedBitcodeIsNoDanger) {
  const std::string clang = FindProgram("clang");
  if (clang.empty()) GTEST_SKIP() << "no clang on PATH";
  const std::string bitcode = Clang(kCode, {}, clang);
  for (size_t n = 0; n < bitcode.size(); n += 3) (void)DefinedFunctions(std::string(bitcode, 0, n));
  std::mt19937 random(7);
  for (int i = 0; i < 5000; ++i) {
    std::string copy = bitcode;
    for (int k = 0; k < 4; ++k) copy[4 + random() % (copy.size() - 4)] = static_cast<char>(random());
    (void)DefinedFunctions(copy);
  }
}

TEST(Sources, AreLoweredByClang) {
  if (FindProgram("clang").empty()) GTEST_SKIP() << "no clang on PATH";
  const Source c = Source::C("double twice(double x) { return 2 * x; }");
  EXPECT_THAT(c.ir(), HasSubstr("define"));
  EXPECT_EQ(c.abi(), CallAbi::kSysv);
  EXPECT_FALSE(c.is_bitcode());
  EXPECT_EQ(DefinedFunctions(c.ir()), Names{"twice"});
  EXPECT_EQ(DefinedFunctions(Source::Cxx("int add(int a, int b) { return a + b; }").ir()), Names{"_Z3addii"});
  const auto wrong = Source::TryC("int f(int x) {\n  return y;\n}\n");
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().kind, ErrorKind::kCompileFailed);
  ASSERT_FALSE(wrong.error().diagnostics.empty());
  EXPECT_EQ(wrong.error().diagnostics[0].line, 2u);
  EXPECT_EQ(wrong.error().diagnostics[0].column, 10u);
  EXPECT_EQ(wrong.error().diagnostics[0].source_line, "  return y;");
}

TEST(Sources, AreReadFromFiles) {
  const test::TempDir directory;
  const std::string path = directory.path() + "/-twice.c";
  std::ofstream(path) << "#include \"factor.h\"\ndouble twice(double x) { return FACTOR * x; }";
  std::ofstream(directory.path() + "/factor.h") << "#define FACTOR 2\n";
  std::ofstream(directory.path() + "/x.ll") << "define void @x() { ret void }";
  EXPECT_EQ(Source::File(directory.path() + "/x.ll").abi(), CallAbi::kDirect);
  EXPECT_FALSE(Source::TryFile(directory.path() + "/missing.ll"));
  if (FindProgram("clang").empty()) GTEST_SKIP() << "no clang on PATH";
  EXPECT_THAT(Source::File(path).ir(), HasSubstr("@twice"));
}

TEST(Sources, AMissingClangNamesThePackage) {
  const std::string path = ::getenv("PATH");
  ::setenv("PATH", "/nonexistent", 1);
  const auto source = Source::TryC("int x;");
  ::setenv("PATH", path.c_str(), 1);
  ASSERT_FALSE(source);
  EXPECT_EQ(source.error().kind, ErrorKind::kUnavailable);
  EXPECT_THAT(source.error().message, HasSubstr("install the package clang"));
}

TEST(Processes, EndAtTheirDeadlineAndAreBounded) {
  const auto start = Clock::now();
  const auto late = client::Run({"/bin/sleep", "20"}, "", 100, Deadline::AfterMs(100));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().kind, ErrorKind::kDeadlineExceeded);
  EXPECT_LT(Clock::now() - start, std::chrono::seconds(12));
  EXPECT_EQ(client::Run({"/bin/cat"}, std::string(1 << 20, 'x'), 2 << 20, Deadline::AfterMs(20000))->out.size(),
            size_t{1} << 20);
  EXPECT_FALSE(client::Run({"/bin/cat"}, std::string(1 << 20, 'x'), 1000, Deadline::AfterMs(20000)));
  EXPECT_EQ(client::Run({"/bin/true"}, std::string(1 << 20, 'x'), 1000, Deadline::AfterMs(20000))->status, 0)
      << "input that nobody reads";
}

}  // namespace
}  // namespace rbc::client
