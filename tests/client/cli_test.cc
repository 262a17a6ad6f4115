// The `rbc` command as a shell sees it: output, exit codes, usage.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <chrono>
#include <fstream>
#include <future>
#include <iterator>
#include <nlohmann/json.hpp>
#include <thread>

#include "client/src/process.h"
#include "tests/client/fake_farm.h"

namespace rbc::test {
namespace {

using testing::HasSubstr;

constexpr char kAdd[] =
    "define double @add_daddA(double %a, double %b) {\n  %s = fadd double %a, %b\n  ret double %s\n}\n"
    "define i64 @add_lallA(i64 %a, i64 %b) {\n  %s = add i64 %a, %b\n  ret i64 %s\n}\n";

struct Outcome {
  int code;
  std::string out, error;
};

Outcome Rbc(std::vector<std::string> arguments, const std::string& input = "") {
  arguments.insert(arguments.begin(), ::getenv("RBC_COMMAND"));
  const auto done = client::Run(arguments, input, 1 << 24, client::Deadline::AfterMs(60000));
  if (!done) return {-1, "", done.error().message};
  return {WIFEXITED(done->status) ? WEXITSTATUS(done->status) : -1, done->out, done->error};
}

class CliTest : public testing::Test {
 protected:
  CliTest() {
    ::setenv("RBC_FARM", farm_.address().c_str(), 1);
    file_ = directory_.path() + "/add.ll";
    std::ofstream(file_) << kAdd;
  }
  TempDir directory_;
  FakeFarm farm_{directory_.path() + "/farm"};
  std::string file_;
};

TEST_F(CliTest, CallPrintsTheResultAlone) {
  Outcome o = Rbc({"call", file_, "add_daddA", "f64(f64,f64)", "1.5", "2"});
  EXPECT_EQ(o.code, 0) << o.error;
  EXPECT_EQ(o.out, "3.5\n");
  EXPECT_EQ(o.error, "");
  EXPECT_EQ(Rbc({"call", file_, "add", "i64(i64,i64)", "1", "2"}).out, "3\n");
  EXPECT_EQ(Rbc({"call", file_, "add", "f64(f64,f64)", "1", "2"}).out, "3.0\n");
  EXPECT_EQ(Rbc({"call", file_, "add", "f64(f64,f64)", "-1.5", "-2e3"}).out, "-2001.5\n");
  EXPECT_EQ(Rbc({"--farm", farm_.address(), "call", "-", "add", "i64(i64,i64)", "1", "2"}, kAdd).out, "3\n");
  EXPECT_EQ(
      Rbc({"call", "--farm", farm_.address(), "-O0", file_, "add", "i64(i64,i64)", "1", "2", "--repeat", "5"}).out,
      "3\n");
}

TEST_F(CliTest, CallAsJson) {
  const Outcome o = Rbc({"call", file_, "add", "f64(f64,f64)", "1.5", "2", "--json", "--repeat", "3"});
  EXPECT_EQ(o.code, 0) << o.error;
  const auto json = nlohmann::json::parse(o.out);
  EXPECT_EQ(json["result"], 3.5);
  EXPECT_EQ(json["target"], "host");
  EXPECT_EQ(json["handle"].get<std::string>().size(), 64u);
  EXPECT_EQ(json["cached"], false);
  EXPECT_EQ(json["output"], "");
  EXPECT_TRUE(json["timings"]["call"].is_number());
  EXPECT_EQ(json["repeat"]["count"], 3);
}

TEST_F(CliTest, WhatTheFunctionPrintedComesFirst) {
  farm_.SetCall([](const auto&, const auto&) {
    wire::CallReply reply;
    reply.result = std::string(8, '\0');
    reply.__set_output("hello\n");
    return reply;
  });
  EXPECT_EQ(Rbc({"call", file_, "add", "i64(i64,i64)", "1", "2"}).out, "hello\n0\n");
}

TEST_F(CliTest, AnErrorIsKindAndMessageAfterTheOutput) {
  farm_.SetCall([](const auto&, const auto&) -> wire::CallReply {
    wire::FarmError error;
    error.kind = wire::ErrorKind::RemoteCrash;
    error.message = "'add' reads address 0";
    error.__set_output("marker\n");
    error.__set_signal(11);
    throw error;
  });
  Outcome o = Rbc({"call", file_, "add", "i64(i64,i64)", "1", "2"});
  EXPECT_EQ(o.code, 1);
  EXPECT_EQ(o.out, "marker\n");
  EXPECT_EQ(o.error, "error: RemoteCrash: 'add' reads address 0\n");
  o = Rbc({"call", file_, "add", "i64(i64,i64)", "1", "2", "--json"});
  EXPECT_EQ(o.code, 1);
  const auto json = nlohmann::json::parse(o.out);
  EXPECT_EQ(json["error"]["kind"], "RemoteCrash");
  EXPECT_EQ(json["error"]["signal"], 11);
  EXPECT_EQ(json["error"]["output"], "marker\n");
}

TEST_F(CliTest, DiagnosticsShowTheirLine) {
  std::ofstream(file_) << "BROKEN define double @f() {\n}\ndefine double @f() {\n";
  const Outcome o = Rbc({"call", file_, "f", "f64()"});
  EXPECT_EQ(o.code, 1);
  EXPECT_THAT(
      o.error,
      HasSubstr("error: InvalidModule: the module does not parse\n1:1: error: expected top-level entity\nBROKEN\n^\n"));
}

TEST_F(CliTest, TargetsAndStatus) {
  EXPECT_THAT(Rbc({"targets"}).out, HasSubstr("host     x86_64-unknown-linux-gnu fake-cpu"));
  EXPECT_EQ(nlohmann::json::parse(Rbc({"targets", "--json"}).out)["targets"][0]["name"], "host");
  EXPECT_EQ(nlohmann::json::parse(Rbc({"status"}).out)["sessions"], 1);
}

TEST_F(CliTest, CompileWritesAFile) {
  const std::string out = directory_.path() + "/out.o";
  EXPECT_EQ(Rbc({"compile", file_, "--target", "host", "--emit", "obj", "-o", out}).code, 0);
  std::ifstream file(out);
  EXPECT_THAT(std::string(std::istreambuf_iterator<char>(file), {}), HasSubstr("object of"));
  EXPECT_THAT(Rbc({"compile", file_, "--emit", "ir", "-o", "-"}).out, HasSubstr("printed by the farm"));
  EXPECT_EQ(Rbc({"compile", file_, "-o", "/nonexistent/x"}).code, 1);
}

TEST_F(CliTest, UsageErrorsAreTwo) {
  for (const std::vector<std::string>& wrong :
       std::vector<std::vector<std::string>>{{},
                                             {"nonsense"},
                                             {"call"},
                                             {"call", file_},
                                             {"call", file_, "add"},
                                             {"call", file_, "add", "i64()", "--nonsense"},
                                             {"call", file_, "add", "i64()", "--abi", "fastcall"},
                                             {"call", file_, "add", "i64()", "-O4"},
                                             {"call", file_, "add", "i64()", "--repeat", "0"},
                                             {"targets", "--timeout", "-1"},
                                             {"compile", file_, "--emit", "elf"},
                                             {"targets", "surplus"}}) {
    const Outcome o = Rbc(wrong);
    EXPECT_EQ(o.code, 2) << testing::PrintToString(wrong);
    EXPECT_NE(o.error, "");
  }
  EXPECT_EQ(farm_.hellos, 0);
}

TEST_F(CliTest, HelpExplains) {
  const Outcome o = Rbc({"--help"});
  EXPECT_EQ(o.code, 0);
  for (const char* part : {"targets", "status", "compile", "call", "RBC_FARM", "Exit codes"})
    EXPECT_THAT(o.out, HasSubstr(part));
  EXPECT_THAT(Rbc({"call", "--help"}).out,
              testing::AllOf(HasSubstr("--abi"), HasSubstr("SIGNATURE"), HasSubstr("--repeat")));
}

TEST_F(CliTest, WrongArgumentsAreTypedErrors) {
  EXPECT_THAT(Rbc({"call", file_, "add", "f64(f64,f64)", "1"}).error, HasSubstr("error: InvalidArgument: "));
  EXPECT_EQ(Rbc({"call", file_, "add", "f64(f64,f64)", "1", "x"}).code, 1);
  EXPECT_EQ(Rbc({"call", file_, "add", "f64", "1"}).error,
            "error: InvalidArgument: expected signature with function kind, got `float64`\n");
  EXPECT_EQ(Rbc({"call", "/nonexistent.ll", "add", "f64()"}).code, 1);
  EXPECT_THAT(Rbc({"call", file_, "sub", "f64(f64,f64)", "1", "2"}).error, HasSubstr("error: UnknownName: "));
}

TEST_F(CliTest, TheTimeoutIsForTheWholeRequest) {
  std::promise<void> go;
  farm_.SetCall([may_go = go.get_future().share()](const auto&, const auto&) {
    may_go.wait();
    return wire::CallReply();
  });
  const auto start = std::chrono::steady_clock::now();
  const Outcome o = Rbc({"call", file_, "add", "f64(f64,f64)", "1", "2", "--timeout", "0.3"});
  EXPECT_EQ(o.code, 1);
  EXPECT_THAT(o.error, HasSubstr("error: DeadlineExceeded: "));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(11)) << "where the machine stands still too";
  go.set_value();
}

TEST_F(CliTest, CSourceGoesThroughClang) {
  if (client::FindProgram("clang").empty()) GTEST_SKIP() << "no clang on PATH";
  Outcome o = Rbc({"call", "-", "--lang", "c", "plus", "i64(i64,i64)", "40", "2"},
                  "long plus(long a, long b) { return a + b; }");
  EXPECT_EQ(o.code, 0) << o.error;
  EXPECT_EQ(o.out, "42\n");
  o = Rbc({"call", "-", "--lang", "c++", "plus", "i64(i64,i64)", "40", "2"},
          "long plus(long a, long b) { return a + c; }");
  EXPECT_EQ(o.code, 1);
  EXPECT_THAT(o.error, testing::AllOf(HasSubstr("error: CompileFailed: clang refuses the source: "),
                                      HasSubstr("1:40: error: ")));
}

TEST(Cli, NobodyListening) {
  const Outcome o = Rbc({"--farm", "127.0.0.1:1", "targets"});
  EXPECT_EQ(o.code, 1);
  EXPECT_THAT(o.error, HasSubstr("error: ConnectionLost: "));
}

}  // namespace
}  // namespace rbc::test
