// IR as users have it: the notebook's typed pointers, clang 14's text and bitcode, a producer newer than the farm.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <complex>
#include <cstring>

#include "tests/harness/farm_test.h"
#include "tests/harness/ir.h"
#include "tests/harness/paths.h"
#include "tests/harness/toolchain.h"

namespace rbc::harness {
namespace {

using ::testing::HasSubstr;

class IrForms : public FarmTest {};

std::string NotebookIr() { return ReadWholeFile(SourcePath("examples/add.ll")); }

TEST_F(IrForms, TheNotebooksTypedPointersRunByEveryAbi) {
  Client client = farm().Connect();
  Module module{NotebookIr(),
                {Declare("add_daddA", "f64(f64,f64)"), Declare("add_lallA", "i64(i64,i64)"),
                 Declare("add_DaDDA", "complex128(complex128,complex128)"),
                 Declare("_ZN8__main__7add$244Edd", "f64(f64,f64)", wire::Abi::StatusRetptr),
                 Declare("_ZN8__main__7add$245Exx", "i64(i64,i64)", wire::Abi::StatusRetptr)},
                {}};
  const auto reply = Must(client.Compile(module), "the notebook");
  EXPECT_TRUE(Must(client.Call(reply.functions[0], {1.5, 2.0})).value == Value(3.5));
  EXPECT_TRUE(Must(client.Call(reply.functions[1], {1, 2})).value == Value(3));
  EXPECT_TRUE(Must(client.Call(reply.functions[2], {std::complex<double>(0, 1), 2})).value ==
              Value(std::complex<double>(2, 1)));
  EXPECT_TRUE(Must(client.Call(reply.functions[3], {1.5, 2.0})).value == Value(3.5));
  EXPECT_TRUE(Must(client.Call(reply.functions[4], {40, 2})).value == Value(42));
}

constexpr char kHypotSource[] = R"(
  double sqrt(double);
  static double square(double x) { return x * x; }
  double hypotenuse(const double *sides) { return sqrt(square(sides[0]) + square(sides[1])); }
)";

TEST_F(IrForms, TextAndBitcodeOfTheMachinesClangRun) {
  Client client = farm().Connect();
  for (const IrForm form : {IrForm::kText, IrForm::kBitcode}) {
    for (const char* level : {"-O0", "-O2", "-g"}) {
      const auto f = Must(client.Load(MakeModule(CompileC(kHypotSource, form, {level}), "hypotenuse",
                                                 "float64(float64*)", wire::Abi::Sysv)),
                          level);
      std::vector<double> sides = {3, 4};
      const types::Buffer memory{sides.data(), 16, types::Direction::kIn, types::Type::Float(64), nullptr};
      EXPECT_TRUE(Must(client.Call(f, {memory})).value == Value(5.0)) << level;
    }
  }
}

TEST_F(IrForms, BitcodeOfTheFarmsOwnLlvmRuns) {
  Client client = farm().Connect();
  Module module = AddModule();
  module.ir = Assemble(module.ir);
  ASSERT_FALSE(module.ir.empty());
  EXPECT_TRUE(Must(client.Call(Must(client.Load(module)), {1.5, 2.0})).value == Value(3.5));
}

TEST_F(IrForms, AFunctionOfAnyLinkageIsAnEntry) {
  Client client = farm().Connect();
  for (const char* linkage : {"linkonce", "linkonce_odr", "weak", "weak_odr", "internal", "private", "hidden",
                              "available_externally", "dso_local", "protected"}) {
    const std::string ir =
        std::string("define ") + linkage + " i64 @f(i64 %x) {\n  %y = add i64 %x, 1\n  ret i64 %y\n}\n";
    const auto f = Must(client.Load(MakeModule(ir, "f", "int64(int64)")), linkage);
    EXPECT_TRUE(Must(client.Call(f, {41}), linkage).value == Value(42)) << linkage;
  }
}

constexpr char kAliases[] = R"(
@numbers = global [4 x i64] [i64 1, i64 2, i64 40, i64 4]
@third = alias i64, getelementptr ([4 x i64], ptr @numbers, i64 0, i64 2)
@same = weak alias i64 (i64), ptr @other
@other = alias i64 (i64), ptr @plain
define i64 @plain(i64 %x) {
  %n = load i64, ptr @third
  %y = add i64 %x, %n
  ret i64 %y
}
define i64 @caller(i64 %x) {
  %y = call i64 @same(i64 %x)
  ret i64 %y
}
)";

TEST_F(IrForms, AliasesOfFunctionsAndOfPartsOfDataWork) {
  Client client = farm().Connect();
  for (const std::string& ir : {std::string(kAliases), Assemble(kAliases)}) {
    for (const char* name : {"plain", "caller", "other", "same"}) {
      const auto f = Must(client.Load(MakeModule(ir, name, "int64(int64)")), name);
      EXPECT_TRUE(Must(client.Call(f, {2}), name).value == Value(42)) << name;
    }
  }
}

// The identification block of a bitcode has the producer as an array of 6-bit or 8-bit characters, byte-aligned
// nowhere; so the bits are searched and replaced at every bit offset.
std::string ReplaceBits(std::string bytes, const std::string& from, const std::string& to, unsigned width) {
  const auto code = [&](char c) -> unsigned {
    if (width == 8) return static_cast<unsigned char>(c);
    constexpr char kChar6[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._";
    return static_cast<unsigned>(std::strchr(kChar6, c) - kChar6);
  };
  const auto bit = [&](size_t at) { return (bytes[at / 8] >> (at % 8)) & 1; };
  const auto matches = [&](size_t at) {
    for (size_t i = 0; i < from.size() * width; ++i) {
      if (bit(at + i) != static_cast<int>((code(from[i / width]) >> (i % width)) & 1)) return false;
    }
    return true;
  };
  for (size_t at = 0; at + from.size() * width <= bytes.size() * 8; ++at) {
    if (!matches(at)) continue;
    for (size_t i = 0; i < to.size() * width; ++i) {
      const size_t where = at + i;
      const unsigned wanted = (code(to[i / width]) >> (i % width)) & 1;
      bytes[where / 8] = static_cast<char>((bytes[where / 8] & ~(1 << (where % 8))) | (wanted << (where % 8)));
    }
    return bytes;
  }
  return "";
}

// Bitcode that a newer release with a record of its own would write: the same file under another name, damaged so that
// this LLVM cannot read it.
TEST_F(IrForms, ANewerProducerIsRefusedWithBothVersions) {
  Client client = farm().Connect();
  Module module = AddModule();
  const std::string bitcode = Assemble(module.ir);
  const std::string farms = client.session().llvm_version;  // "22.1.8"
  std::string newer = farms;
  newer[0] = '9';
  std::string forged = ReplaceBits(bitcode, "LLVM" + farms, "LLVM" + newer, 6);
  if (forged.empty()) forged = ReplaceBits(bitcode, "LLVM" + farms, "LLVM" + newer, 8);
  ASSERT_FALSE(forged.empty()) << "the producer LLVM" << farms << " is not in the bitcode";
  const std::string unreadable = [&] {
    std::string copy = forged;
    for (size_t i = copy.size() / 2; i < copy.size() / 2 + 16; ++i) copy[i] = static_cast<char>(~copy[i]);
    return copy;
  }();
  module.ir = unreadable;
  const Error error = MustFail(client.Load(module));
  EXPECT_EQ(error.kind, ErrorKind::kUnsupportedProducer) << Describe(error);
  EXPECT_THAT(error.message, ::testing::AllOf(HasSubstr(newer.substr(0, 2)), HasSubstr(farms.substr(0, 2))));
}

TEST_F(IrForms, TextThatDoesNotParseHasLineColumnAndSource) {
  Client client = farm().Connect();
  const Error error = MustFail(client.Load(
      MakeModule("define i64 @f(i64 %x) {\n  %y = add i64 %x, %nosuch\n  ret i64 %y\n}\n", "f", "int64(int64)")));
  EXPECT_EQ(error.kind, ErrorKind::kInvalidModule) << Describe(error);
  ASSERT_FALSE(error.diagnostics.empty());
  EXPECT_EQ(error.diagnostics[0].line, 2u);
  EXPECT_GT(error.diagnostics[0].column, 0u);
  EXPECT_THAT(error.diagnostics[0].source_line, HasSubstr("%nosuch"));
}

TEST_F(IrForms, MissingSymbolsAreNamedAllAtOnce) {
  Client client = farm().Connect();
  const Error error = MustFail(client.Load(MakeModule(R"(declare i64 @first_missing(i64)
declare i64 @second_missing(i64)
declare ptr @fopen(ptr, ptr)
define i64 @f(i64 %x) {
  %a = call i64 @first_missing(i64 %x)
  %b = call i64 @second_missing(i64 %a)
  %c = call ptr @fopen(ptr null, ptr null)
  ret i64 %b
}
)",
                                                      "f", "int64(int64)")));
  EXPECT_EQ(error.kind, ErrorKind::kMissingSymbol) << Describe(error);
  EXPECT_THAT(error.message,
              ::testing::AllOf(HasSubstr("first_missing"), HasSubstr("second_missing"), HasSubstr("fopen")));
}

TEST_F(IrForms, EmitGivesObjectAssemblyAndIr) {
  Client client = farm().Connect();
  EXPECT_EQ(Must(client.EmitCode(AddModule(), wire::Emit::Object)).code.substr(0, 4),
            "\x7f"
            "ELF");
  EXPECT_THAT(Must(client.EmitCode(AddModule(), wire::Emit::Assembly)).code, HasSubstr("add_daddA"));
  EXPECT_THAT(Must(client.EmitCode(AddModule(), wire::Emit::Ir)).code, HasSubstr("fadd double"));
  EXPECT_EQ(MustFail(client.EmitCode(AddModule(), wire::Emit::Ptx)).kind, ErrorKind::kUnsupported);
}

TEST_F(IrForms, AHandleThatIsNotTheRequestsOwnIsRefused) {
  Client client = farm().Connect();
  wire::CompileRequest request = RequestFor(AddModule());
  request.handle[7] = static_cast<char>(~request.handle[7]);
  EXPECT_EQ(MustFail(client.Compile(request)).kind, ErrorKind::kInvalidArgument);
  request.handle.resize(31);
  EXPECT_EQ(MustFail(client.Compile(request)).kind, ErrorKind::kInvalidArgument);
}

TEST_F(IrForms, OnlyTheFourLevelsAreTaken) {
  Client client = farm().Connect();
  for (const int level : {-1, 4, 1 << 20}) {
    Module module = AddModule();
    module.options.opt_level = level;
    EXPECT_EQ(MustFail(client.Load(module)).kind, ErrorKind::kInvalidArgument) << level;
  }
}

}  // namespace
}  // namespace rbc::harness
