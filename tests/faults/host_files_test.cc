// IR that tries to read the farm's files: nothing of them reaches an object, a message or the log.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/harness/farm_test.h"
#include "tests/harness/ir.h"
#include "tests/harness/toolchain.h"

namespace rbc::harness {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class HostFiles : public FarmTest {
 protected:
  void SetUp() override {
    FarmTest::SetUp();
    path_ = farm().folder() + "/secret.inc";
    // A directive that an assembler would stumble over and quote.
    WriteWholeFile(path_, std::string(kSecret) + "\n.byte 1\n");
  }

  std::string AllOf(const Error& error) { return Describe(error) + error.output; }

  // By emit in every form and by compile, as text and bitcode; the secret is in none of the answers.
  void ExpectNothingLeaks(const std::string& ir, bool must_refuse) {
    Client client = farm().Connect();
    for (const std::string& form : {ir, Assemble(ir)}) {
      if (form.empty()) continue;
      for (const int level : {0, 2}) {
        Module module = MakeModule(form, "f", "int32()", wire::Abi::Direct, level);
        for (const auto emit : {wire::Emit::Object, wire::Emit::Assembly, wire::Emit::Ir}) {
          const auto reply = client.EmitCode(module, emit);
          EXPECT_FALSE(must_refuse && reply) << "accepted by emit";
          EXPECT_THAT(reply ? reply->code : AllOf(reply.error()), Not(HasSubstr(kSecret)));
        }
        const auto loaded = client.Load(module);
        EXPECT_FALSE(must_refuse && loaded) << "accepted by compile";
        if (!loaded) {
          EXPECT_THAT(AllOf(loaded.error()), Not(HasSubstr(kSecret)));
          EXPECT_NE(loaded.error().kind, ErrorKind::kCompileCrash) << Describe(loaded.error());
        }
      }
    }
    EXPECT_THAT(farm().log(), Not(HasSubstr(kSecret)));
  }

  static constexpr char kSecret[] = "swordfish-7731-planted";
  std::string path_;
};

const char kFunction[] = "define i32 @f() {\n  ret i32 0\n}\n";

TEST_F(HostFiles, ModuleAsmIsRefusedWhateverItDoes) {
  for (const std::string directive : {".incbin", ".include"}) {
    ExpectNothingLeaks("module asm \".section .rodata\"\nmodule asm \"leak:\"\nmodule asm \"" + directive + " \\22" +
                           path_ + "\\22\"\n" + kFunction,
                       true);
  }
  ExpectNothingLeaks(std::string("module asm \"nop\"\n") + kFunction, true);
  Client client = farm().Connect();
  const Error error =
      MustFail(client.Load(MakeModule(std::string("module asm \"nop\"\n") + kFunction, "f", "int32()")));
  EXPECT_EQ(error.kind, ErrorKind::kUnsupported) << Describe(error);
  EXPECT_THAT(error.message, HasSubstr("asm"));
}

TEST_F(HostFiles, InlineAsmIsRefusedUnlessTheOperatorAllowsIt) {
  for (const std::string directive : {".incbin", ".include"}) {
    ExpectNothingLeaks("define i32 @f() {\n  call void asm sideeffect \".pushsection .rodata\\0A" + directive +
                           " \\22" + path_ + "\\22\\0A.popsection\", \"\"()\n  ret i32 0\n}\n",
                       true);
  }
  ExpectNothingLeaks("define i32 @f() {\n  call void asm sideeffect \"nop\", \"\"()\n  ret i32 0\n}\n", true);
}

// Other ways to name a file in IR: none is opened.
TEST_F(HostFiles, DebugInformationAndNamesOpenNothing) {
  ExpectNothingLeaks("source_filename = \"" + path_ + "\"\n" +
                         "define i32 @f() !dbg !4 {\n  ret i32 0, !dbg !7\n}\n!llvm.dbg.cu = !{!0}\n"
                         "!llvm.module.flags = !{!2, !3}\n"
                         "!0 = distinct !DICompileUnit(language: DW_LANG_C99, file: !1, emissionKind: FullDebug)\n"
                         "!1 = !DIFile(filename: \"" +
                         path_ +
                         "\", directory: \"/\")\n"
                         "!2 = !{i32 7, !\"Dwarf Version\", i32 5}\n!3 = !{i32 2, !\"Debug Info Version\", i32 3}\n"
                         "!4 = distinct !DISubprogram(name: \"f\", file: !1, line: 1, type: !5, unit: !0, spFlags: "
                         "DISPFlagDefinition)\n!5 = !DISubroutineType(types: !6)\n!6 = !{null}\n"
                         "!7 = !DILocation(line: 1, scope: !4)\n",
                     false);
  ExpectNothingLeaks("@g = global i32 0, section \".incbin \\22" + path_ + "\\22\"\n" + kFunction, false);
  ExpectNothingLeaks("!llvm.linker.options = !{!0}\n!0 = !{!\"" + path_ + "\"}\n" + kFunction, false);
  ExpectNothingLeaks(
      "attributes #0 = { \"target-features\"=\"+" + path_ + "\" }\ndefine i32 @f() #0 {\n  ret i32 0\n}\n", false);
  ExpectNothingLeaks("!llvm.commandline = !{!0}\n!0 = !{!\"-sample-profile-file=" + path_ + "\"}\n" + kFunction, false);
}

// Client code has no way to files at run time either.
TEST_F(HostFiles, FunctionsThatReachTheHostAreRefusedByName) {
  Client client = farm().Connect();
  for (const std::string name :
       {"open", "openat", "fopen", "read", "system", "popen", "execve", "fork", "socket", "getenv", "dlopen", "syscall",
        "mmap", "kill", "ptrace", "scanf", "getchar", "remove", "pthread_create"}) {
    const Error error =
        MustFail(client.Load(MakeModule("declare i64 @" + name + "(ptr, i64)\ndefine i64 @f() {\n  %r = call i64 @" +
                                            name + "(ptr null, i64 0)\n  ret i64 %r\n}\n",
                                        "f", "int64()")),
                 name);
    EXPECT_EQ(error.kind, ErrorKind::kMissingSymbol) << Describe(error);
    EXPECT_THAT(error.message, HasSubstr(name));
  }
}

}  // namespace
}  // namespace rbc::harness
