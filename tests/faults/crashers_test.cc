// Inputs that crash, hang or exhaust LLVM's own tools: here each is a typed error or a correct object in its time.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <regex>
#include <sstream>
#include <thread>

#include "tests/harness/farm_test.h"
#include "tests/harness/ir.h"
#include "tests/harness/neighbour.h"
#include "tests/harness/paths.h"
#include "tests/harness/toolchain.h"

namespace rbc::harness {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kDeadlineMs = 1500;

struct Input {
  std::string name;  // with its form
  std::string ir;
  bool module_asm = false;
};

std::vector<Input> AllInputs() {
  std::vector<Input> inputs;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(SourcePath("tests/faults/crashers"))) {
    const auto& path = entry.path();
    if (path.extension() != ".ll" && path.extension() != ".bc") continue;
    Input input{path.filename().string(), ReadWholeFile(path.string())};
    input.module_asm = input.ir.find("\nmodule asm") != std::string::npos || input.ir.starts_with("module asm");
    inputs.push_back(input);
    if (path.extension() != ".ll") continue;
    input.name += " as bitcode";
    input.ir = Assemble(input.ir);
    if (!input.ir.empty()) inputs.push_back(input);
  }
  std::sort(inputs.begin(), inputs.end(), [](const Input& a, const Input& b) { return a.name < b.name; });
  return inputs;
}

// The signature word for an IR type, or "" where there is none.
std::string WordFor(const std::string& ir) {
  static const std::map<std::string, std::string> kWords = {
      {"void", "void"},         {"i1", "bool"},     {"i8", "int8"},      {"i16", "int16"},     {"i32", "int32"},
      {"i64", "int64"},         {"i128", "int128"}, {"half", "float16"}, {"float", "float32"}, {"double", "float64"},
      {"x86_fp80", "float128"}, {"ptr", "void*"},   {"i32*", "int32*"},  {"i8*", "int8*"}};
  const auto found = kWords.find(ir);
  return found == kWords.end() ? "" : found->second;
}

// The declaration of one line `define ... TYPE @NAME(TYPE, ...)`, if its types have words.
std::optional<wire::FunctionDeclaration> CallableOfLine(const std::string& line) {
  static const std::regex kDefinition(R"re(define [^@]*?([^ @]+) @([\w.$]+)\(([^)]*)\).*)re");
  std::smatch parts;
  if (line.size() > 1000 || !line.starts_with("define ") || !std::regex_match(line, parts, kDefinition)) return {};
  const std::string result = WordFor(parts[1]);
  if (result.empty()) return {};
  std::string signature = result + "(";
  std::istringstream parameters(parts[3]);
  for (std::string parameter; std::getline(parameters, parameter, ',');) {
    parameter.erase(0, parameter.find_first_not_of(' '));
    const std::string word = WordFor(parameter.substr(0, parameter.find(' ')));
    if (word.empty() || word == "void") return {};
    signature += (signature.back() == '(' ? "" : ", ") + word;
  }
  return Declare(parts[2], signature + ")");
}

std::vector<wire::FunctionDeclaration> CallableOf(const std::string& text) {
  std::vector<wire::FunctionDeclaration> functions;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (auto function = CallableOfLine(line)) functions.push_back(*std::move(function));
  }
  return functions;
}

class Crashers : public FarmTest {
 protected:
  FarmOptions Options() const override {
    return FarmOptions()
        .Set("compile", "deadline_ms", std::to_string(kDeadlineMs))
        .Set("compile", "quarantine_ms", "1")  // each input is to be seen by a compiler
        .Set("workers", "call_deadline_ms", std::to_string(kDeadlineMs))
        .Set("workers", "compile_memory_limit", "\"1 GiB\"");
  }

  // All that an error or object says.
  template <typename T>
  void Examine(const std::string& what, const Expected<T>& result, Clock::time_point begin, bool must_refuse) {
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin).count();
    const std::lock_guard lock(mutex_);
    ++seen_[result ? "accepted" : std::string(Name(result.error().kind))];
    EXPECT_LT(took, kDeadlineMs + 1500 + kStall.count()) << what;
    if (result) {
      EXPECT_FALSE(must_refuse) << what << " is accepted";
      return;
    }
    const Error& error = result.error();
    EXPECT_NE(error.kind, ErrorKind::kInternal) << what << ": " << Describe(error);
    EXPECT_NE(error.kind, ErrorKind::kConnectionLost) << what << ": " << Describe(error);
    EXPECT_FALSE(error.message.empty()) << what;
    EXPECT_EQ(Describe(error).find("root:x:0"), std::string::npos) << what;
    EXPECT_EQ(Describe(error).find(SourcePath()), std::string::npos) << what << ": " << Describe(error);
  }

  void TryAll(Client& client, const Input& input, int level) {
    const std::string what = input.name + " at O" + std::to_string(level);
    Module whole{input.ir, {}, {}};
    whole.options.opt_level = level;
    auto begin = Clock::now();
    const auto object = client.EmitCode(whole, wire::Emit::Object);
    Examine("emit of " + what, object, begin, input.module_asm);
    if (object) {
      EXPECT_EQ(object->code.substr(0, 4),
                "\x7f"
                "ELF")
          << what;
      EXPECT_EQ(object->code.find("root:x:0"), std::string::npos) << what;
    }
    for (const wire::FunctionDeclaration& function : Callable(input)) TryCall(client, input, whole, function, what);
  }

  static std::vector<wire::FunctionDeclaration> Callable(const Input& input) {
    const bool is_text = input.ir.find('\0') == std::string::npos;
    auto functions = CallableOf(input.ir);
    if (!is_text) {
      for (const std::string& name : DefinedFunctions(input.ir)) functions.push_back(Declare(name, "void()"));
      if (functions.empty()) functions.push_back(Declare("f", "int32()"));
    }
    if (functions.size() > 2) functions.resize(2);
    return functions;
  }

  void TryCall(Client& client, const Input& input, Module module, const wire::FunctionDeclaration& function,
               const std::string& what) {
    module.functions = {function};
    auto begin = Clock::now();
    const auto loaded = client.Compile(module);
    Examine("compile of " + what, loaded, begin, input.module_asm);
    if (!loaded) return;
    wire::CallRequest request;
    request.function_id = loaded->functions.at(0).function_id;
    request.frame.assign(static_cast<size_t>(loaded->functions[0].frame_size), '\0');
    if (function.signature.find('*') != std::string::npos) request.frame.assign(request.frame.size(), '\xff');
    begin = Clock::now();
    Examine("call of " + what, client.CallRaw(request), begin, false);
    Examine("unload of " + what, client.Unload(loaded->module_id), Clock::now(), false);
  }

  std::map<std::string, int> seen_;  // results by kind
  std::mutex mutex_;
};

TEST_F(Crashers, AreTypedErrorsOrCorrectObjects) {
  const std::vector<Input> inputs = AllInputs();
  ASSERT_GE(inputs.size(), 100u);
  Neighbour neighbour(farm());
  std::atomic<size_t> next{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&] {
      Client client = farm().Connect();
      for (size_t i = next++; i < 2 * inputs.size(); i = next++) TryAll(client, inputs[i / 2], i % 2 == 0 ? 0 : 2);
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& [kind, count] : seen_) std::printf("%6d %s\n", count, kind.c_str());
  EXPECT_GT(seen_["accepted"], 50) << "some of them are sound";
  EXPECT_GT(seen_["InvalidModule"] + seen_["Unsupported"], 50);
  ExpectUndisturbed(neighbour.Take());
  const std::string log = farm().log();
  EXPECT_EQ(log.find("root:x:0"), std::string::npos);
}

// Large ones are made here: deep chains and nests that overflow a recursive parser or pass.
std::string Repeat(int count, const std::function<std::string(int)>& part) {
  std::string out;
  for (int i = 0; i < count; ++i) out += part(i);
  return out;
}
std::string Number(int i) { return std::to_string(i); }

std::vector<Input> LargeInputs() {
  constexpr int kMany = 100'000;
  const std::string body = "define i32 @f() {\n  ret i32 0\n}\n";
  return {
      {"nested type", "%t = type " + std::string(kMany, '{') + "i8" + std::string(kMany, '}') + "\n" + body},
      {"nested array", "@g = global " + Repeat(kMany, [](int) { return "[1 x "; }) + "i8" + std::string(kMany, ']') +
                           " zeroinitializer\n" + body},
      {"nested constant", "@g = global i64 " + Repeat(20'000, [](int) { return "add (i64 1, i64 "; }) + "1" +
                              std::string(20'000, ')') + "\n" + body},
      {"nested metadata", "!x = !{!0}\n" +
                              Repeat(kMany, [](int i) { return "!" + Number(i) + " = !{!" + Number(i + 1) + "}\n"; }) +
                              "!" + Number(kMany) + " = !{}\n" + body},
      {"chain of selects", "define i32 @f(i1 %c) {\n  %v0 = select i1 %c, i32 1, i32 2\n" +
                               Repeat(kMany,
                                      [](int i) {
                                        return "  %v" + Number(i + 1) + " = select i1 %c, i32 %v" + Number(i) +
                                               ", i32 " + Number(i) + "\n";
                                      }) +
                               "  ret i32 %v" + Number(kMany) + "\n}\n"},
      {"switch of many cases", "define i32 @f(i32 %x) {\n  switch i32 %x, label %d [\n" +
                                   Repeat(kMany, [](int i) { return "    i32 " + Number(i * 3) + ", label %d\n"; }) +
                                   "  ]\nd:\n  ret i32 0\n}\n"},
      {"chain of aliases",
       body + "@a0 = alias i32 (), ptr @f\n" +
           Repeat(kMany, [](int i) { return "@a" + Number(i + 1) + " = alias i32 (), ptr @a" + Number(i) + "\n"; })},
      {"wide vector",
       "define i32 @f() {\n  %v = alloca <1048576 x i64>\n  %x = load <1048576 x i64>, ptr %v\n"
       "  %y = mul <1048576 x i64> %x, %x\n  store <1048576 x i64> %y, ptr %v\n  ret i32 0\n}\n"},
      {"exponential inlining",
       "define internal i64 @g0(i64 %x) alwaysinline {\n  %r = mul i64 %x, %x\n  ret i64 %r\n}\n" +
           Repeat(40,
                  [](int i) {
                    const std::string g = "@g" + Number(i);
                    return "define internal i64 @g" + Number(i + 1) + "(i64 %x) alwaysinline {\n  %a = call i64 " + g +
                           "(i64 %x)\n  %b = call i64 " + g + "(i64 %a)\n  ret i64 %b\n}\n";
                  }) +
           "define i64 @f(i64 %x) {\n  %r = call i64 @g40(i64 %x)\n  ret i64 %r\n}\n"},
      {"unterminated", "define i32 @f(" + std::string(1'000'000, '(')},
      {"all kinds of bytes",
       [] {
         std::string all;
         for (int i = 0; i < 65'536; ++i) all += static_cast<char>(i * 31 % 256);
         return all;
       }()},
      {"empty", ""},
      {"magic of bitcode alone", "BC\xC0\xDE"},
      {"wrapper of bitcode that lies",
       std::string("\xDE\xC0\x17\x0B\0\0\0\0\xff\xff\xff\x7f\xff\xff\xff\x7f\0\0\0\0", 20)},
  };
}

TEST_F(Crashers, OfEnormousSizeAreTypedErrorsOrCorrectObjects) {
  Neighbour neighbour(farm());
  Client client = farm().Connect();
  const uint64_t before = ResidentBytes(farm().pid());
  for (const Input& input : LargeInputs()) {
    for (const int level : {0, 2}) TryAll(client, input, level);
  }
  ExpectUndisturbed(neighbour.Take());
  EXPECT_TRUE(HasGrownAtMost(farm(), before, 256 << 20)) << "the daemon keeps what it was sent";
}

// Eight at once on two compile workers, each of which takes its whole deadline: others still get their turn.
TEST_F(Crashers, EightBombsAtOnceDoNotLockOthersOut) {
  std::vector<std::thread> bombers;
  for (int i = 0; i < 8; ++i) {
    bombers.emplace_back([&, i] {
      Client client = farm().Connect();
      const auto begin = Clock::now();
      const auto object = client.Compile(SlowModule(8000, i));
      const std::lock_guard lock(mutex_);
      EXPECT_LT(Clock::now() - begin, std::chrono::seconds(20) + kStall);
      ASSERT_FALSE(object) << "no bomb";
      EXPECT_EQ(object.error().kind, ErrorKind::kDeadlineExceeded) << Describe(object.error());
    });
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  Client polite = farm().Connect();
  const auto add = polite.Load(ScaleModule("polite", 5));
  for (auto& bomber : bombers) bomber.join();
  ASSERT_TRUE(add) << Describe(add.error());
  EXPECT_TRUE(Must(polite.Call(*add, {5})).value == Value(25));
}

}  // namespace
}  // namespace rbc::harness
