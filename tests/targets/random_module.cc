// Generates modules.
// SPDX-License-Identifier: Apache-2.0
#include "tests/targets/random_module.h"

#include <fmt/format.h>

#include <random>

namespace rbc::testing {
namespace {

constexpr const char* kIntegers[] = {"i8", "i16", "i32", "i64", "i128"};
constexpr const char* kIntegerOperations[] = {"add", "sub", "mul",  "and",  "or",
                                              "xor", "shl", "lshr", "ashr", "add nsw"};
constexpr const char* kFloatOperations[] = {"fadd", "fsub", "fmul", "fdiv", "frem", "fadd fast", "fmul contract"};
constexpr const char* kCompares[] = {"eq", "ne", "ult", "slt", "uge", "sgt"};

class Generator {
 public:
  explicit Generator(uint64_t seed) : random_(seed) {}

  RandomModule Make() {
    RandomModule module;
    module.options.opt_level = Below(4);
    module.options.allow_contract = Below(8) == 0;
    module.options.emit = Below(12) == 0 ? Emit::kAssembly : Emit::kObject;
    Globals();
    const unsigned helpers = Below(4);
    for (unsigned i = 0; i < helpers; ++i)
      IntegerFunction(fmt::format("helper{}", i), Below(2) == 0 ? "internal" : "", i);
    helpers_ = helpers;
    const unsigned count = 1 + Below(3);
    for (unsigned i = 0; i < count; ++i) module.functions.push_back(Function(fmt::format("f{}", i)));
    Break(&module);
    module.ir = text_ +
                "declare double @sin(double)\ndeclare double @pow(double, double)\n"
                "declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)\n"
                "declare double @llvm.fmuladd.f64(double, double, double)\n"
                "declare i32 @llvm.ctpop.i32(i32)\n";
    return module;
  }

 private:
  unsigned Below(unsigned limit) { return std::uniform_int_distribution<unsigned>(0, limit - 1)(random_); }
  template <typename T, size_t N>
  T Pick(T (&list)[N]) {
    return list[Below(N)];
  }
  template <typename... T>
  void Line(fmt::format_string<T...> format, T&&... arguments) {
    text_ += fmt::format(format, std::forward<T>(arguments)...) + "\n";
  }
  std::string Fresh() { return fmt::format("%v{}", ++values_); }

  void Globals() {
    Line("@counter = {}global i64 {}", Below(2) == 0 ? "internal " : "", Below(100));
    std::string elements;
    const unsigned size = 4 + Below(12);
    for (unsigned i = 0; i < size; ++i) elements += fmt::format("{}i32 {}", i == 0 ? "" : ", ", Below(1000));
    Line("@table = private unnamed_addr constant [{} x i32] [{}]", size, elements);
    Line("@text = private constant [6 x i8] c\"hello\\00\"");
    Line("%pair = type {{ i64, double }}");
    table_ = size;
  }

  FunctionDeclaration Function(const std::string& name) {
    switch (Below(6)) {
      case 0:
        return FloatFunction(name);
      case 1:
        return LoopFunction(name);
      case 2:
        return SwitchFunction(name);
      case 3:
        return VectorLoop(name);
      case 4:
        return StatusFunction(name);
      default:
        return {name, IntegerFunction(name, "", helpers_), Abi::kDirect};
    }
  }

  // A chain of operations over two parameters of one integer type, calls of earlier helpers in it.
  std::string IntegerFunction(const std::string& name, std::string_view linkage, unsigned callable) {
    const std::string type = linkage.empty() && name[0] == 'f' ? Pick(kIntegers) : "i32";
    Line("define {} {} @{}({} %a, {} %b) {{", linkage, type, name, type, type);
    std::vector<std::string> values = {"%a", "%b"};
    const auto any = [&] { return values[Below(values.size())]; };
    const unsigned steps = 1 + Below(20);
    for (unsigned i = 0; i < steps; ++i) {
      const auto value = Fresh();
      const unsigned what = Below(10);
      if (what == 0) {
        const auto bit = Fresh();
        Line("  {} = icmp {} {} {}, {}", bit, Pick(kCompares), type, any(), any());
        Line("  {} = select i1 {}, {} {}, {} {}", value, bit, type, any(), type, any());
      } else if (what == 1 && callable > 0 && type == "i32") {
        Line("  {} = call i32 @helper{}(i32 {}, i32 {})", value, Below(callable), any(), any());
      } else if (what == 2) {
        const auto divisor = Fresh();
        Line("  {} = or {} {}, 1", divisor, type, any());
        Line("  {} = {} {} {}, {}", value, Below(2) == 0 ? "udiv" : "urem", type, any(), divisor);
      } else if (what == 3 && type == "i32") {
        Line("  {} = call i32 @llvm.ctpop.i32(i32 {})", value, any());
      } else if (what == 4 && type == "i64") {
        Line("  {} = load i64, ptr @counter", value);
        Line("  store i64 {}, ptr @counter", any());
      } else if (what == 5) {
        Line("  {} = mul {} {}, {}", value, type, any(), Below(100));
      } else {
        Line("  {} = {} {} {}, {}", value, Pick(kIntegerOperations), type, any(), any());
      }
      values.push_back(value);
    }
    Line("  ret {} {}\n}}", type, values.back());
    const auto normal = "int" + type.substr(1);
    return fmt::format("{}({}, {})", normal, normal, normal);
  }

  FunctionDeclaration FloatFunction(const std::string& name) {
    const bool pair = Below(3) == 0;
    Line("define {} @{}(double %a, double %b) {{", pair ? "%pair" : "double", name);
    std::vector<std::string> values = {"%a", "%b"};
    const auto any = [&] { return values[Below(values.size())]; };
    for (unsigned i = 1 + Below(12); i > 0; --i) {
      const auto value = Fresh();
      const unsigned what = Below(8);
      if (what == 0)
        Line("  {} = call double @sin(double {})", value, any());
      else if (what == 1)
        Line("  {} = call double @pow(double {}, double {})", value, any(), any());
      else if (what == 2)
        Line("  {} = call double @llvm.fmuladd.f64(double {}, double {}, double {})", value, any(), any(), any());
      else
        Line("  {} = {} double {}, {}", value, Pick(kFloatOperations), any(),
             Below(3) == 0 ? std::string("2.0") : any());
      values.push_back(value);
    }
    if (!pair) {
      Line("  ret double {}\n}}", values.back());
      return {name, "float64(float64, float64)", Abi::kDirect};
    }
    const auto whole = Fresh(), bits = Fresh(), both = Fresh();
    Line("  {} = bitcast double {} to i64", bits, any());
    Line("  {} = insertvalue %pair poison, i64 {}, 0", whole, bits);
    Line("  {} = insertvalue %pair {}, double {}, 1", both, whole, values.back());
    Line("  ret %pair {}\n}}", both);
    return {name, "{int64, float64}(float64, float64)", Abi::kDirect};
  }

  // Sums the table while it counts, with a store to a writable global every now and then.
  FunctionDeclaration LoopFunction(const std::string& name) {
    Line("define i32 @{}(i32 %n, i32 %step) {{\nentry:\n  br label %loop", name);
    Line("loop:\n  %i = phi i32 [ 0, %entry ], [ %next, %loop ]\n  %sum = phi i32 [ {}, %entry ], [ %more, %loop ]",
         Below(50));
    Line("  %index = urem i32 %i, {}\n  %slot = getelementptr [{} x i32], ptr @table, i32 0, i32 %index", table_,
         table_);
    Line("  %item = load i32, ptr %slot\n  %scaled = {} i32 %item, %step\n  %more = {} i32 %sum, %scaled",
         Pick(kIntegerOperations), Below(2) == 0 ? "add" : "xor");
    if (Below(2) == 0) Line("  %wide = zext i32 %more to i64\n  store volatile i64 %wide, ptr @counter");
    Line("  %next = add i32 %i, 1\n  %done = icmp uge i32 %next, %n\n  br i1 %done, label %exit, label %loop");
    Line("exit:\n  ret i32 %more\n}}");
    return {name, "int32(int32, int32)", Abi::kDirect};
  }

  FunctionDeclaration SwitchFunction(const std::string& name) {
    const unsigned cases = 2 + Below(14);
    Line("define i64 @{}(i64 %x) {{\nentry:\n  switch i64 %x, label %other [", name);
    for (unsigned i = 0; i < cases; ++i) Line("    i64 {}, label %case{}", i * (1 + Below(2)) + i, i);
    Line("  ]");
    for (unsigned i = 0; i < cases; ++i) {
      Line("case{}:\n  %r{} = {} i64 %x, {}\n  br label %exit", i, i, Pick(kIntegerOperations), 1 + Below(40));
    }
    Line("other:\n  br label %exit\nexit:\n  %r = phi i64 [ 7, %other ]");
    text_.pop_back();
    for (unsigned i = 0; i < cases; ++i) text_ += fmt::format(", [ %r{}, %case{} ]", i, i);
    Line("\n  ret i64 %r\n}}");
    return {name, "int64(int64)", Abi::kDirect};
  }

  FunctionDeclaration VectorLoop(const std::string& name) {
    Line(
        "define void @{}(ptr %out, ptr %in, i64 %n) {{\nentry:\n  %none = icmp eq i64 %n, 0\n  br i1 %none, label "
        "%exit, label %loop",
        name);
    Line(
        "loop:\n  %i = phi i64 [ 0, %entry ], [ %next, %loop ]\n  %from = getelementptr double, ptr %in, i64 %i\n"
        "  %x = load double, ptr %from\n  %y = {} double %x, {}.0\n  %z = {} double %y, %x\n"
        "  %to = getelementptr double, ptr %out, i64 %i\n  store double %z, ptr %to",
        Pick(kFloatOperations), 1 + Below(9), Pick(kFloatOperations));
    Line(
        "  %next = add nuw i64 %i, 1\n  %done = icmp eq i64 %next, %n\n  br i1 %done, label %exit, label "
        "%loop\nexit:\n  ret void\n}}");
    return {name, "void(float64*, float64*, int64)", Abi::kDirect};
  }

  FunctionDeclaration StatusFunction(const std::string& name) {
    Line(
        "define i32 @{}(ptr %result, i64 %a, i64 %b) {{\nentry:\n  %zero = icmp eq i64 %b, 0\n  br i1 %zero, label "
        "%bad, label %good",
        name);
    Line(
        "bad:\n  ret i32 {}\ngood:\n  %safe = or i64 %b, 1\n  %q = udiv i64 %a, %safe\n  %buffer = alloca [{} x i8]\n"
        "  call void @llvm.memcpy.p0.p0.i64(ptr %buffer, ptr @text, i64 6, i1 false)\n  %at = urem i64 %q, 6\n"
        "  %p = getelementptr i8, ptr %buffer, i64 %at\n  %c = load i8, ptr %p\n  %w = zext i8 %c to i64\n"
        "  %sum = add i64 %q, %w\n  store i64 %sum, ptr %result\n  ret i32 0\n}}",
        1 + Below(9), 6 + Below(5000));
    return {name, "int64(int64, int64)", Abi::kStatusRetptr};
  }

  // One module in ten is refused, each for another reason and in another phase.
  void Break(RandomModule* module) {
    switch (Below(80)) {
      case 0:
        Line("define i32 @broken( {{");
        break;
      case 1:
        Line(
            "define i32 @broken(i32 %a) {{\n  br label %there\nthere:\n  %b = add i32 %c, 1\n  %c = add i32 %b, 1\n  "
            "ret i32 %c\n}}");
        break;
      case 2:
        Line("module asm \"nop\"");
        break;
      case 3:
        Line(
            "declare i32 @no_such_function(i32)\ndefine i32 @calls(i32 %a) {{\n  %b = call i32 @no_such_function(i32 "
            "%a)\n  ret i32 %b\n}}");
        module->functions.push_back({"calls", "int32(int32)", Abi::kDirect});
        break;
      case 4:
        module->functions.push_back({"absent", "int32(int32)", Abi::kDirect});
        break;
      case 5:
        module->functions.front().signature = "float32(float32)";
        break;
      case 6:
        Line("define i32 @asm(i32 %a) {{\n  call void asm sideeffect \"nop\", \"\"()\n  ret i32 %a\n}}");
        module->functions.push_back({"asm", "int32(int32)", Abi::kDirect});
        break;
      case 7:
        Line(
            "@later = thread_local global i32 0\ndefine i32 @tls(i32 %a) {{\n  %b = load i32, ptr @later\n  ret i32 "
            "%b\n}}");
        module->functions.push_back({"tls", "int32(int32)", Abi::kDirect});
        break;
      default:
        break;
    }
  }

  std::mt19937_64 random_;
  std::string text_;
  unsigned values_ = 0;
  unsigned table_ = 0;
  unsigned helpers_ = 0;
};

}  // namespace

RandomModule MakeRandomModule(uint64_t seed) { return Generator(seed).Make(); }

}  // namespace rbc::testing
