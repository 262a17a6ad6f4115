// Entries that go through the rows of columns, called as a worker calls them.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <complex>
#include <numeric>

#include "tests/targets/bulk.h"
#include "tests/targets/clang.h"
#include "tests/targets/harness.h"

namespace rbc::testing {
namespace {

using ::testing::HasSubstr;

constexpr std::string_view kAdd = R"(
define double @add(double %a, double %b) {
  %c = fadd double %a, %b
  ret double %c
}
)";
const FunctionDeclaration kAddDeclaration{"add", "float64(float64, float64)", Abi::kDirect};

// Fails with 7 for negative rows and with 9 for those above 1e6.
constexpr std::string_view kRoot = R"(
define i32 @root(ptr %out, double %x) {
  %negative = fcmp olt double %x, 0.0
  br i1 %negative, label %bad, label %check
bad:
  ret i32 7
check:
  %large = fcmp ogt double %x, 1.0e6
  br i1 %large, label %worse, label %good
worse:
  ret i32 9
good:
  %r = call double @llvm.sqrt.f64(double %x)
  store double %r, ptr %out
  ret i32 0
}
declare double @llvm.sqrt.f64(double)
)";
const FunctionDeclaration kRootDeclaration{"root", "float64(float64)", Abi::kStatusRetptr};

CompileOptions MapOf(std::string pattern, MathAccuracy accuracy = MathAccuracy::kFast) {
  CompileOptions options;
  options.entry = EntryKind::kMap;
  options.map_pattern = std::move(pattern);
  options.accuracy = accuracy;
  return options;
}

std::vector<double> Ramp(size_t rows, double from = 0) {
  std::vector<double> values(rows);
  std::iota(values.begin(), values.end(), from);
  return values;
}

TEST(Map, AnyPatternGivesTheSameRows) {
  const double one = 0.25;
  for (const std::string pattern : {"", "ccc", "csc", "scs", "bcc", "bbc", "cbs", "bss", "sss"}) {
    Loaded module(kAdd, {kAddDeclaration}, MapOf(pattern));
    ASSERT_TRUE(module.ok());
    EXPECT_TRUE(module.artifact().repeatable);
    for (const size_t rows : {0, 1, 7, 63, 64, 65, 1000}) {
      const auto letter = [&](size_t i) { return pattern.empty() ? 'c' : pattern[i]; };
      const auto step = [&](size_t i) { return letter(i) == 'c' ? 1 : letter(i) == 'b' ? 0 : 3; };
      const auto a = Ramp(3 * rows + 1), b = Ramp(3 * rows + 1, 0.5);
      std::vector<double> out(3 * rows + 1, -1);
      const auto* left = letter(0) == 'b' ? &one : a.data();
      const auto run = RunBulk(module, rows, {{left, 8 * step(0)}, {b.data(), 8 * step(1)}, {out.data(), 8 * step(2)}});
      EXPECT_EQ(run.status, 0);
      for (size_t i = 0; i < rows; ++i) {
        ASSERT_EQ(out[step(2) * i], (letter(0) == 'b' ? one : a[step(0) * i]) + b[step(1) * i]) << pattern << i;
      }
      if (step(2) == 3) {
        for (size_t i = 0; i < rows; ++i) ASSERT_EQ(out[3 * i + 1], -1) << "between rows";
      }
    }
  }
}

TEST(Map, RowsGoBackwardsToo) {
  Loaded module(kAdd, {kAddDeclaration}, MapOf("scc"));
  ASSERT_TRUE(module.ok());
  const auto a = Ramp(100), b = Ramp(100);
  std::vector<double> out(100);
  RunBulk(module, 100, {{&a[99], -8}, {b.data(), 8}, {out.data(), 8}});
  EXPECT_THAT(out, ::testing::Each(99));
}

TEST(Map, ResultsMayTakeThePlaceOfAnArgument) {
  Loaded module(kAdd, {kAddDeclaration}, MapOf("ccc"));
  ASSERT_TRUE(module.ok());
  auto a = Ramp(1000);
  const auto b = Ramp(1000);
  RunBulk(module, a.size(), {{a.data(), 8}, {b.data(), 8}, {a.data(), 8}});
  for (size_t i = 0; i < a.size(); ++i) ASSERT_EQ(a[i], 2.0 * i);
}

TEST(Map, TheFirstRowThatFailsIsNamed) {
  for (const std::string pattern : {"", "cc", "sc", "cs"}) {
    Loaded module(kRoot, {kRootDeclaration}, MapOf(pattern));
    ASSERT_TRUE(module.ok());
    for (const size_t bad : {0, 1, 63, 64, 499, 999}) {
      auto x = Ramp(1000);
      x[999] = -1;
      if (bad + 1 < x.size()) x[bad + 1] = -1;
      x[bad] = bad == 999 ? -1 : 1e7;
      std::vector<double> out(x.size());
      const auto run = RunBulk(module, x.size(), {{x.data(), 8}, {out.data(), 8}});
      EXPECT_EQ(run.status, bad == 999 ? 7 : 9);
      EXPECT_EQ(run.failed_row, bad);
      EXPECT_EQ(out[500], bad == 499 ? out[500] : std::sqrt(x[500])) << "all other rows run";
    }
  }
}

TEST(Map, StructsAndSmallTypesAreColumns) {
  constexpr std::string_view kIr = R"(
define { double, double } @conj({ double, double } %z) {
  %i = extractvalue { double, double } %z, 1
  %n = fneg double %i
  %r = insertvalue { double, double } %z, double %n, 1
  ret { double, double } %r
}
define i8 @half(i8 %a, i16 %b) {
  %t = trunc i16 %b to i8
  %s = add i8 %a, %t
  ret i8 %s
}
)";
  const std::vector<FunctionDeclaration> functions = {{"conj", "complex128(complex128)"},
                                                      {"half", "int8(int8, int16)"}};
  Loaded any(kIr, functions, MapOf(""));
  Loaded first(kIr, {functions[0]}, MapOf("cc"));
  Loaded second(kIr, {functions[1]}, MapOf("csc"));
  ASSERT_TRUE(any.ok() && first.ok() && second.ok());
  std::vector<std::complex<double>> z(130, {1, 2}), w(130);
  for (auto* module : {&any, &first}) {
    RunBulk(*module, z.size(), {{z.data(), 16}, {w.data(), 16}});
    EXPECT_THAT(w, ::testing::Each(std::complex<double>(1, -2)));
  }
  std::vector<int8_t> a(300, 5), out(300);
  std::vector<int16_t> b(300, 257);
  RunBulk(second, out.size(), {{a.data(), 1}, {b.data(), 2}, {out.data(), 1}});
  EXPECT_THAT(out, ::testing::Each(6));
}

TEST(Map, ResultsPastTheCachesAreTheSame) {
  Loaded module(kAdd, {kAddDeclaration}, MapOf("ccn"));
  ASSERT_TRUE(module.ok());
  for (const size_t rows : {0, 1, 7, 8, 64, 511, 512, 513, 5000}) {
    for (const size_t place : {0, 1}) {  // one of which is no multiple of 64 bytes
      const auto a = Ramp(rows), b = Ramp(rows, 0.5);
      std::vector<double> memory(rows + 16, -1);
      double* out = memory.data();
      while (reinterpret_cast<uintptr_t>(out) % 64 != 0) ++out;
      out += place;
      RunBulk(module, rows, {{a.data(), 8}, {b.data(), 8}, {out, 8}});
      for (size_t i = 0; i < rows; ++i) ASSERT_EQ(out[i], a[i] + b[i]) << rows;
      EXPECT_EQ(out == memory.data() ? -1 : out[-1], -1);
      EXPECT_EQ(out[rows], -1);
    }
  }
}

TEST(MapCode, ResultsPastTheCachesAreStreamed) {
  const auto artifact = Compile(kAdd, {kAddDeclaration}, MapOf("ccn"));
  ASSERT_TRUE(artifact) << Message(artifact);
  const auto code = Disassembly(artifact->code);
  ASSERT_FALSE(code.empty()) << "objdump is missing; scripts/install-deps";
  EXPECT_GE(CountOf(code, "v?movnt(dq|pd|ps)"), 1);
  EXPECT_GE(CountOf(code, "sfence"), 1);
}

// Rows past the end repeat the last one, and what they do must not be seen.
TEST(Map, RowsThatFailAmongTheLastFewAreNamed) {
  constexpr std::string_view kIr = R"(
declare double @exp(double)
define i32 @f(ptr %out, double %x) {
  %bad = fcmp olt double %x, 0.0
  %e = call double @exp(double %x)
  store double %e, ptr %out
  %s = select i1 %bad, i32 4, i32 0
  ret i32 %s
}
)";
  Loaded module(kIr, {{"f", "float64(float64)", Abi::kStatusRetptr}}, MapOf("cc"));
  ASSERT_TRUE(module.ok());
  for (const size_t rows : {1, 5, 70, 130}) {
    for (size_t bad = 0; bad < rows; ++bad) {
      std::vector<double> x(rows, 1), out(rows + 1, -1);
      x[bad] = -1;
      const auto run = RunBulk(module, rows, {{x.data(), 8}, {out.data(), 8}});
      EXPECT_EQ(run.status, 4);
      EXPECT_EQ(run.failed_row, bad);
      EXPECT_EQ(out[rows], -1);
    }
  }
}

TEST(Map, APatternThatDoesNotFitIsRefused) {
  for (const std::string pattern : {"cc", "cccc", "ccb", "ccx", "ncc"}) {
    auto artifact = Compile(kAdd, {kAddDeclaration}, MapOf(pattern));
    ASSERT_FALSE(artifact);
    EXPECT_EQ(artifact.error().kind, ErrorKind::kInvalidArgument);
    EXPECT_THAT(artifact.error().message, HasSubstr("pattern '" + pattern + "'"));
  }
}

TEST(MapCode, SimpleFunctionsAreVectors) {
  for (const std::string pattern : {"", "ccc", "bcc", "scc", "ccs"}) {
    const auto artifact = Compile(kAdd, {kAddDeclaration}, MapOf(pattern));
    ASSERT_TRUE(artifact) << Message(artifact);
    const auto code = Disassembly(artifact->code);
    ASSERT_FALSE(code.empty()) << "objdump is missing; scripts/install-deps";
    EXPECT_GE(CountOf(code, "v?addpd"), 1) << pattern;
    if (pattern == "scc") {
      EXPECT_GE(CountOf(code, "(vgatherqpd|v?movhpd)"), 1) << "strided loads";
    }
  }
}

TEST(MapCode, RowsThatMayFailAreVectors) {
  const auto artifact = Compile(kRoot, {kRootDeclaration}, MapOf("cc"));
  ASSERT_TRUE(artifact) << Message(artifact);
  const auto code = Disassembly(artifact->code);
  ASSERT_FALSE(code.empty()) << "objdump is missing; scripts/install-deps";
  EXPECT_GE(CountOf(code, "v?sqrtpd"), 1);
}

TEST(MapCode, ClangsHintsAreNoHindrance) {
  ASSERT_TRUE(HasClang()) << "clang is missing; scripts/install-deps";
  constexpr std::string_view kSource = R"(
static double horner(const double* c, double x) {
  double r = 0;
  for (int i = 0; i < 9; ++i) r = r * x + c[i];
  return r;
}
double poly(double x) {
  static const double c[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  return x > 0 ? horner(c, x) : -x;
}
)";
  for (const char* flags : {"-O0 -Xclang -disable-O0-optnone", "-O0", "-O1 -Xclang -disable-llvm-passes", "-O2"}) {
    const auto ir = ClangModule(kSource, flags);
    const FunctionDeclaration poly{"poly", "float64(float64)", Abi::kSysv};
    const auto artifact = Compile(ir, {poly}, MapOf("cc"));
    ASSERT_TRUE(artifact) << Message(artifact);
    const auto code = Disassembly(artifact->code);
    ASSERT_FALSE(code.empty()) << "objdump is missing; scripts/install-deps";
    EXPECT_GE(CountOf(code, "v?mulpd"), 8) << flags;
    Loaded module(ir, {poly}, MapOf("cc"));
    ASSERT_TRUE(module.ok());
    const std::vector<double> x = {2, -3, 0.5};
    std::vector<double> out(3);
    RunBulk(module, 3, {{x.data(), 8}, {out.data(), 8}});
    EXPECT_EQ(out[0], ((((((((1. * 2 + 2) * 2 + 3) * 2 + 4) * 2 + 5) * 2 + 6) * 2 + 7) * 2 + 8) * 2 + 9));
    EXPECT_EQ(out[1], 3);
  }
}

}  // namespace
}  // namespace rbc::testing
