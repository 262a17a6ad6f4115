// The command `rbc` against a real farm: what it prints, its exit codes, its JSON.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <cmath>

#include "rbc/rbc.h"
#include "tests/harness/farm_test.h"
#include "tests/harness/ir.h"
#include "tests/harness/paths.h"
#include "tests/harness/run_program.h"
#include "tests/harness/toolchain.h"

namespace rbc::harness {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class Cli : public FarmTest {
 protected:
  Finished Rbc(std::vector<std::string> arguments, const RunOptions& options = {}) {
    arguments.insert(arguments.begin(), {ProgramPath("rbc"), "--farm", farm().unix_address()});
    return RunProgram(arguments, options);
  }
  // `rbc call` of a C source that is fed by a file of the farm's folder.
  std::string WriteFile(const std::string& name, const std::string& text) {
    const std::string path = farm().folder() + "/" + name;
    WriteWholeFile(path, text);
    return path;
  }
  void ExpectPrints(const std::string& line, const std::vector<std::string>& arguments) {
    std::vector<std::string> command = {"call"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    const Finished run = Rbc(command);
    EXPECT_EQ(run.exit_code, 0) << run.ToString();
    EXPECT_EQ(run.out, line + "\n") << run.ToString();
    EXPECT_EQ(run.err, "");
  }
};

const std::string kNotebook = SourcePath("examples/add.ll");

TEST_F(Cli, PrintsResultsAsPythonDoes) {
  ExpectPrints("3", {kNotebook, "add", "i64(i64,i64)", "1", "2"});
  ExpectPrints("3.5", {kNotebook, "add_daddA", "f64(f64,f64)", "1.5", "2"});
  ExpectPrints("(2+1j)", {kNotebook, "add", "complex128(complex128,complex128)", "1j", "2"});
  ExpectPrints("-3", {kNotebook, "add", "i64(i64,i64)", "-1", "-2"});
  ExpectPrints("inf", {kNotebook, "add", "f64(f64,f64)", "inf", "2"});
  ExpectPrints("1e+16", {kNotebook, "add", "f64(f64,f64)", "1e16", "0"});
  const std::string source = WriteFile("kinds.c", R"(
      #include <stdbool.h>
      bool even(long n) { return n % 2 == 0; }
      float third(float x) { return x / 3; }
      const char *greet(void) { return "hello"; }
      void nothing(void) {}
      unsigned long most(void) { return -1ul; }
      struct pair { int a; double b; };
      struct pair swap(struct pair p) { struct pair r = { p.b, p.a }; return r; }
      int sum(int *v, long n) { int s = 0; for (long i = 0; i < n; i++) s += v[i]; return s; })");
  ExpectPrints("True", {source, "even", "bool(int64)", "4"});
  ExpectPrints("False", {source, "even", "bool(int64)", "5"});
  ExpectPrints("0.33333334", {source, "third", "float32(float32)", "1"});
  ExpectPrints("hello", {source, "greet", "string()"});
  ExpectPrints("18446744073709551615", {source, "most", "uint64()"});
  ExpectPrints("(2, 1.0)", {source, "swap", "{int32, float64}({int32, float64})", "{1, 2.5}"});
  ExpectPrints("6", {source, "sum", "int32(int32*, int64)", "[1, 2, 3]", "3"});
  const Finished nothing = Rbc({"call", source, "nothing", "void()"});
  EXPECT_EQ(nothing.exit_code, 0) << nothing.ToString();
  EXPECT_EQ(nothing.out, "");
}

TEST_F(Cli, TakesTextBitcodeCAndStandardInput) {
  const std::string plain = WriteFile("plain.bc", Assemble(AddModule().ir));
  ExpectPrints("3.5", {plain, "add_daddA", "f64(f64,f64)", "1.5", "2"});
  ExpectPrints("3.5", {plain, "add", "f64(f64,f64)", "1.5", "2"});
  const std::string clangs =
      WriteFile("add.bc", CompileC("double add_daddA(double a, double b) { return a + b; }", IrForm::kBitcode));
  ExpectPrints("3.5", {clangs, "add", "f64(f64,f64)", "1.5", "2"});
  const std::string cxx = WriteFile("twice.cpp", "int twice(int x) { return 2 * x; }\n");
  ExpectPrints("42", {cxx, "twice", "int32(int32)", "21"});
  const Finished piped = Rbc({"call", "-", "add_daddA", "f64(f64,f64)", "1", "2"}, {.input = AddModule().ir});
  EXPECT_EQ(piped.out, "3.0\n") << piped.ToString();
}

TEST_F(Cli, TakesEveryLevelAndAbi) {
  for (const char* level : {"-O0", "-O1", "-O2", "-O3"}) {
    ExpectPrints("3.5", {kNotebook, "add_daddA", "f64(f64,f64)", "1.5", "2", level});
  }
  ExpectPrints("3.5", {kNotebook, "_ZN8__main__7add$244Edd", "f64(f64,f64)", "1.5", "2", "--abi", "status_retptr"});
}

TEST_F(Cli, GivesOneJsonObjectWithResultAndTimings) {
  const Finished run = Rbc({"call", kNotebook, "add_daddA", "f64(f64,f64)", "1.5", "2", "--json"});
  ASSERT_EQ(run.exit_code, 0) << run.ToString();
  const json object = json::parse(run.out);
  EXPECT_EQ(object.at("result"), 3.5);
  EXPECT_EQ(object.at("target"), "host");
  EXPECT_EQ(object.at("handle").get<std::string>().size(), 64u);
  EXPECT_EQ(object.at("cached"), false);
  EXPECT_EQ(object.at("output"), "");
  EXPECT_GT(object.at("timings").size(), 2u);
  const json again = json::parse(Rbc({"call", kNotebook, "add_daddA", "f64(f64,f64)", "1.5", "2", "--json"}).out);
  EXPECT_EQ(again.at("cached"), true);
  EXPECT_EQ(again.at("handle"), object.at("handle"));
}

// A .npy file of doubles.
std::string Doubles(const std::string& shape, const std::vector<double>& values) {
  const std::string header = "{'descr': '<f8', 'fortran_order': False, 'shape': " + shape + ", }\n";
  std::string out("\x93NUMPY\x01\x00", 8);
  out += {static_cast<char>(header.size()), '\0'};
  return out + header + std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(double));
}

TEST_F(Cli, GivesArraysAsJson) {
  const std::string in = WriteFile("in.npy", Doubles("(2, 2)", {1, 2, 3, HUGE_VAL})),
                    out = farm().folder() + "/out.npy";
  const std::string source = WriteFile("more.c", R"(
      struct two { double sum; int n; };
      struct two both(double x, int n) { struct two r = { x + n, n }; return r; }
      double add(double x, double y) { return x + y; }
      void nothing(double x) {})");
  const auto asked = [&](std::vector<std::string> arguments) {
    const Finished run = Rbc(arguments);
    EXPECT_EQ(run.exit_code, 0) << run.ToString();
    return json::parse(run.out);
  };
  const json sums = asked({"map", source, "add", "f64(f64,f64)", in, "0.5", "--json"});
  EXPECT_EQ(sums.at("result"), json::parse("[[1.5, 2.5], [3.5, \"inf\"]]")) << sums;
  EXPECT_EQ(sums.at("shape"), json::parse("[2, 2]"));
  EXPECT_EQ(asked({"reduce", source, "add", "f64(f64,f64)", in, "--axis", "1", "--json"}).at("result").at(0), 3.0);
  EXPECT_EQ(asked({"scan", source, "add", "f64(f64,f64)", in, "--axis", "0", "--json"}).at("result").at(1).at(0), 4.0);
  EXPECT_FALSE(asked({"map", source, "nothing", "void(f64)", in, "--json"}).contains("result"));
  EXPECT_FALSE(asked({"map", source, "add", "f64(f64,f64)", in, "1", "--json", "-o", out}).contains("result"));

  // Several results are a structured array, as NumPy writes it.
  EXPECT_EQ(asked({"map", source, "both", "{f64,i32}(f64,i32)", in, "4", "--json", "-o", out}).at("rows"), 4);
  EXPECT_THAT(ReadWholeFile(out), HasSubstr("'descr': [('f0', '<f8'), ('f1', '<i4'), ('', '|V4'), ], "));
}

TEST_F(Cli, RepeatsCalls) {
  const Finished run = Rbc({"call", kNotebook, "add_daddA", "f64(f64,f64)", "1.5", "2", "--json", "--repeat", "50"});
  ASSERT_EQ(run.exit_code, 0) << run.ToString();
  EXPECT_EQ(json::parse(run.out).at("repeat").at("count"), 50);
}

TEST_F(Cli, PrintsWhatTheFunctionPrints) {
  const std::string source =
      WriteFile("hello.c", "int printf(const char *, ...); int f(int n) { printf(\"n is %d\\n\", n); return n + 1; }");
  const Finished run = Rbc({"call", source, "f", "int32(int32)", "4"});
  EXPECT_EQ(run.out, "n is 4\n5\n") << run.ToString();
  const json object = json::parse(Rbc({"call", source, "f", "int32(int32)", "4", "--json"}).out);
  EXPECT_EQ(object.at("output"), "n is 4\n");
  EXPECT_EQ(object.at("result"), 5);
}

TEST_F(Cli, NamesErrorsByKindWithExitCodeOne) {
  const auto expect = [&](const std::string& kind, const std::vector<std::string>& arguments) {
    std::vector<std::string> command = {"call"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    const Finished run = Rbc(command);
    EXPECT_EQ(run.exit_code, 1) << run.ToString();
    EXPECT_THAT(run.err, StartsWith("error: " + kind + ": ")) << run.ToString();
    command.push_back("--json");
    const Finished as_json = Rbc(command);
    EXPECT_EQ(as_json.exit_code, 1);
    EXPECT_EQ(json::parse(as_json.out).at("error").at("kind"), kind) << as_json.ToString();
  };
  const std::string crash = WriteFile(
      "crash.ll", MarkedFunction("boom", "about to fail", "  store volatile i64 %x, ptr null\n  ret i64 0\n"));
  expect("RemoteCrash", {crash, "boom", "int64(int64)", "1"});
  EXPECT_THAT(Rbc({"call", crash, "boom", "int64(int64)", "1"}).out, HasSubstr("about to fail"));
  expect("InvalidModule", {WriteFile("bad.ll", "define i32 @f( {"), "f", "int32()"});
  expect("MissingSymbol", {WriteFile("missing.ll",
                                     "declare i32 @nowhere()\ndefine i32 @f() {\n  %r = call i32 @nowhere()\n"
                                     "  ret i32 %r\n}\n"),
                           "f", "int32()"});
  expect("UnknownTarget", {kNotebook, "add_daddA", "f64(f64,f64)", "1", "2", "--target", "abacus"});
  expect("InvalidArgument", {kNotebook, "add_daddA", "f64(f64,f64)", "one", "2"});
  expect("InvalidArgument", {kNotebook, "add_daddA", "f64(f64,f64)", "1"});
  const std::string endless = WriteFile("endless.ll", EndlessModule().ir);
  expect("DeadlineExceeded", {endless, "endless", "int64(int64)", "1", "--timeout", "0.5"});
}

TEST_F(Cli, ChecksItsOwnUsageWithExitCodeTwo) {
  EXPECT_EQ(Rbc({}).exit_code, 2);
  EXPECT_EQ(Rbc({"dance"}).exit_code, 2);
  EXPECT_EQ(Rbc({"call"}).exit_code, 2);
  EXPECT_EQ(Rbc({"call", kNotebook, "add", "f64(f64,f64)", "1", "2", "-O7"}).exit_code, 2);
  EXPECT_EQ(Rbc({"call", kNotebook, "add", "f64(f64,f64)", "1", "2", "--abi", "fastcall"}).exit_code, 2);
  EXPECT_EQ(Rbc({"compile", kNotebook, "--emit", "poem"}).exit_code, 2);
}

TEST_F(Cli, AFarmThatIsNotThereIsAnErrorInTime) {
  const Finished run =
      RunProgram({ProgramPath("rbc"), "--farm", "unix:" + farm().folder() + "/none.sock", "targets", "--timeout", "1"});
  EXPECT_EQ(run.exit_code, 1) << run.ToString();
  EXPECT_THAT(run.err, StartsWith("error: ConnectionLost: "));
  EXPECT_LT(run.took, std::chrono::milliseconds(2000) + kStall);
}

// The deadline is the caller's: it holds while the farm is stopped.
TEST_F(Cli, AStoppedFarmMeetsTheTimeout) {
  farm().Signal(SIGSTOP);
  const Finished run = Rbc({"call", kNotebook, "add_daddA", "f64(f64,f64)", "1", "2", "--timeout", "1"});
  farm().Signal(SIGCONT);
  EXPECT_EQ(run.exit_code, 1) << run.ToString();
  EXPECT_THAT(run.err,
              ::testing::AnyOf(StartsWith("error: DeadlineExceeded: "), StartsWith("error: ConnectionLost: ")));
  EXPECT_LT(run.took, std::chrono::milliseconds(2500) + kStall);
  ExpectPrints("3.0", {kNotebook, "add_daddA", "f64(f64,f64)", "1", "2"});
}

TEST_F(Cli, ListsTargetsAndStatus) {
  const Finished targets = Rbc({"targets"});
  EXPECT_EQ(targets.exit_code, 0);
  EXPECT_THAT(targets.out, ::testing::AllOf(StartsWith("host"), HasSubstr("x86_64")));
  const json as_json = json::parse(Rbc({"targets", "--json"}).out);
  EXPECT_EQ(as_json.at("targets").at(0).at("name"), "host");
  const Finished status = Rbc({"status"});
  EXPECT_EQ(json::parse(status.out).at("pid"), farm().pid()) << status.ToString();
}

TEST_F(Cli, ListsTheArraysThatStay) {
  const RemoteJIT jit(farm().unix_address()), neighbour(farm().tcp_address());
  const Buffer prices = jit.empty<double>({1000, 125}, {.name = "prices"});
  const Buffer flags = jit.empty<int8_t>({7});
  const Buffer theirs = neighbour.empty<float>({512, 1024}, {.name = "secret\x1b[2J"});
  const Finished text = Rbc({"buffers"});
  EXPECT_EQ(text.exit_code, 0) << text.ToString();
  EXPECT_THAT(text.out,
              ::testing::AllOf(HasSubstr("2 of 16384 buffers"), HasSubstr("of 4.0 GiB"),
                               HasSubstr("prices               float64[1000, 125]            976.6 KiB  host"),
                               HasSubstr("int8[7]                             7 B  host"),
                               HasSubstr("float32[512, 1024]"), HasSubstr("2.0 MiB"), HasSubstr("all: 3 buffers")));
  EXPECT_EQ(text.out.find("secret"), std::string::npos) << "a name is its own trust domain's";
  const json all = json::parse(Rbc({"buffers", "--json"}).out);
  EXPECT_EQ(all.at("data").at("buffers"), 3);
  EXPECT_EQ(all.at("data").at("session_bytes"), int64_t{4} << 30);
  ASSERT_EQ(all.at("sessions").size(), 2u) << "sessions without arrays are not listed";
  for (const json& session : all.at("sessions")) {
    if (session.at("buffers") == 1) {
      EXPECT_EQ(session.at("data_bytes"), 2 << 20);
      EXPECT_EQ(session.at("arrays").at(0).at("name"), "");
      continue;
    }
    ASSERT_EQ(session.at("arrays").size(), 2u);
    const json expected = {{"id", prices.id()},    {"name", "prices"},   {"dtype", "float64"},
                           {"shape", {1000, 125}}, {"bytes", 1'000'000}, {"target", "host"}};
    EXPECT_EQ(session.at("arrays").at(0), expected) << "the largest first";
  }
}

TEST_F(Cli, CompilesToEveryForm) {
  const auto compile = [&](const std::string& emit) {
    const std::string out = farm().folder() + "/out." + emit;
    const Finished run = Rbc({"compile", kNotebook, "--target", "host", "--emit", emit, "-o", out});
    EXPECT_EQ(run.exit_code, 0) << run.ToString();
    return ReadWholeFile(out);
  };
  EXPECT_EQ(compile("obj").substr(0, 4),
            "\x7f"
            "ELF");
  EXPECT_THAT(compile("asm"), HasSubstr("add_daddA:"));
  EXPECT_THAT(compile("ir"), HasSubstr("define"));
  EXPECT_EQ(Rbc({"compile", kNotebook, "--emit", "ptx", "-o", "-"}).exit_code, 1);
}

TEST_F(Cli, TakesTheFarmFromTheEnvironment) {
  const Finished run = RunProgram({ProgramPath("rbc"), "call", kNotebook, "add", "i64(i64,i64)", "20", "22"},
                                  {.environment = {{"RBC_FARM", farm().tcp_address()}}});
  EXPECT_EQ(run.out, "42\n") << run.ToString();
}

// `script` gives the command a terminal; elsewhere nothing is drawn.
TEST_F(Cli, SaysOnATerminalThatItTakesLong) {
  const std::string source =
      WriteFile("slow.c", "long count(long n) { for (volatile long i = 0; i < n; i++) {} return n; }");
  const std::string command =
      ProgramPath("rbc") + " --farm " + farm().unix_address() + " call " + source + " count 'int64(int64)' 4000000000";
  const Finished shown = RunProgram({"script", "-qec", command, "/dev/null"});
  EXPECT_EQ(shown.exit_code, 0) << shown.ToString();
  EXPECT_THAT(shown.out, ::testing::ContainsRegex("rbc: calling count \\([1-9][0-9]* s\\)"));
  EXPECT_THAT(shown.out, ::testing::EndsWith("\r\x1b[K4000000000\r\n")) << "the line is gone before the result";
  const Finished piped = Rbc({"call", source, "count", "int64(int64)", "4000000000"});
  EXPECT_EQ(piped.out, "4000000000\n");
  EXPECT_EQ(piped.err, "");
}

// ---- rbc-farm's own command line ---------------------------------------------------------------------------------

TEST(FarmCommand, ChecksAndPrintsItsConfiguration) {
  const TemporaryFolder folder;
  const std::string config = folder.path() + "/farm.toml";
  const auto run = [&](const std::string& text, const std::string& flag) {
    WriteWholeFile(config, text);
    return RunProgram({ProgramPath("rbc-farm"), "--config", config, flag});
  };
  EXPECT_EQ(run("[workers]\nlanes = 12\n", "--check-config").exit_code, 0);
  const Finished printed = run("[workers]\nlanes = 12\n", "--print-config");
  EXPECT_EQ(printed.exit_code, 0) << printed.ToString();
  EXPECT_THAT(printed.out, HasSubstr("lanes = 12"));
  EXPECT_EQ(run(printed.out, "--check-config").exit_code, 0) << "what it prints it reads";
  const Finished unknown = run("[workers]\nlanes = 12\nlains = 5\n", "--check-config");
  EXPECT_NE(unknown.exit_code, 0);
  EXPECT_THAT(unknown.err, ::testing::AllOf(HasSubstr(":3:"), HasSubstr("lains")));
  EXPECT_NE(run("[workers]\nlanes = \"many\"\n", "--check-config").exit_code, 0);
  EXPECT_NE(run("[workers]\nlanes = 100000\n", "--check-config").exit_code, 0);
}

TEST(FarmCommand, APublicAddressNeedsTheOperatorsWord) {
  const TemporaryFolder folder;
  const Finished run =
      RunProgram({ProgramPath("rbc-farm"), "--listen", "0.0.0.0:0"},
                 {.environment = {{"HOME", folder.path()}, {"XDG_STATE_HOME", folder.path()}}, .limit = kPatience});
  EXPECT_FALSE(run.timed_out) << "it listens on all addresses";
  EXPECT_NE(run.exit_code, 0) << run.ToString();
  EXPECT_THAT(run.err, HasSubstr("insecure"));
}

}  // namespace
}  // namespace rbc::harness
